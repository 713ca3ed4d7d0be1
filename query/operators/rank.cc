#include "query/operators/rank.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/number.h"
#include "query/functions/point_math.h"
#include "query/functions/quantile.h"
#include "query/operators/map.h"
#include "query/operators/rank_heap.h"

namespace tocsin::query {

using model::Labels;

namespace {

Status OpenParam(Operator* child, Operator* param, std::vector<double>* values) {
  TOCSIN_RETURN_IF_ERROR(child->Open());
  TOCSIN_RETURN_IF_ERROR(param->Open());
  return ReadScalar(*param, values);
}

bool AnyNan(const std::vector<double>& values) {
  return std::any_of(values.begin(), values.end(), [](double v) { return std::isnan(v); });
}

// The extremes of a parameter over all steps; NaN when one of them is NaN, as the reference has it.
struct Extremes {
  explicit Extremes(const std::vector<double>& params) {
    for (const double value : params) {
      smallest = SmallerOf(smallest, value);
      largest = LargerOf(largest, value);
    }
  }
  double smallest = std::numeric_limits<double>::max();
  double largest = std::numeric_limits<double>::lowest();
};

// k of topk, bottomk and limitk, one a step; all zero when nothing can come out.
Status CheckCounts(const std::vector<double>& params, std::vector<int64_t>* counts) {
  counts->assign(params.size(), 0);
  const Extremes extremes(params);
  if (extremes.largest < 1) return Status::Ok();
  if (AnyNan(params)) return Status(Code::kExecution, "Parameter value is NaN");
  static constexpr auto kMin = static_cast<double>(std::numeric_limits<int64_t>::min());
  static constexpr auto kMax = static_cast<double>(std::numeric_limits<int64_t>::max());
  if (extremes.smallest <= kMin) {
    return Status(Code::kExecution, fmt::format("Scalar value {} underflows int64",
                                                FormatFloatGo(extremes.smallest)));
  }
  if (extremes.largest >= kMax) {
    return Status(Code::kExecution,
                  fmt::format("Scalar value {} overflows int64", FormatFloatGo(extremes.largest)));
  }
  for (size_t t = 0; t < params.size(); ++t) (*counts)[t] = static_cast<int64_t>(params[t]);
  return Status::Ok();
}

}  // namespace

Status TopkOperator::Open() {
  std::vector<double> params;
  TOCSIN_RETURN_IF_ERROR(OpenParam(child_.get(), param_.get(), &params));
  std::vector<int64_t> counts;
  TOCSIN_RETURN_IF_ERROR(CheckCounts(params, &counts));
  if (*std::max_element(counts.begin(), counts.end()) < 1) return Status::Ok();
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const Groups groups, GroupSeries(*child_, spec_.grouping));
  const bool largest = spec_.op == AggregateOp::kTopk;
  const uint64_t cell_bytes = groups.labels.size() * grid_.count * sizeof(RankHeap);
  MemoryCharge charge;
  TOCSIN_RETURN_IF_ERROR(charge.Grow(&context_->memory, cell_bytes));
  std::vector<RankHeap> heaps(groups.labels.size() * grid_.count);
  uint64_t held = 0;
  const Status read = ForEachMorselInOrder(*child_, [&](size_t first, Batch& batch) {
    for (size_t s = 0; s < batch.series(); ++s) {
      const size_t group = groups.of_series[first + s];
      bool ignored = false;
      for (size_t t = 0; t < grid_.count; ++t) {
        if (counts[t] < 1) continue;
        ignored |= batch.kinds(s)[t] == PointKind::kHistogram;
        if (batch.kinds(s)[t] != PointKind::kFloat) continue;
        RankHeap& heap = heaps[group * grid_.count + t];
        held -= heap.size();
        heap.PushBounded({batch.values(s)[t], static_cast<uint32_t>(first + s)},
                         static_cast<size_t>(counts[t]), largest);
        held += heap.size();
      }
      if (ignored) {
        context_->annotations.HistogramIgnoredInAggregation(AggregateOpName(spec_.op),
                                                            spec_.position);
      }
    }
    return charge.Grow(&context_->memory, cell_bytes + held * sizeof(RankElement));
  });
  TOCSIN_RETURN_IF_ERROR(read);
  // Series in the order in which the answer lists them: by group, then by rank.
  std::vector<uint32_t> row_of(child_->series_count(), UINT32_MAX);
  for (RankHeap& heap : heaps) {
    heap.Sort(largest);
    for (const RankElement& element : heap.elements()) {
      if (row_of[element.series] != UINT32_MAX) continue;
      row_of[element.series] = static_cast<uint32_t>(labels_.size());
      TOCSIN_RETURN_IF_ERROR(
          AddLabels(child_->LabelsAt(element.series), child_->DropsName(element.series)));
    }
  }
  TOCSIN_RETURN_IF_ERROR(ResetData(labels_.size()));
  for (size_t cell = 0; cell < heaps.size(); ++cell) {
    for (const RankElement& element : heaps[cell].elements()) {
      data_.SetFloat(row_of[element.series], cell % grid_.count, element.value);
    }
  }
  child_.reset();
  return Status::Ok();
}

