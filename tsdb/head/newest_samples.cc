#include "tsdb/head/newest_samples.h"

#include <algorithm>
#include <bit>
#include <vector>

namespace tocsin::tsdb {

namespace {

// Every row that is in the page is one that the snapshot sees.
bool SeesAll(const Page& page, uint64_t commit) {
  const Run* last = page.last_run();
  return last != nullptr && !last->uses.empty() &&
         std::all_of(last->uses.begin(), last->uses.end(),
                     [commit](const WindowUse& use) { return use.commit <= commit; });
}

// Timestamps that lie in open rows of the page, none of which a segment holds.
class OpenTimes {
 public:
  OpenTimes(const Page& page, const HeadView& view) : page_(page), view_(view) {}

  bool Has(model::Timestamp t) {
    if (t == last_) return has_;
    last_ = t;
    has_ = false;
    // A cut of any number: not every sample of the half hour need be above it.
    if (view_.sealed->Covers(t, 0)) return false;
    for (const Run* run = page_.first_run(); run != nullptr && !has_;
         run = run->next.load(std::memory_order_acquire)) {
      has_ = run->min_ms.load(std::memory_order_relaxed) <= t &&
             t <= run->max_ms.load(std::memory_order_relaxed);
    }
    return has_;
  }

 private:
  const Page& page_;
  const HeadView& view_;
  model::Timestamp last_ = model::kMinTimestamp;  // neighbours mostly have the same
  bool has_ = false;
};

}  // namespace

void FindNewestSamples(const Page& page, const HeadView& view, std::span<const uint32_t> slots,
                       NewestSample* newest) {
  std::fill_n(newest, slots.size(), NewestSample());
  if (!SeesAll(page, view.commit)) return;
  OpenTimes open(page, view);
  for (size_t i = 0; i < slots.size(); ++i) {
    if (slots[i] >= page.slots()) continue;
    const SlotHistory history = page.History(slots[i]);
    if (!history.any || history.histogram || history.last_ms > view.range.max_ms) continue;
    if (history.last_ms < view.range.min_ms) {
      newest[i].kind = NewestSample::kNone;
    } else if (open.Has(history.last_ms)) {
      const uint64_t bits = history.stale ? model::kStaleBits : history.bits;
      newest[i] = {NewestSample::kFloat, history.last_ms, std::bit_cast<double>(bits)};
    }
  }
}

}  // namespace tocsin::tsdb
