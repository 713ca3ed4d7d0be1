#include "query/operators/histogram.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <unordered_map>

#include "base/number.h"
#include "query/histogram_math.h"
#include "query/operators/map.h"

namespace tocsin::query {

using model::Labels;

Status HistogramFunctionOperator::Open() {
  TOCSIN_RETURN_IF_ERROR(child_->Open());
  for (const OperatorPtr& scalar : scalar_operators_) {
    TOCSIN_RETURN_IF_ERROR(scalar->Open());
    TOCSIN_RETURN_IF_ERROR(ReadScalar(*scalar, &scalars_.emplace_back()));
  }
  if (spec_.kind != HistogramFunctionSpec::Kind::kFraction) {
    for (size_t i = 0; i < scalars_.size(); ++i) {
      for (const double q : scalars_[i]) {
        if (!(q >= 0 && q <= 1)) {
          context_->annotations.InvalidQuantile(q, spec_.scalar_positions[i]);
        }
      }
    }
  }
  TOCSIN_RETURN_IF_ERROR(FindFamilies());
  if (spec_.kind == HistogramFunctionSpec::Kind::kQuantiles) FindQuantileLabels();
  TOCSIN_RETURN_IF_ERROR(AddOutputs());
  Batch all;
  TOCSIN_RETURN_IF_ERROR(ReadAll(*child_, &all));
  AnnotateBadBounds(all);
  for (size_t f = 0; f < families_.size(); ++f) {
    TOCSIN_RETURN_IF_ERROR(context_->CheckRunning());
    TOCSIN_RETURN_IF_ERROR(Evaluate(all, families_[f], f * OutputsPerFamily()));
  }
  return Status::Ok();
}

std::string_view HistogramFunctionOperator::NameOf(const Labels& labels) const {
  return context_->language.delayed_name_removal ? labels.MetricName() : std::string_view();
}

Status HistogramFunctionOperator::FindFamilies() {
  std::unordered_map<Labels, size_t, model::LabelsHash> ids;
  const auto family_of = [&](Labels labels) -> Family& {
    const auto [it, added] = ids.try_emplace(labels, families_.size());
    if (added) families_.emplace_back().labels = std::move(labels);
    return families_[it->second];
  };
  for (size_t s = 0; s < child_->series_count(); ++s) {
    const auto series = static_cast<uint32_t>(s);
    const Labels labels = child_->LabelsAt(s);
    // Of a series with a bound there are two families, and the ids have their labels as well.
    for (int copy = 0; copy < 4; ++copy) TOCSIN_RETURN_IF_ERROR(families_charge_.Add(labels));
    double bound = 0;
    if (ParseBound(labels.Get(model::kBucketLabel), &bound)) {
      Family& family = family_of(model::LabelsBuilder(labels).Del(model::kBucketLabel).Build());
      family.bounds.push_back({series, bound});
      family.drops_name = true;
    } else {
      bad_bounds_.push_back(series);
    }
    family_of(labels).whole.push_back(series);
  }
  return Status::Ok();
}

void HistogramFunctionOperator::AnnotateBadBounds(const Batch& all) {
  for (const uint32_t s : bad_bounds_) {
    const PointKind* kinds = all.kinds(s);
    if (std::find(kinds, kinds + grid_.count, PointKind::kFloat) == kinds + grid_.count) continue;
    const Labels labels = child_->LabelsAt(s);
    context_->annotations.BadBucketLabel(NameOf(labels), labels.Get(model::kBucketLabel),
                                         spec_.vector_position);
  }
}

namespace {

// As OpenMetrics writes a number: whole ones with ".0".
std::string QuantileLabel(double q) {
  std::string text = FormatFloatGo(q);
  if (text.find_first_of(".eNI") == std::string::npos) text += ".0";
  return text;
}

}  // namespace

void HistogramFunctionOperator::FindQuantileLabels() {
  // At a single step with delayed name removal two equal quantiles are an error only at the end.
  const bool apart = grid_.count == 1 && context_->language.delayed_name_removal;
  std::map<std::pair<size_t, std::string>, uint32_t> ids;
  label_of_.resize(scalars_.size());
  for (size_t i = 0; i < scalars_.size(); ++i) {
    for (const double q : scalars_[i]) {
      const auto [it, added] = ids.try_emplace({apart ? i : 0, QuantileLabel(q)},
                                               static_cast<uint32_t>(quantile_labels_.size()));
      if (added) quantile_labels_.push_back(it->first.second);
      label_of_[i].push_back(it->second);
    }
  }
}

Status HistogramFunctionOperator::AddOutputs() {
  const bool delayed = context_->language.delayed_name_removal;
  TOCSIN_RETURN_IF_ERROR(ResetData(families_.size() * OutputsPerFamily()));
  for (const Family& family : families_) {
    const Labels labels = delayed ? family.labels : WithoutName(family.labels);
    for (size_t i = 0; i < OutputsPerFamily(); ++i) {
      if (spec_.kind == HistogramFunctionSpec::Kind::kQuantiles) {
        TOCSIN_RETURN_IF_ERROR(AddLabels(
            model::LabelsBuilder(labels).Set(spec_.label, quantile_labels_[i]).Build(), delayed));
      } else {
        TOCSIN_RETURN_IF_ERROR(AddLabels(labels, delayed));
      }
    }
  }
  return Status::Ok();
}

Status HistogramFunctionOperator::SetOutput(size_t row, size_t t, double value) {
  if (data_.kinds(row)[t] != PointKind::kAbsent) return DuplicateLabelsError();
  data_.SetFloat(row, t, value);
  return Status::Ok();
}

Status HistogramFunctionOperator::Evaluate(const Batch& all, const Family& family,
                                           size_t first_row) {
  std::vector<ClassicBucket> buckets;
  for (size_t t = 0; t < grid_.count; ++t) {
    buckets.clear();
    for (const Family::Bound& bound : family.bounds) {
      if (all.kinds(bound.series)[t] == PointKind::kFloat) {
        buckets.push_back({bound.upper_bound, all.values(bound.series)[t]});
      }
    }
    const model::Histogram* native = nullptr;
    for (const uint32_t s : family.whole) {
      if (all.kinds(s)[t] == PointKind::kHistogram) native = all.histograms(s)[t].get();
    }
    if (native != nullptr && !buckets.empty()) {
      context_->annotations.MixedClassicNative(NameOf(family.labels), spec_.vector_position);
      continue;
    }
    if (native == nullptr && buckets.empty()) continue;
    const size_t values = label_of_.empty() ? 1 : label_of_.size();
    for (size_t i = 0; i < values; ++i) {
      const size_t row = first_row + (label_of_.empty() ? 0 : label_of_[i][t]);
      TOCSIN_RETURN_IF_ERROR(SetOutput(
          row, t,
          native != nullptr ? Native(*native, family, i, t) : Classic(family, i, t, buckets)));
    }
  }
  return Status::Ok();
}

double HistogramFunctionOperator::Classic(const Family& family, size_t scalar, size_t t,
                                          std::vector<ClassicBucket> buckets) {
  if (spec_.kind == HistogramFunctionSpec::Kind::kFraction) {
    return ClassicFraction(scalars_[0][t], scalars_[1][t], &buckets);
  }
  MonotonicityFix fix;
  const double quantile = ClassicQuantile(scalars_[scalar][t], &buckets, &fix);
  if (fix.forced) {
    context_->annotations.ForcedMonotonicity(NameOf(family.labels), spec_.vector_position,
                                             grid_.at(t), fix.min_bucket, fix.max_bucket,
                                             fix.max_diff);
  }
  return quantile;
}

double HistogramFunctionOperator::Native(const model::Histogram& histogram, const Family& family,
                                         size_t scalar, size_t t) {
  const std::string_view name = NameOf(family.labels);
  if (spec_.kind == HistogramFunctionSpec::Kind::kFraction) {
    const HistogramEstimate fraction = HistogramFraction(scalars_[0][t], scalars_[1][t], histogram);
    if (fraction.nan_skew) context_->annotations.FractionNans(name, spec_.vector_position);
    return fraction.value;
  }
  const HistogramEstimate quantile = HistogramQuantile(scalars_[scalar][t], histogram);
  if (quantile.nan_result) {
    context_->annotations.QuantileNanResult(name, spec_.vector_position);
  } else if (quantile.nan_skew) {
    context_->annotations.QuantileNanSkew(name, spec_.vector_position);
  }
  return quantile.value;
}

}  // namespace tocsin::query
