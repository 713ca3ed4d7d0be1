#include "query/testing/nhcb.h"

#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "base/number.h"

namespace tocsin::query {
namespace {

// What is known of one histogram at one time.
struct ClassicHistogram {
  std::map<double, double> cumulative;  // by upper bound
  std::optional<double> count;
  double sum = 0;
};

using HistogramsByTime = std::map<model::Timestamp, ClassicHistogram>;

enum class Part { kNone, kBucket, kCount, kSum };

Part PartOf(std::string_view name, std::string_view* base) {
  static constexpr std::pair<std::string_view, Part> kSuffixes[] = {
      {"_bucket", Part::kBucket}, {"_count", Part::kCount}, {"_sum", Part::kSum}};
  for (const auto& [suffix, part] : kSuffixes) {
    if (!name.ends_with(suffix)) continue;
    *base = name.substr(0, name.size() - suffix.size());
    return part;
  }
  return Part::kNone;
}

Result<model::Histogram> Convert(const ClassicHistogram& classic) {
  const auto& buckets = classic.cumulative;
  const double highest = buckets.empty() ? 0 : buckets.rbegin()->second;
  const double count = classic.count.value_or(highest);
  const bool has_infinity = !buckets.empty() && std::isinf(buckets.rbegin()->first);
  if (has_infinity && highest != count) {
    return Error(Code::kInvalidArgument, "count mismatch in classic histogram");
  }
  model::Histogram histogram;
  histogram.schema = model::kCustomBucketsSchema;
  histogram.count = count;
  histogram.sum = classic.sum;
  double below = 0;
  const auto add = [&](double cumulative) {
    if (cumulative < below) return false;
    histogram.positive_buckets.push_back(cumulative - below);
    below = cumulative;
    return true;
  };
  bool ascending = true;
  for (const auto& [bound, cumulative] : buckets) {
    ascending = ascending && add(cumulative);
    if (!std::isinf(bound) || bound < 0) histogram.custom_values.push_back(bound);
  }
  if (!has_infinity) ascending = ascending && add(count);
  if (!ascending) {
    return Error(Code::kInvalidArgument, "cumulative counts of classic histogram decrease");
  }
  histogram.positive_spans.push_back({0, static_cast<uint32_t>(histogram.positive_buckets.size())});
  return histogram;
}

void Collect(const LoadSeries& series, Part part, double upper_bound, HistogramsByTime* by_time) {
  for (const LoadSample& sample : series.samples) {
    if (sample.value.histogram != nullptr) continue;
    ClassicHistogram& classic = (*by_time)[sample.timestamp_ms];
    switch (part) {
      case Part::kBucket:
        classic.cumulative[upper_bound] = sample.value.value;
        break;
      case Part::kCount:
        classic.count = sample.value.value;
        break;
      case Part::kSum:
      case Part::kNone:
        classic.sum = sample.value.value;
        break;
    }
  }
}

}  // namespace

Result<std::vector<LoadSeries>> ConvertClassicHistograms(const std::vector<LoadSeries>& series) {
  std::map<model::Labels, HistogramsByTime> histograms;
  for (const LoadSeries& one : series) {
    std::string_view base;
    const Part part = PartOf(one.metric.MetricName(), &base);
    if (part == Part::kNone) continue;
    double upper_bound = 0;
    if (part == Part::kBucket) {
      const auto le = ParseFloat(one.metric.Get(model::kBucketLabel));
      if (!le || std::isnan(*le)) continue;
      upper_bound = *le;
    }
    model::LabelsBuilder labels(one.metric);
    labels.Set(model::kMetricName, base).Del(model::kBucketLabel);
    Collect(one, part, upper_bound, &histograms[labels.Build()]);
  }
  std::vector<LoadSeries> converted;
  for (const auto& [metric, by_time] : histograms) {
    LoadSeries native;
    native.metric = metric;
    for (const auto& [timestamp_ms, classic] : by_time) {
      TOCSIN_ASSIGN_OR_RETURN(model::Histogram histogram, Convert(classic));
      LoadSample sample;
      sample.timestamp_ms = timestamp_ms;
      sample.value.histogram = std::make_shared<const model::Histogram>(std::move(histogram));
      native.samples.push_back(std::move(sample));
    }
    if (!native.samples.empty()) converted.push_back(std::move(native));
  }
  return converted;
}

}  // namespace tocsin::query
