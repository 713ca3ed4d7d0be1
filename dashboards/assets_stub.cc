// The one page of a build without Node: it says what is missing, and the HTTP API works all the
// same.
#include "dashboards/assets.h"

namespace tocsin::dashboards {
namespace {

constexpr std::string_view kStubPage =
    "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><base "
    "href=\"/\"><title>Tocsin</title></head><body>"
    "<h1>Tocsin</h1><p>This build carries no web pages: Node 20.19 or newer and npm were missing "
    "when it was made "
    "(or TOCSIN_PAGES was off). The HTTP API is complete: <a href=\"api/v1/targets\">targets</a>, "
    "<a href=\"api/v1/alerts\">alerts</a>, <a href=\"metrics\">metrics</a>.</p></body></html>";

constexpr Asset kAssets[] = {
    {"/index.html", "text/html; charset=utf-8", "\"stub\"", kStubPage, {}, {}, false}};

}  // namespace

std::span<const Asset> Assets() { return kAssets; }

}  // namespace tocsin::dashboards
