#include "query/testing/result_check.h"

#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "base/number.h"
#include "query/histogram_math.h"

namespace tocsin::query {
namespace {

Status Differs(std::string message) { return Status(Code::kInternal, std::move(message)); }

bool AlmostEqual(double a, double b) { return tocsin::query::AlmostEqual(a, b, kScriptTolerance); }

bool AlmostEqual(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!AlmostEqual(a[i], b[i])) return false;
  }
  return true;
}

std::string Text(const ScriptValue& value) {
  if (value.omitted) return "_";
  if (value.histogram != nullptr) return HistogramScriptText(*value.histogram);
  return model::IsStale(value.value) ? "stale" : FormatFloatGo(value.value);
}

std::string Text(double value, const model::Histogram* histogram) {
  if (histogram != nullptr) return HistogramScriptText(*histogram);
  return model::IsStale(value) ? "stale" : FormatFloatGo(value);
}

bool Fits(const ScriptValue& expected, double value, const model::Histogram* histogram) {
  if ((expected.histogram != nullptr) != (histogram != nullptr)) return false;
  if (histogram != nullptr) {
    return tocsin::query::AlmostEqual(*expected.histogram, expected.hint_given, *histogram);
  }
  return AlmostEqual(expected.value, value);
}

std::string Text(const Series& series) {
  std::string text = "floats";
  for (const FloatPoint& point : series.floats) {
    text += " " + FormatFloatGo(point.value) + "@" + std::to_string(point.timestamp_ms);
  }
  if (series.histograms.empty()) return text;
  text += ", histograms";
  for (const HistogramPoint& point : series.histograms) {
    text += " " + HistogramScriptText(*point.histogram) + "@" + std::to_string(point.timestamp_ms);
  }
  return text;
}

using ExpectedByMetric = std::map<model::Labels, const ExpectedSeries*>;

ExpectedByMetric IndexExpected(const EvalCommand& eval) {
  ExpectedByMetric index;
  for (const ExpectedSeries& series : eval.expected) index[series.metric] = &series;
  return index;
}

Status CheckAllFound(const ExpectedByMetric& expected, const std::set<model::Labels>& found) {
  for (const auto& [metric, series] : expected) {
    if (found.contains(metric)) continue;
    return Differs("expected " + metric.ToString() + " with " + Text(series->values.front()) +
                   ", it is not in the result");
  }
  return Status::Ok();
}

Status CheckVector(const EvalCommand& eval, const Vector& vector) {
  if (eval.expected_scalar) return Differs("expected a scalar, got a vector");
  const ExpectedByMetric expected = IndexExpected(eval);
  std::set<model::Labels> found;
  for (size_t i = 0; i < vector.size(); ++i) {
    const VectorSample& sample = vector[i];
    const std::string metric = sample.metric.ToString();
    const std::string got = Text(sample.value, sample.histogram.get());
    const auto it = expected.find(sample.metric);
    if (it == expected.end()) return Differs("unexpected " + metric + " with " + got);
    if (!found.insert(sample.metric).second) return Differs(metric + " is there twice");
    const ExpectedSeries& want = *it->second;
    if (eval.ordered && want.position != static_cast<int>(i) + 1) {
      return Differs("expected " + metric + " at position " + std::to_string(want.position) +
                     ", it is at " + std::to_string(i + 1));
    }
    if (!Fits(want.values.front(), sample.value, sample.histogram.get())) {
      return Differs("expected " + Text(want.values.front()) + " for " + metric + ", got " + got);
    }
  }
  return CheckAllFound(expected, found);
}

Status CheckSeries(const EvalCommand& eval, const ExpectedSeries& want, const Series& series) {
  const std::string metric = series.metric.ToString();
  size_t floats = 0;
  size_t histograms = 0;
  for (size_t i = 0; i < want.values.size(); ++i) {
    const ScriptValue& value = want.values[i];
    const model::Timestamp at = eval.start_ms + static_cast<int64_t>(i) * eval.step_ms;
    if (at > eval.end_ms) {
      return Differs("more values are expected for " + metric + " than the query has steps");
    }
    if (value.omitted) continue;
    const std::string where = " for " + metric + " at " + std::to_string(at) + " ms";
    const bool is_histogram = value.histogram != nullptr;
    const model::Histogram* histogram = nullptr;
    double number = 0;
    model::Timestamp found_at = at - 1;
    if (is_histogram && histograms < series.histograms.size()) {
      histogram = series.histograms[histograms].histogram.get();
      found_at = series.histograms[histograms++].timestamp_ms;
    } else if (!is_histogram && floats < series.floats.size()) {
      number = series.floats[floats].value;
      found_at = series.floats[floats++].timestamp_ms;
    }
    if (found_at != at) {
      return Differs("expected " + Text(value) + where + ", got " + Text(series));
    }
    if (!Fits(value, number, histogram)) {
      return Differs("expected " + Text(value) + where + ", got " + Text(number, histogram) + " (" +
                     Text(series) + ")");
    }
  }
  if (floats != series.floats.size() || histograms != series.histograms.size()) {
    return Differs("more points than expected for " + metric + ": " + Text(series));
  }
  return Status::Ok();
}

