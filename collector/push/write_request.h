// WriteRequest: walks a remote write 1.0 message (prometheus.WriteRequest, wire format of protocol
// buffers) without building objects.
//
//   WriteRequest   1: TimeSeries*   3: MetricMetadata*
//   TimeSeries     1: Label*   2: Sample*   3: Exemplar*   4: Histogram*
//   Label          1: name   2: value
//   Sample         1: value (double)   2: timestamp (ms)
//
// Senders write a series' labels first and in one run; these bytes, as they stand, name the series.
// Unknown fields are skipped, as protocol buffers want it.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "model/metadata.h"
#include "model/sample.h"

namespace tocsin::collector {

struct WireExemplar {
  std::vector<model::LabelView> labels;
  double value = 0;
  model::Timestamp timestamp_ms = 0;
};

struct WireHistogram {
  model::Histogram histogram;
  model::Timestamp timestamp_ms = 0;
};

// One TimeSeries. Views point into the message.
struct WireSeries {
  std::string_view
      raw_labels;             // the bytes of all Label fields; of a stray order, see `labels_apart`
  bool labels_apart = false;  // labels came in several runs: raw_labels is the first only
  std::string_view message;   // the whole TimeSeries
  std::vector<model::Sample> samples;
  std::vector<WireExemplar> exemplars;
  std::vector<WireHistogram> histograms;
};

struct WireMetadata {
  std::string_view family;
  model::MetricType type = model::MetricType::kUnknown;
  std::string_view help;
  std::string_view unit;
};

// Iterates over the message. Every view lives as long as the message does; the contents of `series`
// only until the next call.
class WriteRequestReader {
 public:
  explicit WriteRequestReader(std::string_view message)
      : p_(message.data()), end_(message.data() + message.size()) {}

  enum class Next : uint8_t { kSeries, kMetadata, kEnd, kMalformed };
  Next Read(WireSeries* series, WireMetadata* metadata);

 private:
  const char* p_;
  const char* const end_;
};

// The labels of a TimeSeries, in wire order. False: malformed.
bool ReadLabels(std::string_view time_series, std::vector<model::LabelView>* labels);

}  // namespace tocsin::collector
