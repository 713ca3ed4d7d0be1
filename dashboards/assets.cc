#include "dashboards/assets.h"

#include <algorithm>

#include "base/check.h"

namespace tocsin::dashboards {
namespace {

// The pages that exist (dashboards/web/src/main.tsx routes the same list).
constexpr std::string_view kPagePaths[] = {"/query",  "/graph", "/targets",
                                           "/alerts", "/rules", "/queries"};
constexpr std::string_view kBaseTag = "<base href=\"/\"";

std::string EscapeAttribute(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace

const Asset* FindAsset(std::string_view path) {
  const std::span<const Asset> assets = Assets();
  const auto it =
      std::find_if(assets.begin(), assets.end(), [&](const Asset& a) { return a.path == path; });
  return it == assets.end() ? nullptr : &*it;
}

bool IsPagePath(std::string_view path) {
  return std::find(std::begin(kPagePaths), std::end(kPagePaths), path) != std::end(kPagePaths);
}

std::string IndexHtml(std::string_view external_path) {
  const Asset* index = FindAsset("/index.html");
  CHECK(index != nullptr);
  std::string html(index->identity);
  const size_t at = html.find(kBaseTag);
  CHECK_MSG(at != std::string::npos, "index.html carries no <base href=\"/\">");
  html.replace(at, kBaseTag.size(), "<base href=\"" + EscapeAttribute(external_path) + "\"");
  return html;
}

}  // namespace tocsin::dashboards
