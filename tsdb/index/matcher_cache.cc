#include "tsdb/index/matcher_cache.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace tocsin::tsdb {

std::string MatcherCache::KeyOf(uint64_t side, uint32_t name, const model::Matcher& matcher) {
  std::string key;
  PutFixed64(key, side);
  PutFixed32(key, name);
  PutFixed8(key, static_cast<uint8_t>(matcher.type()));
  key += matcher.value();
  return key;
}

size_t MatcherCache::BytesOf(const Entry& entry) {
  // The entry, its key, a node of the list and one of the table, a control block.
  static constexpr size_t kFixed = sizeof(Entry) + sizeof(IdList) + 128;
  return kFixed + entry.key.size() + entry.matched.ids->capacity() * sizeof(uint32_t);
}

bool MatcherCache::Find(uint64_t side, uint32_t name, const model::Matcher& matcher,
                        MatchedIds* found) {
  const std::string key = KeyOf(side, name, matcher);
  MutexLock lock(mu_);
  const auto known = by_key_.find(key);
  if (known == by_key_.end()) {
    ++figures_.misses;
    return false;
  }
  ++figures_.hits;
  entries_.splice(entries_.begin(), entries_, known->second);
  *found = known->second->matched;
  return true;
}

void MatcherCache::Remove(Entries::iterator entry) {
  by_key_.erase(entry->key);
  figures_.bytes -= BytesOf(*entry);
  entries_.erase(entry);
}

void MatcherCache::Put(uint64_t side, uint32_t name, const model::Matcher& matcher,
                       const MatchedIds& matched) {
  Entries entry;
  entry.push_back({side, KeyOf(side, name, matcher), matched});
  const size_t bytes = BytesOf(entry.front());
  if (bytes > bytes_max_ / 2) return;
  MutexLock lock(mu_);
  const auto known = by_key_.find(entry.front().key);
  if (known != by_key_.end()) {
    if (known->second->matched.end > matched.end) return;  // somebody judged more
    Remove(known->second);
  }
  while (!entries_.empty() && figures_.bytes + bytes > bytes_max_) {
    Remove(std::prev(entries_.end()));
    ++figures_.evicted;
  }
  figures_.bytes += bytes;
  entries_.splice(entries_.begin(), entry);
  by_key_.emplace(entries_.front().key, entries_.begin());
}

void MatcherCache::Forget(uint64_t side, const IdSet& dead) {
  std::vector<std::pair<std::string, std::shared_ptr<const IdList>>> lists;
  {
    MutexLock lock(mu_);
    for (const Entry& entry : entries_) {
      if (entry.side == side) lists.emplace_back(entry.key, entry.matched.ids);
    }
  }
  for (const auto& [key, ids] : lists) {
    const auto is_dead = [&dead](uint32_t id) { return dead.Contains(id); };
    if (std::none_of(ids->begin(), ids->end(), is_dead)) continue;
    auto rest = std::make_shared<IdList>();
    std::remove_copy_if(ids->begin(), ids->end(), std::back_inserter(*rest), is_dead);
    rest->shrink_to_fit();
    MutexLock lock(mu_);
    const auto known = by_key_.find(key);
    if (known == by_key_.end() || known->second->matched.ids != ids) continue;
    figures_.bytes -= BytesOf(*known->second);
    known->second->matched.ids = std::move(rest);
    figures_.bytes += BytesOf(*known->second);
  }
}

MatcherCache::Figures MatcherCache::figures() const {
  MutexLock lock(mu_);
  Figures figures = figures_;
  figures.entries = entries_.size();
  return figures;
}

}  // namespace tocsin::tsdb
