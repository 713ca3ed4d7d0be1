#include "daemon/addresses.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "daemon/config/url_parts.h"

namespace tocsin::daemon {
namespace {

std::string WithoutClosingSlashes(std::string text) {
  while (!text.empty() && text.back() == '/') text.pop_back();
  return text;
}

std::string HostWithoutPort(std::string_view host) {
  const size_t colon = host.rfind(':');
  const bool inside_brackets =
      host.find(']', colon == std::string_view::npos ? 0 : colon) != std::string_view::npos;
  std::string name(colon == std::string_view::npos || inside_brackets ? host
                                                                      : host.substr(0, colon));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

// ":9090" of "127.0.0.1:9090".
std::string PortOf(const std::string& listen_address) {
  const size_t colon = listen_address.rfind(':');
  return colon == std::string::npos ? "" : listen_address.substr(colon);
}

}  // namespace

Result<Addresses> ResolveAddresses(const ServeFlags& flags, const std::string& host_name) {
  Addresses result;
  std::string url = flags.external_url;
  const bool given = !url.empty() && url.front() != '/';  // "/prom" gives the path only
  if (!given) {
    const std::string path = url.empty() ? "/" : url;
    url = "http://" + host_name + PortOf(flags.listen_addresses.front()) + path;
  }
  auto parts = ParseUrl(url);
  if (!parts) return Error(parts.error().Annotate("--web.external-url"));
  if ((parts->scheme != "http" && parts->scheme != "https") || parts->host.empty()) {
    return Error(Code::kInvalidArgument,
                 "--web.external-url: \"" + url + "\" is not an http or https URL");
  }
  const std::string path = WithoutClosingSlashes(parts->path);
  result.external_url = parts->scheme + "://" + parts->host + path;
  result.external_path = path + "/";
  result.route_prefix =
      WithoutClosingSlashes(flags.route_prefix.empty() ? path : flags.route_prefix);
  if (!result.route_prefix.empty() && result.route_prefix.front() != '/')
    result.route_prefix.insert(0, "/");
  if (given) result.allowed_hosts.push_back(HostWithoutPort(parts->host));
  return result;
}

}  // namespace tocsin::daemon
