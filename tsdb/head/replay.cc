#include "tsdb/head/replay.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <iterator>
#include <utility>

#include "base/log.h"
#include "base/thread.h"
#include "tsdb/head/shard_replay.h"
#include "tsdb/wal/log_reader.h"
#include "tsdb/wal/records.h"

namespace tocsin::tsdb {
namespace {

void RunParallel(size_t threads, size_t count, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next{0};
  const auto run = [&] {
    for (size_t i = next++; i < count; i = next++) work(i);
  };
  std::vector<Thread> pool;
  for (size_t t = 1; t < std::min(threads, count); ++t)
    pool.emplace_back("wal-replay-" + std::to_string(t), run);
  run();
  for (Thread& thread : pool) thread.Join();
}

// Commit numbers of a process run begin at a multiple of this.
constexpr uint64_t kRunStride = uint64_t{1} << 24;

// The file's first record says that the one before is on the disk whole.
bool SaysPreviousIsSynced(LogReader& reader, uint32_t number) {
  std::string_view record;
  bool after_damage = false;
  if (!reader.Next(&record, &after_damage) || after_damage ||
      static_cast<RecordType>(record.front()) != RecordType::kSync)
    return false;
  const auto sync = ReadSyncRecord(record.substr(1));
  return sync && sync->number + 1 == number;
}

// The file has rows, not only a checkpoint.
bool HasRows(Env& env, const LogFileInfo& file) {
  auto opened = env.NewRandomAccessFile(file.path);
  if (!opened) return false;
  LogReader reader(**opened, file.bytes);
  std::string_view record;
  bool after_damage = false;
  while (reader.Next(&record, &after_damage)) {
    if (static_cast<RecordType>(record.front()) == RecordType::kFrame) return true;
  }
  return false;
}

// Every process run begins a file in each shard before its first row. So shards that have none of a
// run of which others have rows miss their newest file. `newest_epoch`: of the file begun last.
uint64_t ShardsWithoutRun(Env& env, const std::vector<LogInventory::Shard>& shards,
                          uint64_t newest_epoch) {
  uint64_t without = 0;
  bool has_rows = false;
  for (const LogInventory::Shard& shard : shards) {
    const bool has_file =
        std::any_of(shard.files.begin(), shard.files.end(),
                    [&](const LogFileInfo& file) { return file.epoch == newest_epoch; });
    without += has_file || shard.files.empty() ? 0 : 1;
  }
  if (without == 0) return 0;  // else the files are looked into
  for (const LogInventory::Shard& shard : shards) {
    for (const LogFileInfo& file : shard.files)
      has_rows = has_rows || (file.epoch == newest_epoch && HasRows(env, file));
  }
  return has_rows ? without : 0;
}

void Cut(Env& env, uint64_t bytes, LogFileInfo* file) {
  if (const Status status = env.Truncate(file->path, bytes); !status.ok()) {
    LogWarn("tsdb", "a torn log file cannot be cut", {{"err", status}});
    return;
  }
  file->bytes = bytes;
}

}  // namespace

Result<LogInventory> ListLogs(Env& env, const std::string& directory, bool read_only) {
  LogInventory inventory;
  inventory.read_only = read_only;
  auto names = env.ListDir(directory);
  if (!names) {
    if (names.error().code() == Code::kNotFound) return inventory;
    return Error(names.error());
  }
  uint32_t shard_count = 0;
  std::vector<LogInventory::Shard> shards(kShardsMax);
  std::array<bool, kShardsMax> has_file{};
  uint64_t newest_epoch = 0;
  model::Timestamp newest_base_ms = model::kMinTimestamp;
  for (const std::string& name : *names) {
    uint32_t shard = 0;
    uint32_t number = 0;
    if (name.ends_with(".log.tmp")) {
      // A file that was being written anew; the original is still there.
      if (read_only) continue;
      if (const Status status = env.Remove(JoinPath(directory, name)); !status.ok())
        LogWarn("tsdb", "leftover cannot be removed", {{"file", name}, {"err", status}});
      continue;
    }
    if (!ParseLogFileName(name, &shard, &number)) continue;
    has_file[shard] = true;
    LogFileInfo file;
    file.number = number;
    file.path = JoinPath(directory, name);
    auto opened = env.NewRandomAccessFile(file.path);
    if (!opened) {
      // May not be read, which is no damage; or dropped by the daemon beside us.
      if (opened.error().code() == Code::kPermissionDenied) return Error(opened.error());
      if (opened.error().code() == Code::kNotFound && read_only) continue;
      inventory.unreadable.emplace_back(file.path, opened.error().message());
      continue;
    }
    file.bytes = (*opened)->size();
    LogReader reader(**opened, file.bytes);
    if (reader.newer()) {
      return Error(Code::kUnimplemented,
                   file.path + ": log file of a newer version; this version reads up to " +
                       std::to_string(kLogVersion));
    }
    if (!reader.header()) {
      // Shorter than a header: a crash right after the file was made.
      inventory.unreadable.emplace_back(
          file.path, file.bytes < kLogBlockHeaderBytes ? "" : "no sound block in the file");
      continue;
    }
    file.epoch = reader.header()->epoch;
    if (reader.header()->base_ms > newest_base_ms) {
      newest_base_ms = reader.header()->base_ms;
      newest_epoch = file.epoch;
    }
    file.previous_synced = SaysPreviousIsSynced(reader, number);
    shard_count = std::max<uint32_t>(shard_count, reader.header()->shard_count);
    shards[shard].files.push_back(std::move(file));
  }
  while (shard_count < kShardsMax && std::any_of(
                                         shards.begin() + shard_count, shards.end(),
                                         [](const auto& s) { return !s.files.empty(); }))
    ++shard_count;
  shards.resize(shard_count);
  // A start begins a file in every shard, and the newest one stays.
  inventory.missing_files +=
      static_cast<uint64_t>(std::count(has_file.begin(), has_file.begin() + shard_count, false));
  for (LogInventory::Shard& shard : shards) {
    std::sort(shard.files.begin(), shard.files.end(),
              [](const LogFileInfo& a, const LogFileInfo& b) { return a.number < b.number; });
    for (size_t i = 1; i < shard.files.size(); ++i)
      inventory.missing_files += shard.files[i].number - shard.files[i - 1].number - 1;
  }
  inventory.missing_files += ShardsWithoutRun(env, shards, newest_epoch);
  inventory.shards = std::move(shards);
  return inventory;
}

void ReplayResult::Add(ReplayResult&& other) {
  rows += other.rows;
  samples += other.samples;
  damaged_places += other.damaged_places;
  torn_tails += other.torn_tails;
  lost_frames += other.lost_frames;
  lost_samples += other.lost_samples;
  std::move(other.damaged_files.begin(), other.damaged_files.end(),
            std::back_inserter(damaged_files));
}

Replay::Replay(Env& env, LogInventory inventory, std::shared_ptr<const Version> version,
               size_t threads, Head* head)
    : env_(env),
      inventory_(std::move(inventory)),
      version_(std::move(version)),
      threads_(threads),
      head_(*head) {
  for (const LogInventory::Shard& shard : inventory_.shards) files_total_ += shard.files.size();
}

Replay::~Replay() = default;

// Everything up to the record that closes the checkpoint can be read.
bool Replay::CheckpointIsWhole(const LogFileInfo& file) const {
  auto opened = env_.NewRandomAccessFile(file.path);
  if (!opened) return false;
  LogReader reader(**opened, file.bytes);
  std::string_view record;
  bool after_damage = false;
  while (reader.Next(&record, &after_damage)) {
    if (after_damage) return false;
    if (static_cast<RecordType>(record.front()) != RecordType::kCommit) continue;
    const auto commit = ReadCommitRecord(record.substr(1));
    if (!commit) return false;
    if (commit->shards == 0) return true;  // else marks before it, under their batches' numbers
  }
  return false;
}

size_t Replay::FirstFileToRestore(size_t shard) const {
  const std::vector<LogFileInfo>& files = inventory_.shards[shard].files;
  size_t first = files.empty() ? 0 : files.size() - 1;
  // What the checkpoint says must not speak of rows that the files before have lost.
  while (first > 0 && !(files[first].previous_synced && CheckpointIsWhole(files[first]))) --first;
  return first;
}

void Replay::ReplayFiles(ShardReplay& replay, size_t shard, size_t begin, size_t end,
                         const std::atomic<bool>* stop, ReplayResult* result) {
  for (size_t i = begin; i < end; ++i) {
    if (stop != nullptr && stop->load(std::memory_order_relaxed)) return;
    std::vector<LogFileInfo>& files = inventory_.shards[shard].files;
    LogFileInfo& file = files[i];
    const auto place = i + 1 == files.size() ? ShardReplay::Place::kNewest
                       : files[i + 1].previous_synced && files[i + 1].number == file.number + 1
                           ? ShardReplay::Place::kBeforeWhole
                           : ShardReplay::Place::kBefore;
    const uint64_t frames_before = result->lost_frames;
    const uint64_t samples_before = result->lost_samples;
    if (auto opened = env_.NewRandomAccessFile(file.path); !opened) {
      result->damaged_files.emplace_back(file.path, opened.error().message());
    } else if (!replay.ReplayFile(**opened, place, &file)) {
      result->damaged_files.emplace_back(
          file.path,
          "damage inside, skipped, from byte " + std::to_string(replay.damaged_at().value_or(0)) +
              " on; " + std::to_string(result->lost_frames - frames_before) + " rows with " +
              std::to_string(result->lost_samples - samples_before) + " samples are lost");
    }
    // The next file will say that this one is on the disk: it had better be sound.
    if (replay.torn_at() && i + 1 == files.size() && !inventory_.read_only)
      Cut(env_, *replay.torn_at(), &file);
    files_done_.fetch_add(1, std::memory_order_relaxed);
  }
}

ReplayResult Replay::Restore() {
  const size_t count = inventory_.shards.size();
  restored_from_.assign(count, 0);
  std::vector<ReplayResult> results(count);
  std::vector<uint64_t> last_commits(count, 0);
  std::vector<std::vector<StagedMark>> marks(count);
  RunParallel(threads_, count, [&](size_t s) {
    restored_from_[s] = FirstFileToRestore(s);
    ShardReplay replay(head_, version_->sealed, ShardReplay::Into::kHead, &results[s]);
    ReplayFiles(replay, s, restored_from_[s], inventory_.shards[s].files.size(), nullptr,
                &results[s]);
    last_commits[s] = replay.last_commit();
    marks[s] = std::move(replay.marks());
  });
  for (size_t shard = 0; shard < count; ++shard) {
    for (StagedMark& mark : marks[shard]) {
      bool complete = true;
      for (size_t s = 0; s < count; ++s)
        complete = complete && (((mark.shards >> s) & 1) == 0 || last_commits[s] >= mark.commit);
      // All that the batch was is there, and this log answers for it from now on.
      if (complete) {
        head_.ReplayMark(static_cast<uint32_t>(shard), mark.key,
                         {std::move(mark.bytes), mark.commit, uint64_t{1} << shard});
      }
    }
  }
  ReplayResult total;
  for (size_t s = 0; s < count; ++s) {
    head_.RaiseCommitNumber(last_commits[s]);
    head_.shard(s).log.AdoptFiles(inventory_.shards[s].files);
    total.Add(std::move(results[s]));
  }
  // Rows that a power cut took from the log had numbers, too, and somebody may have seen them.
  if (total.rows > 0)
    head_.RaiseCommitNumber((head_.commit_number() / kRunStride + 1) * kRunStride);
  head_.FinishRestore();
  return total;
}

ReplayResult Replay::LoadOlder(const std::atomic<bool>& stop) {
  const size_t count = inventory_.shards.size();
  std::vector<ReplayResult> results(count);
  RunParallel(threads_, count, [&](size_t s) {
    if (restored_from_[s] == 0) return;
    ShardReplay replay(head_, version_->sealed, ShardReplay::Into::kOlderPages, &results[s]);
    ReplayFiles(replay, s, 0, restored_from_[s], &stop, &results[s]);
    if (stop.load(std::memory_order_relaxed)) return;
    replay.TakeOlder();
    const std::vector<LogFileInfo>& files = inventory_.shards[s].files;
    head_.shard(s).log.NoteReplayed(
        {files.begin(), files.begin() + static_cast<ptrdiff_t>(restored_from_[s])});
  });
  ReplayResult total;
  for (ReplayResult& result : results) total.Add(std::move(result));
  version_.reset();
  return total;
}

}  // namespace tocsin::tsdb
