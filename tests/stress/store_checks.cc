#include "store_checks.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <map>
#include <utility>

#include "tsdb/prometheus/export.h"
#include "tsdb/prometheus/import.h"

namespace tocsin::stress {

using model::Facts;
using model::Timestamp;

namespace {

uint64_t Bits(double value) { return std::bit_cast<uint64_t>(value); }

// What is known of one tile of one series, worked out anew here (model/facts.h has the rules).
struct Tile {
  uint64_t count = 0;
  uint64_t histograms = 0;
  Timestamp first_ms = 0;
  Timestamp last_ms = 0;
  Timestamp newest_ms = model::kMinTimestamp;
  bool ends_stale = false;
  double first = 0;
  double last = 0;
  double min = 0;
  double max = 0;
  uint64_t resets = 0;
  long double sum = 0;
  long double magnitude = 0;
  bool finite = true;
  uint8_t known = model::kFactsAll;
  const model::Histogram* first_histogram = nullptr;
  const model::Histogram* last_histogram = nullptr;

  void Extremes(double low, double high) {
    if (count == 0 || std::isnan(min)) {
      min = low;
    } else if (low <= min) {
      min = low;
    }
    if (count == 0 || std::isnan(max)) {
      max = high;
    } else if (high >= max) {
      max = high;
    }
  }
  void Sum(long double value) {
    finite = finite && std::isfinite(value);
    sum += value;
    magnitude += std::fabs(value);
  }
  void Add(Timestamp t, double value) {
    newest_ms = t;
    ends_stale = model::IsStale(value);
    if (ends_stale) return;
    Extremes(value, value);
    if (count == 0) {
      first_ms = t;
      first = value;
    } else if (value < last) {
      ++resets;
    }
    last_ms = t;
    last = value;
    Sum(value);
    ++count;
  }
  void Add(Timestamp t, const model::Histogram* histogram) {
    if (model::IsStale(histogram->sum)) {
      newest_ms = t;
      ends_stale = true;
      return;
    }
    newest_ms = t;
    ends_stale = false;
    if (count == 0) {
      first_ms = t;
      first_histogram = histogram;
    }
    last_ms = t;
    last_histogram = histogram;
    ++count;
    ++histograms;
  }
  void Add(const Facts& facts) {
    newest_ms = facts.newest_ms;
    ends_stale = facts.ends_stale;
    if (facts.count == 0) return;
    known &= facts.known;
    if (facts.kept != nullptr) {
      if (count == 0) {
        first_ms = facts.first_ms;
        first_histogram = facts.kept[0];
      }
      last_ms = facts.last_ms;
      last_histogram = facts.kept[facts.kept_count - 1];
      histograms += facts.count;
      count += facts.count;
      return;
    }
    if ((facts.known & model::kFactExtremes) != 0) Extremes(facts.min, facts.max);
    resets += facts.resets;
    if (count == 0) {
      first_ms = facts.first_ms;
      first = facts.first;
    } else if (facts.first < last) {
      ++resets;
    }
    last_ms = facts.last_ms;
    last = facts.last;
    Sum(facts.sum);
    count += facts.count;
  }

