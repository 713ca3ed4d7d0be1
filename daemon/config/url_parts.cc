#include "daemon/config/url_parts.h"

#include <algorithm>

namespace tocsin::daemon {
namespace {

bool IsAlpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsHex(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

// Every % is followed by two hexadecimal digits.
bool EscapesAreGood(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') continue;
    if (i + 2 >= text.size() || !IsHex(text[i + 1]) || !IsHex(text[i + 2])) return false;
    i += 2;
  }
  return true;
}

// The length of "scheme:" at the front, 0 when there is no scheme, npos when ':' stands first.
size_t SchemeLength(std::string_view url) {
  for (size_t i = 0; i < url.size(); ++i) {
    const char c = url[i];
    if (IsAlpha(c)) continue;
    if (c == ':') return i == 0 ? std::string_view::npos : i + 1;
    if (i == 0 || !(IsDigit(c) || c == '+' || c == '-' || c == '.')) return 0;
  }
  return 0;
}

// "" when the host with its port is good, else what is wrong.
std::string HostComplaint(std::string_view host) {
  std::string_view port;
  if (host.starts_with('[')) {
    const size_t close = host.find(']');
    if (close == std::string_view::npos) return "missing ']' in host";
    port = host.substr(close + 1);
  } else if (const size_t colon = host.rfind(':'); colon != std::string_view::npos) {
    port = host.substr(colon);
  }
  const bool port_is_good =
      port.empty() || (port[0] == ':' && std::all_of(port.begin() + 1, port.end(), IsDigit));
  if (!port_is_good) return "invalid port \"" + std::string(port) + "\" after host";
  for (const char c : host) {
    if (std::string_view(" \"<>\\^`{|}").find(c) != std::string_view::npos) {
      return std::string("invalid character \"") + c + "\" in host name";
    }
  }
  return EscapesAreGood(host) ? "" : "invalid URL escape in host";
}

std::unexpected<Status> Refuse(std::string_view url, std::string_view why) {
  return Error(Code::kInvalidArgument, "parse \"" + std::string(url) + "\": " + std::string(why));
}

}  // namespace

Result<UrlParts> ParseUrl(std::string_view url) {
  UrlParts parts;
  for (const char c : url) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      return Refuse(url, "invalid control character in URL");
    }
  }
  std::string_view rest = url.substr(0, url.find('#'));
  const size_t scheme_length = SchemeLength(rest);
  if (scheme_length == std::string_view::npos) return Refuse(url, "missing protocol scheme");
  if (scheme_length > 0) {
    for (const char c : rest.substr(0, scheme_length - 1)) {
      parts.scheme += c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
    }
    rest.remove_prefix(scheme_length);
  }
  rest = rest.substr(0, rest.find('?'));
  if (!rest.starts_with('/')) {
    if (!parts.scheme.empty()) return parts;  // opaque, such as mailto:x
    const std::string_view segment = rest.substr(0, rest.find('/'));
    if (segment.find(':') != std::string_view::npos) {
      return Refuse(url, "first path segment in URL cannot contain colon");
    }
  }
  if (rest.starts_with("//")) {
    rest.remove_prefix(2);
    const size_t slash = std::min(rest.find('/'), rest.size());
    std::string_view authority = rest.substr(0, slash);
    rest.remove_prefix(slash);
    if (const size_t at = authority.rfind('@'); at != std::string_view::npos) {
      parts.has_password = authority.substr(0, at).find(':') != std::string_view::npos;
      authority.remove_prefix(at + 1);
    }
    if (const std::string why = HostComplaint(authority); !why.empty()) return Refuse(url, why);
    parts.host = authority;
  }
  if (!EscapesAreGood(rest)) return Refuse(url, "invalid URL escape in path");
  parts.path = rest;
  return parts;
}

std::string RedactUrl(std::string_view url) {
  const auto parts = ParseUrl(url);
  if (!parts || !parts->has_password) return std::string(url);
  const size_t user = url.find("//") + 2;
  const size_t at = url.substr(0, std::min(url.find('/', user), url.size())).rfind('@');
  const size_t colon = url.find(':', user);
  return std::string(url.substr(0, colon)) + ":xxxxx" + std::string(url.substr(at));
}

}  // namespace tocsin::daemon
