#include "query/top_queries.h"

#include <algorithm>

namespace tocsin::query {

void TopQueries::Record(std::string_view text, QueryLane lane, const QueryCost& cost,
                        int64_t now_ms) {
  std::string key(text.substr(0, kShownTextBytes));
  MutexLock lock(mu_);
  if (!by_text_.contains(key)) MakeRoom();
  TopQuery& query = by_text_[key];
  if (query.runs == 0) {
    query.text = std::move(key);
    query.lane = lane;
  }
  query.runs += 1;
  query.failures += cost.failed ? 1 : 0;
  query.cache_hits += cost.from_cache ? 1 : 0;
  query.cpu_seconds += cost.cpu_seconds;
  query.seconds += cost.seconds;
  query.longest_seconds = std::max(query.longest_seconds, cost.seconds);
  query.peak_bytes = std::max(query.peak_bytes, cost.peak_bytes);
  query.samples_read += cost.samples_read;
  query.last_ms = now_ms;
}

void TopQueries::MakeRoom() {
  if (by_text_.size() < kTextsMax) return;
  const auto least = std::min_element(
      by_text_.begin(), by_text_.end(),
      [](const auto& a, const auto& b) { return a.second.cpu_seconds < b.second.cpu_seconds; });
  by_text_.erase(least);
}

std::vector<TopQuery> TopQueries::List(TopOrder order, size_t limit) const {
  std::vector<TopQuery> list;
  {
    MutexLock lock(mu_);
    for (const auto& [text, query] : by_text_) list.push_back(query);
  }
  const auto weight = [order](const TopQuery& query) {
    switch (order) {
      case TopOrder::kCpu:
        return query.cpu_seconds;
      case TopOrder::kMemory:
        return static_cast<double>(query.peak_bytes);
      case TopOrder::kRuns:
        return static_cast<double>(query.runs);
      case TopOrder::kDuration:
        break;
    }
    return query.longest_seconds;
  };
  std::sort(list.begin(), list.end(), [&weight](const TopQuery& a, const TopQuery& b) {
    if (weight(a) != weight(b)) return weight(a) > weight(b);
    return a.text < b.text;
  });
  if (list.size() > limit) list.resize(limit);
  return list;
}

}  // namespace tocsin::query
