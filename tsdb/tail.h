// DatabaseTail: model::Tail over the logs of a head: the shards' batches merged by commit number.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/env.h"
#include "model/tail.h"
#include "tsdb/head/head.h"
#include "tsdb/wal/shard_follower.h"

namespace tocsin::tsdb {

struct TailPosition;

class DatabaseTail final : public model::Tail {
 public:
  DatabaseTail(Env& env, Head& head, uint64_t position);
  // Goes on where another one was; what the log does not have any more of it is counted.
  DatabaseTail(Env& env, Head& head, const TailPosition& position);
  ~DatabaseTail() override;

  Result<model::TailProgress> Next(size_t max_samples, model::TailVisitor& visitor) override;
  uint64_t position() const override { return position_; }
  void Release(uint64_t position) override;
  // position(), and the frames up to it.
  TailPosition Where() const;

 private:
  Head& head_;
  uint64_t position_;
  const std::shared_ptr<std::atomic<uint64_t>> released_;
  std::vector<std::unique_ptr<ShardFollower>> followers_;
};

}  // namespace tocsin::tsdb
