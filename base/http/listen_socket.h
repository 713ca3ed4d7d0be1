// Listen addresses and listening sockets.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

struct sockaddr;

namespace tocsin::http {

// "HOST:PORT" split. HOST: "" (every address, IPv6 and IPv4), a name, an IPv4 address, or "[IPv6]"
// (returned without brackets).
struct ListenAddress {
  std::string host;
  uint16_t port = 0;
};
Result<ListenAddress> ParseListenAddress(std::string_view text);

// A bound, listening, non-blocking socket.
struct ListenSocket {
  int fd = -1;
  std::string address;    // as bound: "127.0.0.1:43121"
  bool loopback = false;  // only reachable from this machine
};

// Opens every socket that the address stands for (a name may stand for several). SO_REUSEADDR
// only: with SO_REUSEPORT a second daemon would silently share the port. On failure nothing stays
// open.
Result<std::vector<ListenSocket>> OpenListenSockets(std::string_view address);

// "127.0.0.1", "::1".
std::string AddressText(const sockaddr* address, uint16_t* port);
bool IsLoopback(const sockaddr* address);

// The host of a Host header ("localhost:9090", "[::1]:9090"): lower case, without port, brackets
// and closing dot. "" when it is malformed.
std::string HostWithoutPort(std::string_view host_header);
// localhost, 127.0.0.0/8, ::1.
bool IsLoopbackHost(std::string_view host);

}  // namespace tocsin::http
