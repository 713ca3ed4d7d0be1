#include "query/annotations.h"

#include <date/date.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/duration.h"
#include "base/number.h"
#include "model/labels.h"

namespace tocsin::query {
namespace {

std::string WithMetric(std::string text, std::string_view metric) {
  if (!metric.empty()) text += " for metric name " + model::QuoteString(metric);
  return text;
}

// RFC 3339 with as many digits of a second as there are.
std::string TimeText(model::Timestamp ms) {
  const date::sys_time<std::chrono::milliseconds> time{std::chrono::milliseconds(ms)};
  std::string text = date::format("%Y-%m-%dT%H:%M:%S", time);
  if (text.find('.') != std::string::npos) {
    while (text.back() == '0') text.pop_back();
    if (text.back() == '.') text.pop_back();
  }
  return text + "Z";
}

}  // namespace

std::string AnnotationSink::Place(PositionRange position) const {
  return " (" + PositionText(query_text_, position) + ")";
}

void AnnotationSink::Repeat(PositionRange original, int start) {
  repetitions_.push_back({original, start});
}

std::vector<PositionRange> AnnotationSink::PlacesOf(PositionRange position) const {
  std::vector<PositionRange> places{position};
  for (const auto& [original, start] : repetitions_) {
    for (size_t i = 0, count = places.size(); i < count; ++i) {
      const PositionRange place = places[i];
      if (place.start < original.start || place.end > original.end) continue;
      const int moved = start - original.start;
      places.push_back({place.start + moved, place.end + moved});
    }
  }
  return places;
}

void AnnotationSink::Add(bool warning, std::string_view message, PositionRange position) {
  std::string text = warning ? "PromQL warning: " : "PromQL info: ";
  text += message;
  MutexLock lock(mu_);
  (warning ? warnings_ : infos_).insert({std::move(text), position.start, position.end});
}

void AnnotationSink::Thinned(model::Timestamp until, int64_t bucket_ms) {
  std::string text = fmt::format(
      "Tocsin warning: raw samples up to {} are past their retention; the answer before that is an "
      "estimate from {} rollups (exact ones need range, step, offset and times that are multiples "
      "of the rollup's resolution, and a function that it keeps the facts for)",
      TimeText(until), FormatDuration(bucket_ms));
  MutexLock lock(mu_);
  general_warnings_.insert(std::move(text));
}

void AnnotationSink::InvalidQuantile(double value, PositionRange position) {
  Warn("quantile value should be between 0 and 1, got " + FormatFloatGo(value), position);
}
void AnnotationSink::InvalidRatio(double value, double capped, PositionRange position) {
  Warn(fmt::format("ratio value should be between -1 and 1, got {}, capping to {}",
                   FormatFloatGo(value), FormatFloatGo(capped)),
       position);
}
void AnnotationSink::BadBucketLabel(std::string_view metric, std::string_view le,
                                    PositionRange position) {
  Warn(WithMetric(
           "bucket label \"le\" is missing or has a malformed value of " + model::QuoteString(le),
           metric),
       position);
}
void AnnotationSink::MixedFloatsHistograms(std::string_view metric, PositionRange position) {
  Warn("encountered a mix of histograms and floats for metric name " + model::QuoteString(metric),
       position);
}
void AnnotationSink::MixedFloatsHistogramsInAggregation(PositionRange position) {
  Warn("encountered a mix of histograms and floats for aggregation", position);
}
void AnnotationSink::MixedClassicNative(std::string_view metric, PositionRange position) {
  Warn(WithMetric("vector contains a mix of classic and native histograms", metric), position);
}
void AnnotationSink::NotCounter(std::string_view metric, PositionRange position) {
  Warn("this native histogram metric is not a counter: " + model::QuoteString(metric), position);
}
void AnnotationSink::NotGauge(std::string_view metric, PositionRange position) {
  Warn("this native histogram metric is not a gauge: " + model::QuoteString(metric), position);
}
void AnnotationSink::MixedExponentialCustom(std::string_view metric, PositionRange position) {
  Warn(
      "vector contains a mix of histograms with exponential and custom buckets schemas for metric "
      "name " +
          model::QuoteString(metric),
      position);
}
void AnnotationSink::StartTimeOverlap(std::string_view metric, PositionRange position) {
  Warn("sample has start time that overlaps with previous sample timestamp for metric " +
           model::QuoteString(metric),
       position);
}
void AnnotationSink::SortInRangeQuery(PositionRange position) {
  Warn("sort is ineffective for range queries since results are always ordered by labels",
       position);
}
void AnnotationSink::CounterResetCollision(std::string_view operation, PositionRange position) {
  Warn(fmt::format("conflicting counter resets during histogram {}", operation), position);
}
void AnnotationSink::IncompatibleBucketLayout(std::string_view op, PositionRange position) {
  Warn(fmt::format("incompatible bucket layout encountered for binary operator {}", op), position);
}

void AnnotationSink::PossibleNonCounter(std::string_view metric, PositionRange position) {
  Info("metric might not be a counter, name does not end in _total/_sum/_count/_bucket: " +
           model::QuoteString(metric),
       position);
}
void AnnotationSink::PossibleNonCounterType(std::string_view metric, std::string_view type,
                                            PositionRange position) {
  Info(fmt::format("metric might not be a counter, __type__ label is not set to \"counter\" or "
                   "\"histogram\", got {}: {}",
                   model::QuoteString(type), model::QuoteString(metric)),
       position);
}
void AnnotationSink::IncompatibleTypes(std::string_view lhs, std::string_view op,
                                       std::string_view rhs, PositionRange position) {
  Info(fmt::format("incompatible sample types encountered for binary operator {}: {} {} {}",
                   model::QuoteString(op), lhs, op, rhs),
       position);
}
void AnnotationSink::HistogramIgnoredInAggregation(std::string_view aggregation,
                                                   PositionRange position) {
  Info(fmt::format("ignored histogram in {} aggregation", aggregation), position);
}
void AnnotationSink::HistogramsIgnoredInRange(std::string_view metric, PositionRange position) {
  Info("ignored histograms in a range containing both floats and histograms for metric name " +
           model::QuoteString(metric),
       position);
}
void AnnotationSink::MismatchedCustomBuckets(std::string_view operation, PositionRange position) {
  Info(fmt::format("mismatched custom buckets were reconciled during {}", operation), position);
}
void AnnotationSink::QuantileNanResult(std::string_view metric, PositionRange position) {
  Info(WithMetric("input to histogram_quantile has NaN observations, result is NaN", metric),
       position);
}
void AnnotationSink::QuantileNanSkew(std::string_view metric, PositionRange position) {
  Info(WithMetric("input to histogram_quantile has NaN observations, result is skewed higher",
                  metric),
       position);
}
void AnnotationSink::FractionNans(std::string_view metric, PositionRange position) {
  Info(WithMetric("input to histogram_fraction has NaN observations, which are excluded from all "
                  "fractions",
                  metric),
       position);
}

void AnnotationSink::ForcedMonotonicity(std::string_view metric, PositionRange position,
                                        model::Timestamp time, double min_bucket, double max_bucket,
                                        double max_diff) {
  std::string text = WithMetric(
      "input to histogram_quantile needed to be fixed for monotonicity (see "
      "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)",
      metric);
  MutexLock lock(mu_);
  const auto [it, added] =
      monotonicity_.try_emplace(Note{std::move(text), position.start, position.end},
                                Monotonicity{time, time, min_bucket, max_bucket, max_diff, 1});
  if (added) return;
  Monotonicity& all = it->second;
  all.min_time = std::min(all.min_time, time);
  all.max_time = std::max(all.max_time, time);
  all.min_bucket = std::min(all.min_bucket, min_bucket);
  all.max_bucket = std::max(all.max_bucket, max_bucket);
  all.max_diff = std::max(all.max_diff, max_diff);
  ++all.count;
}

void AnnotationSink::WhenTaken(std::function<void(AnnotationSink*)> speak) {
  MutexLock lock(mu_);
  when_taken_.push_back(std::move(speak));
}

Annotations AnnotationSink::Take() {
  std::vector<std::function<void(AnnotationSink*)>> late;
  {
    MutexLock lock(mu_);
    late.swap(when_taken_);
  }
  for (const auto& speak : late) speak(this);
  MutexLock lock(mu_);
  std::set<std::string> warnings = std::move(general_warnings_);
  std::set<std::string> infos;
  const auto say = [this](const std::string& text, int start, int end, std::set<std::string>* all) {
    for (const PositionRange place : PlacesOf({start, end})) all->insert(text + Place(place));
  };
  for (const auto& [text, start, end] : warnings_) say(text, start, end, &warnings);
  for (const auto& [text, start, end] : infos_) say(text, start, end, &infos);
  for (const auto& [note, all] : monotonicity_) {
    say(fmt::format("PromQL info: {}, from buckets {} to {}, with a max diff of {:.2g}, over {} "
                    "samples from {} to {}",
                    note.text, FormatFloatGo(all.min_bucket), FormatFloatGo(all.max_bucket),
                    all.max_diff, all.count, TimeText(all.min_time), TimeText(all.max_time)),
        note.start, note.end, &infos);
  }
  Annotations result;
  result.warnings.assign(warnings.begin(), warnings.end());
  result.infos.assign(infos.begin(), infos.end());
  return result;
}

}  // namespace tocsin::query
