// BufferedStore: samples that came in any order (a text file), held as XOR chunks until they are
// imported: some 2 bytes a sample that continues its series, 17 at most.
//
// One thread at a time.
#pragma once

#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "tsdb/prometheus/chunk_writer.h"
#include "tsdb/prometheus/sample_store.h"

namespace tocsin::tsdb {

class BufferedStore final : public SampleStore {
 public:
  explicit BufferedStore(std::string name) : name_(std::move(name)) {}

  // Of several samples of a series at one timestamp the first one counts.
  void Add(const model::Labels& labels, model::Timestamp t, double value);
  // Afterwards nothing is added.
  void Finish();

  std::string name() const override { return name_; }
  std::set<model::Timestamp> Days() const override { return days_; }
  uint64_t sample_count() const override { return samples_; }
  uint64_t series_count() const override { return series_.size(); }
  bool FindLabels(uint64_t i, model::TimeRange range, model::Labels* labels,
                  SkippedData* skipped) const override;
  void ReadSamples(uint64_t i, model::TimeRange range, ChunkSamples* out,
                   SkippedData* skipped) const override;

 private:
  struct Series {
    model::Labels labels;
    XorChunkWriter open;
    model::TimeRange open_range{model::kMaxTimestamp, model::kMinTimestamp};
    std::vector<ChunkBytes> chunks;
  };
  void EndChunk(Series* series);

  const std::string name_;
  std::deque<Series> series_;
  std::unordered_map<model::Labels, Series*, model::LabelsHash> by_labels_;
  std::set<model::Timestamp> days_;
  uint64_t samples_ = 0;
};

}  // namespace tocsin::tsdb
