// A column of a rollup file: the facts of one series' buckets as bytes (docs/format/rollup.md).
//
//   u8 head | where the buckets are | the value, if all samples are alike, else a value column a
//   fact | resets | staleness markers
//
// Where: by the source's buckets (presence, and exceptions where times or counts differ from the
// rows'), or on its own. `first` is told by the last value of the bucket before, min, max and sum
// by the last value: neighbours of the same magnitude.
//
// Of native histograms:
//   u8 head | where the buckets are | how many are kept of each | these | of gauges, sums | markers
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/facts.h"
#include "model/storage.h"
#include "tsdb/rollup/bucket.h"

namespace tocsin::tsdb {

// A series' buckets, ascending, each with a sample or a marker. One thread.
struct ColumnBuckets {
  std::vector<int64_t> numbers;
  std::vector<model::Facts> facts;  // before_resets and kept are not used
  std::vector<double> before_resets;
  std::vector<const model::Histogram*> kept;  // of histograms: all buckets', in order
  bool gauges = false;
  model::ColumnBatch sums;  // of gauges

  // Replaces the buckets by what was read of a column and is left of it. False: histograms.
  bool Restore(const std::vector<model::Facts>& read, int64_t bucket_ms);
  // What the facts of a restored column are kept as.
  RollupKind RestoredKind() const;
  // Replaces the buckets by those of a column of floats.
  void Fold(const model::Column& column, int64_t bucket_ms);
  // The same of histograms, which stay where they are as long as the buckets are used. False: there
  // are floats, counters and gauges are mixed, or too many would be kept.
  bool FoldHistograms(const model::Column& column, int64_t bucket_ms);
};

void EncodeSourceBuckets(const SourceBuckets& buckets, int64_t bucket_ms, std::string* out);
[[nodiscard]] bool DecodeSourceBuckets(std::string_view bytes, int64_t bucket_ms,
                                       SourceBuckets* buckets);

// Precondition: `column` is not empty.
void EncodeRollupColumn(const ColumnBuckets& column, const SourceBuckets& source, int64_t bucket_ms,
                        RollupKind kind, std::string* out);
void EncodeHistogramRollup(const ColumnBuckets& column, const SourceBuckets& source,
                           int64_t bucket_ms, std::string* out);
// Replaces `facts`; values before resets live in `batch`, as histograms do.
[[nodiscard]] bool DecodeRollupColumn(std::string_view bytes, const SourceBuckets& source,
                                      int64_t bucket_ms, model::ColumnBatch* batch,
                                      std::vector<model::Facts>* facts);
[[nodiscard]] bool DecodeHistogramRollup(std::string_view bytes, const SourceBuckets& source,
                                         int64_t bucket_ms, model::ColumnBatch* batch,
                                         std::vector<model::Facts>* facts);

}  // namespace tocsin::tsdb
