#include "tsdb/head/replay.h"

#include <algorithm>
#include <atomic>
#include <unordered_map>

#include "base/bytes.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/thread.h"
#include "tsdb/wal/log_reader.h"
#include "tsdb/wal/records.h"

namespace tocsin::tsdb {
namespace {

// Replays the files of one shard, in order.
class ShardReplay {
 public:
  ShardReplay(Head& head, const SealedCuts& sealed, const std::vector<uint64_t>& last_commits,
              ReplayResult* result)
      : head_(head), sealed_(sealed), last_commits_(last_commits), result_(*result) {}

  // False when the file has damage inside.
  bool ReplayFile(std::string_view bytes, LogFileInfo* file);

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
  Status Stage(RecordType type, std::string_view payload);
  void Commit(const LoggedCommit& commit, LogFileInfo* file);
  void ApplyFrame(const Pending& pending, uint64_t commit, LogFileInfo* file);
  void ApplyState(const Pending& pending);
  Source* Find(SourceId id) const {
    const auto found = sources_.find(id);
    return found == sources_.end() ? nullptr : found->second;
  }
  void DropPending();
  std::string_view BytesOf(const Pending& pending) const {
    return std::string_view(bytes_).substr(pending.offset, pending.size);
  }

  Head& head_;
  const SealedCuts& sealed_;
  const std::vector<uint64_t>& last_commits_;
  ReplayResult& result_;

