// Range functions over facts instead of samples (model/facts.h): for windows that are made of whole
// runs, which column facts and rollup buckets give. Each kernel answers bit by bit what its
// sibling over samples does, sum and avg up to the order of summation.
//
// A run belongs to the windows that its last sample is in.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "query/functions/window.h"

namespace tocsin::query {

// Buffers that a cursor keeps from column to column.
struct FactsScratch {
  std::vector<model::Facts> runs;
  std::vector<model::Timestamp> ends;
  std::vector<double> values;
  std::vector<int64_t> counts;  // samples in the runs before each
  std::vector<uint32_t> kept;   // histograms that the runs before each have kept
  Windows kept_windows;
  Windows windows;
  WindowScratch window;
  // rate & co.: the resets of the column. Between runs i - 1 and i: place 2 i; inside run i: 2 i
  // + 1.
  std::vector<uint64_t> reset_places;
  std::vector<double> before_resets;
  std::vector<double> reset_totals;
};

// One series.
struct FactsInput {
  size_t series = 0;
  std::span<const model::Facts> runs;     // none without samples
  const model::Column* column = nullptr;  // of histograms: with those that the runs have kept
  FactsScratch* scratch = nullptr;        // with `ends` and `windows` made for them

  const Windows& windows() const { return scratch->windows; }
  bool of_histograms() const { return !column->histograms.empty(); }
};

using FactsKernel = Status (*)(const WindowCall&, const FactsInput&, const WindowOutput&);

struct FactsFunction {
  FactsKernel kernel = nullptr;  // null: the function needs samples
  uint8_t needs = 0;             // model::kFact…
};
FactsFunction FindFactsFunction(std::string_view function);

// Leaves out what has markers only, finds the windows and counts the samples in them.
FactsInput PrepareFacts(const WindowCall& call, size_t series, const model::Column& column,
                        FactsScratch* scratch);

}  // namespace tocsin::query
