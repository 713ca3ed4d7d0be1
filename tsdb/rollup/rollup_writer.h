// WriteRollups: rolls one segment up, at several resolutions in one pass over its columns.
//
// Which facts are kept of a series says its metric's type: counters (and the counts and sums of
// classic histograms and summaries) first, last and resets; gauges last, min, max and sum. Of an
// unknown type the samples decide: many decreases make a gauge; a counter's name and none or few a
// counter; anything else keeps both. Native histograms say themselves whether they are gauges; a
// column that mixes kinds (floats and histograms, counters and gauges) is not in rollups.
//
// Memory: one column at a time, and the buckets of all sources.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/env.h"
#include "base/status.h"
#include "model/metadata.h"
#include "tsdb/rollup/bucket.h"
#include "tsdb/rollup/rollup_file.h"
#include "tsdb/segment/reader.h"
#include "tsdb/tombstone.h"

namespace tocsin::tsdb {

// The type of a metric, kUnknown when nobody said.
using TypeOfMetric = std::function<model::MetricType(std::string_view metric_name)>;

RollupKind RollupKindOf(std::string_view metric_name, model::MetricType type,
                        std::span<const double> values);

struct RollupOutput {
  int64_t bucket_ms = 0;
  std::string path;
  SegmentMeta meta;  // id, generation, seed are the caller's; filled in when written
};

// Files are synced, their directory is not. `cancelled` is asked between columns, unless null. On
// failure no file is left.
Status WriteRollups(Env& env, const SegmentReader& input, const TypeOfMetric& type_of,
                    const std::function<bool()>& cancelled, std::span<RollupOutput> outputs);

// Writes `input` anew without the buckets that `tombstones` touch, unless the input's footer says
// that they are applied. `output.meta.deletes_applied` is the caller's, too. `any_left` false: then
// there is no file.
Status RewriteRollup(Env& env, const RollupFile& input, const TombstoneList& tombstones,
                     const std::function<bool()>& cancelled, RollupOutput* output, bool* any_left);

}  // namespace tocsin::tsdb
