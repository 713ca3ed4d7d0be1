#include "tsdb/segment_store.h"

#include <algorithm>
#include <set>

#include "base/log.h"

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

}  // namespace

Result<std::vector<Version::Segment>> SegmentStore::FindSegments(
    std::vector<Version::Segment>* replaced, std::vector<std::string>* unfinished) {
  TOCSIN_ASSIGN_OR_RETURN(const std::vector<std::string> names, env_.ListDir(directory_));
  std::vector<Version::Segment> found;
  std::set<SegmentId> replaced_ids;
  for (const std::string& name : names) {
    const std::string path = JoinPath(directory_, name);
    if (name.ends_with(kTemporarySuffix)) {
      unfinished->push_back(path);
      continue;
    }
    if (!name.ends_with(kSegmentSuffix)) continue;
    auto segment = SegmentReader::Open(env_, path, seed_);
    if (!segment) {
      if (segment.error().code() == Code::kUnimplemented) return Error(segment.error());
      quarantine_.Put(path, segment.error().message());
      continue;
    }
    generation_ = std::max(generation_, (*segment)->meta().generation);
    for (const SegmentId& id : (*segment)->meta().replaces) replaced_ids.insert(id);
    found.push_back(*std::move(segment));
  }
  std::vector<Version::Segment> kept;
  for (Version::Segment& segment : found) {
    std::vector<Version::Segment>& to =
        replaced_ids.contains(segment->meta().id) ? *replaced : kept;
    to.push_back(std::move(segment));
  }
  return kept;
}

Status SegmentStore::Open() {
  TOCSIN_RETURN_IF_ERROR(env_.CreateDirs(directory_));
  std::vector<Version::Segment> replaced;
  std::vector<std::string> unfinished;
  TOCSIN_ASSIGN_OR_RETURN_STATUS(auto kept, FindSegments(&replaced, &unfinished));
  for (const std::string& path : unfinished) {
    // A file that was being written: nothing refers to it.
    if (const Status status = env_.Remove(path); !status.ok())
      LogWarn("tsdb", "unfinished segment cannot be removed", {{"file", path}, {"err", status}});
  }
  for (const Version::Segment& segment : replaced) {
    if (const Status status = env_.Remove(segment->path()); !status.ok())
      LogWarn("tsdb", "replaced segment cannot be removed",
              {{"file", segment->path()}, {"err", status}});
  }
  Publish(std::move(kept), nullptr);
  return Status::Ok();
}

Status SegmentStore::OpenReadOnly() {
  std::vector<Version::Segment> replaced;
  std::vector<std::string> unfinished;
  auto kept = FindSegments(&replaced, &unfinished);
  if (!kept && kept.error().code() != Code::kNotFound) return std::move(kept).error();
  Publish(kept ? *std::move(kept) : std::vector<Version::Segment>(), nullptr);
  return Status::Ok();
}

void SegmentStore::Publish(std::vector<Version::Segment> segments,
                           std::weak_ptr<const Version>* old_version) {
  auto version = std::make_shared<Version>();
  std::sort(segments.begin(), segments.end(), SegmentOrder);
  for (const Version::Segment& segment : segments) {
    for (const SegmentCut& cut : segment->meta().cuts)
      version->sealed.Raise(cut.window_start_ms, cut.commit);
    version->replaced.insert(version->replaced.end(), segment->meta().replaces.begin(),
                             segment->meta().replaces.end());
  }
  std::sort(version->replaced.begin(), version->replaced.end());
  version->segments = std::move(segments);
  std::weak_ptr<const Version> old = versions_.Publish(std::move(version));
  if (old_version != nullptr) *old_version = std::move(old);
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
  // The new name must be on disk before anything that it stands for may go (old files, log files).
  TOCSIN_RETURN_IF_ERROR(env_.SyncDir(directory_));
  TOCSIN_ASSIGN_OR_RETURN_STATUS(Version::Segment added, SegmentReader::Open(env_, path, seed_));
  std::vector<Version::Segment> segments = Current()->segments;
  std::erase_if(segments, [&](const Version::Segment& segment) {
    return std::find(replaced.begin(), replaced.end(), segment) != replaced.end();
  });
  segments.push_back(std::move(added));
  Publish(std::move(segments), old_version);
  if (replaced.empty()) return Status::Ok();
  for (const Version::Segment& segment : replaced)
    TOCSIN_RETURN_IF_ERROR(env_.Remove(segment->path()));
  return env_.SyncDir(directory_);
}

Status SegmentStore::Remove(std::span<const Version::Segment> removed) {
  if (removed.empty()) return Status::Ok();
  std::vector<Version::Segment> segments = Current()->segments;
  std::erase_if(segments, [&](const Version::Segment& segment) {
    return std::find(removed.begin(), removed.end(), segment) != removed.end();
  });
  Publish(std::move(segments), nullptr);
  for (const Version::Segment& segment : removed)
    TOCSIN_RETURN_IF_ERROR(env_.Remove(segment->path()));
  return env_.SyncDir(directory_);
}

}  // namespace tocsin::tsdb
