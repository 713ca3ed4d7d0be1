// SegmentStore: the segment files of one directory, the deletes in force, and the version that
// readers see.
//
// Every file says in its footer what it covers and which files it replaces; the manifest lists the
// files and holds the deletes. Order of a change:
//
//   new file written as NAME.tmp, synced, renamed, the directory synced → manifest replaced (add
//   and remove at once) → version published → what was replaced is unlinked, the directory synced
//
// So a crash leaves either the old files, perhaps beside a new one that no manifest knows, or the
// new one, perhaps beside old ones. Open adopts what is sound and removes what a footer replaces. A
// file that the manifest lists and that is not there, or not sound, is told as a loss.
//
// Thread contract: Current, AddTombstone and WithoutDeletes are for everybody; the rest belongs to
// one thread at a time (the compactor's).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "tsdb/index/matcher_cache.h"
#include "tsdb/manifest.h"
#include "tsdb/quarantine.h"
#include "tsdb/segment/meta.h"
#include "tsdb/version.h"

namespace tocsin::tsdb {

class SegmentStore {
 public:
  SegmentStore(Env& env, std::string directory, uint64_t seed, Quarantine& quarantine)
      : env_(env),
        directory_(std::move(directory)),
        seed_(seed),
        quarantine_(quarantine),
        matcher_cache_(std::make_shared<MatcherCache>(kMatcherCacheBytesMax)) {}

  // Opens what is there. Fails only when the directory cannot be read or made, or a file is of a
  // newer version; then nothing was changed. Nor is anything when all is as the manifest says.
  Status Open();
  // The same without changing anything in the directory, which may be absent. Then only Current.
  Status OpenReadOnly();

  std::shared_ptr<const Version> Current() const { return versions_.Current(); }

  // Samples of files that the manifest listed and Open did not find, or found damaged. Fixed after
  // Open.
  struct Losses {
    uint64_t samples_missing = 0;
    uint64_t samples_damaged = 0;
    std::vector<Damage> missing;
  };
  const Losses& losses() const { return losses_; }
  // No sample, and no delete, that the manifest knew of when it was opened has a higher number.
  uint64_t opened_commit() const { return opened_commit_; }

  // Records a delete: on disk, and then in the version. `reserve` gives its commit number, the
  // next one of all. kResourceExhausted when too many wait (kTombstonesMax, kTombstoneBytesMax).
  Status AddTombstone(model::TimeRange range, std::vector<model::MatcherSet> matcher_sets,
                      const std::function<uint64_t()>& reserve);
  // Forgets deletes, by number: nothing that they mask is left. Fails, and keeps them, while a file
  // that no version has cannot be removed.
  Status DropTombstones(std::span<const uint64_t> commits);
  // Runs `pin` while no delete has its number and is not in the version yet. Who writes a file from
  // a version and a commit number takes both in here: every delete up to that number is in the
  // version then.
  void WithoutDeletes(const std::function<void()>& pin) EXCLUDES(change_mutex_) {
    MutexLock lock(change_mutex_);
    pin();
  }
  // The manifest of a version: for a copy of the store.
  static Manifest ManifestOf(const Version& version, uint64_t commit);

  // A meta for a new file: fresh id, next generation.
  SegmentMeta NewMeta(uint8_t level);
  // Runs `write` on a temporary path and puts the file in place of `replaced` (by id).
  // `*old_version` expires when no snapshot sees the state before.
  using WriteFile = std::function<Result<SegmentMeta>(const std::string& path)>;
  Status Add(const SegmentMeta& meta, const WriteFile& write,
             std::span<const Version::Segment> replaced, std::weak_ptr<const Version>* old_version);
  // Deletes segments (retention).
  Status Remove(std::span<const Version::Segment> segments);

  // How often something vanished or came in another way than by sealing and merging: any thread.
  // What answers differently than before must be told (model::Queryable::ChangeNumber).
  uint64_t rewrites() const { return rewrites_.load(std::memory_order_acquire); }
  void NoteRewrite() { rewrites_.fetch_add(1, std::memory_order_release); }

  const std::string& directory() const { return directory_; }
  // Shared by all files: any thread.
  MatcherCache::Figures matcher_cache() const { return matcher_cache_->figures(); }

 private:
  // What is there.
  struct Found {
    StoredManifest stored;
    std::vector<Version::Segment> kept;
    std::vector<Version::Segment> replaced;  // others stand for them
    std::vector<std::string> unfinished;     // paths of files whose writers did not end
    std::set<SegmentId> present;             // sound, or replaced
    std::set<std::string> damaged;           // names
  };
  Result<Found> Find();
  std::shared_ptr<Version> VersionOf(Found found) const;
  // The manifest on disk says just that already.
  bool IsStored(const StoredManifest& stored, const Version& version) const REQUIRES(change_mutex_);
  // Writes the manifest, then makes the version current.
  Status Change(std::shared_ptr<Version> version, std::weak_ptr<const Version>* old_version)
      REQUIRES(change_mutex_);
  // Makes the renamed file durable and known, in place of `replaced`.
  Status Install(const std::string& path, std::span<const Version::Segment> replaced,
                 std::weak_ptr<const Version>* old_version);
  // `log`: each of them as an error.
  void FindLosses(const Found& found, bool log);
  Status Unlink(std::span<const Version::Segment> segments);
  Status RemoveStrays();

  Env& env_;
  const std::string directory_;
  const uint64_t seed_;
  Quarantine& quarantine_;
  const std::shared_ptr<MatcherCache> matcher_cache_;
  // Serialises changes; held while the manifest is written. Readers never take it.
  Mutex change_mutex_;
  uint64_t sequence_ GUARDED_BY(change_mutex_) = 0;
  uint64_t commit_ GUARDED_BY(change_mutex_) = 0;
  VersionList versions_;
  Losses losses_;
  std::vector<std::string> strays_;  // files that no version has, and that could not be removed
  uint64_t opened_commit_ = 0;
  uint64_t generation_ = 0;
  std::atomic<uint64_t> rewrites_ = 0;
};

}  // namespace tocsin::tsdb
