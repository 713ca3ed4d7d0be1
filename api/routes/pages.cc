// The web pages: index.html at every page's address, the files behind it, and the redirects that
// old links need. Headers are those of the page design: nothing from elsewhere, no inline code.
#include <memory>
#include <string>
#include <utility>

#include "api/api_router.h"
#include "base/http/content_encoding.h"
#include "dashboards/assets.h"

namespace tocsin::api {
namespace {

using http::HttpRequest;
using http::HttpResponse;

constexpr std::string_view kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; base-uri 'self'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

void SetPageHeaders(HttpResponse* response) {
  http::Headers& headers = response->headers;
  headers.Set("Content-Security-Policy", std::string(kContentSecurityPolicy));
  headers.Set("X-Content-Type-Options", "nosniff");
  headers.Set("Referrer-Policy", "no-referrer");
  headers.Set("Cross-Origin-Opener-Policy", "same-origin");
}

void AnswerIndex(const std::string& html, HttpResponse* response) {
  SetPageHeaders(response);
  response->headers.Set("Content-Type", "text/html; charset=utf-8");
  response->headers.Set("Cache-Control", "no-cache");
  response->body.Append(html);
}

bool ListsEtag(std::string_view if_none_match, std::string_view etag) {
  return if_none_match == "*" || if_none_match.find(etag) != std::string_view::npos;
}

struct Encoded {
  std::string_view name;  // "" = identity
  std::string_view bytes;
};

// The smallest form that the client takes.
Encoded ChooseEncoding(const dashboards::Asset& asset, std::string_view accept) {
  if (!asset.brotli.empty() && http::EncodingWeight(accept, "br") > 0) return {"br", asset.brotli};
  if (!asset.gzip.empty() && http::EncodingWeight(accept, "gzip") > 0) return {"gzip", asset.gzip};
  return {"", asset.identity};
}

void AnswerAsset(const dashboards::Asset& asset, const HttpRequest& request,
                 HttpResponse* response) {
  SetPageHeaders(response);
  response->compressible = false;  // it already is, where that pays
  http::Headers& headers = response->headers;
  headers.Set("Vary", "Accept-Encoding");
  headers.Set("ETag", std::string(asset.etag));
  headers.Set("Cache-Control",
              asset.immutable ? "public, max-age=31536000, immutable" : "no-cache");
  if (ListsEtag(request.headers.Joined("If-None-Match"), asset.etag)) {
    response->status = 304;
    return;
  }
  headers.Set("Content-Type", std::string(asset.content_type));
  const Encoded encoded = ChooseEncoding(asset, request.headers.Joined("Accept-Encoding"));
  if (!encoded.name.empty()) headers.Set("Content-Encoding", std::string(encoded.name));
  response->body.Append(encoded.bytes);
}

bool IsPageOrAsset(std::string_view path) {
  return path != "/index.html" &&
         (dashboards::IsPagePath(path) || dashboards::FindAsset(path) != nullptr);
}

}  // namespace

void AddPageRoutes(ApiRoutes* routes) {
  const Dependencies& deps = routes->dependencies();
  const auto redirect_to_query = [&deps](const HttpRequest& request, HttpResponse* response) {
    std::string location = deps.external_path + "query";
    if (!request.raw_query.empty()) location += "?" + request.raw_query;
    response->SetRedirect(302, location);
  };
  for (const char* pattern : {"/", "/graph"}) {
    routes->router()->Add(
        {.methods = {"GET", "HEAD"}, .pattern = pattern, .handler = redirect_to_query});
  }
  const auto index = std::make_shared<const std::string>(dashboards::IndexHtml(deps.external_path));
  routes->router()->Add(
      {.methods = {"GET", "HEAD"},
       .pattern = "/{*}",
       .handler =
           [index](const HttpRequest& request, HttpResponse* response) {
             const std::string path = "/" + request.captures[0];
             if (dashboards::IsPagePath(path)) return AnswerIndex(*index, response);
             AnswerAsset(*dashboards::FindAsset(path), request, response);
           },
       .accepts = [](std::string_view rest) { return IsPageOrAsset("/" + std::string(rest)); }});
}

}  // namespace tocsin::api
