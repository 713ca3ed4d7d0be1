#include "query/active_queries.h"

#include <algorithm>

#include "base/env.h"

namespace tocsin::query {

struct ActiveQueries::Entry {
  QueryDescription description;
  int64_t started_ms = 0;
  int64_t started_nanos = 0;
  QueryProbe probe;
};

QueryProbe* ActiveQueries::Ticket::probe() { return &entry_->probe; }

ActiveQueries::Ticket ActiveQueries::Begin(const QueryDescription& description) {
  auto entry = std::make_shared<Entry>();
  entry->description = description;
  entry->description.text.resize(std::min(entry->description.text.size(), kShownTextBytes));
  entry->started_ms = env_->NowMs();
  entry->started_nanos = env_->MonotonicNanos();
  uint64_t id = 0;
  {
    MutexLock lock(mu_);
    id = next_id_++;
    entries_.emplace(id, entry);
  }
  return {this, id, std::move(entry)};
}

void ActiveQueries::End(uint64_t id) {
  MutexLock lock(mu_);
  entries_.erase(id);
}

std::vector<ActiveQuery> ActiveQueries::List() const {
  std::vector<ActiveQuery> list;
  const int64_t now_nanos = env_->MonotonicNanos();
  MutexLock lock(mu_);
  for (const auto& [id, entry] : entries_) {
    ActiveQuery& query = list.emplace_back();
    query.id = id;
    query.description = entry->description;
    query.started_ms = entry->started_ms;
    query.seconds = static_cast<double>(now_nanos - entry->started_nanos) / 1e9;
    query.memory_bytes = entry->probe.memory_bytes.load(std::memory_order_relaxed);
    query.samples_read = entry->probe.samples_read.load(std::memory_order_relaxed);
    query.cancelled = entry->probe.cancel.load(std::memory_order_relaxed);
  }
  return list;  // ids ascend with time
}

bool ActiveQueries::Cancel(uint64_t id) {
  MutexLock lock(mu_);
  const auto found = entries_.find(id);
  if (found == entries_.end()) return false;
  found->second->probe.cancel.store(true, std::memory_order_relaxed);
  return true;
}

size_t ActiveQueries::count() const {
  MutexLock lock(mu_);
  return entries_.size();
}

}  // namespace tocsin::query
