// Router: which handler answers a method and path, in which lane, with how large a body. Built
// before the server starts, then read-only and thread-safe.
//
//   router.Add({.methods = {"GET"}, .pattern = "/api/v1/label/{}/values", .lane = Lane::kStatus,
//               .handler = LabelValues});
//
// A pattern is compared segment by segment after percent-decoding, so `%2F` never makes a new
// segment and `//` or `..` never reach a route: where the cleaned path has one, the client is sent
// there (base URLs that end in `/` give `//api/v1/query`). `{}` takes one segment, a final `{*}`
// the rest of the path (at least one segment). Literal segments win over `{}`, `{}` over `{*}`; a
// route whose method does not fit lets a less literal one try. 405 is answered where a route ends
// at the path with another method; what only a `{*}` would take is 404.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/http/message.h"

namespace tocsin::http {

// Each lane has its own threads and its own bounded queue, so that a flood of one kind of request
// never delays another.
enum class Lane : uint8_t {
  kStatus,  // health, pages, metrics, metadata of small size: never waits
  kWrite,   // pushes
  kQuery,   // anything that reads samples or walks the index
};
inline constexpr int kLaneCount = 3;
std::string_view LaneName(Lane lane);  // "status", "write", "query"

// Runs on a thread of its lane. Must not throw; an exception of a library becomes a 500.
using Handler = std::function<void(const HttpRequest& request, HttpResponse* response)>;

struct Route {
  std::vector<std::string> methods;
  std::string pattern;
  Lane lane = Lane::kStatus;
  size_t body_bytes_max = 64 * 1024;
  Handler handler;
  // Of a `{*}` route: whether it answers this rest of the path at all. Empty: always.
  std::function<bool(std::string_view rest)> accepts{};
};

class Router {
 public:
  // `prefix`: "" or "/prometheus"; stripped before matching. Paths outside it are not found, but
  // `/` itself redirects to it.
  explicit Router(std::string prefix = "");
  ~Router();
  Router(Router&&) noexcept;
  Router& operator=(Router&&) noexcept;

  void Add(Route route);

  struct Match {
    const Route* route = nullptr;       // null: not found or method not allowed
    bool path_known = false;            // some route has the path, with another method
    std::string allow;                  // its methods, for the Allow header
    std::vector<std::string> captures;  // decoded
    // Not empty: answer with this location; the query is the caller's to append.
    std::string redirect;
  };
  // `path` as sent, without the query.
  Match Find(std::string_view method, std::string_view path) const;

  const std::string& prefix() const { return prefix_; }

 private:
  struct Node;
  Match FindExact(std::string_view method, std::string_view path) const;

  std::string prefix_;
  std::unique_ptr<Node> root_;
  std::vector<std::unique_ptr<Route>> routes_;
};

}  // namespace tocsin::http
