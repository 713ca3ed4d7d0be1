// Seal: writes the samples of one half hour that the head holds into an L0 segment.
//
// A seal is a reader: it pins a version and a commit number, the cut, and writes what that snapshot
// sees of the window in the head. Nobody waits for it.
#pragma once

#include <string>

#include "base/env.h"
#include "base/status.h"
#include "tsdb/head/head.h"
#include "tsdb/quarantine.h"
#include "tsdb/segment/meta.h"
#include "tsdb/version.h"

namespace tocsin::tsdb {

// `meta` comes without cuts; the file's cut is what the head had committed when this was called.
// `dropped` is raised.
Result<SegmentMeta> WriteSealedWindow(Env& env, const Head& head,
                                      std::shared_ptr<const Version> version,
                                      Quarantine& quarantine, model::Timestamp window_ms,
                                      const std::string& path, SegmentMeta meta,
                                      DroppedSamples* dropped);

}  // namespace tocsin::tsdb
