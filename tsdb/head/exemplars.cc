#include "tsdb/head/exemplars.h"

#include <algorithm>

namespace tocsin::tsdb {

void ExemplarRing::Add(SourceId source, model::Slot slot, const model::Exemplar& exemplar,
                       uint64_t commit) {
  if (capacity_ == 0) return;
  MutexLock lock(mutex_);
  // Senders repeat the exemplar until there is a new one: look a little back.
  static constexpr size_t kLookBack = 64;
  const size_t count = entries_.size();
  for (size_t i = 1; i <= count && i <= kLookBack; ++i) {
    const Entry& entry = entries_[(next_ + count - i) % count];
    if (entry.source != source || entry.slot != slot) continue;
    if (entry.exemplar.timestamp_ms == exemplar.timestamp_ms &&
        entry.exemplar.value == exemplar.value && entry.exemplar.labels == exemplar.labels)
      return;
    break;
  }
  ++counts_[source];
  if (entries_.size() < capacity_) {
    entries_.push_back({source, slot, exemplar, commit});
    return;
  }
  Forget(entries_[next_].source);
  entries_[next_] = {source, slot, exemplar, commit};
  next_ = (next_ + 1) % capacity_;
}

void ExemplarRing::ForEach(const Visit& visit) const {
  MutexLock lock(mutex_);
  for (size_t i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_[(next_ + i) % entries_.size()];
    visit(entry.source, entry.slot, entry.exemplar, entry.commit);
  }
}

void ExemplarRing::Remove(const Predicate& gone) {
  MutexLock lock(mutex_);
  std::rotate(entries_.begin(), entries_.begin() + static_cast<ptrdiff_t>(next_), entries_.end());
  next_ = 0;
  std::erase_if(entries_, [&](const Entry& entry) {
    if (!gone(entry.source, entry.slot, entry.exemplar, entry.commit)) return false;
    Forget(entry.source);
    return true;
  });
}

void ExemplarRing::Forget(SourceId source) {
  const auto count = counts_.find(source);
  if (--count->second == 0) counts_.erase(count);
}

bool ExemplarRing::Has(SourceId source) const {
  MutexLock lock(mutex_);
  return counts_.contains(source);
}

size_t ExemplarRing::size() const {
  MutexLock lock(mutex_);
  return entries_.size();
}

}  // namespace tocsin::tsdb
