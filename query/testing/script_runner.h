// Runs PromQL test scripts against a store and an engine, each instant eval in all the ways that
// conformance/promql/README.md lists: as written, with @ on every selector at other times, and as a
// range query around each of these.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/labels.h"
#include "model/storage.h"
#include "query/engine.h"
#include "query/testing/test_script.h"

namespace tocsin::query {

struct ScriptSample {
  const model::Labels* series = nullptr;
  model::Timestamp timestamp_ms = 0;
  double value = 0;
  const model::Histogram* histogram = nullptr;  // instead of the value
  model::Timestamp start_ms = 0;                // 0 = none
};

// The store that scripts load into. Starts empty. One thread.
class ScriptStorage {
 public:
  virtual ~ScriptStorage() = default;
  virtual Status Clear() = 0;
  // All become visible together; ascending in time.
  virtual Status Append(std::span<const ScriptSample> samples) = 0;
  // Moves what has been appended so far into sealed segments.
  virtual Status Seal() = 0;
  virtual const model::Queryable& queryable() const = 0;
};

struct ScriptOptions {
  // Every load is cut in two by time, and what is there is sealed in between.
  bool seal_halfway = false;
  // Instant evals also with @ and as range queries.
  bool all_ways = true;
};

struct ScriptFailure {
  int line = 0;
  std::string query;
  std::string message;
};

struct ScriptResult {
  int passed = 0;  // evals
  std::vector<ScriptFailure>
      failures;  // failed evals; a script that is broken or does not load gives one
};

// What the engine must have switched on for scripts, and their limits.
EngineOptions ScriptEngineOptions();

ScriptResult RunTestScript(std::string_view text, const ScriptOptions& options, Engine* engine,
                           ScriptStorage* storage);

// "a.test: 12 passed, 1 failed" and a line for each failure.
std::string DescribeScriptResult(std::string_view name, const ScriptResult& result);

}  // namespace tocsin::query
