// Facts: what is known of a run of neighbouring samples of one series without having the samples.
// Storage keeps them of whole columns and of rollup buckets, and hands them out instead of samples
// where a caller said (FactsWish) that they are all it needs.
//
// Rules. Staleness markers are no samples: they count for `newest_ms` and `ends_stale` only. NaN is
// a sample: it counts, it spoils the sum as addition does, and it never is an extreme, unless the
// run has nothing else (then min and max are the last NaN). Of equal extremes (0 and -0) the later
// one stands. `sum` is compensated and rounded once; it is not known when it leaves the range of a
// double though every sample is finite. A reset is a sample less than the one before it in the run.
//
// A run of native histograms keeps some of them instead of values: the first, those on both sides
// of each reset (where histograms lost observations, whatever hints say), and the last, each once
// and in order; and of gauges their sum. What is between two kept neighbours loses nothing, so that
// the resets, the coarsest resolution and the increase of a window are those of the kept ones.
// A run is of one kind; a series with both kinds in the range is answered with its samples, as are
// counters and gauges mixed.
#pragma once

#include <cstdint>

#include "model/sample.h"

namespace tocsin::model {

struct Histogram;

// What is known beside the times, `count`, `last` and `ends_stale`.
inline constexpr uint8_t kFactFirst = 1;     // first_ms, first
inline constexpr uint8_t kFactExtremes = 2;  // min, max; never of histograms
inline constexpr uint8_t kFactSum = 4;
inline constexpr uint8_t kFactResets = 8;
inline constexpr uint8_t kFactsAll = 15;

struct Facts {
  // Meaningful unless count is 0.
  Timestamp first_ms = 0;
  Timestamp last_ms = 0;
  double first = 0;
  double last = 0;
  double min = 0;
  double max = 0;
  double sum = 0;
  // The values right before the resets inside the run, in order.
  const double* before_resets = nullptr;
  uint32_t resets = 0;
  uint32_t count = 0;

  // Of a run of histograms; `kept` is null for others. first … before_resets mean nothing then.
  const Histogram* const* kept = nullptr;
  const Histogram* histogram_sum = nullptr;  // kFactSum
  uint32_t kept_count = 0;

  Timestamp newest_ms = 0;  // of the newest sample or staleness marker
  bool ends_stale = false;  // that is a marker
  uint8_t known = 0;        // kFact…
};

// A caller that can do with facts. Time is cut into tiles (origin + k tile, origin + (k + 1) tile]:
// all samples of a run lie in one tile.
struct FactsWish {
  bool wanted = false;
  uint8_t needs = 0;  // kFact…
  Timestamp origin_ms = 0;
  int64_t tile_ms = 0;
  // Rollup buckets may be so long; 0: no rollups.
  int64_t bucket_max_ms = 0;

  // Whether no run may end between the two: (from, to] lies in one tile.
  bool OneTile(Timestamp from, Timestamp to) const { return TileOf(from) == TileOf(to); }
  // Whether every tile is made of whole buckets.
  bool AlignedTo(int64_t bucket_ms) const {
    return tile_ms > 0 && tile_ms % bucket_ms == 0 && origin_ms % bucket_ms == 0;
  }
  // The number of the tile that holds t.
  int64_t TileOf(Timestamp t) const {
    const int64_t past = t - origin_ms - 1;
    return past >= 0 ? past / tile_ms : -((-past - 1) / tile_ms) - 1;
  }
  friend bool operator==(const FactsWish&, const FactsWish&) = default;
};

}  // namespace tocsin::model
