#include "base/http/router.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/check.h"
#include "base/http/form.h"

namespace tocsin::http {
namespace {

// The segments of "/a//b" are "a", "", "b"; those of "/" are one empty one.
std::vector<std::string_view> Segments(std::string_view path) {
  std::vector<std::string_view> segments;
  path.remove_prefix(1);
  while (true) {
    const size_t slash = path.find('/');
    segments.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return segments;
    path.remove_prefix(slash + 1);
  }
}

// Without empty, `.` and `..` segments, and without a closing slash. Segments stay encoded.
std::string CleanPath(std::string_view path) {
  if (path.empty() || path.front() != '/') return std::string(path);
  std::vector<std::string_view> kept;
  for (const std::string_view segment : Segments(path)) {
    if (segment == "..") {
      if (!kept.empty()) kept.pop_back();
    } else if (!segment.empty() && segment != ".") {
      kept.push_back(segment);
    }
  }
  std::string clean;
  for (const std::string_view segment : kept) {
    clean += '/';
    clean += segment;
  }
  return clean.empty() ? "/" : clean;
}

}  // namespace

std::string_view LaneName(Lane lane) {
  switch (lane) {
    case Lane::kStatus:
      return "status";
    case Lane::kWrite:
      return "write";
    case Lane::kQuery:
      return "query";
  }
  return "unknown";
}

struct Router::Node {
  std::map<std::string, std::unique_ptr<Node>, std::less<>> literal;
  std::unique_ptr<Node> any;           // `{}`
  std::vector<const Route*> rest;      // `{*}`
  std::vector<const Route*> terminal;  // the path ends here

  static const Route* WithMethod(const std::vector<const Route*>& routes, std::string_view method) {
    for (const Route* route : routes) {
      if (std::find(route->methods.begin(), route->methods.end(), method) != route->methods.end()) {
        return route;
      }
    }
    return nullptr;
  }

  // Tries `routes` for the method; collects the methods of the path otherwise.
  static bool Accept(const std::vector<const Route*>& routes, std::string_view method,
                     Match* match) {
    match->route = WithMethod(routes, method);
    if (match->route != nullptr) return true;
    for (const Route* route : routes) {
      match->path_known = true;
      for (const std::string& name : route->methods) {
        if (!match->allow.empty()) match->allow += ", ";
        match->allow += name;
      }
    }
    return false;
  }

  bool FindRest(const std::vector<std::string>& path, size_t depth, std::string_view method,
                Match* match) const {
    std::string tail;
    for (size_t i = depth; i < path.size(); ++i) tail += (i == depth ? "" : "/") + path[i];
    std::vector<const Route*> accepting;
    for (const Route* route : rest) {
      if (!route->accepts || route->accepts(tail)) accepting.push_back(route);
    }
    match->route = WithMethod(accepting, method);
    if (match->route == nullptr) return false;
    match->captures.push_back(std::move(tail));
    return true;
  }

  // Depth first, the most literal first; another branch is tried when one has no such method, so
  // that `OPTIONS /api/v1/{*}` serves below every literal path. Depth is that of the patterns.
  bool Find(const std::vector<std::string>& path, size_t depth, std::string_view method,
            Match* match) const {
    if (depth == path.size()) return Accept(terminal, method, match);
    if (const auto it = literal.find(path[depth]); it != literal.end()) {
      if (it->second->Find(path, depth + 1, method, match)) return true;
    }
    if (any != nullptr && !path[depth].empty()) {
      match->captures.push_back(path[depth]);
      if (any->Find(path, depth + 1, method, match)) return true;
      match->captures.pop_back();
    }
    return !rest.empty() && FindRest(path, depth, method, match);
  }
};

Router::Router(std::string prefix) : prefix_(std::move(prefix)), root_(std::make_unique<Node>()) {
  while (!prefix_.empty() && prefix_.back() == '/') prefix_.pop_back();
  CHECK(prefix_.empty() || prefix_.front() == '/');
}
Router::~Router() = default;
Router::Router(Router&&) noexcept = default;
Router& Router::operator=(Router&&) noexcept = default;

void Router::Add(Route route) {
  CHECK(!route.pattern.empty() && route.pattern.front() == '/');
  CHECK(!route.methods.empty() && route.handler != nullptr);
  routes_.push_back(std::make_unique<Route>(std::move(route)));
  const Route* added = routes_.back().get();
  Node* node = root_.get();
  for (const std::string_view segment : Segments(added->pattern)) {
    if (segment == "{*}") {
      node->rest.push_back(added);
      return;
    }
    std::unique_ptr<Node>& next = segment == "{}" ? node->any : node->literal[std::string(segment)];
    if (next == nullptr) next = std::make_unique<Node>();
    node = next.get();
  }
  node->terminal.push_back(added);
}

Router::Match Router::Find(std::string_view method, std::string_view path) const {
  Match match = FindExact(method, path);
  if (match.path_known || !match.redirect.empty()) return match;
  std::string clean = CleanPath(path);
  if (clean != path && FindExact(method, clean).route != nullptr) match.redirect = std::move(clean);
  return match;
}

Router::Match Router::FindExact(std::string_view method, std::string_view path) const {
  Match match;
  if (path.empty() || path.front() != '/') return match;
  if (!prefix_.empty()) {
    if (path == "/" || path == prefix_) {
      match.redirect = prefix_ + "/";
      return match;
    }
    if (!path.starts_with(prefix_) || path[prefix_.size()] != '/') return match;
    path.remove_prefix(prefix_.size());
  }
  std::vector<std::string> segments;
  for (const std::string_view segment : Segments(path)) {
    if (!PercentDecode(segment, false, &segments.emplace_back())) return match;
  }
  if (root_->Find(segments, 0, method, &match)) match.path_known = true;
  return match;
}

}  // namespace tocsin::http