namespace {

// The reference's hash of a label set: XXH64 over name and value, each behind its length in one
// byte (three more after 255 when it is longer).
double RatioOffset(const Labels& labels) {
  std::string bytes;
  const auto append = [&bytes](std::string_view text) {
    if (text.size() < 255) {
      bytes.push_back(static_cast<char>(text.size()));
    } else {
      bytes.push_back(static_cast<char>(255));
      for (int shift = 0; shift < 24; shift += 8) {
        bytes.push_back(static_cast<char>((text.size() >> shift) & 0xff));
      }
    }
    bytes += text;
  };
  for (const model::LabelView& label : labels) {
    append(label.name);
    append(label.value);
  }
  return static_cast<double>(XXH64(bytes.data(), bytes.size(), 0)) /
         static_cast<double>(std::numeric_limits<uint64_t>::max());
}

bool InRatio(double ratio, double offset) {
  return (ratio >= 0 && offset < ratio) || (ratio < 0 && offset >= 1.0 + ratio);
}

Status CheckRatios(QueryContext* context, const RankSpec& spec, std::vector<double>* ratios) {
  if (AnyNan(*ratios)) return Status(Code::kExecution, "Ratio value is NaN");
  const Extremes extremes(*ratios);
  if (extremes.largest > 1) {
    context->annotations.InvalidRatio(extremes.largest, 1, spec.param_position);
  }
  if (extremes.smallest < -1) {
    context->annotations.InvalidRatio(extremes.smallest, -1, spec.param_position);
  }
  for (double& ratio : *ratios) ratio = std::clamp(ratio, -1.0, 1.0);
  return Status::Ok();
}

}  // namespace

