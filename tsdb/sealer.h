// Seal: writes the samples of one half hour that the head holds into an L0 segment.
//
// A seal is a reader: it has a snapshot, whose commit number is the cut, and writes what that sees
// of the window in the head. Nobody waits for it.
#pragma once

#include <string>

#include "base/env.h"
#include "base/status.h"
#include "tsdb/segment/meta.h"
#include "tsdb/snapshot.h"

namespace tocsin::tsdb {

// The half hours from `first_ms` to `last_ms`, of one quarter of a day: more than one when rows of
// earlier ones came late, for which files of their own would cost more than the rows.
// `meta` comes without cuts. `snapshot` was pinned by SegmentStore::WithoutDeletes: what it does
// not see as deleted is kept. `dropped` is raised.
Result<SegmentMeta> WriteSealedWindow(Env& env, const DatabaseSnapshot& snapshot,
                                      model::Timestamp first_ms, model::Timestamp last_ms,
                                      const std::string& path, SegmentMeta meta,
                                      DroppedSamples* dropped);

}  // namespace tocsin::tsdb
