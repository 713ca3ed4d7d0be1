#include "base/glob.h"

#include <algorithm>

#include "base/env.h"

namespace tocsin {
namespace {

// Patterns nest no deeper than their slashes; this bounds a hostile one.
constexpr int kGlobDepthMax = 64;

std::unexpected<Status> SyntaxError() {
  return Error(Code::kInvalidArgument, "syntax error in pattern");
}

// The class at the front of `pattern` (behind its '['), tried on `c`. Moves behind the ']'.
Result<bool> MatchClass(std::string_view* pattern, char c) {
  bool negated = false;
  if (pattern->starts_with('^')) {
    negated = true;
    pattern->remove_prefix(1);
  }
  bool matched = false;
  for (bool first = true; first || !pattern->starts_with(']'); first = false) {
    const auto take = [&]() -> Result<unsigned char> {
      if (pattern->starts_with('\\')) pattern->remove_prefix(1);
      if (pattern->empty()) return SyntaxError();
      const auto taken = static_cast<unsigned char>(pattern->front());
      pattern->remove_prefix(1);
      return taken;
    };
    if (pattern->empty() || (first && pattern->starts_with(']'))) return SyntaxError();
    TOCSIN_ASSIGN_OR_RETURN(const unsigned char low, take());
    unsigned char high = low;
    if (pattern->starts_with('-')) {
      pattern->remove_prefix(1);
      TOCSIN_ASSIGN_OR_RETURN(high, take());
    }
    const auto byte = static_cast<unsigned char>(c);
    matched = matched || (low <= byte && byte <= high);
    if (pattern->empty()) return SyntaxError();
  }
  pattern->remove_prefix(1);
  return matched != negated;
}

// One step: matches everything up to the next '*' at the front of `name`; false when it does not
// fit.
Result<bool> MatchChunk(std::string_view chunk, std::string_view* name) {
  while (!chunk.empty()) {
    if (name->empty()) return false;
    const char c = name->front();
    if (chunk.front() == '[') {
      chunk.remove_prefix(1);
      TOCSIN_ASSIGN_OR_RETURN(const bool matched, MatchClass(&chunk, c));
      if (!matched || c == '/') return false;
      name->remove_prefix(1);
      continue;
    }
    if (chunk.front() == '?') {
      if (c == '/') return false;
    } else {
      if (chunk.front() == '\\') chunk.remove_prefix(1);
      if (chunk.empty()) return SyntaxError();
      if (chunk.front() != c) return false;
    }
    chunk.remove_prefix(1);
    name->remove_prefix(1);
  }
  return true;
}

// Where the next '*' stands outside classes and escapes.
size_t NextStar(std::string_view pattern) {
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\') {
      ++i;
    } else if (pattern[i] == '[') {
      in_class = true;
    } else if (pattern[i] == ']') {
      in_class = false;
    } else if (pattern[i] == '*' && !in_class) {
      return i;
    }
  }
  return pattern.size();
}

Result<std::vector<std::string>> GlobAt(Env& env, const std::string& pattern, int depth) {
  if (depth > kGlobDepthMax) {
    return Error(Code::kResourceExhausted, "pattern is nested too deeply");
  }
  if (!HasGlobCharacters(pattern)) {
    if (env.Exists(pattern)) return std::vector<std::string>{pattern};
    return std::vector<std::string>{};
  }
  const std::string directory_pattern(DirName(pattern));
  const std::string name_pattern(BaseName(pattern));
  const bool has_directory = pattern.find('/') != std::string::npos;
  std::vector<std::string> directories;
  if (directory_pattern == pattern || !has_directory) {
    directories = {"."};
  } else {
    TOCSIN_ASSIGN_OR_RETURN(directories, GlobAt(env, directory_pattern, depth + 1));
  }
  TOCSIN_TRY([&]() -> Status {
    const auto checked = GlobMatch(name_pattern, "");
    return checked ? Status::Ok() : checked.error();
  }());
  std::vector<std::string> paths;
  for (const std::string& directory : directories) {
    const auto names = env.ListDir(directory);
    if (!names) continue;
    for (const std::string& name : *names) {
      TOCSIN_ASSIGN_OR_RETURN(const bool matched, GlobMatch(name_pattern, name));
      if (matched) paths.push_back(has_directory ? JoinPath(directory, name) : name);
    }
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace

bool HasGlobCharacters(std::string_view pattern) {
  return pattern.find_first_of("*?[\\") != std::string_view::npos;
}

Result<bool> GlobMatch(std::string_view pattern, std::string_view name) {
  bool after_star = false;
  while (!pattern.empty()) {
    const size_t stars = pattern.find_first_not_of('*');
    if (stars == std::string_view::npos) return name.find('/') == std::string_view::npos;
    after_star = stars > 0;
    pattern.remove_prefix(stars);
    const size_t end = NextStar(pattern);
    const std::string_view chunk = pattern.substr(0, end);
    pattern.remove_prefix(end);
    // Behind a star: the first place from which the chunk fits (the last chunk must reach the end).
    bool placed = false;
    for (size_t skip = 0; skip <= name.size(); ++skip) {
      std::string_view rest = name.substr(skip);
      TOCSIN_ASSIGN_OR_RETURN(const bool fits, MatchChunk(chunk, &rest));
      if (fits && (!pattern.empty() || rest.empty())) {
        name = rest;
        placed = true;
        break;
      }
      if (!after_star || (skip < name.size() && name[skip] == '/')) break;
    }
    if (!placed) return false;
  }
  return name.empty();
}

Result<std::vector<std::string>> Glob(Env& env, const std::string& pattern) {
  return GlobAt(env, pattern, 0);
}

}  // namespace tocsin
