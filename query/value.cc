#include "query/value.h"

namespace tocsin::query {

std::string_view ValueTypeName(ValueType type) {
  switch (type) {
    case ValueType::kNone:
      return "none";
    case ValueType::kScalar:
      return "scalar";
    case ValueType::kVector:
      return "vector";
    case ValueType::kMatrix:
      return "matrix";
    case ValueType::kString:
      return "string";
  }
  return "unknown";
}

std::string_view ValueTypeText(ValueType type) {
  switch (type) {
    case ValueType::kNone:
      return "nothing";
    case ValueType::kScalar:
      return "scalar";
    case ValueType::kVector:
      return "instant vector";
    case ValueType::kMatrix:
      return "range vector";
    case ValueType::kString:
      return "string";
  }
  return "unknown";
}

ValueType TypeOf(const Value& value) {
  static constexpr ValueType kByIndex[] = {ValueType::kScalar, ValueType::kVector,
                                           ValueType::kMatrix, ValueType::kString};
  return kByIndex[value.index()];
}

uint64_t HeldBytes(const model::Histogram& h) {
  return sizeof(model::Histogram) + 32 +
         (h.positive_spans.size() + h.negative_spans.size()) * sizeof(model::BucketSpan) +
         (h.positive_buckets.size() + h.negative_buckets.size() + h.custom_values.size()) *
             sizeof(double);
}

uint64_t HeldBytes(const Value& value) {
  uint64_t bytes = 0;
  if (const auto* vector = std::get_if<Vector>(&value)) {
    for (const VectorSample& sample : *vector) {
      bytes += sizeof(VectorSample) + sample.metric.packed().capacity();
      if (sample.histogram != nullptr) bytes += HeldBytes(*sample.histogram);
    }
  } else if (const auto* matrix = std::get_if<Matrix>(&value)) {
    for (const Series& series : *matrix) {
      bytes += sizeof(Series) + series.metric.packed().capacity() +
               series.floats.capacity() * sizeof(FloatPoint) +
               series.histograms.capacity() * sizeof(HistogramPoint);
      const model::Histogram* before = nullptr;  // neighbours often share one
      for (const HistogramPoint& point : series.histograms) {
        if (point.histogram.get() != before) bytes += HeldBytes(*point.histogram);
        before = point.histogram.get();
      }
    }
  } else if (const auto* text = std::get_if<String>(&value)) {
    bytes = text->value.capacity();
  }
  return bytes;
}

}  // namespace tocsin::query
