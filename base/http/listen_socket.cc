#include "base/http/listen_socket.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

namespace tocsin::http {
namespace {

// Connections that wait for accept while the front is busy; the library's 5 loses them in bursts.
constexpr int kBacklog = 1024;

struct AddressListDeleter {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using AddressList = std::unique_ptr<addrinfo, AddressListDeleter>;

const sockaddr* AsSockaddr(const sockaddr_storage& storage) {
  return reinterpret_cast<const sockaddr*>(&storage);
}

Result<ListenSocket> OpenOne(const addrinfo& info, bool dual_stack) {
  const int fd =
      socket(info.ai_family, info.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, info.ai_protocol);
  if (fd < 0) return Error(Status::FromErrno("socket", errno));
  const auto fail = [fd](std::string_view what) {
    const Status status = Status::FromErrno(what, errno);
    close(fd);
    return std::unexpected(status);
  };
  const int on = 1;
  const int v6_only = dual_stack ? 0 : 1;
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0) return fail("SO_REUSEADDR");
  if (info.ai_family == AF_INET6 &&
      setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof(v6_only)) != 0) {
    return fail("IPV6_V6ONLY");
  }
  if (bind(fd, info.ai_addr, info.ai_addrlen) != 0) return fail("bind");
  if (listen(fd, kBacklog) != 0) return fail("listen");
  sockaddr_storage bound{};
  socklen_t length = sizeof(bound);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &length) != 0) {
    return fail("getsockname");
  }
  ListenSocket opened{.fd = fd, .address = "", .loopback = IsLoopback(AsSockaddr(bound))};
  uint16_t port = 0;
  const std::string text = AddressText(AsSockaddr(bound), &port);
  const bool bracketed = text.find(':') != std::string::npos;
  opened.address = (bracketed ? "[" + text + "]" : text) + ":" + std::to_string(port);
  return opened;
}

Result<AddressList> Resolve(const ListenAddress& address) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int code = getaddrinfo(address.host.empty() ? nullptr : address.host.c_str(),
                               std::to_string(address.port).c_str(), &hints, &list);
  if (code != 0) return Error(Code::kInvalidArgument, gai_strerror(code));
  return AddressList(list);
}

// ":9090" is one IPv6 socket that takes IPv4 too, or an IPv4 one on a machine without IPv6.
Result<std::vector<ListenSocket>> OpenEverywhere(uint16_t port) {
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_addr = in6addr_any;
  v6.sin6_port = htons(port);
  addrinfo info{};
  info.ai_family = AF_INET6;
  info.ai_socktype = SOCK_STREAM;
  info.ai_addr = reinterpret_cast<sockaddr*>(&v6);
  info.ai_addrlen = sizeof(v6);
  Result<ListenSocket> opened = OpenOne(info, true);
  if (opened) return std::vector<ListenSocket>{*opened};
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_addr.s_addr = htonl(INADDR_ANY);
  v4.sin_port = htons(port);
  info.ai_family = AF_INET;
  info.ai_addr = reinterpret_cast<sockaddr*>(&v4);
  info.ai_addrlen = sizeof(v4);
  opened = OpenOne(info, false);
  if (!opened) return std::unexpected(opened.error());
  return std::vector<ListenSocket>{*opened};
}

}  // namespace

Result<ListenAddress> ParseListenAddress(std::string_view text) {
  const auto fail = [&](std::string_view why) {
    return Error(Code::kInvalidArgument,
                 "listen address \"" + std::string(text) + "\": " + std::string(why));
  };
  ListenAddress address;
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return fail("missing port");
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[')) {
    if (!host.ends_with(']') || host.size() < 3) return fail("malformed IPv6 address");
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return fail("an IPv6 address needs brackets");
  }
  const std::string_view port = text.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (error != std::errc() || end != port.data() + port.size()) return fail("malformed port");
  address.host = host;
  return address;
}

Result<std::vector<ListenSocket>> OpenListenSockets(std::string_view text) {
  TOCSIN_ASSIGN_OR_RETURN(const ListenAddress address, ParseListenAddress(text));
  const std::string context = "listen on " + std::string(text);
  if (address.host.empty()) {
    Result<std::vector<ListenSocket>> everywhere = OpenEverywhere(address.port);
    if (!everywhere) return Error(everywhere.error().Annotate(context));
    return everywhere;
  }
  Result<AddressList> list = Resolve(address);
  if (!list) return Error(list.error().Annotate(context));
  std::vector<ListenSocket> sockets;
  Status first_error;
  for (const addrinfo* info = list->get(); info != nullptr; info = info->ai_next) {
    Result<ListenSocket> opened = OpenOne(*info, false);
    if (opened) {
      sockets.push_back(std::move(*opened));
      // With port 0 each address of a name would get another port.
      if (address.port == 0) break;
    } else if (first_error.ok()) {
      first_error = opened.error();
    }
  }
  // "localhost" may stand for ::1 on a machine without IPv6: one address that works is enough,
  // unless one is taken by another process.
  if (!sockets.empty() && first_error.message().find("in use") == std::string::npos) {
    return sockets;
  }
  for (const ListenSocket& socket : sockets) close(socket.fd);
  return Error(first_error.Annotate(context));
}

std::string AddressText(const sockaddr* address, uint16_t* port) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
    *port = ntohs(v4->sin_port);
  } else if (address->sa_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
      inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], text, sizeof(text));
    } else {
      inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
    }
    *port = ntohs(v6->sin6_port);
  }
  return text;
}

bool IsLoopback(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    return (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
  }
  if (address->sa_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
    return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) ||
           (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) && v6->sin6_addr.s6_addr[12] == 127);
  }
  return false;
}

std::string HostWithoutPort(std::string_view host) {
  std::string_view port;
  if (host.starts_with('[')) {
    const size_t end = host.find(']');
    if (end == std::string_view::npos) return "";
    port = host.substr(end + 1);
    host = host.substr(1, end - 1);
  } else if (const size_t colon = host.find(':'); colon != std::string_view::npos) {
    port = host.substr(colon);
    host = host.substr(0, colon);
  }
  if (!port.empty() &&
      (port[0] != ':' || port.find_first_not_of("0123456789", 1) != std::string_view::npos)) {
    return "";
  }
  if (host.ends_with('.')) host.remove_suffix(1);
  std::string lower(host);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

bool IsLoopbackHost(std::string_view host) {
  if (host == "localhost") return true;
  const std::string text(host);
  in_addr v4{};
  if (inet_pton(AF_INET, text.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6{};
  return inet_pton(AF_INET6, text.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

}  // namespace tocsin::http
