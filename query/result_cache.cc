#include "query/result_cache.h"

#include <algorithm>

namespace tocsin::query {

using model::Labels;
using model::Timestamp;

namespace {

int64_t WindowOf(Timestamp t) {
  const int64_t window = t / ChangeStamps::kWindowMs;
  return t % ChangeStamps::kWindowMs < 0 ? window - 1 : window;
}

}  // namespace

ChangeStamps ChangeStamps::Read(const model::Queryable& store, model::TimeRange range) {
  ChangeStamps stamps;
  const int64_t first = WindowOf(range.min_ms);
  const int64_t last = WindowOf(range.max_ms);
  if (first > last || last - first >= kWindowsMax) return stamps;
  stamps.first_window = first;
  for (int64_t window = first; window <= last; ++window) {
    stamps.numbers.push_back(
        store.ChangeNumber({window * kWindowMs, (window + 1) * kWindowMs - 1}));
  }
  return stamps;
}

Timestamp ChangeStamps::AgreesUntil(const ChangeStamps& other, Timestamp from_ms) const {
  int64_t window = WindowOf(from_ms);
  const auto number = [](const ChangeStamps& stamps, int64_t at) -> const uint64_t* {
    const int64_t index = at - stamps.first_window;
    const bool held = index >= 0 && index < static_cast<int64_t>(stamps.numbers.size());
    return held ? &stamps.numbers[static_cast<size_t>(index)] : nullptr;
  };
  while (true) {
    const uint64_t* mine = number(*this, window);
    const uint64_t* others = number(other, window);
    if (mine == nullptr || others == nullptr || *mine != *others) return window * kWindowMs;
    ++window;
  }
}

std::shared_ptr<const Extent> ResultCache::Find(const std::string& key) {
  MutexLock lock(mu_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->extent;
}

void ResultCache::Put(const std::string& key, Extent extent) {
  const uint64_t bytes = HeldBytes(extent.result->value) + 2 * key.size() +
                         extent.stamps.numbers.size() * sizeof(uint64_t) + sizeof(Entry) +
                         sizeof(Extent);
  auto shared = std::make_shared<const Extent>(std::move(extent));
  MutexLock lock(mu_);
  if (const auto found = by_key_.find(key); found != by_key_.end()) Drop(found->second);
  if (bytes > bytes_max_ / 8) return;
  while (bytes_ + bytes > bytes_max_) {
    Drop(std::prev(entries_.end()));
    ++stats_.evicted;
  }
  entries_.push_front({key, std::move(shared), bytes});
  by_key_.emplace(key, entries_.begin());
  bytes_ += bytes;
}

void ResultCache::Remove(const std::string& key) {
  MutexLock lock(mu_);
  if (const auto found = by_key_.find(key); found != by_key_.end()) Drop(found->second);
}

void ResultCache::Clear() {
  MutexLock lock(mu_);
  while (!entries_.empty()) Drop(entries_.begin());
}

void ResultCache::Drop(Entries::iterator entry) {
  bytes_ -= entry->bytes;
  by_key_.erase(entry->key);
  entries_.erase(entry);
}

void ResultCache::Count(Event event, uint64_t steps_reused) {
  MutexLock lock(mu_);
  stats_.hits += event == Event::kHit ? 1 : 0;
  stats_.misses += event == Event::kMiss ? 1 : 0;
  stats_.refused += event == Event::kRefused ? 1 : 0;
  stats_.stale += event == Event::kStale ? 1 : 0;
  stats_.steps_reused += steps_reused;
}

ResultCacheStats ResultCache::stats() const {
  MutexLock lock(mu_);
  ResultCacheStats stats = stats_;
  stats.bytes = bytes_;
  stats.bytes_max = bytes_max_;
  stats.extents = entries_.size();
  return stats;
}

namespace {

template <typename Point>
std::pair<typename std::vector<Point>::const_iterator, typename std::vector<Point>::const_iterator>
PointsIn(const std::vector<Point>& points, StepRange range) {
  const auto before = [](const Point& point, Timestamp t) { return point.timestamp_ms < t; };
  const auto after = [](Timestamp t, const Point& point) { return t < point.timestamp_ms; };
  const auto begin = std::lower_bound(points.begin(), points.end(), range.first_ms, before);
  return {begin, std::upper_bound(begin, points.end(), range.last_ms, after)};
}

}  // namespace

void AppendPoints(const Matrix& from, StepRange range, Matrix* into) {
  if (range.empty()) return;
  Matrix merged;
  merged.reserve(std::max(from.size(), into->size()));
  size_t next = 0;
  for (const Series& series : from) {
    const auto [begin, end] = PointsIn(series.floats, range);
    const auto [histograms_begin, histograms_end] = PointsIn(series.histograms, range);
    if (begin == end && histograms_begin == histograms_end) continue;
    while (next < into->size() && Labels::Compare((*into)[next].metric, series.metric) < 0) {
      merged.push_back(std::move((*into)[next++]));
    }
    const bool known = next < into->size() && (*into)[next].metric == series.metric;
    merged.push_back(known ? std::move((*into)[next++]) : Series{series.metric, {}, {}});
    Series& target = merged.back();
    target.floats.insert(target.floats.end(), begin, end);
    target.histograms.insert(target.histograms.end(), histograms_begin, histograms_end);
  }
  while (next < into->size()) merged.push_back(std::move((*into)[next++]));
  *into = std::move(merged);
}

}  // namespace tocsin::query
