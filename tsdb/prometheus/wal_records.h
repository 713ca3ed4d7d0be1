// The records of Prometheus' logs, decoded: series, samples, histograms, deletions, exemplars,
// metadata and markers of chunks, in the encodings of all versions up to 3.15.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "model/metadata.h"
#include "model/sample.h"

namespace tocsin::tsdb {

// What a log says, in its order. Series are named by the numbers that a series record gave them.
class PrometheusLogVisitor {
 public:
  virtual ~PrometheusLogVisitor() = default;
  virtual void OnSeries(uint64_t series, const model::Labels& labels) = 0;
  // `start_ms` 0: none.
  virtual void OnSample(uint64_t series, model::Timestamp t, double value,
                        model::Timestamp start_ms) = 0;
  virtual void OnHistogram(uint64_t series, model::Timestamp t, model::Histogram histogram,
                           model::Timestamp start_ms) = 0;
  virtual void OnDeletion(uint64_t series, model::TimeRange range) = 0;
  virtual void OnExemplar(uint64_t series, const model::Exemplar& exemplar) = 0;
  virtual void OnMetadata(uint64_t series, const model::Metadata& metadata) = 0;
  // Everything that the out-of-order log said of the series so far is in a head chunk.
  virtual void OnChunkMarker(uint64_t series) = 0;
  // A record type of a newer version.
  virtual void OnUnknown(uint8_t type) = 0;
};

// kCorruption when the record ends early or says nonsense; what stands before that was visited.
// `*rounded` is raised for each histogram with a population that a double does not hold exactly.
Status VisitPrometheusRecord(std::string_view record, PrometheusLogVisitor* visitor,
                             uint64_t* rounded);

}  // namespace tocsin::tsdb
