#include "api/json_results.h"

#include <charconv>
#include <cmath>
#include <variant>

#include "base/number.h"
#include "base/time_text.h"
#include "query/histogram_math.h"
#include "query/query_log.h"

namespace tocsin::api {
namespace {

constexpr std::string_view kZeroTime = "\"0001-01-01T00:00:00Z\"";

void AppendSeconds(std::string& out, model::Timestamp time_ms) {
  char digits[24];
  if (time_ms < 0) out += '-';
  // Unsigned, so that the most negative time has a magnitude.
  const uint64_t magnitude =
      time_ms < 0 ? uint64_t{0} - static_cast<uint64_t>(time_ms) : static_cast<uint64_t>(time_ms);
  const auto end = std::to_chars(digits, digits + sizeof(digits), magnitude / 1000);
  out.append(digits, end.ptr);
  const auto fraction = static_cast<unsigned>(magnitude % 1000);
  if (fraction == 0) return;
  const char text[4] = {'.', static_cast<char>('0' + fraction / 100),
                        static_cast<char>('0' + fraction / 10 % 10),
                        static_cast<char>('0' + fraction % 10)};
  out.append(text, sizeof(text));
}

void AppendQuotedFloat(std::string& out, double v) {
  out += '"';
  AppendFloat(out, v);
  out += '"';
}

void AppendPoint(std::string& out, model::Timestamp time_ms, double v) {
  out += '[';
  AppendSeconds(out, time_ms);
  out += ",\"";
  AppendFloat(out, v);
  out += "\"]";
}

void AppendHistogramPoint(std::string& out, model::Timestamp time_ms,
                          const model::Histogram& histogram) {
  out += '[';
  AppendSeconds(out, time_ms);
  out += ',';
  AppendHistogram(out, histogram);
  out += ']';
}

// 0: (lower, upper], 1: [lower, upper), 2: open, 3: closed.
char BoundaryCode(const query::HistogramBucket& bucket, bool custom) {
  const bool lower = custom ? bucket.index == 0 : bucket.lower_inclusive;
  const bool upper = custom || bucket.upper_inclusive;
  if (lower) return upper ? '3' : '1';
  return upper ? '0' : '2';
}

void WriteVector(DataWriter* out, const query::Vector& vector) {
  out->text() += '[';
  bool first = true;
  for (const query::VectorSample& sample : vector) {
    std::string& text = out->text();
    if (!std::exchange(first, false)) text += ',';
    text += R"({"metric":)";
    AppendLabels(text, sample.metric);
    if (sample.histogram != nullptr) {
      text += R"(,"histogram":)";
      AppendHistogramPoint(text, sample.timestamp_ms, *sample.histogram);
    } else {
      text += R"(,"value":)";
      AppendPoint(text, sample.timestamp_ms, sample.value);
    }
    text += '}';
    if (out->Flush()) return;
  }
  out->text() += ']';
}

// False when the answer has become too large.
bool WriteSeries(DataWriter* out, const query::Series& series) {
  // Points between two looks at the size of the piece: about 4 KiB.
  constexpr size_t kPointsPerFlush = 128;
  out->text() += R"({"metric":)";
  AppendLabels(out->text(), series.metric);
  if (!series.floats.empty()) {
    out->text() += R"(,"values":[)";
    for (size_t i = 0; i < series.floats.size(); ++i) {
      if (i > 0) out->text() += ',';
      AppendPoint(out->text(), series.floats[i].timestamp_ms, series.floats[i].value);
      if (i % kPointsPerFlush == 0 && out->Flush()) return false;
    }
    out->text() += ']';
  }
  if (!series.histograms.empty()) {
    out->text() += R"(,"histograms":[)";
    for (size_t i = 0; i < series.histograms.size(); ++i) {
      if (i > 0) out->text() += ',';
      AppendHistogramPoint(out->text(), series.histograms[i].timestamp_ms,
                           *series.histograms[i].histogram);
      if (out->Flush()) return false;
    }
    out->text() += ']';
  }
  out->text() += '}';
  return !out->Flush();
}

void WriteMatrix(DataWriter* out, const query::Matrix& matrix) {
  out->text() += '[';
  bool first = true;
  for (const query::Series& series : matrix) {
    if (!std::exchange(first, false)) out->text() += ',';
    if (!WriteSeries(out, series)) return;
  }
  out->text() += ']';
}

void WriteValue(DataWriter* out, const query::Value& value) {
  if (const auto* scalar = std::get_if<query::Scalar>(&value)) {
    AppendPoint(out->text(), scalar->timestamp_ms, scalar->value);
  } else if (const auto* vector = std::get_if<query::Vector>(&value)) {
    WriteVector(out, *vector);
  } else if (const auto* matrix = std::get_if<query::Matrix>(&value)) {
    WriteMatrix(out, *matrix);
  } else {
    const auto& string = std::get<query::String>(value);
    out->text() += '[';
    AppendSeconds(out->text(), string.timestamp_ms);
    out->text() += ',';
    AppendJsonString(out->text(), string.value, JsonEscape::kHtml);
    out->text() += ']';
  }
}

}  // namespace

void AppendLabels(std::string& out, const model::Labels& labels) {
  out += '{';
  bool first = true;
  for (const model::LabelView label : labels) {
    if (!std::exchange(first, false)) out += ',';
    AppendJsonString(out, label.name, JsonEscape::kPlain);
    out += ':';
    AppendJsonString(out, label.value, JsonEscape::kPlain);
  }
  out += '}';
}

void AppendTexts(std::string& out, const std::vector<std::pair<std::string, std::string>>& texts) {
  out += '{';
  bool first = true;
  for (const auto& [name, text] : texts) {
    if (!std::exchange(first, false)) out += ',';
    AppendJsonString(out, name, JsonEscape::kPlain);
    out += ':';
    AppendJsonString(out, text, JsonEscape::kPlain);
  }
  out += '}';
}

void AppendHistogram(std::string& out, const model::Histogram& histogram) {
  out += R"({"count":)";
  AppendQuotedFloat(out, histogram.count);
  out += R"(,"sum":)";
  AppendQuotedFloat(out, histogram.sum);
  bool first = true;
  for (const query::HistogramBucket& bucket : query::AscendingBuckets(histogram)) {
    if (bucket.count == 0) continue;
    out += std::exchange(first, false) ? R"(,"buckets":[[)" : ",[";
    out += BoundaryCode(bucket, histogram.uses_custom_buckets());
    for (const double v : {bucket.lower, bucket.upper, bucket.count}) {
      out += ',';
      AppendQuotedFloat(out, v);
    }
    out += ']';
  }
  out += first ? "}" : "]}";
}

std::string FormatExponent(double v) {
  if (!std::isfinite(v)) return FormatFloat(v);
  char text[40];
  const auto end = std::to_chars(text, text + sizeof(text), v, std::chars_format::scientific);
  return std::string(text, end.ptr);
}

void AppendWallTime(std::string& out, model::Timestamp time_ms) {
  if (time_ms == 0) {
    out += kZeroTime;
    return;
  }
  out += '"';
  out += FormatTime(time_ms);
  out += '"';
}

void WriteQueryData(DataWriter* out, const query::QueryResult& result, StatsMode stats) {
  out->text() += R"({"resultType":")";
  out->text() += query::ValueTypeName(query::TypeOf(result.value));
  out->text() += R"(","result":)";
  WriteValue(out, result.value);
  if (stats != StatsMode::kNone) {
    out->text() += R"(,"stats":)";
    query::AppendQueryStats(result.stats, stats == StatsMode::kPerStep, &out->text());
  }
  out->text() += '}';
}

}  // namespace tocsin::api
