// What a query answers: a scalar, a string, an instant vector or a matrix, with annotations and
// statistics.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "model/histogram.h"
#include "model/labels.h"
#include "model/sample.h"

namespace tocsin::query {

using HistogramPtr = std::shared_ptr<const model::Histogram>;

struct FloatPoint {
  model::Timestamp timestamp_ms;
  double value;
};

struct HistogramPoint {
  model::Timestamp timestamp_ms;
  HistogramPtr histogram;
};

struct Scalar {
  model::Timestamp timestamp_ms = 0;
  double value = 0;
};

struct String {
  model::Timestamp timestamp_ms = 0;
  std::string value;
};

// One element of an instant vector: a float, or a histogram when `histogram` is set.
struct VectorSample {
  model::Labels metric;
  model::Timestamp timestamp_ms = 0;
  double value = 0;
  HistogramPtr histogram;
};
using Vector = std::vector<VectorSample>;

// One series of a matrix; both lists ascend in time.
struct Series {
  model::Labels metric;
  std::vector<FloatPoint> floats;
  std::vector<HistogramPoint> histograms;
};
using Matrix = std::vector<Series>;

enum class ValueType : uint8_t { kNone, kScalar, kVector, kMatrix, kString };
// "none", "scalar", "vector", "matrix", "string": as in resultType.
std::string_view ValueTypeName(ValueType type);
// "scalar", "instant vector", "range vector", "string": as in error messages.
std::string_view ValueTypeText(ValueType type);

using Value = std::variant<Scalar, Vector, Matrix, String>;
ValueType TypeOf(const Value& value);

// Warnings and infos, rendered as the HTTP API renders them ("PromQL warning: … (1:10)"), without
// repetition, sorted. The API cuts them at 10 + 10.
struct Annotations {
  std::vector<std::string> warnings;
  std::vector<std::string> infos;
};

struct StepCount {
  model::Timestamp timestamp_ms;
  int64_t samples;
};

struct QueryStats {
  double queue_seconds = 0;
  double prepare_seconds = 0;  // parse, plan, select
  double inner_eval_seconds = 0;
  double result_sort_seconds = 0;
  double exec_total_seconds = 0;
  double cpu_seconds = 0;  // of all threads that worked on it
  int64_t total_queryable_samples =
      0;                     // samples × steps that they were used at, as the reference counts
  int64_t samples_read = 0;  // samples decoded from storage
  int64_t peak_samples = 0;
  int64_t peak_bytes = 0;
  bool histograms_read = false;  // native ones, by any selector
  int64_t cached_steps = 0;      // that came from the result cache
  // What the selectors read, coarsest first: "raw", "5m", "1h", "1h, raw".
  std::string resolution = "raw";
  std::vector<StepCount> samples_per_step;  // only when asked for
};

// What one node of the plan did (stats of an explained query). A child's numbers are not in its
// parent's, apart from the time, which includes the children's.
struct PlanNode {
  std::string text;  // the expression, printed
  int64_t series = 0;
  int64_t points = 0;   // that it gave its parent
  int64_t samples = 0;  // decoded from storage by itself
  int64_t bytes = 0;    // charged by itself
  double seconds = 0;   // of all threads
  // All that it selected from storage, it selected with these hints (model::SelectHints).
  bool times_only = false;
  bool newest_only = false;
  std::vector<PlanNode> children;
};

struct QueryResult {
  Value value;
  Annotations annotations;
  QueryStats stats;
  std::shared_ptr<const PlanNode> plan;  // when asked for
  // The result's share of the engine's memory budget, given back with its last copy.
  std::shared_ptr<const void> memory;
};

// Bytes that the value holds: what it is charged with.
uint64_t HeldBytes(const Value& value);
uint64_t HeldBytes(const model::Histogram& histogram);

}  // namespace tocsin::query