  // What `other`, of facts, knows otherwise than this, of samples; "" for nothing.
  std::string Differs(const Tile& other) const {
    if (count != other.count || histograms != other.histograms) return "count";
    if (newest_ms != other.newest_ms || ends_stale != other.ends_stale) return "newest";
    if (count == 0) return "";
    if (last_ms != other.last_ms) return "time of the last";
    const bool first_known = (other.known & model::kFactFirst) != 0;
    if (first_known && first_ms != other.first_ms) return "time of the first";
    if (histograms > 0) {
      if (histograms != count) return "";  // both kinds
      if (!SameHistogram(*last_histogram, *other.last_histogram)) return "last histogram";
      if (first_known && !SameHistogram(*first_histogram, *other.first_histogram)) {
        return "first histogram";
      }
      return "";
    }
    if (Bits(last) != Bits(other.last)) return "last";
    if (first_known && Bits(first) != Bits(other.first)) return "first";
    if ((other.known & model::kFactExtremes) != 0) {
      if (Bits(min) != Bits(other.min)) return "min";
      if (Bits(max) != Bits(other.max)) return "max";
    }
    if ((other.known & model::kFactResets) != 0 && resets != other.resets) return "resets";
    if ((other.known & model::kFactSum) != 0 && finite &&
        !(std::fabs(sum - other.sum) <= magnitude * 1e-14L)) {
      return "sum";
    }
    return "";
  }
};

using Tiles = std::map<int64_t, Tile>;

Tiles TilesOf(const model::Column& column, const model::FactsWish& wish) {
  Tiles tiles;
  for (const Facts& facts : column.facts) tiles[wish.TileOf(facts.newest_ms)].Add(facts);
  size_t h = 0;
  for (size_t i = 0; i <= column.values.size(); ++i) {
    const bool more = i < column.values.size();
    for (; h < column.histograms.size() &&
           (!more || column.histogram_timestamps[h] < column.timestamps[i]);
         ++h) {
      tiles[wish.TileOf(column.histogram_timestamps[h])].Add(column.histogram_timestamps[h],
                                                             column.histograms[h]);
    }
    if (more) tiles[wish.TileOf(column.timestamps[i])].Add(column.timestamps[i], column.values[i]);
  }
  return tiles;
}

Timestamp RoundDown(Timestamp t, int64_t to) { return t / to * to; }

}  // namespace

Status CheckFacts(const Universe& universe, const model::Snapshot& snapshot, int64_t tile_ms,
                  uint64_t* facts) {
  const auto everything = snapshot.Select({}, {}, {});
  if (!everything) return everything.error();
  const Timestamp whole_from =
      std::max(universe.start_ms(), (*everything)->resolution().thinned_until_ms);
  // (from, to] in whole tiles.
  const model::TimeRange range{RoundDown(whole_from + tile_ms, tile_ms) + 1,
                               RoundDown(universe.start_ms() + kRows * kRowMs, tile_ms)};
  model::SelectHints plain;
  plain.range_ms = tile_ms;  // or it may look back
  model::SelectHints hints = plain;
  hints.facts.wanted = true;
  hints.facts.needs = model::kFactsAll;
  hints.facts.tile_ms = tile_ms;
  hints.facts.bucket_max_ms = tile_ms;
  const auto samples = snapshot.Select({}, range, plain);
  const auto runs = snapshot.Select({}, range, hints);
  if (!samples) return samples.error();
  if (!runs) return runs.error();
  std::map<std::string, Tiles> of_series;
  const auto reader = (*runs)->NewReader();
  model::ColumnBatch batch;
  std::vector<model::ColumnBatch> kept((*runs)->size());  // tiles point into them
  for (size_t i = 0; i < (*runs)->size(); ++i) {
    if (Status status = reader->Read(i, 1, &kept[i]); !status.ok()) return status;
    *facts += kept[i].columns[0].facts.size();
    of_series[(*runs)->LabelsAt(i).ToString()] = TilesOf(kept[i].columns[0], hints.facts);
  }
  const auto sample_reader = (*samples)->NewReader();
  for (size_t i = 0; i < (*samples)->size(); ++i) {
    if (Status status = sample_reader->Read(i, 1, &batch); !status.ok()) return status;
    const std::string series = (*samples)->LabelsAt(i).ToString();
    Tiles& given = of_series[series];
    for (const auto& [number, tile] : TilesOf(batch.columns[0], hints.facts)) {
      const std::string what = tile.Differs(given[number]);
      if (!what.empty()) {
        return Status(Code::kCorruption,
                      "facts of " + series + " up to " + std::to_string((number + 1) * tile_ms) +
                          " have another " + what + ": " + std::to_string(given[number].count) +
                          " of " + std::to_string(tile.count) + ", thinned until " +
                          std::to_string(whole_from));
      }
      given.erase(number);
    }
    if (!given.empty()) return Status(Code::kCorruption, "facts of no samples: " + series);
  }
  return {};
}

Result<Observed> ObserveSnapshotDirectory(const Universe& universe, tsdb::DatabaseOptions options,
                                          const std::string& dir) {
  Env& env = options.env != nullptr ? *options.env : Env::Default();
  options.dir = dir;
  options.background = false;
  Result<Observed> observed = Error(Code::kIo, "not opened");
  {
    auto restored = tsdb::Database::Open(options);
    if (!restored) return std::unexpected(restored.error());
    observed = Observe(universe, *(*restored)->Pin());
    if (Status status = (*restored)->Close(); !status.ok()) return std::unexpected(status);
  }
  if (Status status = env.RemoveTree(dir); !status.ok()) return std::unexpected(status);
  return observed;
}

Result<Observed> ObserveRoundTrip(const Universe& universe, const model::Snapshot& snapshot,
                                  tsdb::DatabaseOptions options, const std::string& dir) {
  Env& env = options.env != nullptr ? *options.env : Env::Default();
  tsdb::ExportOptions out;
  out.to = dir + ".blocks";
  tsdb::ImportOptions in;
  in.from = out.to;
  in.dir = dir + ".imported";
  for (const std::string& path : {out.to, in.dir}) {
    if (Status status = env.RemoveTree(path); !status.ok()) return std::unexpected(status);
  }
  const auto exported = tsdb::ExportBlocks(env, snapshot, out);
  if (!exported) return std::unexpected(exported.error());
  const auto imported = tsdb::ImportPrometheus(env, in);
  if (!imported) return std::unexpected(imported.error());
  if (imported->damaged() || imported->blocks != exported->blocks.size()) {
    return Error(Code::kCorruption, "not all exported blocks were imported");
  }
  options.dir = in.dir;
  options.background = false;
  Result<Observed> observed = Error(Code::kIo, "not opened");
  {
    const auto opened = tsdb::Database::Open(options);
    if (!opened) return std::unexpected(opened.error());
    observed = Observe(universe, *(*opened)->Pin(), /*starts_may_lack=*/true);
    if (Status status = (*opened)->Close(); !status.ok()) return std::unexpected(status);
  }
  for (const std::string& path : {out.to, in.dir}) {
    if (Status status = env.RemoveTree(path); !status.ok()) return std::unexpected(status);
  }
  return observed;
}

Status CheckLock(const tsdb::DatabaseOptions& options) {
  const auto second = tsdb::Database::Open(options);
  if (second) return Status(Code::kCorruption, "two databases on one directory");
  if (second.error().code() != Code::kUnavailable) return second.error();
  return {};
}

TailCheck::TailCheck(const Universe& universe, tsdb::Database* database)
    : universe_(universe), given_(universe.units()) {
  auto tail = database->OpenTail(database->Pin()->commit_number());
  if (tail) {
    tail_ = *std::move(tail);
  } else {
    status_ = tail.error();
  }
}

Status TailCheck::Follow() {
  while (status_.ok()) {
    const auto progress = tail_->Next(10'000, *this);
    if (!progress) return progress.error();
    if (progress->gaps > 0) return Status(Code::kCorruption, "a gap in the tail");
    if (progress->samples == 0) break;
    tail_->Release(tail_->position());
  }
  return status_;
}

void TailCheck::Row(const model::TailRow& row) {
  const auto wrong = [this, &row](const char* what) {
    status_ =
        Status(Code::kCorruption, std::string("the tail gives ") + what + " of " +
                                      row.source_labels->ToString() + row.key_labels->ToString() +
                                      " at " + std::to_string(row.timestamp_ms));
  };
  int source = 0;
  int slot = 0;
  int unused = 0;
  (void)FindPlace(universe_, *row.source_labels, &source, &unused);
  (void)FindPlace(universe_, *row.key_labels, &unused, &slot);
  if (source < 0 || source >= universe_.sources() || slot < 0 || slot >= kSlots) {
    return wrong("an invented series");
  }
  const int at = universe_.RowAt(source, row.timestamp_ms + Universe::OwnLagMs(slot));
  const Unit unit{source, at, Universe::PartOf(source, slot)};
  if (at < 0 || !universe_.Holds(unit, slot)) return wrong("an invented sample");
  if (row.commit_number < last_commit_) return wrong("an earlier commit");
  last_commit_ = row.commit_number;
  if (row.start_timestamp_ms != universe_.StartOf(source, at, slot)) {
    return wrong("another start timestamp");
  }
  const bool histogram = Universe::IsHistogram(slot, at);
  if (histogram != (row.histogram != nullptr)) return wrong("another kind");
  if (histogram ? !SameHistogram(*row.histogram, universe_.HistogramOf(source, at, slot))
                : Bits(row.value) != Bits(universe_.Value(source, at, slot))) {
    return wrong("another value");
  }
  uint8_t& given = given_[Universe::IndexOf(unit)];
  if (given < UINT8_MAX) ++given;
  ++samples_;
}

Status TailCheck::Expect(const std::vector<Unit>& acknowledged) const {
  for (const Unit& unit : acknowledged) {
    // Late duplicates may be given again.
    if (given_[Universe::IndexOf(unit)] < universe_.CountSlots(unit)) {
      return Status(Code::kCorruption, "the tail lacks source " + std::to_string(unit.source) +
                                           " row " + std::to_string(unit.row) + " part " +
                                           std::to_string(unit.part));
    }
  }
  return {};
}

}  // namespace tocsin::stress
