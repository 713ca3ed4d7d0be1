#include "alerting/rules/rule_loader.h"

#include <fnmatch.h>

#include <algorithm>
#include <set>

#include "base/env.h"
#include "base/log.h"

namespace tocsin::alerting {
namespace {

bool HasMeta(std::string_view element) {
  return element.find_first_of("*?[\\") != std::string_view::npos;
}

// A [ without its ], or a \ at the end.
bool IsBroken(std::string_view element) {
  bool in_class = false;
  for (size_t i = 0; i < element.size(); ++i) {
    if (element[i] == '\\') {
      if (++i == element.size()) return true;
    } else if (element[i] == '[') {
      in_class = true;
    } else if (element[i] == ']') {
      in_class = false;
    }
  }
  return in_class;
}

std::vector<std::string> SplitPath(std::string_view path) {
  std::vector<std::string> elements;
  while (!path.empty()) {
    const size_t slash = path.find('/');
    if (slash != 0) elements.emplace_back(path.substr(0, slash));
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
  }
  return elements;
}

}  // namespace

Result<std::vector<std::string>> ExpandPattern(Env& env, const std::string& given) {
  std::string pattern = given;
  while (pattern.starts_with("./")) pattern.erase(0, 2);  // as Prometheus shows paths
  if (IsBroken(pattern)) {
    return Error(Code::kInvalidArgument, "syntax error in pattern \"" + pattern + "\"");
  }
  if (!HasMeta(pattern)) return std::vector<std::string>{pattern};
  const bool absolute = pattern.starts_with('/');
  std::vector<std::string> paths = {absolute ? "/" : ""};
  const std::vector<std::string> elements = SplitPath(pattern);
  for (size_t i = 0; i < elements.size(); ++i) {
    std::vector<std::string> next;
    for (const std::string& path : paths) {
      const auto join = [&](const std::string& name) {
        return path.empty() || path == "/" ? path + name : path + "/" + name;
      };
      if (!HasMeta(elements[i])) {
        if (i + 1 < elements.size() || env.Exists(join(elements[i])))
          next.push_back(join(elements[i]));
        continue;
      }
      const auto names = env.ListDir(path.empty() ? "." : path);
      if (!names) continue;  // not a folder, or not ours to read: nothing matches in it
      for (const std::string& name : *names) {
        if (fnmatch(elements[i].c_str(), name.c_str(), 0) == 0) next.push_back(join(name));
      }
    }
    paths = std::move(next);
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

Result<std::vector<RuleGroupDefinition>> LoadRuleFiles(Env& env,
                                                       const std::vector<std::string>& patterns,
                                                       const RuleFileOptions& options) {
  std::vector<RuleGroupDefinition> groups;
  std::set<std::string> done;
  std::string complaints;
  const auto complain = [&](const std::string& text) {
    complaints += (complaints.empty() ? "" : "\n") + text;
  };
  for (const std::string& pattern : patterns) {
    auto paths = ExpandPattern(env, pattern);
    if (!paths) {
      complain(paths.error().message());
      continue;
    }
    for (const std::string& path : *paths) {
      if (!done.insert(path).second) continue;
      const auto text = env.ReadFileUpTo(path, kRuleFileBytesMax);
      if (!text) {
        complain(path + ": " + text.error().message());
        continue;
      }
      RuleFileReport report = ParseRuleFile(path, *text, options);
      for (const std::string& error : report.errors) complain(error);
      for (const std::string& warning : report.warnings) {
        LogWarn("rules", "rule file has a fault", {{"file", path}, {"warning", warning}});
      }
      std::move(report.groups.begin(), report.groups.end(), std::back_inserter(groups));
    }
  }
  if (!complaints.empty()) return Error(Code::kInvalidArgument, complaints);
  return groups;
}

}  // namespace tocsin::alerting
