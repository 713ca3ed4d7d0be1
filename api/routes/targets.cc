// /targets, /scrape_pools (http-api.md §4).
#include <algorithm>
#include <utility>

#include "api/api_response.h"
#include "api/api_router.h"
#include "api/json_results.h"
#include "api/parameters.h"
#include "base/duration.h"

namespace tocsin::api {
namespace {

using http::FormParams;
using http::HttpRequest;
using http::HttpResponse;

bool IsLocal(std::string_view host) {
  return host == "localhost" || host == "127.0.0.1" || host == "[::1]";
}

// "http://host:1/path" in three: the scheme with "://", "host:1", the rest.
struct UrlParts {
  std::string_view scheme;
  std::string_view authority;
  std::string_view rest;
};
UrlParts SplitUrl(std::string_view url) {
  UrlParts parts;
  const size_t scheme_end = url.find("://");
  if (scheme_end == std::string_view::npos) return parts;
  parts.scheme = url.substr(0, scheme_end + 3);
  url.remove_prefix(scheme_end + 3);
  const size_t path = std::min(url.find_first_of("/?"), url.size());
  parts.authority = url.substr(0, path);
  parts.rest = url.substr(path);
  return parts;
}

std::string_view HostOf(std::string_view authority) {
  const size_t colon = authority.rfind(':');
  const size_t bracket = authority.rfind(']');
  if (colon == std::string_view::npos || (bracket != std::string_view::npos && colon < bracket)) {
    return authority;
  }
  return authority.substr(0, colon);
}

// How others reach a target that we know as localhost: ourselves under the external URL, a
// neighbour under its host.
std::string GlobalUrl(const Dependencies& deps, const std::string& url) {
  const UrlParts target = SplitUrl(url);
  const std::string_view host = HostOf(target.authority);
  if (!IsLocal(host) || host.size() == target.authority.size()) return url;
  const std::string_view port = target.authority.substr(host.size());  // ":9100"
  const UrlParts external = SplitUrl(deps.external_url);
  const std::string_view listen(deps.listen_address);
  const bool ourselves = listen.substr(HostOf(listen).size()) == port;
  std::string global(ourselves ? external.scheme : target.scheme);
  global += ourselves ? external.authority : HostOf(external.authority);
  if (!ourselves) global += port;
  global += target.rest;
  return global;
}

void AppendTarget(const Dependencies& deps, const collector::TargetStatus& status,
                  std::string& text) {
  const collector::Target& target = status.target;
  const auto field = [&](std::string_view key, std::string_view value) {
    text += key;
    AppendJsonString(text, value, JsonEscape::kHtml);
  };
  text += R"({"discoveredLabels":)";
  AppendLabels(text, target.discovered_labels);
  text += R"(,"labels":)";
  AppendLabels(text, target.labels);
  field(R"(,"scrapePool":)", target.job);
  field(R"(,"scrapeUrl":)", target.url);
  field(R"(,"globalUrl":)", GlobalUrl(deps, target.url));
  field(R"(,"lastError":)", status.last_error);
  text += R"(,"lastScrape":)";
  AppendWallTime(text, status.last_scrape_ms);
  text += R"(,"lastScrapeDuration":)";
  JsonWriter(text).Double(status.last_scrape_duration_s);
  field(R"(,"health":)", collector::TargetHealthName(status.health));
  field(R"(,"scrapeInterval":)", FormatDuration(target.scrape_interval_ms));
  field(R"(,"scrapeTimeout":)", FormatDuration(target.scrape_timeout_ms));
  text += '}';
}

void Targets(const Dependencies& deps, const HttpRequest& request, HttpResponse* response) {
  const FormParams params = FormParams::FromRequest(request);
  const std::string_view state = params.Get("state");
  const bool any = state.empty() || http::EqualsIgnoreCase(state, "any");
  const bool active = any || http::EqualsIgnoreCase(state, "active");
  const bool dropped = any || http::EqualsIgnoreCase(state, "dropped");
  const std::string pool(params.Get("scrapePool"));

  DataWriter out(response);
  out.text() += R"({"activeTargets":[)";
  bool first = true;
  if (active) {
    for (const collector::TargetStatus& status : deps.targets.active(pool)) {
      if (!std::exchange(first, false)) out.text() += ',';
      AppendTarget(deps, status, out.text());
      if (out.Flush()) return;
    }
  }
  out.text() += R"(],"droppedTargets":[)";
  first = true;
  if (dropped) {
    for (const collector::DroppedTarget& target : deps.targets.dropped(pool)) {
      if (!std::exchange(first, false)) out.text() += ',';
      out.text() += R"({"discoveredLabels":)";
      AppendLabels(out.text(), target.discovered_labels);
      out.text() += R"(,"scrapePool":)";
      AppendJsonString(out.text(), target.job, JsonEscape::kHtml);
      out.text() += '}';
      if (out.Flush()) return;
    }
  }
  out.text() += R"(],"droppedTargetCounts":)";
  if (dropped) {
    JsonWriter counts(out.text());
    counts.BeginObject();
    for (const auto& [job, count] : deps.targets.dropped_counts()) counts.Key(job).Uint(count);
    counts.EndObject();
  } else {
    out.text() += "null";
  }
  out.text() += '}';
  out.Finish();
}

void ScrapePoolNames(const Dependencies& deps, HttpResponse* response) {
  DataWriter out(response);
  out.json().BeginObject().Key("scrapePools").BeginArray();
  for (const std::string& name : deps.targets.pool_names()) out.json().String(name);
  out.json().EndArray().EndObject();
  out.Finish();
}

void ScrapePoolConfig(const Dependencies& deps, const HttpRequest& request,
                      HttpResponse* response) {
  const FormParams params = FormParams::FromRequest(request);
  const std::string pool(params.Get("scrapePool"));
  const Result<std::string> yaml = deps.targets.pool_config_yaml(pool);
  if (!yaml) return RespondError(response, {ErrorType::kBadData, yaml.error().message()});
  DataWriter out(response);
  out.json().BeginObject().Key("yaml").String(*yaml).EndObject();
  out.Finish();
}

}  // namespace

void AddTargetRoutes(ApiRoutes* routes) {
  const Dependencies& deps = routes->dependencies();
  routes->Add({"GET"}, "/targets", http::Lane::kStatus,
              [&deps](const HttpRequest& request, HttpResponse* response) {
                Targets(deps, request, response);
              });
  routes->Add(
      {"GET"}, "/scrape_pools", http::Lane::kStatus,
      [&deps](const HttpRequest&, HttpResponse* response) { ScrapePoolNames(deps, response); });
  if (!deps.targets.pool_config_yaml) return;
  routes->Add({"GET"}, "/scrape_pools/config", http::Lane::kStatus,
              [&deps](const HttpRequest& request, HttpResponse* response) {
                ScrapePoolConfig(deps, request, response);
              });
}

}  // namespace tocsin::api
