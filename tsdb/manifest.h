// Manifest: which segment files a directory should have, and the deletes that are in force
// (docs/format/manifest.md). The files' own footers say everything about them; the manifest adds
// what no footer can tell: that a file is missing, and what was deleted from files since they were
// written.
//
// It is one small file, replaced whole and atomically by every change, so a swap of files and the
// deletes that belong to it become true together. It is kept twice, since a delete must survive
// damage to any single file: of the segments the newer sound copy counts, of the deletes both (one
// too many masks nothing that is not gone already).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "tsdb/damage.h"
#include "tsdb/tombstone.h"
#include "tsdb/types.h"

namespace tocsin::tsdb {

inline constexpr uint8_t kManifestFormatVersion = 1;
inline constexpr std::string_view kManifestFile = "manifest";
inline constexpr std::string_view kManifestCopyFile = "manifest.copy";

struct Manifest {
  struct Segment {
    SegmentId id;
    std::string name;  // in the directory
    uint64_t file_bytes = 0;
    uint64_t samples = 0;
    model::TimeRange range;
  };

  uint64_t sequence = 0;  // one more with each change
  uint64_t commit = 0;    // no sample or delete that it knows of has a higher number
  std::vector<Segment> segments;
  TombstoneList tombstones;
};

std::string EncodeManifest(const Manifest& manifest);
// kCorruption; kUnimplemented for one of a newer version.
Result<Manifest> DecodeManifest(std::string_view bytes);

// Fails when the first copy could not be replaced. Of the second one a failure is logged: the next
// change writes it again.
Status WriteManifest(Env& env, const std::string& directory, const Manifest& manifest);

struct StoredManifest {
  Manifest manifest;            // of both copies; empty when there is none
  bool whole = false;           // two sound copies that say the same: nothing needs to be written
  std::vector<Damage> damaged;  // copies that cannot be used
};
// Changes nothing. kUnimplemented as above; kPermissionDenied.
Result<StoredManifest> ReadManifest(Env& env, const std::string& directory);

}  // namespace tocsin::tsdb
