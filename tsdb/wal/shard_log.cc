#include "tsdb/wal/shard_log.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "tsdb/wal/log_packing.h"
#include "tsdb/wal/log_reader.h"
#include "tsdb/wal/records.h"

namespace tocsin::tsdb {

ShardLog::ShardLog(Env& env, std::string dir, uint32_t shard, uint32_t shard_count, uint64_t epoch,
                   Mutex& mutex, bool enabled, bool compress)
    : env_(env),
      dir_(std::move(dir)),
      shard_(shard),
      shard_count_(shard_count),
      epoch_(epoch),
      mutex_(mutex),
      enabled_(enabled),
      compress_(compress) {
  chunks_.emplace_back();
}

uint64_t ShardLog::Appended() {
  std::string& records = chunks_.back().records;
  if (!enabled_) {
    records.clear();
    return 0;
  }
  const size_t added = records.size() - accounted_;
  accounted_ = records.size();
  position_ += added;
  buffered_bytes_.fetch_add(added, std::memory_order_relaxed);
  return position_;
}

void ShardLog::StartFile(model::Timestamp now_ms) {
  Appended();
  ++number_;
  base_ms_ = now_ms;
  Chunk chunk;
  chunk.new_file = true;
  chunk.number = number_;
  chunk.base_ms = now_ms;
  chunk.closed_uses = std::exchange(uses_, {});
  chunk.closed_commit = commit_number_->load(std::memory_order_acquire);
  chunks_.push_back(std::move(chunk));
  accounted_ = 0;
  file_begin_ = position_;
}

void ShardLog::AdoptFiles(std::vector<LogFileInfo> files) {
  MutexLock io(io_mutex_);
  MutexLock lock(mutex_);
  for (const LogFileInfo& file : files) number_ = std::max(number_, file.number);
  files_ = std::move(files);
}

void ShardLog::NoteReplayed(const std::vector<LogFileInfo>& files) {
  MutexLock io(io_mutex_);
  for (LogFileInfo& known : files_) {
    for (const LogFileInfo& file : files) {
      if (known.number == file.number) known = file;
    }
  }
}

Status ShardLog::failure() const {
  MutexLock io(io_mutex_);
  return failure_;
}

// ----------------------------------------------------------------------------------------------------------
// writing

// What an earlier process wrote may not be on the disk yet.
void ShardLog::SyncAdoptedFile() {
  if (adopted_synced_ || files_.empty()) return;
  auto file = env_.NewWritableFile(files_.back().path, WriteMode::kAppend);
  Status status = file ? (*file)->Sync() : file.error();
  if (status.ok()) status = (*file)->Close();
  adopted_synced_ = status.ok();
  if (!status.ok()) LogWarn("tsdb", "an older log file cannot be synced", {{"err", status}});
}

Status ShardLog::FinishOpenFile() {
  bool whole = true;
  if (writer_->size() > synced_bytes_ && !doubtful_) {
    const Status synced = writer_->Sync();
    doubtful_ = !synced.ok();
    if (doubtful_) sync_failures_.fetch_add(1, std::memory_order_relaxed);
  }
  if (doubtful_) {
    const Status rewritten = RewriteOpenFile();
    whole = rewritten.ok();
    if (rewritten.code() == Code::kCorruption) {
      LogError("tsdb", "rows may be missing in the log", {{"err", rewritten}});
    } else {
      TOCSIN_RETURN_IF_ERROR(rewritten);
    }
  }
  TOCSIN_RETURN_IF_ERROR(writer_->Close());
  open_.bytes = writer_->size();
  files_.push_back(std::move(open_));
  adopted_synced_ = whole;
  writer_.reset();
  return Status::Ok();
}

void ShardLog::OpenNext(Chunk& chunk) {
  LogFileHeader header;
  header.shard = static_cast<uint8_t>(shard_);
  header.shard_count = static_cast<uint8_t>(shard_count_);
  header.epoch = epoch_;
  header.number = chunk.number;
  header.base_ms = chunk.base_ms;
  open_ = LogFileInfo();
  open_.number = chunk.number;
  open_.path = JoinPath(dir_, LogFileName(shard_, chunk.number));
  writer_ = std::make_unique<LogWriter>(env_, open_.path, header);
  synced_bytes_ = 0;
  logged_synced_ = 0;
  doubtful_ = false;
  unsynced_copy_.clear();
  copy_begin_ = 0;
  copy_whole_ = true;
  directory_unsynced_ = true;
}

Status ShardLog::WriteRecords(std::string_view records) {
  const uint64_t before = writer_->size();
  TOCSIN_RETURN_IF_ERROR(writer_->Write(records, copy_whole_ ? &unsynced_copy_ : nullptr));
  if (unsynced_copy_.size() > kLogUnsyncedCopyMax) {
    std::string().swap(unsynced_copy_);
    copy_whole_ = false;
  }
  bytes_written_.fetch_add(writer_->size() - before, std::memory_order_relaxed);
  return Status::Ok();
}

Status ShardLog::WriteChunk(Chunk& chunk) {
  if (chunk.new_file) {
    if (writer_ != nullptr) {
      open_.uses = chunk.closed_uses;
      open_.last_commit = chunk.closed_commit;
      TOCSIN_RETURN_IF_ERROR(FinishOpenFile());
    }
    SyncAdoptedFile();
    OpenNext(chunk);
    chunk.new_file = false;
  }
  if (chunk.records.empty()) return Status::Ok();
  std::string sync;
  const bool first = writer_->size() == 0;
  if (first && adopted_synced_ && !files_.empty()) {
    PutSyncRecord(sync, files_.back().number, files_.back().bytes);
  } else if (!first && synced_bytes_ > logged_synced_) {
    PutSyncRecord(sync, open_.number, synced_bytes_);
  }
  if (!sync.empty()) {
    TOCSIN_RETURN_IF_ERROR(WriteRecords(sync));
    open_.previous_synced = open_.previous_synced || first;
    logged_synced_ = synced_bytes_;
  }
  if (!compress_) return WriteRecords(chunk.records);
  packed_.clear();
  PackRecords(chunk.records, first ? LogPacking::kSmall : LogPacking::kFast, &packed_);
  const Status status = WriteRecords(packed_);
  if (packed_.capacity() > kLogBufferBytesMax) std::string().swap(packed_);
  return status;
}

Status ShardLog::WriteLocked() {
  {
    MutexLock lock(mutex_);
    Appended();
    for (Chunk& chunk : chunks_) {
      if (chunk.new_file || !chunk.records.empty()) writing_.push_back(std::move(chunk));
    }
    chunks_.clear();
    chunks_.emplace_back();
    accounted_ = 0;
    taken_ = position_;
    // Batches put their records into the buffer and are published under this mutex.
    taken_commit_ = commit_number_->load(std::memory_order_acquire);
  }
  while (!writing_.empty()) {
    Chunk& chunk = writing_.front();
    const size_t bytes = chunk.records.size();
    Status status = WriteChunk(chunk);
    if (!status.ok()) {
      failure_ = status.Annotate("write-ahead log");
      write_failures_.fetch_add(1, std::memory_order_relaxed);
      failing_.store(true, std::memory_order_release);
      return failure_;
    }
    buffered_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
    writing_.pop_front();
  }
  written_ = taken_;
  written_commit_ = taken_commit_;
  failure_ = Status::Ok();
  failing_.store(false, std::memory_order_release);
  return Status::Ok();
}

Status ShardLog::Flush(uint64_t position) {
  if (!enabled_) return Status::Ok();
  MutexLock io(io_mutex_);
  if (written_ >= position && writing_.empty()) return Status::Ok();
  return WriteLocked();
}

Status ShardLog::FlushAll() {
  if (!enabled_) return Status::Ok();
  MutexLock io(io_mutex_);
  return WriteLocked();
}

// ----------------------------------------------------------------------------------------------------------
// syncing

void ShardLog::NoteSynced(uint64_t bytes) {
  synced_bytes_ = std::max(synced_bytes_, bytes);
  if (copy_whole_) {
    unsynced_copy_.erase(0, static_cast<size_t>(synced_bytes_ - copy_begin_));
  } else if (synced_bytes_ == writer_->size()) {
    copy_whole_ = true;
  }
  copy_begin_ = synced_bytes_;
}

Status ShardLog::CopyOpenFile(const std::string& to) {
  static constexpr size_t kPiece = size_t{1} << 20;
  const uint64_t from_file = copy_whole_ ? copy_begin_ : writer_->size();
  auto source = env_.NewRandomAccessFile(open_.path);
  if (!source) return std::move(source).error();
  auto target = env_.NewWritableFile(to, WriteMode::kTruncate);
  if (!target) return std::move(target).error();
  std::string piece;
  for (uint64_t done = 0; done < from_file; done += piece.size()) {
    piece.resize(static_cast<size_t>(std::min<uint64_t>(kPiece, from_file - done)));
    auto read = (*source)->Read(done, piece.data(), piece.size());
    if (!read) return std::move(read).error();
    if (*read != piece.size()) return Status(Code::kCorruption, open_.path + ": is cut");
    TOCSIN_RETURN_IF_ERROR((*target)->Append(piece));
  }
  if (copy_whole_) TOCSIN_RETURN_IF_ERROR((*target)->Append(unsynced_copy_));
  TOCSIN_RETURN_IF_ERROR((*target)->Sync());
  return (*target)->Close();
}

bool ShardLog::ReadsBackWhole(const std::string& path) const {
  auto file = env_.NewRandomAccessFile(path);
  if (!file || (*file)->size() != writer_->size()) return false;
  LogReader reader(**file, writer_->size());
  std::string_view record;
  bool after_damage = false;
  while (reader.Next(&record, &after_damage)) {
  }
  return reader.header() && reader.damaged_places() == 0 && !reader.torn_tail();
}

// kCorruption: the bytes that could not be synced are gone from memory, too.
Status ShardLog::RewriteOpenFile() {
  const std::string temporary = open_.path + ".tmp";
  TOCSIN_RETURN_IF_ERROR(CopyOpenFile(temporary));
  if (!ReadsBackWhole(temporary))
    return Status(Code::kCorruption, open_.path + ": what could not be synced cannot be read back");
  TOCSIN_RETURN_IF_ERROR(env_.Rename(temporary, open_.path));
  writer_->Reopen();
  ++open_.rewrites;
  TOCSIN_RETURN_IF_ERROR(env_.SyncDir(dir_));
  directory_unsynced_ = false;
  doubtful_ = false;
  NoteSynced(writer_->size());
  LogWarn("tsdb", "log file written anew after a failed sync", {{"file", open_.path}});
  return Status::Ok();
}

Status ShardLog::SyncFile(const std::string& path, uint32_t number, uint32_t rewrites) {
  if (sync_file_ == nullptr || sync_file_number_ != number || sync_file_rewrites_ != rewrites) {
    sync_file_.reset();
    auto file = env_.NewWritableFile(path, WriteMode::kAppend);
    if (!file) return std::move(file).error();
    sync_file_ = *std::move(file);
    sync_file_number_ = number;
    sync_file_rewrites_ = rewrites;
  }
  const Status status = sync_file_->Sync();
  if (!status.ok()) sync_file_.reset();
  return status;
}

Status ShardLog::Sync(uint64_t position) {
  if (!enabled_) return Status::Ok();
  MutexLock sync(sync_mutex_);
  if (synced_ >= position) return Status::Ok();
  LogFileInfo file;
  bool dirty = false;
  bool directory = false;
  uint64_t target = 0;
  {
    MutexLock io(io_mutex_);
    if (written_ < position || !writing_.empty()) TOCSIN_RETURN_IF_ERROR(WriteLocked());
    if (doubtful_) TOCSIN_RETURN_IF_ERROR(RewriteOpenFile().Annotate("write-ahead log: sync"));
    target = written_;
    if (writer_ != nullptr) {
      file.number = open_.number;
      file.path = open_.path;
      file.rewrites = open_.rewrites;
      file.bytes = writer_->size();
      dirty = file.bytes > synced_bytes_;
    }
    directory = std::exchange(directory_unsynced_, false);
  }
  Status status;
  if (dirty) status = SyncFile(file.path, file.number, file.rewrites);
  const bool file_failed = !status.ok();
  if (status.ok() && directory) status = env_.SyncDir(dir_);
  MutexLock io(io_mutex_);
  if (!status.ok()) {
    sync_failures_.fetch_add(1, std::memory_order_relaxed);
    directory_unsynced_ = directory_unsynced_ || directory;
    const bool same_file = writer_ != nullptr && file.number == open_.number;
    if (file_failed && same_file) {
      doubtful_ = true;
      if (RewriteOpenFile().ok()) status = Status::Ok();
    }
    if (!status.ok()) return status.Annotate("write-ahead log: sync");
  } else if (dirty && file.number == open_.number) {
    NoteSynced(file.bytes);
  }
  synced_ = target;
  if (dirty) syncs_.fetch_add(1, std::memory_order_relaxed);
  return Status::Ok();
}

Status ShardLog::SyncAll() {
  uint64_t position = 0;
  {
    MutexLock lock(mutex_);
    position = Appended();
  }
  return Sync(position);
}

Status ShardLog::Close() {
  if (!enabled_) return Status::Ok();
  TOCSIN_RETURN_IF_ERROR(SyncAll());
  MutexLock io(io_mutex_);
  return writer_ == nullptr ? Status::Ok() : writer_->Close();
}

// ----------------------------------------------------------------------------------------------------------
// files

Status ShardLog::DropCovered(const std::function<bool(const WindowUse&)>& covered,
                             const LogKeep& keep, size_t* removed) {
  *removed = 0;
  std::vector<LogFileInfo> drop;
  {
    MutexLock io(io_mutex_);
    // A file goes only when every older one has gone: replay of a commit that spans shards relies
    // on a log being complete from its first file on.
    const auto end = std::find_if(files_.begin(), files_.end(), [&](const LogFileInfo& file) {
      return !std::all_of(file.uses.begin(), file.uses.end(), covered);
    });
    uint64_t kept_bytes = 0;
    for (auto file = files_.begin(); file != end; ++file) kept_bytes += file->bytes;
    while (drop.size() < static_cast<size_t>(end - files_.begin())) {
      const LogFileInfo& file = files_[drop.size()];
      if (file.last_commit > keep.commit && kept_bytes <= keep.bytes_max) break;
      kept_bytes -= file.bytes;
      drop.push_back(file);
    }
    files_.erase(files_.begin(), files_.begin() + static_cast<ptrdiff_t>(drop.size()));
  }
  for (const LogFileInfo& file : drop) {
    Status status = env_.Remove(file.path);
    if (!status.ok() && status.code() != Code::kNotFound) {
      // Those that are left go the next time, in order.
      MutexLock io(io_mutex_);
      files_.insert(files_.begin(), drop.begin() + static_cast<ptrdiff_t>(*removed), drop.end());
      return status;
    }
    ++*removed;
  }
  return Status::Ok();
}

LogView ShardLog::View() const {
  LogView view;
  MutexLock io(io_mutex_);
  view.complete_commit = written_commit_;
  const auto add = [&view](const LogFileInfo& file) {
    LogFileInfo copy;
    copy.number = file.number;
    copy.path = file.path;
    copy.bytes = file.bytes;
    copy.last_commit = file.last_commit;
    copy.rewrites = file.rewrites;
    view.files.push_back(std::move(copy));
  };
  for (const LogFileInfo& file : files_) add(file);
  if (writer_ != nullptr && writer_->size() > 0) {
    add(open_);
    view.files.back().bytes = writer_->size();
    view.files.back().last_commit = UINT64_MAX;
  }
  return view;
}

uint32_t ShardLog::oldest_number() const {
  MutexLock io(io_mutex_);
  return files_.empty() ? open_.number : files_.front().number;
}

void ShardLog::AppendUses(std::vector<WindowUse>* uses) const {
  const auto add = [uses](const std::vector<WindowUse>& some) {
    uses->insert(uses->end(), some.begin(), some.end());
  };
  MutexLock io(io_mutex_);
  for (const LogFileInfo& file : files_) add(file.uses);
  for (const Chunk& chunk : writing_) add(chunk.closed_uses);
  MutexLock lock(mutex_);
  for (const Chunk& chunk : chunks_) add(chunk.closed_uses);
  add(uses_);
}

uint64_t ShardLog::total_bytes() const {
  MutexLock io(io_mutex_);
  uint64_t bytes = writer_ == nullptr ? 0 : writer_->size();
  for (const LogFileInfo& file : files_) bytes += file.bytes;
  return bytes;
}

}  // namespace tocsin::tsdb
