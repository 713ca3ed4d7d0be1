// The atoms of the whole house: a timestamp, a value, and the value that says "this series ended
// here".
#pragma once

#include <bit>
#include <cstdint>
#include <limits>

namespace tocsin::model {

// Milliseconds since the Unix epoch. Durations are int64_t milliseconds too and end in _ms.
using Timestamp = int64_t;

inline constexpr Timestamp kMinTimestamp = std::numeric_limits<int64_t>::min();
inline constexpr Timestamp kMaxTimestamp = std::numeric_limits<int64_t>::max();

// The staleness marker is one NaN among many; it is told by its bits, never by comparing doubles.
inline constexpr uint64_t kStaleBits = 0x7ff0000000000002;
// The NaN that arithmetic in the reference implementation gives and that text "NaN" parses to.
inline constexpr uint64_t kNormalNanBits = 0x7ff8000000000001;

inline double StaleMarker() { return std::bit_cast<double>(kStaleBits); }
inline double NormalNan() { return std::bit_cast<double>(kNormalNanBits); }
inline bool IsStale(double value) { return std::bit_cast<uint64_t>(value) == kStaleBits; }

struct Sample {
  Timestamp timestamp_ms;
  double value;
};

// A closed interval of time: both ends belong to it. Empty when min > max.
struct TimeRange {
  Timestamp min_ms = kMinTimestamp;
  Timestamp max_ms = kMaxTimestamp;

  bool Contains(Timestamp t) const { return t >= min_ms && t <= max_ms; }
  bool Overlaps(const TimeRange& other) const {
    return min_ms <= other.max_ms && other.min_ms <= max_ms;
  }
  friend bool operator==(const TimeRange&, const TimeRange&) = default;
};

}  // namespace tocsin::model
