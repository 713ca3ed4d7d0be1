// AnnotationSink: collects the warnings and infos of one query. Texts are the reference's, each
// with the place in the query text that it is about, e.g.
//   PromQL warning: quantile value should be between 0 and 1, got 2 (1:10)
// Equal ones are kept once. Thread-safe.
#pragma once

#include <compare>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "model/sample.h"
#include "query/ast.h"
#include "query/value.h"

namespace tocsin::query {

class AnnotationSink {
 public:
  explicit AnnotationSink(std::string_view query_text) : query_text_(query_text) {}

  // `message` without the "PromQL warning: " in front and the position behind.
  void Warn(std::string_view message, PositionRange position) { Add(true, message, position); }
  void Info(std::string_view message, PositionRange position) { Add(false, message, position); }

  void InvalidQuantile(double value, PositionRange position);
  void InvalidRatio(double value, double capped, PositionRange position);
  void BadBucketLabel(std::string_view metric, std::string_view le, PositionRange position);
  void MixedFloatsHistograms(std::string_view metric, PositionRange position);
  void MixedFloatsHistogramsInAggregation(PositionRange position);
  void MixedClassicNative(std::string_view metric, PositionRange position);
  void NotCounter(std::string_view metric, PositionRange position);
  void NotGauge(std::string_view metric, PositionRange position);
  void MixedExponentialCustom(std::string_view metric, PositionRange position);
  void StartTimeOverlap(std::string_view metric, PositionRange position);
  void SortInRangeQuery(PositionRange position);
  void CounterResetCollision(std::string_view operation, PositionRange position);
  void IncompatibleBucketLayout(std::string_view op, PositionRange position);

  // Raw samples up to `until` are past their retention: the answer is made of the few that rollups
  // of `bucket_ms` have kept of them.
  void Thinned(model::Timestamp until, int64_t bucket_ms);

  void PossibleNonCounter(std::string_view metric, PositionRange position);
  void PossibleNonCounterType(std::string_view metric, std::string_view type,
                              PositionRange position);
  void IncompatibleTypes(std::string_view lhs, std::string_view op, std::string_view rhs,
                         PositionRange position);
  void HistogramIgnoredInAggregation(std::string_view aggregation, PositionRange position);
  void HistogramsIgnoredInRange(std::string_view metric, PositionRange position);
  void MismatchedCustomBuckets(std::string_view operation, PositionRange position);
  void QuantileNanResult(std::string_view metric, PositionRange position);
  void QuantileNanSkew(std::string_view metric, PositionRange position);
  void FractionNans(std::string_view metric, PositionRange position);
  // Those about one metric and place are reported as one, with the extremes of all.
  void ForcedMonotonicity(std::string_view metric, PositionRange position, model::Timestamp time,
                          double min_bucket, double max_bucket, double max_diff);

  // For what can only be said when everything was looked at: called once, by Take.
  void WhenTaken(std::function<void(AnnotationSink*)> speak);

  // The part of the query at `original` stands once more from `start` on, character by character,
  // and is not evaluated there: what is said about a place in the one is said about that in the
  // other as well. Before anything is said; parts inside a part before it.
  void Repeat(PositionRange original, int start);

  Annotations Take();  // once; sorted

 private:
  // What is said, once however often; the further places it is about are found in the end.
  struct Note {
    std::string text;
    int32_t start, end;
    friend auto operator<=>(const Note&, const Note&) = default;
  };
  struct Monotonicity {
    model::Timestamp min_time, max_time;
    double min_bucket, max_bucket, max_diff;
    int64_t count;
  };
  void Add(bool warning, std::string_view message, PositionRange position);
  std::string Place(PositionRange position) const;
  // `position` and the same place in all repetitions.
  std::vector<PositionRange> PlacesOf(PositionRange position) const;

  struct Repetition {
    PositionRange original;
    int start;
  };

  const std::string_view query_text_;
  std::vector<Repetition> repetitions_;
  Mutex mu_;
  std::set<std::string> general_warnings_ GUARDED_BY(mu_);  // about no place
  std::set<Note> warnings_ GUARDED_BY(mu_);
  std::set<Note> infos_ GUARDED_BY(mu_);
  std::map<Note, Monotonicity> monotonicity_ GUARDED_BY(mu_);
  std::vector<std::function<void(AnnotationSink*)>> when_taken_ GUARDED_BY(mu_);
};

}  // namespace tocsin::query