  uint64_t epoch_ = 0;
  model::Timestamp base_ms_ = 0;
  std::unordered_map<SourceId, Source*> sources_;
  std::unordered_map<KeyId, KeyId> keys_;
  std::vector<Pending> pending_;
  std::string bytes_;      // of what is pending
  bool poisoned_ = false;  // a part of the batch being read was lost
  bool first_file_ = true;
};

bool ShardReplay::ReplayFile(std::string_view bytes, LogFileInfo* file) {
  LogReader reader(bytes);
  if (!reader.header()) return true;
  base_ms_ = reader.header()->base_ms;
  if (reader.header()->epoch != epoch_) {
    epoch_ = reader.header()->epoch;
    sources_.clear();
    keys_.clear();
  }
  DropPending();
  poisoned_ = false;
  std::string_view record;
  bool after_damage = false;
  bool sound = true;
  while (reader.Next(&record, &after_damage)) {
    if (after_damage) poisoned_ = true;
    const Status status = Apply(record, file);
    if (status.ok()) continue;
    // Bytes with a good checksum that make no sense: counted as damage, like lost ones.
    sound = false;
    ++result_.damaged_places;
    poisoned_ = true;
  }
  DropPending();
  first_file_ = false;
  result_.damaged_places += reader.damaged_places();
  if (reader.torn_tail()) {
    ++result_.torn_tails;
    LogInfo("tsdb", "log file ends within a write; what was being written is cut",
            {{"file", file->path}});
  }
  return sound && reader.damaged_places() == 0;
}

void ShardReplay::DropPending() {
  pending_.clear();
  bytes_.clear();
}

Status ShardReplay::Apply(std::string_view record, LogFileInfo* file) {
  const auto type = static_cast<RecordType>(record.front());
  const std::string_view payload = record.substr(1);
  switch (type) {
    case RecordType::kSource: {
      auto source = ReadSourceRecord(payload);
      if (!source) return std::move(source).error();
      sources_[source->id] =
          &head_.ReplaySource(source->origin, source->labels, source->incarnation);
      return Status::Ok();
    }
    case RecordType::kKey: {
      auto key = ReadKeyRecord(payload);
      if (!key) return std::move(key).error();
      keys_[key->id] = head_.ReplayKey(key->labels);
      return Status::Ok();
    }
    case RecordType::kLayout: {
      auto layout = ReadLayoutRecord(payload);
      if (!layout) return std::move(layout).error();
      Source* source = Find(layout->source);
      if (source == nullptr) return Status::Ok();  // its record was lost; frames are counted
      for (KeyId& key : layout->keys) {
        if (key == kNoId) continue;
        const auto found = keys_.find(key);
        key = found == keys_.end() ? Head::kUnknownKey : found->second;
      }
      head_.ReplayLayout(*source, layout->page, layout->first_slot, layout->keys);
      return Status::Ok();
    }
    case RecordType::kState:
    case RecordType::kFrame:
    case RecordType::kMark:
    case RecordType::kExemplar:
      return Stage(type, payload);
    case RecordType::kCommit: {
      auto commit = ReadCommitRecord(payload);
      if (!commit) return std::move(commit).error();
      Commit(*commit, file);
      return Status::Ok();
    }
  }
  return Status(Code::kCorruption, "unknown record type");
}

Status ShardReplay::Stage(RecordType type, std::string_view payload) {
  Pending pending{type, nullptr, 0, 0, 0, bytes_.size(), 0};
  std::string_view bytes = payload;
  if (type == RecordType::kFrame) {
    auto frame = ReadFrameRecord(payload, base_ms_);
    if (!frame) return std::move(frame).error();
    pending.source = Find(frame->source);
    pending.page = frame->page;
    pending.sequence = frame->sequence;
    pending.row_ms = frame->row_ms;
    bytes = frame->body;
  } else if (type == RecordType::kState) {
    auto head = ReadStateRecordHead(payload);
    if (!head) return std::move(head).error();
    pending.source = Find(head->source);
    pending.page = head->page;
  } else if (type == RecordType::kExemplar) {
    auto exemplar = ReadExemplarRecord(payload);
    if (!exemplar) return std::move(exemplar).error();
    pending.source = Find(exemplar->source);
  }
  pending.size = bytes.size();
  bytes_.append(bytes);
  pending_.push_back(pending);
  return Status::Ok();
}

void ShardReplay::Commit(const LoggedCommit& commit, LogFileInfo* file) {
  // Not complete: another shard's part never reached its log, and the batch was not acknowledged.
  // Its rows here stay nevertheless. Frames and state records that were written, and acknowledged,
  // after it build on them; without them, they would be lost too. Whoever sends it again completes
  // it. Its marks would claim rows that are not there.
  bool complete = true;
  for (size_t s = 0; s < last_commits_.size(); ++s) {
    if (((commit.shards >> s) & 1) != 0 && last_commits_[s] < commit.commit) complete = false;
  }
  bytes_.append(kFrameSlack, '\0');
  for (const Pending& pending : pending_) {
    switch (pending.type) {
      case RecordType::kFrame:
        if (poisoned_) {
          // A part of its batch is gone. Its page must not go on as if it had been read.
          ++result_.lost_frames;
          if (pending.source != nullptr && pending.page < pending.source->page_count())
            pending.source->writable_page(pending.page).broken = true;
        } else {
          ApplyFrame(pending, commit.commit, file);
        }
        break;
      case RecordType::kState:
        ApplyState(pending);
        break;
      case RecordType::kMark:
        if (auto mark = ReadMarkRecord(BytesOf(pending)); mark && complete)
          head_.ReplayMark(mark->key, mark->bytes);
        break;
      default:
        if (auto exemplar = ReadExemplarRecord(BytesOf(pending));
            exemplar && pending.source != nullptr)
          head_.ReplayExemplar(*pending.source, exemplar->slot, exemplar->exemplar);
    }
  }
  DropPending();
  poisoned_ = false;
  head_.RaiseCommitNumber(commit.commit);
}

void ShardReplay::ApplyState(const Pending& pending) {
  if (pending.source == nullptr || pending.page >= pending.source->page_count()) return;
  Page& page = pending.source->writable_page(pending.page);
  const uint32_t before = page.sequence;
  const auto last_ms = page.LastTimestamps();
  const model::Timestamp last_full_ms = page.last_full_ms;
  page.broken = !ApplyStateRecord(BytesOf(pending), base_ms_, &page).ok();
  if (page.broken || page.sequence <= before || (before == 0 && first_file_)) return;
  // The state counts frames that never came: a file before, or its end, is gone, although each file
  // begins with the states of all that is alive. Their samples are not stored, so a copy that is
  // sent again must not be taken for a duplicate.
  result_.lost_frames += page.sequence - before;
  page.RewindHistory(last_ms, last_full_ms);
}

void ShardReplay::ApplyFrame(const Pending& pending, uint64_t commit, LogFileInfo* file) {
  if (pending.source == nullptr || pending.page >= pending.source->page_count()) {
    ++result_.lost_frames;
    return;
  }
  Page& page = pending.source->writable_page(pending.page);
  if (page.broken) {
    ++result_.lost_frames;
    return;
  }
  if (pending.sequence <= page.sequence) return;  // known already
  if (pending.sequence != page.sequence + 1) {
    page.broken = true;
    ++result_.lost_frames;
    return;
  }
  const auto sealed = [&](model::Timestamp window_ms) {
    return sealed_.CoversWindow(window_ms, commit);
  };
  const Status status =
      page.Replay(BytesOf(pending), pending.row_ms, commit, sealed, &file->uses, &result_.samples);
  if (!status.ok()) {
    page.broken = true;
    ++result_.lost_frames;
    return;
  }
  ++result_.rows;
  head_.RaiseNewest(pending.row_ms);
}

// The highest commit number in a shard's log: of the last file that has one.
uint64_t LastCommit(Env& env, const LogInventory::Shard& shard) {
  for (auto file = shard.files.rbegin(); file != shard.files.rend(); ++file) {
    auto mapped = env.MapFile(file->path);
    if (!mapped) continue;
    LogReader reader((*mapped)->bytes());
    std::string_view record;
    bool after_damage = false;
    uint64_t last = 0;
    while (reader.Next(&record, &after_damage)) {
      if (static_cast<RecordType>(record.front()) != RecordType::kCommit) continue;
      if (auto commit = ReadCommitRecord(record.substr(1)); commit)
        last = std::max(last, commit->commit);
    }
    if (last > 0) return last;
  }
  return 0;
}

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

}  // namespace

Result<LogInventory> ListLogs(Env& env, const std::string& directory) {
  LogInventory inventory;
  auto names = env.ListDir(directory);
  if (!names) {
    if (names.error().code() == Code::kNotFound) return inventory;
    return Error(names.error());
  }
  uint32_t shard_count = 0;
  std::vector<LogInventory::Shard> shards(64);
  for (const std::string& name : *names) {
    uint32_t shard = 0;
    uint32_t number = 0;
    if (!ParseLogFileName(name, &shard, &number)) continue;
    LogFileInfo file;
    file.number = number;
    file.path = JoinPath(directory, name);
    auto mapped = env.MapFile(file.path);
    if (!mapped) {
      inventory.unreadable.emplace_back(file.path, mapped.error().message());
      continue;
    }
    file.bytes = (*mapped)->size();
    LogReader reader((*mapped)->bytes());
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
    shard_count = std::max<uint32_t>(shard_count, reader.header()->shard_count);
    shards[shard].files.push_back(std::move(file));
  }
  while (shard_count < 64 && std::any_of(
                                 shards.begin() + shard_count, shards.end(),
                                 [](const auto& s) { return !s.files.empty(); }))
    ++shard_count;
  shards.resize(shard_count);
  for (LogInventory::Shard& shard : shards) {
    std::sort(shard.files.begin(), shard.files.end(),
              [](const LogFileInfo& a, const LogFileInfo& b) { return a.number < b.number; });
    for (size_t i = 1; i < shard.files.size(); ++i)
      inventory.missing_files += shard.files[i].number - shard.files[i - 1].number - 1;
  }
  inventory.shards = std::move(shards);
  return inventory;
}

ReplayResult ReplayLogs(Env& env, const LogInventory& inventory, const SealedCuts& sealed,
                        size_t threads, Head* head) {
  const size_t count = inventory.shards.size();
  std::vector<uint64_t> last_commits(count, 0);
  RunParallel(threads, count,
              [&](size_t s) { last_commits[s] = LastCommit(env, inventory.shards[s]); });
  std::vector<ReplayResult> results(count);
  RunParallel(threads, count, [&](size_t s) {
    ReplayResult& result = results[s];
    ShardReplay replay(*head, sealed, last_commits, &result);
    std::vector<LogFileInfo> files = inventory.shards[s].files;
    for (LogFileInfo& file : files) {
      auto mapped = env.MapFile(file.path);
      if (!mapped) {
        result.damaged_files.emplace_back(file.path, mapped.error().message());
        continue;
      }
      if (!replay.ReplayFile((*mapped)->bytes(), &file))
        result.damaged_files.emplace_back(file.path, "damage inside, skipped");
    }
    head->shard(s).log.AdoptFiles(std::move(files));
  });
  ReplayResult total;
  for (ReplayResult& result : results) {
    total.rows += result.rows;
    total.samples += result.samples;
    total.damaged_places += result.damaged_places;
    total.torn_tails += result.torn_tails;
    total.lost_frames += result.lost_frames;
    std::move(result.damaged_files.begin(), result.damaged_files.end(),
              std::back_inserter(total.damaged_files));
  }
  head->FinishReplay();
  return total;
}

}  // namespace tocsin::tsdb
