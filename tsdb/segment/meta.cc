#include "tsdb/segment/meta.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/env.h"

namespace tocsin::tsdb {
namespace {

constexpr int64_t kDayMs = 24 * 60 * 60 * 1000;

// "20261124T083000", UTC.
std::string TimeInName(model::Timestamp t) {
  const std::chrono::sys_time<std::chrono::milliseconds> time{std::chrono::milliseconds(t)};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const int64_t seconds = (t - day.time_since_epoch().count() * kDayMs) / 1000;
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     seconds / 3600, seconds / 60 % 60, seconds % 60);
}

}  // namespace

uint64_t SegmentMeta::commit() const {
  uint64_t highest = 0;
  for (const SegmentCut& cut : cuts) highest = std::max(highest, cut.commit);
  return highest;
}

std::string SegmentFileName(const SegmentMeta& meta) {
  model::Timestamp start = 0;
  if (!meta.cuts.empty()) {
    start = std::min_element(meta.cuts.begin(), meta.cuts.end(), [](const auto& a, const auto& b) {
              return a.window_start_ms < b.window_start_ms;
            })->window_start_ms;
  }
  return fmt::format("L{}-{}-s{}-{}{}", meta.level, TimeInName(start), meta.shard, meta.id.ToHex(),
                     kSegmentSuffix);
}

SegmentId NewSegmentId(Env& env) {
  SegmentId id;
  env.FillRandom(id.bytes.data(), id.bytes.size());
  return id;
}

}  // namespace tocsin::tsdb
