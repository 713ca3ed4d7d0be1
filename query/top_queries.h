// TopQueries: what queries have cost since the start, by text, in a table of bounded size: when it
// is full, the text that has cost least CPU time gives way. Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "query/active_queries.h"

namespace tocsin::query {

struct QueryCost {
  double cpu_seconds = 0;
  double seconds = 0;
  uint64_t peak_bytes = 0;
  int64_t samples_read = 0;
  bool failed = false;
  bool from_cache = false;  // at least in part
};

struct TopQuery {
  std::string text;  // cut to kShownTextBytes
  QueryLane lane = QueryLane::kUser;
  uint64_t runs = 0;
  uint64_t failures = 0;
  uint64_t cache_hits = 0;
  double cpu_seconds = 0;  // of all runs
  double seconds = 0;
  double longest_seconds = 0;  // of one run
  uint64_t peak_bytes = 0;
  int64_t samples_read = 0;
  int64_t last_ms = 0;
};

enum class TopOrder : uint8_t { kCpu, kMemory, kRuns, kDuration };

class TopQueries {
 public:
  static constexpr size_t kTextsMax = 500;

  void Record(std::string_view text, QueryLane lane, const QueryCost& cost, int64_t now_ms)
      EXCLUDES(mu_);
  std::vector<TopQuery> List(TopOrder order, size_t limit) const EXCLUDES(mu_);

 private:
  void MakeRoom() REQUIRES(mu_);

  mutable Mutex mu_;
  std::unordered_map<std::string, TopQuery> by_text_ GUARDED_BY(mu_);
};

}  // namespace tocsin::query
