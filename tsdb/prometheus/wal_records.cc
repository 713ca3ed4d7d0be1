#include "tsdb/prometheus/wal_records.h"

#include <vector>

#include "tsdb/prometheus/big_endian.h"
#include "tsdb/prometheus/chunk.h"

namespace tocsin::tsdb {
namespace {

using model::Histogram;
using model::Timestamp;

enum RecordType : uint8_t {
  kSeries = 1,
  kSamples = 2,
  kTombstones = 3,
  kExemplars = 4,
  kChunkMarkers = 5,
  kMetadata = 6,
  kHistograms = 7,
  kFloatHistograms = 8,
  kCustomHistograms = 9,
  kCustomFloatHistograms = 10,
  kSamplesV2 = 11,
  kHistogramsV2 = 12,
  kFloatHistogramsV2 = 13,
  kMinValidTime = 14,
};

// How a version 2 record says a start timestamp.
enum StartMarker : uint8_t { kNoStart = 0, kSameStart = 1 };

int64_t WrappingAdd(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}

model::Labels ReadLabels(ByteReader& in) {
  std::vector<model::LabelView> views;
  for (uint64_t left = in.Varint(); left > 0 && in.ok(); --left) {
    const std::string_view name = in.String();
    views.push_back({name, in.String()});
  }
  return in.ok() ? model::Labels::FromViews(std::move(views)) : model::Labels();
}

// The series and times in front of each entry of a record: differences to the record's first entry
// (version 1), or to the entry before and with start timestamps (version 2).
class EntryHeads {
 public:
  EntryHeads(ByteReader& in, bool version_2) : in_(in), version_2_(version_2) {
    if (version_2_ || in_.at_end()) return;
    series_ = first_series_ = ReadBig64(in_);
    first_ms_ = static_cast<Timestamp>(ReadBig64(in_));
  }
  void Next() {
    if (!version_2_) {
      series_ = first_series_ + static_cast<uint64_t>(in_.SignedVarint());
      t_ = WrappingAdd(first_ms_, in_.SignedVarint());
      return;
    }
    if (first_) {
      first_ = false;
      series_ = static_cast<uint64_t>(in_.SignedVarint());
      t_ = first_ms_ = in_.SignedVarint();
      start_ = first_start_ = in_.SignedVarint();
      return;
    }
    series_ += static_cast<uint64_t>(in_.SignedVarint());
    t_ = WrappingAdd(first_ms_, in_.SignedVarint());
    const uint8_t marker = in_.Fixed8();
    if (marker == kNoStart) {
      start_ = 0;
    } else if (marker != kSameStart) {
      start_ = WrappingAdd(first_start_, in_.SignedVarint());
    }
  }
  uint64_t series() const { return series_; }
  Timestamp t() const { return t_; }
  Timestamp start() const { return start_; }

