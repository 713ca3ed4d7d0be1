// MergeSegments: several segments become one of a higher level.
//
// Inputs are joined by sources (origin + labels) and keys, compared by their labels. A series'
// samples are merged by timestamp; of equal timestamps the sample of the earlier input (the lower
// cut) stays, which is also what readers answered before the merge. Works column by column in file
// order: memory is bounded by one batch of columns of all inputs, one source's rows and the
// dictionaries, never by the data.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/labels.h"
#include "model/sample.h"
#include "tsdb/column_filter.h"
#include "tsdb/segment/meta.h"
#include "tsdb/segment/reader.h"

namespace tocsin {
class Env;
}

namespace tocsin::tsdb {

struct MergeOptions {
  // What is not kept (tombstones, retention by matchers). They must outlive the merge.
  std::vector<ColumnFilter*> filters;
  // Asked between columns; true ends the merge with kCancelled.
  std::function<bool()> cancelled;
  // Raised, unless null.
  DroppedSamples* dropped = nullptr;
};

// Writes `path` under `meta` (id, level, shard, generation and seed are the caller's; cuts and
// `replaces` are made from the inputs). `inputs` ascend by cut: of samples with equal timestamps
// the earlier input's wins. An empty result is a footer-only segment. The file is synced, its
// directory is not.
Result<SegmentMeta> MergeSegments(Env& env,
                                  std::span<const std::shared_ptr<const SegmentReader>> inputs,
                                  const std::string& path, SegmentMeta meta,
                                  const MergeOptions& options);

}  // namespace tocsin::tsdb
