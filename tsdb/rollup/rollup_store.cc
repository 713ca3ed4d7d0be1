#include "tsdb/rollup/rollup_store.h"

#include <algorithm>

#include "base/log.h"

namespace tocsin::tsdb {
namespace {

constexpr std::string_view kTemporarySuffix = ".tmp";

bool FileOrder(const std::shared_ptr<const RollupFile>& a,
               const std::shared_ptr<const RollupFile>& b) {
  if (a->range().min_ms != b->range().min_ms) return a->range().min_ms < b->range().min_ms;
  return a->info().bucket_ms < b->info().bucket_ms;
}

bool IsDay(const SegmentMeta& meta) {
  return meta.level >= kMaxSegmentLevel && meta.range.min_ms <= meta.range.max_ms;
}

}  // namespace

RollupInput FindRollupInput(const RollupFile& file, const Version& version, uint32_t* segment) {
  for (uint32_t s = 0; s < version.segments.size(); ++s) {
    if (version.segments[s]->meta().id != file.info().input) continue;
    *segment = s;
    return RollupInput::kPresent;
  }
  const bool replaced =
      std::binary_search(version.replaced.begin(), version.replaced.end(), file.info().input);
  return replaced ? RollupInput::kReplaced : RollupInput::kGone;
}

Result<RollupSet> RollupStore::FindFiles(std::vector<std::string>* unfinished) {
  TOCSIN_ASSIGN_OR_RETURN(const std::vector<std::string> names, env_.ListDir(directory_));
  RollupSet files;
  for (const std::string& name : names) {
    const std::string path = JoinPath(directory_, name);
    if (name.ends_with(kTemporarySuffix)) unfinished->push_back(path);
    if (!name.ends_with(kRollupSuffix)) continue;
    auto file = RollupFile::Open(env_, path, seed_);
    if (!file) {
      if (file.error().code() == Code::kUnimplemented) return Error(file.error());
      quarantine_.Put(path, file.error().message());
      continue;
    }
    generation_ = std::max(generation_, (*file)->segment().meta().generation);
    files.push_back(*std::move(file));
  }
  return files;
}

Status RollupStore::Open() {
  TOCSIN_RETURN_IF_ERROR(env_.CreateDirs(directory_));
  std::vector<std::string> unfinished;
  TOCSIN_ASSIGN_OR_RETURN_STATUS(RollupSet files, FindFiles(&unfinished));
  for (const std::string& path : unfinished) {
    if (const Status status = env_.Remove(path); !status.ok())
      LogWarn("tsdb", "unfinished rollup cannot be removed", {{"file", path}, {"err", status}});
  }
  RollupSet older;
  for (const auto& file : files) {
    const bool rewritten = std::any_of(files.begin(), files.end(), [&](const auto& other) {
      return other->info().input == file->info().input &&
             other->info().bucket_ms == file->info().bucket_ms &&
             other->segment().meta().generation > file->segment().meta().generation;
    });
    if (rewritten) older.push_back(file);
  }
  Publish(std::move(files));
  uint64_t removed = 0;
  return RemoveFiles(
      [&older](const RollupFile& file) {
        return std::any_of(older.begin(), older.end(),
                           [&file](const auto& one) { return one.get() == &file; });
      },
      &removed);
}

Status RollupStore::OpenReadOnly() {
  std::vector<std::string> unfinished;
  auto files = FindFiles(&unfinished);
  if (!files && files.error().code() != Code::kNotFound) return std::move(files).error();
  Publish(files ? *std::move(files) : RollupSet());
  return Status::Ok();
}

std::shared_ptr<const RollupSet> RollupStore::Current() const {
  MutexLock lock(mutex_);
  return current_;
}

void RollupStore::Publish(RollupSet files) {
  std::sort(files.begin(), files.end(), FileOrder);
  auto set = std::make_shared<const RollupSet>(std::move(files));
  MutexLock lock(mutex_);
  current_ = std::move(set);
  publications_.fetch_add(1, std::memory_order_release);
}

uint64_t RollupStore::bytes() const {
  uint64_t sum = 0;
  for (const auto& file : *Current()) sum += file->file_bytes();
  return sum;
}

Status RollupStore::RemoveFiles(const std::function<bool(const RollupFile&)>& doomed,
                                uint64_t* removed) {
  RollupSet kept;
  RollupSet gone;
  for (const auto& file : *Current()) (doomed(*file) ? gone : kept).push_back(file);
  if (gone.empty()) return Status::Ok();
  Publish(std::move(kept));
  Status status;
  for (const auto& file : gone) {
    const Status one = env_.Remove(file->path());
    if (status.ok()) status = one;
    ++*removed;
  }
  const Status synced = env_.SyncDir(directory_);
  return status.ok() ? synced : status;
}

Status RollupStore::RemoveOldest(uint64_t bytes) {
  uint64_t left = bytes;
  uint64_t removed = 0;
  const Status status = RemoveFiles(
      [&left](const RollupFile& file) {
        if (left == 0) return false;
        left -= std::min(left, file.file_bytes());
        return true;
      },
      &removed);
  counters_.deleted.fetch_add(removed, std::memory_order_relaxed);
  return status;
}

// ----------------------------------------------------------------------------------------------------------
// rounds

RollupOutput RollupStore::NewOutput(int64_t bucket_ms) {
  RollupOutput output;
  output.bucket_ms = bucket_ms;
  output.meta.id = NewSegmentId(env_);
  output.meta.generation = ++generation_;
  output.meta.fingerprint_seed = seed_;
  output.path = JoinPath(directory_, output.meta.id.ToHex()) + std::string(kTemporarySuffix);
  return output;
}

Result<std::shared_ptr<const RollupFile>> RollupStore::Keep(const RollupOutput& output) {
  const std::string path = JoinPath(directory_, RollupFileName(output.meta, output.bucket_ms));
  TOCSIN_TRY(env_.Rename(output.path, path));
  counters_.written.fetch_add(1, std::memory_order_relaxed);
  return RollupFile::Open(env_, path, seed_);
}

Status RollupStore::Roll(const Version::Segment& segment, std::vector<int64_t> buckets,
                         const TypeOfMetric& type_of, const std::function<bool()>& cancelled) {
  std::vector<RollupOutput> outputs;
  for (const int64_t bucket_ms : buckets) outputs.push_back(NewOutput(bucket_ms));
  TOCSIN_RETURN_IF_ERROR(WriteRollups(env_, *segment, type_of, cancelled, outputs));
  RollupSet files = *Current();
  for (const RollupOutput& output : outputs) {
    TOCSIN_ASSIGN_OR_RETURN_STATUS(files.emplace_back(), Keep(output));
  }
  TOCSIN_RETURN_IF_ERROR(env_.SyncDir(directory_));
  Publish(std::move(files));
  return Status::Ok();
}

std::vector<int64_t> RollupStore::Lacking(const SegmentMeta& meta, const StoragePolicy& policy,
                                          model::Timestamp now_ms) const {
  std::vector<int64_t> lacking;
  if (!IsDay(meta) || damaged_.contains(meta.id)) return lacking;
  const std::shared_ptr<const RollupSet> files = Current();
  for (const RollupPolicy& rollup : policy.rollups) {
    const bool done = std::any_of(files->begin(), files->end(), [&](const auto& file) {
      return file->info().input == meta.id && file->info().bucket_ms == rollup.bucket_ms;
    });
    const bool expires =
        rollup.retention_ms > 0 && meta.range.max_ms < now_ms - rollup.retention_ms;
    if (!done && !expires) lacking.push_back(rollup.bucket_ms);
  }
  return lacking;
}

bool RollupStore::Awaits(const SegmentMeta& meta, const StoragePolicy& policy,
                         model::Timestamp now_ms) const {
  return !last_failed_ && !Lacking(meta, policy, now_ms).empty();
}

Status RollupStore::RewriteOne(const std::shared_ptr<const RollupFile>& file,
                               const TombstoneList& tombstones, uint64_t applied,
                               const std::function<bool()>& cancelled) {
  RollupOutput output = NewOutput(file->info().bucket_ms);
  output.meta.deletes_applied = applied;
  bool any_left = false;
  TOCSIN_RETURN_IF_ERROR(RewriteRollup(env_, *file, tombstones, cancelled, &output, &any_left));
  RollupSet files = *Current();
  std::erase(files, file);
  // Both are there for a while; a start keeps the newer one.
  if (any_left) {
    TOCSIN_ASSIGN_OR_RETURN_STATUS(files.emplace_back(), Keep(output));
    TOCSIN_RETURN_IF_ERROR(env_.SyncDir(directory_));
  }
  Publish(std::move(files));
  TOCSIN_RETURN_IF_ERROR(env_.Remove(file->path()));
  return env_.SyncDir(directory_);
}

Status RollupStore::Rewrite(const Version& version, const TombstoneList& tombstones,
                            uint64_t applied, const Ends& ends) {
  if (tombstones.empty()) return Status::Ok();
  const std::shared_ptr<const RollupSet> files = Current();
  for (const auto& file : *files) {
    uint32_t ignored = 0;
    const SegmentMeta& meta = file->segment().meta();
    if (FindRollupInput(*file, version, &ignored) != RollupInput::kGone ||
        TombstonesAbove(tombstones, meta.deletes_applied, meta.range).empty())
      continue;
    const Status status =
        RewriteOne(file, tombstones, applied, [&] { return ends(meta.range.min_ms); });
    if (status.code() == Code::kCancelled) return Status::Ok();
    if (status.code() == Code::kCorruption) {
      // What is sound in it goes on being served, and masked.
      quarantine_.Note(file->path(), status.message());
      continue;
    }
    TOCSIN_RETURN_IF_ERROR(status);
  }
  return Status::Ok();
}

Status RollupStore::RunRound(const CurrentVersion& current, const StoragePolicy& policy,
                             model::Timestamp now_ms, const TypeOfMetric& type_of, const Ends& ends,
                             size_t segments_max) {
  uint64_t expired = 0;
  TOCSIN_RETURN_IF_ERROR(RemoveFiles(
      [&](const RollupFile& file) {
        const auto its = std::find_if(
            policy.rollups.begin(), policy.rollups.end(),
            [&](const RollupPolicy& rollup) { return rollup.bucket_ms == file.info().bucket_ms; });
        return its != policy.rollups.end() && its->retention_ms > 0 &&
               file.range().max_ms < now_ms - its->retention_ms;
      },
      &expired));
  counters_.deleted.fetch_add(expired, std::memory_order_relaxed);
  std::vector<Version::Segment> due;
  for (const auto pinned = current(); const Version::Segment& segment : pinned->segments) {
    if (due.size() < segments_max && !Lacking(segment->meta(), policy, now_ms).empty())
      due.push_back(segment);
  }
  for (const Version::Segment& segment : due) {
    const model::Timestamp oldest_ms = segment->meta().range.min_ms;
    const Status status = Roll(segment, Lacking(segment->meta(), policy, now_ms), type_of,
                               [&] { return ends(oldest_ms); });
    if (status.code() == Code::kCancelled) return Status::Ok();
    last_failed_ = !status.ok();
    if (status.ok()) continue;
    counters_.failures.fetch_add(1, std::memory_order_relaxed);
    if (status.code() != Code::kCorruption) return status;
    // What is sound in it is served raw.
    quarantine_.Note(segment->path(), status.message());
    damaged_.insert(segment->meta().id);
  }
  // Last: until the new one is rolled up, the old files harm nobody.
  uint64_t replaced = 0;
  const std::shared_ptr<const Version> version = current();
  return RemoveFiles(
      [&](const RollupFile& file) {
        uint32_t ignored = 0;
        return FindRollupInput(file, *version, &ignored) == RollupInput::kReplaced;
      },
      &replaced);
}

}  // namespace tocsin::tsdb
