// The web pages, embedded in the binary: the HTTP layer's only view of them.
//
// Vite writes files with hashed names (dashboards/web), web/embed.mjs compresses each one and
// writes the table behind these functions. A build without Node carries one stub page that says so.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace tocsin::dashboards {

// One embedded file. The views live as long as the program.
struct Asset {
  std::string_view path;          // "/assets/query-3f2a.js", "/index.html", "/favicon.svg"
  std::string_view content_type;  // "text/javascript; charset=utf-8"
  std::string_view etag;          // quoted, of the identity bytes
  std::string_view identity;
  std::string_view gzip;    // empty when compressing does not pay
  std::string_view brotli;  // empty when compressing does not pay
  bool immutable;           // under /assets/: the name changes with the content
};

std::span<const Asset> Assets();
// Null when there is no such file.
const Asset* FindAsset(std::string_view path);

// Whether `path` is the address of a page (answered with IndexHtml); all others that are no asset
// are 404.
bool IsPagePath(std::string_view path);
// index.html with <base href> set to `external_path`, the path of --web.external-url, which ends in
// "/".
std::string IndexHtml(std::string_view external_path);

}  // namespace tocsin::dashboards
