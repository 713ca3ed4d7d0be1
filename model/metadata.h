// Metadata: what an exposition says about a metric family beside its samples.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tocsin::model {

enum class MetricType : uint8_t {
  kUnknown,
  kCounter,
  kGauge,
  kHistogram,
  kGaugeHistogram,
  kSummary,
  kInfo,
  kStateset
};

inline std::string_view MetricTypeName(MetricType type) {
  switch (type) {
    case MetricType::kUnknown:
      return "unknown";
    case MetricType::kCounter:
      return "counter";
    case MetricType::kGauge:
      return "gauge";
    case MetricType::kHistogram:
      return "histogram";
    case MetricType::kGaugeHistogram:
      return "gaugehistogram";
    case MetricType::kSummary:
      return "summary";
    case MetricType::kInfo:
      return "info";
    case MetricType::kStateset:
      return "stateset";
  }
  return "unknown";
}

// The inverse; kUnknown for what is no name of a type.
inline MetricType MetricTypeOfName(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(MetricType::kStateset); ++i) {
    if (name == MetricTypeName(static_cast<MetricType>(i))) return static_cast<MetricType>(i);
  }
  return MetricType::kUnknown;
}

struct Metadata {
  MetricType type = MetricType::kUnknown;
  std::string unit;
  std::string help;
  friend bool operator==(const Metadata&, const Metadata&) = default;
};

struct Exemplar {
  std::string labels;  // packed, see Labels::packed
  double value = 0;
  int64_t timestamp_ms = 0;
  bool has_timestamp = false;
};

}  // namespace tocsin::model
