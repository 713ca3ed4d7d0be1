// The small words that head, index and segments share: ids, fingerprints and cuts.
//
// A source id, key id or symbol id means something only inside the index or segment that gave it
// (local ids). What has a meaning everywhere is the Fingerprint: a 128-bit sum of one keyed hash
// per label pair, so that
//
//   fingerprint(series) = fingerprint(source labels) + fingerprint(key labels)
//
// however the label set is split. Head and segments are joined by fingerprints of sources and keys,
// and one label set with two addresses is recognised, without building the full label set. The seed
// is random per data directory (kept there and in every segment footer), so that nobody can
// construct collisions from outside; fingerprints under another seed are computed anew.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>

#include "model/labels.h"
#include "model/sample.h"
#include "model/storage.h"

namespace tocsin::tsdb {

using SourceId = uint32_t;
using KeyId = uint32_t;
using SymbolId = uint32_t;
inline constexpr uint32_t kNoId = UINT32_MAX;

struct Fingerprint {
  uint64_t high = 0;
  uint64_t low = 0;

  // Sum modulo 2^128: commutative and associative, empty label set = 0.
  friend Fingerprint operator+(Fingerprint a, Fingerprint b) {
    Fingerprint sum{a.high + b.high, a.low + b.low};
    sum.high += sum.low < a.low ? 1 : 0;
    return sum;
  }
  friend auto operator<=>(const Fingerprint&, const Fingerprint&) = default;
};

struct FingerprintHasher {
  size_t operator()(const Fingerprint& f) const { return static_cast<size_t>(f.low ^ f.high); }
};

// XXH3-128 under `seed` of the pair in Labels' packed form. `labels` may be any part of a label
// set.
Fingerprint FingerprintOf(const model::Labels& labels, uint64_t seed);
Fingerprint FingerprintOfPair(std::string_view name, std::string_view value, uint64_t seed);
// Two sources with equal labels are one only if their origins are equal too. This is never added to
// a label fingerprint; it orders sources of equal labels ("lower source fingerprint, then origin").
uint64_t OriginHash(const model::Origin& origin, uint64_t seed);
// Of what was imported.
model::Origin ImportOrigin();

// No sample is earlier or later (by 36 million years), so that sums and differences of timestamps
// and durations never overflow.
inline constexpr model::Timestamp kTimestampMax = int64_t{1} << 60;
constexpr bool IsPlausible(model::Timestamp t) { return t >= -kTimestampMax && t <= kTimestampMax; }

// Windows are UTC half hours for every source.
inline constexpr int64_t kWindowMs = 30 * 60 * 1000;
// Start of the window that holds `t`; windows are [start, start + kWindowMs).
constexpr model::Timestamp WindowStart(model::Timestamp t) {
  const int64_t remainder = t % kWindowMs;
  return t - (remainder < 0 ? remainder + kWindowMs : remainder);
}

// Which rows a seal took: those of `group` with a timestamp in the window and a commit number
// <= `commit` that no earlier cut of the same group and window took.
struct SegmentCut {
  uint32_t group = 0;  // the head shard that was sealed
  model::Timestamp window_start_ms = 0;
  uint64_t commit = 0;
  friend auto operator<=>(const SegmentCut&, const SegmentCut&) = default;
};

// What one delete took from a series: samples in `range` of rows with a commit number below
// `commit`.
struct DeletedSpan {
  model::TimeRange range;
  uint64_t commit = 0;
  friend bool operator==(const DeletedSpan&, const DeletedSpan&) = default;
};

// Random; names a segment for ever, whatever its file is called.
struct SegmentId {
  std::array<uint8_t, 16> bytes{};
  std::string ToHex() const;
  friend auto operator<=>(const SegmentId&, const SegmentId&) = default;
};

}  // namespace tocsin::tsdb
