// ShardReplay: reads the log files of one shard, in order, into the head's pages (Restore) or into
// pages of its own that TakeOlder later puts in front of the head's (older files; replay.h).
//
// One thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "tsdb/head/head.h"
#include "tsdb/head/page_reader.h"
#include "tsdb/head/replay.h"
#include "tsdb/wal/log_reader.h"
#include "tsdb/wal/records.h"

namespace tocsin::tsdb {

// Ids of a log file → ours. Ids are dense, but for damage: a forged one costs 16 KiB.
class KeyIdMap {
 public:
  void Set(KeyId from, KeyId to);
  KeyId Get(KeyId from) const;  // Head::kUnknownKey for those never set
  void Clear() { parts_.clear(); }

 private:
  static constexpr size_t kPart = 4096;
  std::unordered_map<KeyId, std::unique_ptr<std::array<KeyId, kPart>>> parts_;
};

// A mark waits until it is known whether every shard has its batch.
struct StagedMark {
  std::string key;
  std::string bytes;
  uint64_t commit = 0;
  uint64_t shards = 0;
};

class ShardReplay {
 public:
  enum class Into : uint8_t { kHead, kOlderPages };
  ShardReplay(Head& head, const SealedCuts& sealed, Into into, ReplayResult* result)
      : head_(head), sealed_(sealed), older_(into == Into::kOlderPages), result_(*result) {}

  // What is known of a file beside its bytes.
  enum class Place : uint8_t {
    kNewest,
    kBefore,      // another follows
    kBeforeWhole  // and says that all of this one was on the disk
  };
  // False when the file has damage inside.
  bool ReplayFile(const RandomAccessFile& bytes, Place place, LogFileInfo* file);
  // Of the file read last: where its first damage begins.
  std::optional<uint64_t> damaged_at() const { return damaged_at_; }
  // Of the file read last: where a write was cut short; nothing behind it counts.
  std::optional<uint64_t> torn_at() const { return torn_at_; }
  // The highest commit number read.
  uint64_t last_commit() const { return last_commit_; }
  std::vector<StagedMark>& marks() { return marks_; }
  // Puts what was read into kOlderPages in front of the live pages.
  void TakeOlder();

 private:
  struct Pending {
    RecordType type;
    Source* source;
    uint32_t page;
    uint32_t sequence;
    model::Timestamp row_ms;
    size_t offset;  // of the payload or body in bytes_
    size_t size;
  };

  Status Apply(std::string_view record, LogFileInfo* file);
  Status ApplySource(std::string_view payload);
  Status ApplyLayout(std::string_view payload);
  Status Stage(RecordType type, std::string_view payload);
  void Commit(const LoggedCommit& commit, LogFileInfo* file);
  void ApplyFrame(const Pending& pending, uint64_t commit, LogFileInfo* file);
  void ApplyState(const Pending& pending);
  void DropPending();
  // A frame that could be read and must not be used. Its number, and those that are missing before
  // it, are then accounted for: the page's sequence is its.
  void Lose(const Pending& pending, Page* page);
  void CountFrame(const Pending& pending, const Page* page);
  // Frames of the page that never came.
  void CountMissing(uint64_t frames, const Page& page);
  Source* Find(SourceId id) const {
    const auto found = sources_.find(id);
    return found == sources_.end() ? nullptr : found->second;
  }
  // What is sound behind the place where the log ends does not count, but is counted.
  void CountBehindEnd(LogReader& reader, std::string_view first_record);
  // Null when the source has no such page.
  Page* PageOf(const Pending& pending);
  std::string_view BytesOf(const Pending& pending) const {
    return std::string_view(bytes_).substr(pending.offset, pending.size);
  }

  Head& head_;
  const SealedCuts& sealed_;
  const bool older_;
  ReplayResult& result_;

  uint64_t epoch_ = 0;
  model::Timestamp base_ms_ = 0;
  std::unordered_map<SourceId, Source*> sources_;
  KeyIdMap keys_;
  std::vector<Pending> pending_;
  std::string bytes_;      // of what is pending
  bool poisoned_ = false;  // a part of the batch being read was lost
  bool first_file_ = true;
  std::optional<uint64_t> torn_at_;
  std::optional<uint64_t> damaged_at_;
  uint64_t last_commit_ = 0;
  std::vector<StagedMark> marks_;
  // Into::kOlderPages.
  std::unordered_map<Source*, std::vector<std::unique_ptr<Page>>> pages_;
  std::unordered_set<Source*> returned_;  // that the head had forgotten
};

}  // namespace tocsin::tsdb
