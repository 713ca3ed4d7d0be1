#include "tsdb/rollup/facts_plan.h"

#include <algorithm>

namespace tocsin::tsdb {

using model::TimeRange;

FactsPlan::FactsPlan(const Version& version, TimeRange range, TimeRange head,
                     const model::FactsWish& wish)
    : wish_(wish) {
  if (!wish.wanted || wish.tile_ms <= 0) return;
  const std::vector<Version::Segment>& segments = version.segments;
  column_facts_.resize(segments.size());
  for (size_t s = 0; s < segments.size(); ++s) {
    const SegmentReader& segment = *segments[s];
    const TimeRange its = segment.meta().range;
    if (!segment.has_facts() || its.min_ms < range.min_ms || its.max_ms > range.max_ms ||
        !wish.OneTile(its.min_ms, its.max_ms) || its.Overlaps(head)) {
      continue;
    }
    const bool alone = std::none_of(segments.begin(), segments.end(), [&](const auto& other) {
      return other != segments[s] && other->meta().range.Overlaps(its);
    });
    column_facts_[s] = alone;
    any_ = any_ || alone;
  }
}

}  // namespace tocsin::tsdb
