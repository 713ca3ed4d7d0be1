// HeadStore: what Prometheus had in memory, from its files: chunks_head/ (closed chunks), wal/ (all
// else since the last checkpoint) and wbl/ (samples that came out of order).
//
// Samples that only the logs have are kept as chunks in memory: about 2 bytes each, so an hour of a
// million series at 15 s takes half a gigabyte. Where chunks_head/ is whole that is the last 120
// samples of each series only.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/env.h"
#include "tsdb/prometheus/chunk_writer.h"
#include "tsdb/prometheus/exemplar_import.h"
#include "tsdb/prometheus/sample_store.h"
#include "tsdb/prometheus/wal_reader.h"
#include "tsdb/prometheus/wal_records.h"

namespace tocsin::tsdb {

// As many as a store keeps by default; of more the last are taken.
inline constexpr size_t kImportExemplarsMax = 100'000;

// What was read of the head, and what of it has no place in a Tocsin store.
struct HeadStoreStats {
  PrometheusLogStats wal;
  PrometheusLogStats wbl;
  uint64_t head_chunks = 0;
  uint64_t damaged_chunk_files = 0;
  uint64_t samples = 0;  // of the logs, that no chunk has
  uint64_t late_samples = 0;
  uint64_t repeated_samples = 0;  // not later than the series' last one: the log says them twice
  uint64_t samples_before_blocks = 0;
  uint64_t samples_without_series = 0;
  uint64_t samples_outside_time = 0;  // not in kImportableRange
  uint64_t chunks_without_series = 0;
  uint64_t deletions = 0;
  uint64_t exemplars = 0;
  uint64_t exemplars_without_series = 0;
  uint64_t exemplars_over_limit = 0;
  uint64_t metadata_without_series = 0;
  uint64_t histogram_starts = 0;  // start timestamps of histograms
  uint64_t damaged_records = 0;
  uint64_t unknown_records = 0;
  uint64_t rounded_histograms = 0;
  std::vector<std::string> damage;  // the first of each kind, for people
};

class HeadStore final : public SampleStore {
 public:
  // `min_valid_ms`: blocks hold everything before it that is not late; what the logs say of that
  // time may be deleted since. `progress` is told the share of the logs that was read.
  static Result<std::unique_ptr<HeadStore>> Open(
      Env& env, const std::string& directory, model::Timestamp min_valid_ms,
      const std::function<void(uint64_t done_bytes, uint64_t all_bytes)>& progress);

  const HeadStoreStats& stats() const { return stats_; }
  // What the log says of metric families; the last word counts.
  const std::map<std::string, model::Metadata>& metadata() const { return metadata_; }
  // The last exemplars, in the log's order. Once.
  std::vector<SeriesExemplar> TakeExemplars();
  std::string name() const override { return "head"; }
  std::set<model::Timestamp> Days() const override { return days_; }
  uint64_t sample_count() const override;
  uint64_t series_count() const override { return series_.size(); }
  bool FindLabels(uint64_t i, model::TimeRange range, model::Labels* labels,
                  SkippedData* skipped) const override;
  void ReadSamples(uint64_t i, model::TimeRange range, ChunkSamples* out,
                   SkippedData* skipped) const override;

 private:
  class Loader;
  struct Piece {
    model::Timestamp min_ms;
    model::Timestamp max_ms;
    ChunkView chunk;
  };
  struct Series {
    model::Labels labels;
    model::Timestamp last_ms = model::kMinTimestamp;  // of what came in order
    std::vector<Piece> pieces;
    std::vector<model::TimeRange> deleted;
    // (first timestamp, start): from there on, until the next.
    std::vector<std::pair<model::Timestamp, model::Timestamp>> starts;
    // While logs are read: chunks that are being written.
    XorChunkWriter floats;
    std::unique_ptr<HistogramChunkWriter> histograms;
    std::unique_ptr<XorChunkWriter> late;
    model::TimeRange late_range{model::kMaxTimestamp, model::kMinTimestamp};
    std::vector<std::pair<model::Timestamp, model::Histogram>> late_histograms;
  };

  HeadStore() = default;
  void AddPiece(Series* series, ChunkBytes chunk);
  void AddRange(model::TimeRange range) { AddDays(range, &days_); }

  std::deque<Series> series_;
  std::deque<std::string> chunk_data_;
  std::vector<std::unique_ptr<MappedFile>> chunk_files_;
  std::set<model::Timestamp> days_;
  std::map<std::string, model::Metadata> metadata_;
  std::deque<std::pair<const Series*, model::Exemplar>> exemplars_;
  HeadStoreStats stats_;
};

}  // namespace tocsin::tsdb