Status CheckMatrix(const EvalCommand& eval, const Matrix& matrix) {
  if (eval.expected_scalar) return Differs("expected a scalar, got a matrix");
  if (eval.ordered) return Differs("expected an ordered result, but the query gave a matrix");
  TOCSIN_RETURN_IF_ERROR(CheckSorted(matrix));
  const ExpectedByMetric expected = IndexExpected(eval);
  std::set<model::Labels> found;
  for (const Series& series : matrix) {
    const auto it = expected.find(series.metric);
    if (it == expected.end()) {
      return Differs("unexpected " + series.metric.ToString() + ": " + Text(series));
    }
    if (!found.insert(series.metric).second) {
      return Differs(series.metric.ToString() + " is there twice");
    }
    TOCSIN_RETURN_IF_ERROR(CheckSeries(eval, *it->second, series));
  }
  return CheckAllFound(expected, found);
}

Status CheckKind(const AnnotationExpectation& expectation, const std::vector<std::string>& found,
                 const std::string& kind) {
  if (expectation.none && !found.empty()) {
    return Differs("unexpected " + kind + ": " + found.front());
  }
  if (expectation.expected.empty()) return Status::Ok();
  for (const TextExpectation& expected : expectation.expected) {
    bool matched = false;
    for (const std::string& text : found) matched = matched || expected.Matches(text);
    if (matched) continue;
    std::string all;
    for (const std::string& text : found) all += " [" + text + "]";
    return Differs("expected " + kind + " with " + expected.ToString() + ", got" +
                   (all.empty() ? " none" : all));
  }
  for (const std::string& text : found) {
    bool matched = false;
    for (const TextExpectation& expected : expectation.expected) {
      matched = matched || expected.Matches(text);
    }
    if (!matched) return Differs("unexpected " + kind + ": " + text);
  }
  return Status::Ok();
}

}  // namespace

bool AlmostEqual(double a, double b, double tolerance) {
  if (model::IsStale(a) || model::IsStale(b)) return model::IsStale(a) && model::IsStale(b);
  if (std::isnan(a) && std::isnan(b)) return true;
  if (a == b) return true;
  static constexpr double kLeastNormal = std::numeric_limits<double>::min();
  const double sum = std::fabs(a) + std::fabs(b);
  const double difference = std::fabs(a - b);
  if (a == 0 || b == 0 || sum < kLeastNormal) return difference < tolerance * kLeastNormal;
  return difference / std::min(sum, std::numeric_limits<double>::max()) < tolerance;
}

bool AlmostEqual(const model::Histogram& expected, bool hint_given,
                 const model::Histogram& actual) {
  model::Histogram a = expected;
  model::Histogram b = actual;
  CompactHistogram(&a);
  CompactHistogram(&b);
  return a.schema == b.schema && a.zero_threshold == b.zero_threshold &&
         AlmostEqual(a.count, b.count) && AlmostEqual(a.sum, b.sum) &&
         AlmostEqual(a.zero_count, b.zero_count) &&
         (!a.uses_custom_buckets() || a.custom_values == b.custom_values) &&
         a.positive_spans == b.positive_spans && a.negative_spans == b.negative_spans &&
         AlmostEqual(a.positive_buckets, b.positive_buckets) &&
         AlmostEqual(a.negative_buckets, b.negative_buckets) && (!hint_given || a.hint == b.hint);
}

Status CheckAnnotations(const EvalCommand& eval, const Annotations& annotations) {
  TOCSIN_RETURN_IF_ERROR(CheckKind(eval.warnings, annotations.warnings, "warning"));
  return CheckKind(eval.infos, annotations.infos, "info");
}

Status CheckFailure(const EvalCommand& eval, const Status& error) {
  if (eval.failure->Matches(error.message())) return Status::Ok();
  return Differs("expected a failure with " + eval.failure->ToString() +
                 ", got: " + error.message());
}

Status CheckSorted(const Matrix& matrix) {
  for (size_t i = 1; i < matrix.size(); ++i) {
    if (model::Labels::Compare(matrix[i - 1].metric, matrix[i].metric) <= 0) continue;
    return Differs("matrix is not sorted: " + matrix[i - 1].metric.ToString() + " stands before " +
                   matrix[i].metric.ToString());
  }
  return Status::Ok();
}

Status CheckValue(const EvalCommand& eval, const Value& value) {
  if (const auto* matrix = std::get_if<Matrix>(&value)) return CheckMatrix(eval, *matrix);
  if (const auto* vector = std::get_if<Vector>(&value)) return CheckVector(eval, *vector);
  if (const auto* scalar = std::get_if<Scalar>(&value)) {
    if (!eval.expected_scalar) return Differs("expected no scalar, got one");
    if (AlmostEqual(*eval.expected_scalar, scalar->value)) return Status::Ok();
    return Differs("expected scalar " + FormatFloatGo(*eval.expected_scalar) + ", got " +
                   FormatFloatGo(scalar->value));
  }
  const std::string& text = std::get<String>(value).value;
  if (eval.expected_string == text) return Status::Ok();
  return Differs("expected string \"" + eval.expected_string.value_or("") + "\", got \"" + text +
                 "\"");
}

}  // namespace tocsin::query