 private:
  ByteReader& in_;
  const bool version_2_;
  bool first_ = true;
  uint64_t series_ = 0;
  uint64_t first_series_ = 0;
  Timestamp t_ = 0;
  Timestamp first_ms_ = 0;
  Timestamp start_ = 0;
  Timestamp first_start_ = 0;
};

void ReadSpans(ByteReader& in, std::vector<model::BucketSpan>* spans) {
  for (uint64_t left = in.Varint(); left > 0 && in.ok(); --left) {
    const auto offset = static_cast<int32_t>(in.SignedVarint());
    spans->push_back({offset, in.Varint32()});
  }
}

void ReadIntegerBuckets(ByteReader& in, std::vector<double>* buckets, bool* rounded) {
  int64_t population = 0;
  for (uint64_t left = in.Varint(); left > 0 && in.ok(); --left) {
    population = WrappingAdd(population, in.SignedVarint());
    if (population < 0) return in.Fail();
    buckets->push_back(static_cast<double>(population));
    *rounded |= buckets->back() > kExactIntegerMax;
  }
}

void ReadDoubles(ByteReader& in, std::vector<double>* out) {
  for (uint64_t left = in.Varint(); left > 0 && in.ok(); --left) out->push_back(ReadBigDouble(in));
}

Histogram ReadHistogram(ByteReader& in, bool integer, uint64_t* rounded_histograms) {
  Histogram h;
  bool rounded = false;
  h.integer = integer;
  const uint8_t hint = in.Fixed8();
  if (hint <= static_cast<uint8_t>(model::CounterResetHint::kGauge))
    h.hint = static_cast<model::CounterResetHint>(hint);
  h.schema = static_cast<int32_t>(in.SignedVarint());
  h.zero_threshold = ReadBigDouble(in);
  if (integer) {
    h.zero_count = static_cast<double>(in.Varint());
    h.count = static_cast<double>(in.Varint());
    rounded = h.zero_count > kExactIntegerMax || h.count > kExactIntegerMax;
  } else {
    h.zero_count = ReadBigDouble(in);
    h.count = ReadBigDouble(in);
  }
  h.sum = ReadBigDouble(in);
  ReadSpans(in, &h.positive_spans);
  ReadSpans(in, &h.negative_spans);
  for (std::vector<double>* buckets : {&h.positive_buckets, &h.negative_buckets}) {
    if (integer) {
      ReadIntegerBuckets(in, buckets, &rounded);
    } else {
      ReadDoubles(in, buckets);
    }
  }
  if (h.uses_custom_buckets()) ReadDoubles(in, &h.custom_values);
  *rounded_histograms += rounded ? 1 : 0;
  return h;
}

void VisitHistograms(ByteReader& in, bool integer, bool version_2, PrometheusLogVisitor* visitor,
                     uint64_t* rounded) {
  EntryHeads heads(in, version_2);
  while (!in.at_end()) {
    heads.Next();
    Histogram h = ReadHistogram(in, integer, rounded);
    if (in.ok()) visitor->OnHistogram(heads.series(), heads.t(), std::move(h), heads.start());
  }
}

void VisitSamples(ByteReader& in, bool version_2, PrometheusLogVisitor* visitor) {
  EntryHeads heads(in, version_2);
  while (!in.at_end()) {
    heads.Next();
    const double value = ReadBigDouble(in);
    if (in.ok()) visitor->OnSample(heads.series(), heads.t(), value, heads.start());
  }
}

void VisitExemplars(ByteReader& in, PrometheusLogVisitor* visitor) {
  EntryHeads heads(in, false);
  while (!in.at_end()) {
    heads.Next();
    model::Exemplar exemplar;
    exemplar.value = ReadBigDouble(in);
    exemplar.timestamp_ms = heads.t();
    exemplar.has_timestamp = true;
    exemplar.labels = ReadLabels(in).packed();
    if (in.ok()) visitor->OnExemplar(heads.series(), exemplar);
  }
}

void VisitMetadata(ByteReader& in, PrometheusLogVisitor* visitor) {
  while (!in.at_end()) {
    const uint64_t series = in.Varint();
    // The reference numbers types as we do.
    const uint8_t type = in.Fixed8();
    model::Metadata metadata;
    if (type <= static_cast<uint8_t>(model::MetricType::kStateset))
      metadata.type = static_cast<model::MetricType>(type);
    for (uint64_t left = in.Varint(); left > 0 && in.ok(); --left) {
      const std::string_view name = in.String();
      const std::string_view value = in.String();
      if (name == "UNIT") metadata.unit = value;
      if (name == "HELP") metadata.help = value;
    }
    if (in.ok()) visitor->OnMetadata(series, metadata);
  }
}

void VisitSeries(ByteReader& in, PrometheusLogVisitor* visitor) {
  while (!in.at_end()) {
    const uint64_t series = ReadBig64(in);
    const model::Labels labels = ReadLabels(in);
    if (in.ok()) visitor->OnSeries(series, labels);
  }
}

void VisitDeletions(ByteReader& in, PrometheusLogVisitor* visitor) {
  while (!in.at_end()) {
    const uint64_t series = ReadBig64(in);
    const Timestamp min_ms = in.SignedVarint();
    const Timestamp max_ms = in.SignedVarint();
    if (in.ok()) visitor->OnDeletion(series, {min_ms, max_ms});
  }
}

void VisitChunkMarkers(ByteReader& in, PrometheusLogVisitor* visitor) {
  while (!in.at_end()) {
    const uint64_t series = ReadBig64(in);
    in.Skip(8);
    if (in.ok()) visitor->OnChunkMarker(series);
  }
}

}  // namespace

Status VisitPrometheusRecord(std::string_view record, PrometheusLogVisitor* visitor,
                             uint64_t* rounded) {
  ByteReader in(record);
  const uint8_t type = in.Fixed8();
  switch (type) {
    case kSeries:
      VisitSeries(in, visitor);
      break;
    case kSamples:
    case kSamplesV2:
      VisitSamples(in, type == kSamplesV2, visitor);
      break;
    case kTombstones:
      VisitDeletions(in, visitor);
      break;
    case kExemplars:
      VisitExemplars(in, visitor);
      break;
    case kChunkMarkers:
      VisitChunkMarkers(in, visitor);
      break;
    case kMetadata:
      VisitMetadata(in, visitor);
      break;
    case kHistograms:
    case kCustomHistograms:
    case kHistogramsV2:
      VisitHistograms(in, true, type == kHistogramsV2, visitor, rounded);
      break;
    case kFloatHistograms:
    case kCustomFloatHistograms:
    case kFloatHistogramsV2:
      VisitHistograms(in, false, type == kFloatHistogramsV2, visitor, rounded);
      break;
    case kMinValidTime:
      break;
    default:
      if (in.ok()) visitor->OnUnknown(type);
      break;
  }
  if (in.ok()) return Status::Ok();
  return Status(Code::kCorruption, "record of type " + std::to_string(type) + " is damaged");
}

}  // namespace tocsin::tsdb
