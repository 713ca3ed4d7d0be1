// ShardFollower: reads one shard's log while it is written, a batch at a time, and decodes its
// frames to samples. Keeps its own dictionary and slot states: about 30 bytes a series, and the
// labels of keys once.
//
// One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "model/tail.h"
#include "tsdb/head/frame.h"
#include "tsdb/head/page.h"
#include "tsdb/wal/log_reader.h"
#include "tsdb/wal/records.h"
#include "tsdb/wal/shard_log.h"

namespace tocsin::tsdb {

// The last frame of a page that was read.
struct PagePosition {
  uint64_t incarnation = 0;  // of its source
  uint32_t page = 0;
  uint32_t sequence = 0;
};
// Pages of one source: a quarter of a billion slots.
inline constexpr uint32_t kFollowedPageMax = 65'535;

class ShardFollower {
 public:
  // Batches up to `position` are read for the states they leave, and not given.
  ShardFollower(Env& env, uint32_t shard, uint64_t position)
      : env_(env), position_(position), next_series_((uint64_t{shard} << 56) + 1) {}

  // Where the pages are.
  std::vector<PagePosition> Pages() const;
  // Before anything else: where they were at `position`. Frames between that and what the log
  // begins with are lost.
  void Expect(const std::vector<PagePosition>& pages);
  // What the log has by now.
  void Refresh(LogView view);
  // The number of the next batch that is in the files; nothing when there is none yet.
  std::optional<uint64_t> Peek();
  // Gives that batch.
  void Take(model::TailVisitor& visitor, model::TailProgress* progress);
  // The losses that were met since the last time; with or without a batch behind them.
  void TakeLosses(model::TailProgress* progress);
  const Status& status() const { return status_; }

 private:
  struct FollowedPage {
    FollowedPage(SourceId source, uint32_t number) : page(source, number) {}
    Page page;                                               // its states and sequence
    bool known = false;                                      // a state record came
    std::vector<std::shared_ptr<const model::Labels>> keys;  // by slot; null: none
    std::vector<uint64_t> series;
    // Of the frames that were read, for what those that were not may have held.
    uint64_t frames = 0;
    uint64_t samples = 0;
  };
  struct FollowedSource {
    model::Labels labels;
    std::vector<std::unique_ptr<FollowedPage>> pages;
    uint32_t file_number = 0;  // the last file that named it
  };
  struct Staged {
    RecordType type;
    FollowedSource* source;
    uint32_t page;
    uint32_t sequence;
    model::Timestamp row_ms;
    size_t offset;
    size_t size;
  };

  bool OpenNextFile();
  void ReopenIfRewritten();
  void Apply(std::string_view record);
  void ApplyLayout(const LoggedLayout& layout);
  void ApplyState(const Staged& staged);
  void FinishCheckpoint();
  void Stage(RecordType type, std::string_view payload);
  FollowedPage* PageOf(const Staged& staged) const;
  void GiveFrame(const Staged& staged, model::TailVisitor* visitor);
  void GiveItems(const FrameView& view, const Staged& staged, FollowedPage& page,
                 model::TailVisitor& visitor);
  void GiveExemplar(const Staged& staged, model::TailVisitor& visitor);
  static uint64_t SamplesInFrame(const FrameView& view, const Page& page);
  void CountLost(uint64_t frames, const FollowedPage& page);
  std::string_view BytesOf(const Staged& staged) const {
    return std::string_view(bytes_).substr(staged.offset, staged.size);
  }

  Env& env_;
  const uint64_t position_;
  LogView view_;
  Status status_;

  uint32_t number_ = 0;  // of the file being read; 0 = none
  uint32_t rewrites_ = 0;
  std::unique_ptr<RandomAccessFile> file_;
  std::unique_ptr<LogReader> reader_;
  uint64_t epoch_ = 0;
  model::Timestamp base_ms_ = 0;

  std::unordered_map<uint64_t, std::unique_ptr<FollowedSource>> sources_;  // by incarnation
  std::unordered_map<SourceId, FollowedSource*> ids_;                      // of this epoch
  std::unordered_map<KeyId, std::shared_ptr<const model::Labels>> keys_;   // of this file
  uint64_t next_series_;  // ids of the shards do not meet

  std::vector<Staged> staged_;
  std::string bytes_;
  bool poisoned_ = false;
  std::optional<uint64_t> batch_;  // staged_ is this batch, whole
  uint64_t last_batch_ = 0;
  uint64_t gaps_ = 0;  // not reported yet
  uint64_t lost_samples_ = 0;
  uint64_t samples_ = 0;  // given by the Take under way
};

}  // namespace tocsin::tsdb
