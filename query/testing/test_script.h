// A PromQL test script, parsed: clear, load and eval commands in file order. The language is
// specified in conformance/promql/README.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/regex.h"
#include "base/status.h"
#include "model/sample.h"
#include "query/testing/series_description.h"

namespace tocsin::query {

struct ClearCommand {
  int line = 0;
};

// One sample to store; `start_ms` 0 = none.
struct LoadSample {
  model::Timestamp timestamp_ms = 0;
  ScriptValue value;
  model::Timestamp start_ms = 0;
};

struct LoadSeries {
  model::Labels metric;
  std::vector<LoadSample> samples;  // ascending
};

// load_with_nhcb's conversions are already among the series.
struct LoadCommand {
  int line = 0;
  std::vector<LoadSeries> series;
};

// What an error or annotation must look like: the whole text, a pattern within it, or anything.
struct TextExpectation {
  std::optional<std::string> message;
  std::optional<Regex> pattern;

  bool Matches(std::string_view text) const;
  std::string ToString() const;
};

// Annotations of one kind. Neither listed nor forbidden: not checked.
struct AnnotationExpectation {
  std::vector<TextExpectation> expected;  // each must match one, and each one found must match one
  bool none = false;                      // there must be none
};

struct ExpectedSeries {
  int position = 0;  // among the series lines, from 1
  model::Labels metric;
  std::vector<ScriptValue> values;
};

struct EvalCommand {
  int line = 0;
  std::string query;
  bool is_range = false;
  // Range: the query's range. Instant: time_ms, and the range of the expected range vector if any.
  model::Timestamp start_ms = 0;
  model::Timestamp end_ms = 0;
  int64_t step_ms = 0;
  model::Timestamp time_ms = 0;

  std::optional<TextExpectation> failure;
  AnnotationExpectation warnings;
  AnnotationExpectation infos;
  bool ordered = false;
  bool expects_range_vector = false;
  std::optional<std::string> expected_string;
  std::optional<double> expected_scalar;
  std::vector<ExpectedSeries> expected;
};

using ScriptCommand = std::variant<ClearCommand, LoadCommand, EvalCommand>;

struct TestScript {
  std::vector<ScriptCommand> commands;
};

// kInvalidArgument: "line 12: …".
Result<TestScript> ParseTestScript(std::string_view text);

}  // namespace tocsin::query
