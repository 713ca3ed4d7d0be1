// SampleStore: one place where Prometheus keeps samples, a block or the head, as an import reads
// it: series by number, their labels and their samples within a range.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/labels.h"
#include "model/sample.h"
#include "tsdb/prometheus/block.h"
#include "tsdb/prometheus/chunk.h"

namespace tocsin::tsdb {

// Samples before 1691 or after 2248 are not taken for samples: nothing of a log or a block may make
// an import walk through more days than that.
inline constexpr model::TimeRange kImportableRange{-(int64_t{1} << 43), int64_t{1} << 43};

// Adds the UTC days that `range` touches.
void AddDays(model::TimeRange range, std::set<model::Timestamp>* days);

// What an import left out, and why. Lines for people, each once a kind and place.
struct SkippedData {
  uint64_t damaged_series = 0;
  uint64_t damaged_chunks = 0;
  std::map<uint8_t, uint64_t> unknown_chunks;  // by encoding
  uint64_t rounded_histograms = 0;
  uint64_t invalid_histograms = 0;  // of a schema that is not known, or contradicting themselves
  // Of the first ones.
  static constexpr size_t kExamplesMax = 20;
  std::vector<std::string> examples;

  bool damaged() const {
    return damaged_series + damaged_chunks + invalid_histograms > 0 || !unknown_chunks.empty();
  }
  void AddExample(std::string text);
};

class SampleStore {
 public:
  virtual ~SampleStore() = default;
  virtual std::string name() const = 0;  // for messages
  // Starts of the UTC days that may have samples.
  virtual std::set<model::Timestamp> Days() const = 0;
  virtual uint64_t sample_count() const = 0;  // about; for progress
  virtual uint64_t series_count() const = 0;
  // The labels of series `i` if it may have samples in `range`. False when it has none, or is
  // damaged, which is noted.
  virtual bool FindLabels(uint64_t i, model::TimeRange range, model::Labels* labels,
                          SkippedData* skipped) const = 0;
  // Adds the samples of series `i` in `range` that were not deleted, chunk by chunk: not in order
  // where chunks overlap. Damage is noted; what is sound is added.
  virtual void ReadSamples(uint64_t i, model::TimeRange range, ChunkSamples* out,
                           SkippedData* skipped) const = 0;
};

class BlockStore final : public SampleStore {
 public:
  explicit BlockStore(std::unique_ptr<Block> block) : block_(std::move(block)) {}

  const Block& block() const { return *block_; }
  std::string name() const override { return block_->meta().ulid; }
  std::set<model::Timestamp> Days() const override;
  uint64_t sample_count() const override { return block_->meta().stats.samples; }
  uint64_t series_count() const override { return block_->index().series_count(); }
  bool FindLabels(uint64_t i, model::TimeRange range, model::Labels* labels,
                  SkippedData* skipped) const override;
  void ReadSamples(uint64_t i, model::TimeRange range, ChunkSamples* out,
                   SkippedData* skipped) const override;

 private:
  const std::unique_ptr<Block> block_;
  mutable std::vector<ChunkPlace> places_;  // scratch: one thread at a time
};

// Adds one chunk's samples in `range` and outside of `deleted` (may be null) to `out`.
Status AddChunk(const ChunkView& chunk, model::TimeRange range,
                const std::vector<model::TimeRange>* deleted, ChunkSamples* out);

}  // namespace tocsin::tsdb
