// MatcherCache: what regular expressions selected on the sides of indexes, kept for the queries
// that come after: dashboards ask the same again and again.
//
// An entry: of one side and label name, the ids below `end` with a value that the matcher passes.
// Ids are only ever added behind the others, so what is older than its index is not wrong but
// short: the side judges the ids from `end` on and puts the longer entry back. Ids that were
// removed meanwhile do no harm (they are in no schema's list) and are taken out by Forget.
//
// Bounded by bytes, the longest unused going first. Thread-safe; its lock is held for copying
// pointers and taken with no other one wanted.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/mutex.h"
#include "model/matcher.h"
#include "tsdb/index/postings.h"

namespace tocsin::tsdb {

// Of the head's, and of that which all segments share. A number that passes takes 4 bytes:
// dashboards of thousands of panels fit.
inline constexpr size_t kMatcherCacheBytesMax = size_t{16} << 20;

struct MatchedIds {
  std::shared_ptr<const IdList> ids;  // ascending
  bool all = false;                   // every value passed
  uint32_t end = 0;                   // ids up to here were judged
};

class MatcherCache {
 public:
  // `bytes_max`: of all entries. One that takes more than half of it is not kept.
  explicit MatcherCache(size_t bytes_max) : bytes_max_(bytes_max) {}

  // `side`: a number of the caller's for what `name` and the ids belong to.
  // False, and a miss counted, when there is no entry.
  bool Find(uint64_t side, uint32_t name, const model::Matcher& matcher, MatchedIds* found);
  void Put(uint64_t side, uint32_t name, const model::Matcher& matcher, const MatchedIds& matched);
  // Takes removed ids out of the entries of a side, but for those that change meanwhile: the walk
  // over all ids is not under the lock.
  void Forget(uint64_t side, const IdSet& dead);

  struct Figures {
    uint64_t hits = 0;
    uint64_t misses = 0;
    uint64_t evicted = 0;
    size_t entries = 0;
    size_t bytes = 0;
  };
  Figures figures() const;

 private:
  struct Entry {
    uint64_t side;
    std::string key;
    MatchedIds matched;
  };
  using Entries = std::list<Entry>;  // the latest used first
  static std::string KeyOf(uint64_t side, uint32_t name, const model::Matcher& matcher);
  static size_t BytesOf(const Entry& entry);
  void Remove(Entries::iterator entry) REQUIRES(mu_);

  const size_t bytes_max_;
  mutable Mutex mu_;
  Entries entries_ GUARDED_BY(mu_);
  std::unordered_map<std::string_view, Entries::iterator> by_key_ GUARDED_BY(mu_);
  Figures figures_ GUARDED_BY(mu_);
};

}  // namespace tocsin::tsdb
