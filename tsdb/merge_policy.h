// Merge policy: which segments become one, and when.
//
//   L0  a half hour, as it was sealed        L1  six UTC hours of an open day, where it pays
//   L2  a closed UTC day                     overlay: L0 or L1 of a day that has its L2
//
// A day closes an hour (or the window for late samples, up to six hours) after its midnight. L1
// pays where columns are short, so that what each costs whatever its length weighs: real exporters
// at 15 s, anything scraped each minute. For half hours of noise it would write everything once
// more and save a tenth. Overlays go into the day's file when they are a twentieth of it, or when
// nothing came for an hour; but a day is rewritten once in 24 hours at most, and until then many
// overlays become one.
//
// Pure: no I/O, no clock of its own.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "model/sample.h"
#include "tsdb/segment/meta.h"

namespace tocsin::tsdb {

inline constexpr int64_t kDayMs = int64_t{24} * 60 * 60 * 1000;
inline constexpr int64_t kQuarterDayMs = kDayMs / 4;
// Late rows of a closed day wait for a rewrite of it until they are this part of its bytes.
inline constexpr double kOverlayShare = 0.05;
// So many overlays of a day become one.
inline constexpr size_t kOverlayFilesMax = 16;
inline constexpr int64_t kOverlayIdleMs = 60 * 60 * 1000;
inline constexpr int64_t kDayRewriteIntervalMs = kDayMs;
// What a column costs besides its samples: directory entry, chunk headers, its part of the index.
inline constexpr uint64_t kColumnOverheadBytes = 20;
// A quarter of the bytes.
inline constexpr uint64_t kOverheadDivisor = 4;

// What the policy remembers of a day.
struct DayHistory {
  int64_t rewritten_ms = 0;  // monotonic; when its L2 was last written by this process
  size_t overlays = 0;
  int64_t overlays_since_ms = 0;  // when that number last changed
};

struct MergeRequest {
  model::Timestamp now_ms = 0;  // wall clock
  int64_t monotonic_ms = 0;
  int64_t day_grace_ms = 0;
  const std::set<SegmentId>* excluded = nullptr;  // damaged
};

struct MergeChoice {
  std::vector<size_t> inputs;  // places in what was given, ascending
  uint64_t input_bytes = 0;
  uint8_t level = 0;
  std::optional<model::Timestamp> day;  // whose L2 this writes
};

model::Timestamp DayStart(model::Timestamp t);

// Whatever is due, most urgent first: closed days, oldest first; overlays; quarters.
std::vector<MergeChoice> DueMerges(std::span<const SegmentMeta* const> segments,
                                   const MergeRequest& request,
                                   std::map<model::Timestamp, DayHistory>* history);
// Every day that is more than one file.
std::vector<MergeChoice> AllMerges(std::span<const SegmentMeta* const> segments,
                                   const std::set<SegmentId>& excluded);

}  // namespace tocsin::tsdb
