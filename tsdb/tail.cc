#include "tsdb/tail.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "tsdb/named_tails.h"

namespace tocsin::tsdb {

DatabaseTail::DatabaseTail(Env& env, Head& head, uint64_t position)
    : head_(head), position_(position), released_(head.tails().Add(position)) {
  for (uint32_t s = 0; s < head.shard_count(); ++s)
    followers_.push_back(std::make_unique<ShardFollower>(env, s, position));
}

DatabaseTail::DatabaseTail(Env& env, Head& head, const TailPosition& position)
    : DatabaseTail(env, head, position.commit) {
  // With another number of shards the pages are elsewhere: nothing is known of them.
  if (position.shards.size() != followers_.size()) return;
  for (size_t s = 0; s < followers_.size(); ++s) followers_[s]->Expect(position.shards[s]);
}

TailPosition DatabaseTail::Where() const {
  TailPosition position;
  position.commit = position_;
  for (const auto& follower : followers_) position.shards.push_back(follower->Pages());
  return position;
}

DatabaseTail::~DatabaseTail() { head_.tails().Remove(released_); }

void DatabaseTail::Release(uint64_t position) {
  if (position > released_->load(std::memory_order_relaxed))
    released_->store(position, std::memory_order_relaxed);
}

Result<model::TailProgress> DatabaseTail::Next(size_t max_samples, model::TailVisitor& visitor) {
  model::TailProgress progress;
  // Up to here every shard's part of every batch is in its files.
  uint64_t complete = UINT64_MAX;
  for (size_t s = 0; s < followers_.size(); ++s) {
    LogView view = head_.shard(s).log.View();
    complete = std::min(complete, view.complete_commit);
    followers_[s]->Refresh(std::move(view));
  }
  while (progress.samples < max_samples) {
    uint64_t next = UINT64_MAX;
    for (const auto& follower : followers_) {
      if (const std::optional<uint64_t> batch = follower->Peek()) next = std::min(next, *batch);
      if (!follower->status().ok()) return Error(follower->status());
    }
    if (next > complete) {
      position_ = std::max(position_, complete);
      break;
    }
    for (const auto& follower : followers_) {
      if (follower->Peek() == next) follower->Take(visitor, &progress);
    }
    position_ = std::max(position_, next);
  }
  for (const auto& follower : followers_) follower->TakeLosses(&progress);
  head_.tails().CountLost(progress.lost_samples);
  return progress;
}

}  // namespace tocsin::tsdb
