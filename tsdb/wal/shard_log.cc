#include "tsdb/wal/shard_log.h"

#include <algorithm>
#include <utility>

namespace tocsin::tsdb {

ShardLog::ShardLog(Env& env, std::string dir, uint32_t shard, uint32_t shard_count, uint64_t epoch,
                   Mutex& mutex, bool enabled)
    : env_(env),
      dir_(std::move(dir)),
      shard_(shard),
      shard_count_(shard_count),
      epoch_(epoch),
      mutex_(mutex),
      enabled_(enabled) {
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

void ShardLog::OpenNext(Chunk& chunk) {
  if (writer_ != nullptr) {
    LogFileInfo info;
    info.number = open_number_;
    info.path = writer_->path();
    info.bytes = writer_->size();
    info.uses = std::move(chunk.closed_uses);
    files_.push_back(std::move(info));
  }
  LogFileHeader header;
  header.shard = static_cast<uint8_t>(shard_);
  header.shard_count = static_cast<uint8_t>(shard_count_);
  header.epoch = epoch_;
  header.number = chunk.number;
  header.base_ms = chunk.base_ms;
  writer_ =
      std::make_unique<LogWriter>(env_, JoinPath(dir_, LogFileName(shard_, chunk.number)), header);
  open_number_ = chunk.number;
  unsynced_.push_back(writer_->path());
  directory_unsynced_ = true;
  chunk.new_file = false;
}

Status ShardLog::WriteChunk(Chunk& chunk) {
  if (chunk.new_file) {
    if (writer_ != nullptr) TOCSIN_RETURN_IF_ERROR(writer_->Close());
    OpenNext(chunk);
  }
  if (chunk.records.empty()) return Status::Ok();
  const uint64_t before = writer_->size();
  TOCSIN_RETURN_IF_ERROR(writer_->Write(chunk.records));
  bytes_written_.fetch_add(writer_->size() - before, std::memory_order_relaxed);
  if (std::find(unsynced_.begin(), unsynced_.end(), writer_->path()) == unsynced_.end())
    unsynced_.push_back(writer_->path());
  return Status::Ok();
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

Status ShardLog::Sync(uint64_t position) {
  if (!enabled_) return Status::Ok();
  MutexLock sync(sync_mutex_);
  if (synced_ >= position) return Status::Ok();
  std::vector<std::string> paths;
  bool directory = false;
  uint64_t target = 0;
  {
    MutexLock io(io_mutex_);
    if (written_ < position || !writing_.empty()) TOCSIN_RETURN_IF_ERROR(WriteLocked());
    target = written_;
    paths = std::exchange(unsynced_, {});
    directory = std::exchange(directory_unsynced_, false);
  }
  // Through handles of its own, so that nobody who writes waits for the disk: fdatasync of any
  // handle syncs the file.
  Status status;
  for (const std::string& path : paths) {
    auto file = env_.NewWritableFile(path, WriteMode::kAppend);
    if (!file) {
      status = std::move(file).error();
      break;
    }
    status = (*file)->Sync();
    if (!status.ok()) break;
    status = (*file)->Close();
    if (!status.ok()) break;
  }
  if (status.ok() && directory) status = env_.SyncDir(dir_);
  if (!status.ok()) {
    MutexLock io(io_mutex_);
    for (std::string& path : paths) {
      if (std::find(unsynced_.begin(), unsynced_.end(), path) == unsynced_.end())
        unsynced_.push_back(std::move(path));
    }
    directory_unsynced_ = directory_unsynced_ || directory;
    return status.Annotate("write-ahead log: sync");
  }
  synced_ = target;
  if (!paths.empty()) syncs_.fetch_add(1, std::memory_order_relaxed);
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

Status ShardLog::DropCovered(const std::function<bool(const WindowUse&)>& covered,
                             size_t* removed) {
  *removed = 0;
  MutexLock sync(sync_mutex_);  // nobody syncs a file that is being removed
  std::vector<LogFileInfo> drop;
  {
    MutexLock io(io_mutex_);
    // A file goes only when every older one has gone: replay of a commit that spans shards relies
    // on a log being complete from its first file on.
    while (!files_.empty() &&
           std::all_of(files_.front().uses.begin(), files_.front().uses.end(), covered)) {
      drop.push_back(std::move(files_.front()));
      files_.erase(files_.begin());
      std::erase(unsynced_, drop.back().path);
    }
  }
  for (const LogFileInfo& file : drop) {
    TOCSIN_RETURN_IF_ERROR(env_.Remove(file.path));
    ++*removed;
  }
  return Status::Ok();
}

uint32_t ShardLog::oldest_number() const {
  MutexLock io(io_mutex_);
  return files_.empty() ? open_number_ : files_.front().number;
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
