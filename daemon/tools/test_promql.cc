#include "daemon/tools/test_promql.h"

#include <algorithm>
#include <memory>
#include <set>

#include "base/env.h"
#include "base/log.h"
#include "daemon/tools/script_database.h"
#include "query/engine.h"
#include "query/testing/script_runner.h"

namespace tocsin::daemon {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUnreadable = 2;

// The scripts that a path stands for, in order of name.
Result<std::vector<std::string>> ScriptsAt(const std::string& path) {
  Env& env = Env::Default();
  TOCSIN_ASSIGN_OR_RETURN(const FileInfo info, env.Stat(path));
  if (!info.is_directory) return std::vector<std::string>{path};
  TOCSIN_ASSIGN_OR_RETURN(const std::vector<std::string> names, env.ListDir(path));
  std::vector<std::string> scripts;
  for (const std::string& name : names) {
    if (name.ends_with(".test")) scripts.push_back(JoinPath(path, name));
  }
  if (scripts.empty()) return Error(Code::kNotFound, path + ": no *.test files in this folder");
  return scripts;
}

// An eval passes when it passes in both states of the store.
query::ScriptResult Merge(query::ScriptResult in_head, query::ScriptResult half_sealed) {
  query::ScriptResult merged = std::move(in_head);
  std::set<int> failed;
  for (const query::ScriptFailure& failure : merged.failures) failed.insert(failure.line);
  for (query::ScriptFailure& failure : half_sealed.failures) {
    if (!failed.insert(failure.line).second) continue;
    failure.message = "half sealed: " + failure.message;
    merged.failures.push_back(std::move(failure));
  }
  merged.passed = std::min(merged.passed, half_sealed.passed);
  std::stable_sort(merged.failures.begin(), merged.failures.end(),
                   [](const auto& a, const auto& b) { return a.line < b.line; });
  return merged;
}

Result<query::ScriptResult> RunBothWays(const std::string& text, query::Engine* engine) {
  query::ScriptResult results[2];
  for (const bool seal : {false, true}) {
    TOCSIN_ASSIGN_OR_RETURN(const auto storage, NewScriptDatabase());
    query::ScriptOptions options;
    options.seal_halfway = seal;
    results[seal ? 1 : 0] = query::RunTestScript(text, options, engine, storage.get());
  }
  return Merge(std::move(results[0]), std::move(results[1]));
}

}  // namespace

int TestPromql(const std::vector<std::string>& paths,
               const std::function<void(std::string_view)>& write) {
  ConfigureLog(LogLevel::kWarn, LogFormat::kLogfmt);  // not a line for every store
  query::Engine engine(query::ScriptEngineOptions());
  int passed = 0;
  size_t failed = 0;
  bool unreadable = false;
  const auto report_unreadable = [&](const Status& status) {
    unreadable = true;
    write(status.message() + "\n");
  };
  for (const std::string& path : paths) {
    const Result<std::vector<std::string>> scripts = ScriptsAt(path);
    if (!scripts) {
      report_unreadable(scripts.error());
      continue;
    }
    for (const std::string& script : *scripts) {
      const Result<std::string> text = Env::Default().ReadFile(script);
      if (!text) {
        report_unreadable(text.error());
        continue;
      }
      const Result<query::ScriptResult> result = RunBothWays(*text, &engine);
      if (!result) {
        report_unreadable(result.error().Annotate(script));
        continue;
      }
      passed += result->passed;
      failed += result->failures.size();
      write(query::DescribeScriptResult(script, *result));
    }
  }
  write(std::to_string(passed) + " passed, " + std::to_string(failed) + " failed\n");
  if (unreadable) return kExitUnreadable;
  return failed == 0 ? 0 : kExitFailed;
}

}  // namespace tocsin::daemon
