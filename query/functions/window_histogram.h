// What range functions do with native histograms, one window at a time.
#pragma once

#include <optional>

#include "query/functions/window.h"

namespace tocsin::query {

// The change over the window, counter resets added when `counter`; with `from_zero` the window
// began at an empty histogram before its first sample. Nothing (and an annotation) when the
// histograms do not fit together.
std::optional<model::Histogram> HistogramIncrease(const WindowCall& call, const WindowInput& in,
                                                  size_t t, bool counter, bool from_zero);

// Counter functions want counters, delta and idelta want gauges: annotates what is not.
void AnnotateHistogramKind(const WindowCall& call, const WindowInput& in,
                           std::span<const model::Histogram* const> histograms, bool counter);

// irate (`rate`) and idelta for a window that holds histograms, perhaps beside floats.
void InstantHistogramChange(const WindowCall& call, const WindowInput& in, const WindowOutput& out,
                            size_t t, bool rate);

// sum_over_time and avg_over_time of a window that holds only histograms.
void SumHistograms(const WindowCall& call, const WindowInput& in, const WindowOutput& out, size_t t,
                   bool average);

// The sum of `histograms` (of which there is one at least) over `divisor`; nothing, and an
// annotation, when they do not fit together.
std::optional<model::Histogram> AddUpHistograms(const WindowCall& call, size_t series,
                                                std::span<const model::Histogram* const> histograms,
                                                double divisor);

// Between two neighbouring samples of which at least one is a histogram.
bool HistogramsDiffer(const model::Histogram& before, const model::Histogram& after);
bool IsHistogramReset(const model::Histogram& before, const model::Histogram& after);

}  // namespace tocsin::query
