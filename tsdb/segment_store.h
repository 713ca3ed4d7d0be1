// SegmentStore: the segment files of one directory and the version that readers see.
//
// The manifest is the directory itself: every file says in its footer what it covers and which
// files it replaces. A new file is written as NAME.tmp, synced, renamed, the directory synced, and
// only then known to readers; what it replaces is unlinked after that. So a crash leaves either the
// old files, or the new one beside old ones that its footer names: Open removes those.
//
// Thread contract: Current is for everybody; the rest belongs to one thread at a time (the
// compactor's).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "tsdb/quarantine.h"
#include "tsdb/segment/meta.h"
#include "tsdb/version.h"

namespace tocsin::tsdb {

class SegmentStore {
 public:
  SegmentStore(Env& env, std::string directory, uint64_t seed, Quarantine& quarantine)
      : env_(env), directory_(std::move(directory)), seed_(seed), quarantine_(quarantine) {}

  // Opens what is there. Fails only when the directory cannot be read or made, or a file is of a
  // newer version.
  Status Open();
  // The same without changing anything in the directory, which may be absent. Then only Current.
  Status OpenReadOnly();

  std::shared_ptr<const Version> Current() const { return versions_.Current(); }

  // A meta for a new file: fresh id, next generation.
  SegmentMeta NewMeta(uint8_t level);
  // Runs `write` on a temporary path and puts the file in place of `replaced` (by id).
  // `*old_version` expires when no snapshot sees the state before.
  using WriteFile = std::function<Result<SegmentMeta>(const std::string& path)>;
  Status Add(const SegmentMeta& meta, const WriteFile& write,
             std::span<const Version::Segment> replaced, std::weak_ptr<const Version>* old_version);
  // Deletes segments (retention).
  Status Remove(std::span<const Version::Segment> segments);

  const std::string& directory() const { return directory_; }

 private:
  // What is there; `*replaced` are those that others stand for, `*unfinished` files of writers that
  // did not end.
  Result<std::vector<Version::Segment>> FindSegments(std::vector<Version::Segment>* replaced,
                                                     std::vector<std::string>* unfinished);
  void Publish(std::vector<Version::Segment> segments, std::weak_ptr<const Version>* old_version);

  Env& env_;
  const std::string directory_;
  const uint64_t seed_;
  Quarantine& quarantine_;
  VersionList versions_;
  uint64_t generation_ = 0;
};

}  // namespace tocsin::tsdb
