#include "tsdb/segment_store.h"

#include <algorithm>
#include <set>

#include "base/log.h"
#include "base/time_text.h"

namespace tocsin::tsdb {
namespace {

constexpr std::string_view kTemporarySuffix = ".tmp";

bool SegmentOrder(const Version::Segment& a, const Version::Segment& b) {
  const SegmentMeta& x = a->meta();
  const SegmentMeta& y = b->meta();
  if (x.commit() != y.commit()) return x.commit() < y.commit();
  if (x.range.min_ms != y.range.min_ms) return x.range.min_ms < y.range.min_ms;
  return x.generation < y.generation;
}

// Puts the segments in order and says what they cover.
void Describe(Version* version) {
  std::sort(version->segments.begin(), version->segments.end(), SegmentOrder);
  for (const Version::Segment& segment : version->segments) {
    for (const SegmentCut& cut : segment->meta().cuts)
      version->sealed.Raise(cut.window_start_ms, cut.commit);
    version->replaced.insert(version->replaced.end(), segment->meta().replaces.begin(),
                             segment->meta().replaces.end());
  }
  std::sort(version->replaced.begin(), version->replaced.end());
}

std::shared_ptr<Version> WithoutSegments(const Version& from,
                                         std::span<const Version::Segment> removed) {
  auto version = std::make_shared<Version>();
  version->segments = from.segments;
  std::erase_if(version->segments, [&](const Version::Segment& segment) {
    return std::find(removed.begin(), removed.end(), segment) != removed.end();
  });
  version->tombstones = from.tombstones;
  return version;
}

}  // namespace

Result<SegmentStore::Found> SegmentStore::Find() {
  Found found;
  TOCSIN_ASSIGN_OR_RETURN(const std::vector<std::string> names, env_.ListDir(directory_));
  TOCSIN_ASSIGN_OR_RETURN(found.stored, ReadManifest(env_, directory_));
  // Put aside when it is known that no file is of a newer version.
  std::vector<Damage> damaged = found.stored.damaged;
  std::vector<Version::Segment> sound;
  std::set<SegmentId> replaced;
  for (const std::string& name : names) {
    const std::string path = JoinPath(directory_, name);
    if (name.ends_with(kTemporarySuffix)) {
      found.unfinished.push_back(path);
      continue;
    }
    if (!name.ends_with(kSegmentSuffix)) continue;
    auto segment = SegmentReader::Open(env_, path, seed_, matcher_cache_);
    // What a half hour's file cannot give may still be in the log: it must be known to be sound
    // before it stands for the log's rows. Older files are verified when they are asked.
    if (segment && (*segment)->meta().level == 0) {
      if (Status index = (*segment)->VerifyIndex(); !index.ok()) segment = Error(std::move(index));
    }
    if (!segment) {
      if (segment.error().code() == Code::kUnimplemented) return Error(segment.error());
      damaged.push_back({path, segment.error().message()});
      found.damaged.insert(name);
      continue;
    }
    generation_ = std::max(generation_, (*segment)->meta().generation);
    found.present.insert((*segment)->meta().id);
    for (const SegmentId& id : (*segment)->meta().replaces) replaced.insert(id);
    sound.push_back(*std::move(segment));
  }
  for (Version::Segment& segment : sound) {
    (replaced.contains(segment->meta().id) ? found.replaced : found.kept)
        .push_back(std::move(segment));
  }
  found.present.insert(replaced.begin(), replaced.end());
  for (const Damage& damage : damaged) quarantine_.Put(damage.path, damage.reason);
  return found;
}

std::shared_ptr<Version> SegmentStore::VersionOf(Found found) const {
  auto version = std::make_shared<Version>();
  version->segments = std::move(found.kept);
  version->tombstones = std::move(found.stored.manifest.tombstones);
  Describe(version.get());
  return version;
}

Status SegmentStore::Open() {
  TOCSIN_RETURN_IF_ERROR(env_.CreateDirs(directory_));
  TOCSIN_ASSIGN_OR_RETURN_STATUS(Found found, Find());
  for (const std::string& path : found.unfinished) {
    // A file that was being written: nothing refers to it.
    if (const Status status = env_.Remove(path); !status.ok())
      LogWarn("tsdb", "unfinished file cannot be removed", {{"file", path}, {"err", status}});
  }
  for (const Version::Segment& segment : found.replaced) {
    if (const Status status = env_.Remove(segment->path()); !status.ok())
      LogWarn("tsdb", "replaced segment cannot be removed",
              {{"file", segment->path()}, {"err", status}});
  }
  FindLosses(found, /*log=*/true);
  MutexLock lock(change_mutex_);
  const StoredManifest stored = found.stored;
  sequence_ = stored.manifest.sequence;
  commit_ = opened_commit_ = stored.manifest.commit;
  const std::shared_ptr<Version> version = VersionOf(std::move(found));
  if (IsStored(stored, *version)) {
    versions_.Publish(version);
    return Status::Ok();
  }
  // On a full disk the old manifest stays: the losses are told once more.
  if (const Status status = Change(version, nullptr); !status.ok()) {
    LogError("tsdb", "the manifest cannot be written", {{"dir", directory_}, {"err", status}});
    versions_.Publish(version);
  }
  return Status::Ok();
}

bool SegmentStore::IsStored(const StoredManifest& stored, const Version& version) const {
  if (!stored.whole) return false;
  Manifest manifest = ManifestOf(version, commit_);
  manifest.sequence = sequence_;
  return EncodeManifest(manifest) == EncodeManifest(stored.manifest);
}

Status SegmentStore::OpenReadOnly() {
  auto found = Find();
  if (!found && found.error().code() == Code::kNotFound) return Status::Ok();
  if (!found) return std::move(found).error();
  FindLosses(*found, /*log=*/false);
  opened_commit_ = found->stored.manifest.commit;
  versions_.Publish(VersionOf(*std::move(found)));
  return Status::Ok();
}

void SegmentStore::FindLosses(const Found& found, bool log) {
  for (const Manifest::Segment& segment : found.stored.manifest.segments) {
    if (found.present.contains(segment.id)) continue;
    const bool is_damaged = found.damaged.contains(segment.name);
    const std::string path = JoinPath(directory_, segment.name);
    (is_damaged ? losses_.samples_damaged : losses_.samples_missing) += segment.samples;
    if (!is_damaged) {
      losses_.missing.push_back({path, "missing, with " + std::to_string(segment.samples) +
                                           " samples from " + FormatTimeMs(segment.range.min_ms) +
                                           " to " + FormatTimeMs(segment.range.max_ms)});
    }
    if (!log) continue;
    LogError("tsdb", is_damaged ? "samples lost: segment damaged" : "samples lost: segment missing",
             {{"file", path},
              {"samples", segment.samples},
              {"from_ms", segment.range.min_ms},
              {"to_ms", segment.range.max_ms}});
  }
}

Manifest SegmentStore::ManifestOf(const Version& version, uint64_t commit) {
  Manifest manifest;
  manifest.commit = commit;
  manifest.tombstones = version.tombstones;
  for (const Version::Segment& segment : version.segments) {
    const SegmentMeta& meta = segment->meta();
    manifest.segments.push_back({meta.id, std::string(BaseName(segment->path())), meta.file_bytes,
                                 meta.sample_count, meta.range});
    manifest.commit = std::max(manifest.commit, meta.deletes_applied);
  }
  return manifest;
}

Status SegmentStore::Change(std::shared_ptr<Version> version,
                            std::weak_ptr<const Version>* old_version) {
  Manifest manifest = ManifestOf(*version, commit_);
  manifest.sequence = sequence_ + 1;
  TOCSIN_RETURN_IF_ERROR(WriteManifest(env_, directory_, manifest));
  sequence_ = manifest.sequence;
  commit_ = manifest.commit;
  std::weak_ptr<const Version> old = versions_.Publish(std::move(version));
  if (old_version != nullptr) *old_version = std::move(old);
  return Status::Ok();
}

Status SegmentStore::AddTombstone(model::TimeRange range,
                                  std::vector<model::MatcherSet> matcher_sets,
                                  const std::function<uint64_t()>& reserve) {
  Tombstone tombstone{0, range, std::move(matcher_sets)};
  std::string encoded;
  EncodeTombstone(tombstone, &encoded);
  if (encoded.size() > kTombstoneBytesMax)
    return Status(Code::kResourceExhausted, "a delete with too many matchers");
  MutexLock lock(change_mutex_);
  const std::shared_ptr<const Version> current = Current();
  if (current->tombstones.size() >= kTombstonesMax) {
    return Status(Code::kResourceExhausted,
                  std::to_string(current->tombstones.size()) +
                      " deletes wait for a rewrite: clean tombstones first");
  }
  tombstone.commit = reserve();
  auto version = std::make_shared<Version>();
  version->segments = current->segments;
  Describe(version.get());
  version->tombstones = current->tombstones;
  const uint64_t commit_before = std::exchange(commit_, std::max(commit_, tombstone.commit));
  version->tombstones.push_back(std::make_shared<Tombstone>(std::move(tombstone)));
  Status status = Change(std::move(version), nullptr);
  if (!status.ok()) commit_ = commit_before;
  return status;
}

// The next Open would adopt a stray file, and with it what was deleted from it.
Status SegmentStore::RemoveStrays() {
  while (!strays_.empty()) {
    const Status removed = env_.Remove(strays_.back());
    if (!removed.ok() && removed.code() != Code::kNotFound) return removed;
    strays_.pop_back();
    if (strays_.empty()) return env_.SyncDir(directory_);
  }
  return Status::Ok();
}

Status SegmentStore::DropTombstones(std::span<const uint64_t> commits) {
  if (commits.empty()) return Status::Ok();
  TOCSIN_RETURN_IF_ERROR(RemoveStrays());
  MutexLock lock(change_mutex_);
  const std::shared_ptr<const Version> current = Current();
  auto version = std::make_shared<Version>();
  version->segments = current->segments;
  Describe(version.get());
  for (const auto& tombstone : current->tombstones) {
    if (std::find(commits.begin(), commits.end(), tombstone->commit) == commits.end())
      version->tombstones.push_back(tombstone);
  }
  return Change(std::move(version), nullptr);
}

SegmentMeta SegmentStore::NewMeta(uint8_t level) {
  SegmentMeta meta;
  meta.id = NewSegmentId(env_);
  meta.level = level;
  meta.generation = ++generation_;
  meta.fingerprint_seed = seed_;
  return meta;
}

Status SegmentStore::Add(const SegmentMeta& meta, const WriteFile& write,
                         std::span<const Version::Segment> replaced,
                         std::weak_ptr<const Version>* old_version) {
  const std::string temporary =
      JoinPath(directory_, meta.id.ToHex()) + std::string(kTemporarySuffix);
  auto written = write(temporary);
  if (!written) return std::move(written).error();
  const std::string path = JoinPath(directory_, SegmentFileName(*written));
  TOCSIN_RETURN_IF_ERROR(env_.Rename(temporary, path));
  if (Status status = Install(path, replaced, old_version); !status.ok()) {
    // Whoever wrote it will write it anew: two would be adopted by the next Open.
    if (const Status removed = env_.Remove(path); !removed.ok()) {
      LogWarn("tsdb", "a segment that was not published cannot be removed",
              {{"file", path}, {"err", removed}});
      strays_.push_back(path);
    }
    return status;
  }
  return Unlink(replaced);
}

Status SegmentStore::Install(const std::string& path, std::span<const Version::Segment> replaced,
                             std::weak_ptr<const Version>* old_version) {
  // The new name must be on disk before anything that it stands for may go (old files, log files).
  TOCSIN_RETURN_IF_ERROR(env_.SyncDir(directory_));
  TOCSIN_ASSIGN_OR_RETURN_STATUS(Version::Segment added,
                                 SegmentReader::Open(env_, path, seed_, matcher_cache_));
  // Before what it stands for may go.
  TOCSIN_RETURN_IF_ERROR(added->VerifyIndex());
  MutexLock lock(change_mutex_);
  const std::shared_ptr<Version> version = WithoutSegments(*Current(), replaced);
  version->segments.push_back(std::move(added));
  Describe(version.get());
  return Change(version, old_version);
}

// The rest is unlinked whatever becomes of one: a file that stays is replaced in the eyes of the
// next Open.
Status SegmentStore::Unlink(std::span<const Version::Segment> segments) {
  if (segments.empty()) return Status::Ok();
  Status first;
  for (const Version::Segment& segment : segments) {
    Status status = env_.Remove(segment->path());
    if (!status.ok() && status.code() != Code::kNotFound) strays_.push_back(segment->path());
    if (first.ok()) first = std::move(status);
  }
  Status synced = env_.SyncDir(directory_);
  return first.ok() ? synced : first;
}

Status SegmentStore::Remove(std::span<const Version::Segment> removed) {
  if (removed.empty()) return Status::Ok();
  const std::shared_ptr<Version> version = WithoutSegments(*Current(), removed);
  MutexLock lock(change_mutex_);
  version->tombstones = Current()->tombstones;
  Describe(version.get());
  const Status listed = Change(version, nullptr);
  if (listed.ok()) {
    NoteRewrite();
    return Unlink(removed);
  }
  // Deleting is what makes room on a full disk, so it must not wait for room. A crash between
  // here and the second attempt would tell the files as lost.
  LogWarn("tsdb", "the manifest cannot be written; deleting all the same", {{"err", listed}});
  versions_.Publish(version);
  NoteRewrite();
  const Status unlinked = Unlink(removed);
  Manifest manifest = ManifestOf(*version, commit_);
  manifest.sequence = ++sequence_;
  const Status again = WriteManifest(env_, directory_, manifest);
  return unlinked.ok() ? again : unlinked;
}

}  // namespace tocsin::tsdb