Status LimitOperator::Open() {
  std::vector<double> params;
  TOCSIN_RETURN_IF_ERROR(OpenParam(child_.get(), param_.get(), &params));
  const bool by_ratio = spec_.op == AggregateOp::kLimitRatio;
  std::vector<int64_t> counts;
  TOCSIN_RETURN_IF_ERROR(by_ratio ? CheckRatios(context_, spec_, &params)
                                  : CheckCounts(params, &counts));
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const Groups groups, GroupSeries(*child_, spec_.grouping));
  MemoryCharge charge;
  TOCSIN_RETURN_IF_ERROR(
      charge.Grow(&context_->memory, groups.labels.size() * grid_.count * sizeof(int64_t)));
  std::vector<int64_t> taken(groups.labels.size() * grid_.count, 0);
  std::vector<Batch> kept;  // one row each
  // The reference keeps what it takes in heaps, which is the order of an instant query's answer.
  std::vector<RankHeap> heaps(grid_.count == 1 ? groups.labels.size() : 0);
  const Status read = ForEachMorselInOrder(*child_, [&](size_t first, Batch& batch) {
    for (size_t s = 0; s < batch.series(); ++s) {
      const double offset = by_ratio ? RatioOffset(child_->LabelsAt(first + s)) : 0;
      PointKind* kinds = batch.kinds(s);
      bool any = false;
      for (size_t t = 0; t < grid_.count; ++t) {
        if (kinds[t] == PointKind::kAbsent) continue;
        int64_t& count = taken[groups.of_series[first + s] * grid_.count + t];
        const bool keep = by_ratio ? InRatio(params[t], offset) : count < counts[t];
        if (keep) {
          ++count;
          any = true;
        } else {
          kinds[t] = PointKind::kAbsent;
        }
      }
      if (!any) continue;
      if (!heaps.empty()) {
        const double value = kinds[0] == PointKind::kFloat ? batch.values(s)[0] : 0;
        heaps[groups.of_series[first + s]].Push({value, static_cast<uint32_t>(kept.size())}, true);
      }
      TOCSIN_RETURN_IF_ERROR(AddLabels(child_->LabelsAt(first + s), child_->DropsName(first + s)));
      TOCSIN_RETURN_IF_ERROR(kept.emplace_back().Reset(1, grid_.count, &context_->memory));
      kept.back().CopyRow(batch, s, 0);
    }
    return Status::Ok();
  });
  TOCSIN_RETURN_IF_ERROR(read);
  TOCSIN_RETURN_IF_ERROR(ResetData(kept.size()));
  std::vector<Labels> labels = std::move(labels_);
  const std::vector<bool> drops_name = std::move(drops_name_);
  labels_.clear();
  drops_name_.clear();
  const auto append = [&](uint32_t s) {
    data_.CopyRow(kept[s], 0, labels_.size());
    labels_.push_back(std::move(labels[s]));
    drops_name_.push_back(drops_name[s]);
  };
  for (const RankHeap& heap : heaps) {
    for (const RankElement& element : heap.elements()) append(element.series);
  }
  if (heaps.empty()) {
    for (uint32_t s = 0; s < kept.size(); ++s) append(s);
  }
  child_.reset();
  return Status::Ok();
}

Status QuantileOperator::Open() {
  std::vector<double> params;
  TOCSIN_RETURN_IF_ERROR(OpenParam(child_.get(), param_.get(), &params));
  const Extremes extremes(params);
  if (AnyNan(params)) {
    context_->annotations.InvalidQuantile(model::NormalNan(), spec_.param_position);
  }
  if (extremes.largest > 1) {
    context_->annotations.InvalidQuantile(extremes.largest, spec_.param_position);
  }
  if (extremes.smallest < 0) {
    context_->annotations.InvalidQuantile(extremes.smallest, spec_.param_position);
  }
  TOCSIN_ASSIGN_OR_RETURN_STATUS(Groups groups, GroupSeries(*child_, spec_.grouping));
  const uint64_t cell_bytes = groups.labels.size() * grid_.count * sizeof(std::vector<double>);
  MemoryCharge charge;
  TOCSIN_RETURN_IF_ERROR(charge.Grow(&context_->memory, cell_bytes));
  std::vector<std::vector<double>> values(groups.labels.size() * grid_.count);
  uint64_t held = 0;
  const Status read = ForEachMorselInOrder(*child_, [&](size_t first, Batch& batch) {
    for (size_t s = 0; s < batch.series(); ++s) {
      bool ignored = false;
      for (size_t t = 0; t < grid_.count; ++t) {
        ignored |= batch.kinds(s)[t] == PointKind::kHistogram;
        if (batch.kinds(s)[t] != PointKind::kFloat) continue;
        values[groups.of_series[first + s] * grid_.count + t].push_back(batch.values(s)[t]);
        ++held;
      }
      if (ignored) {
        context_->annotations.HistogramIgnoredInAggregation("quantile", spec_.position);
      }
    }
    return charge.Grow(&context_->memory, cell_bytes + held * sizeof(double));
  });
  TOCSIN_RETURN_IF_ERROR(read);
  TOCSIN_RETURN_IF_ERROR(ResetData(groups.labels.size()));
  for (size_t cell = 0; cell < values.size(); ++cell) {
    if (values[cell].empty()) continue;
    SortForQuantile(&values[cell]);
    const size_t t = cell % grid_.count;
    data_.SetFloat(cell / grid_.count, t, QuantileOfSorted(params[t], values[cell]));
  }
  TakeGroups(std::move(groups.labels), std::move(groups.drops_name), std::move(groups.charge));
  child_.reset();
  return Status::Ok();
}

}  // namespace tocsin::query
