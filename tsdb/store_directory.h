// What a directory holds, judged by the names in it: before a tool looks into it, and before a
// daemon begins a store there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "tsdb/damage.h"

namespace tocsin::tsdb {

inline constexpr std::string_view kSeedFile = "seed";

enum class DirectoryKind : uint8_t {
  kUnknown,     // neither of the two: empty, or somebody else's
  kStore,       // ours, or both
  kPrometheus,  // blocks or a write-ahead log of Prometheus, or one block
};

// kNotFound; kInvalidArgument for a file.
Result<DirectoryKind> KindOfDirectory(Env& env, const std::string& directory);

// Fails with a sentence for people unless it is a store.
Status CheckIsStore(Env& env, const std::string& directory);
// Fails when a store here would stand in the middle of Prometheus' files. A directory that is not
// there is fine.
Status CheckMayHoldStore(Env& env, const std::string& directory);

// Marks what nothing is lost by: one of the two manifests, the seed.
void MarkHarmless(std::vector<Damage>* damages);

}  // namespace tocsin::tsdb
