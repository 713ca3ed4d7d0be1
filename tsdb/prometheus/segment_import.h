// WriteImportSegment: the samples of many Prometheus stores within a range, as one segment of ours.
//
// Prometheus knows label sets only; ours are a source's labels and a key. What was sampled together
// is found again: series of equal `job` and `instance` are one source, and its labels are those
// pairs that all of them share. The rows of a source are the timestamps of its `up`, which every
// scrape writes; without one, those of its densest series among some.
//
// Memory: 24 bytes a series and store, the dictionary of keys, the rows of all sources; never the
// samples.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/env.h"
#include "base/status.h"
#include "tsdb/prometheus/sample_store.h"
#include "tsdb/segment/meta.h"

namespace tocsin::tsdb {

// The origin of all that was imported.

// What was written. Raised.
struct ImportCounts {
  uint64_t series = 0;  // columns: one a series and segment
  uint64_t float_samples = 0;
  uint64_t histogram_samples = 0;
  DroppedSamples repeated;  // a series' samples at one timestamp beyond the first
  SkippedData skipped;
};

using SampleStores = std::span<const std::unique_ptr<SampleStore>>;

// `stores` by precedence: of samples at one timestamp the earlier store's counts. `progress` hears
// how many samples were read since the last call. A segment without columns is written as well.
Result<SegmentMeta> WriteImportSegment(Env& env, SampleStores stores, model::TimeRange range,
                                       const std::string& path, SegmentMeta meta,
                                       const std::function<void(uint64_t samples)>& progress,
                                       ImportCounts* counts);

}  // namespace tocsin::tsdb
