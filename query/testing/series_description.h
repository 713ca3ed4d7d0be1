// One line of a test script or of a rule's unit test: a metric and its values over time.
//   up{job="x"} 1 2 _ 4x3 5+10x4 stale {{schema:1 sum:3 count:2 buckets:[1 1]}}
// The notation is specified in conformance/promql/README.md, sections 2.3 and 2.4.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/histogram.h"
#include "model/labels.h"

namespace tocsin::query {

// `1x1000000000` is five letters: what a line expands to is bounded.
inline constexpr size_t kMaxValuesPerLine = 1'000'000;

// One place in the sequence.
struct ScriptValue {
  bool omitted = false;  // `_`: no sample here
  double value = 0;
  std::shared_ptr<const model::Histogram> histogram;  // instead of the value
  bool hint_given = false;                            // the histogram spells counter_reset_hint
};

struct SeriesDescription {
  model::Labels metric;
  std::vector<ScriptValue> values;
};

Result<SeriesDescription> ParseSeriesDescription(std::string_view line);

// The line before a series whose first word ends in @st: start timestamps, as milliseconds relative
// to each sample's own timestamp; nothing where omitted.
struct StartTimestampLine {
  model::Labels metric;
  std::vector<std::optional<int64_t>> offsets_ms;
};

bool IsStartTimestampLine(std::string_view line);
Result<StartTimestampLine> ParseStartTimestampLine(std::string_view line);

}  // namespace tocsin::query
