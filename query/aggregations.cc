#include "query/aggregations.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "query/functions/sliding.h"
#include "query/histogram_sum.h"

namespace tocsin::query {
namespace {

// groups × steps doubles of one kind of state, side by side by group.
class Cells {
 public:
  Cells(size_t groups, size_t steps, double initial)
      : steps_(steps), values_(groups * steps, initial) {}
  double* row(size_t group) { return values_.data() + group * steps_; }

 private:
  const size_t steps_;
  std::vector<double> values_;
};

class Base : public GroupAccumulator {
 public:
  Base(size_t groups, size_t steps, AggregationPlace place)
      : groups_(groups), steps_(steps), place_(place), kinds_(groups * steps, PointKind::kAbsent) {}

 protected:
  PointKind* kinds(size_t group) { return kinds_.data() + group * steps_; }

  // Values with the kinds that were collected.
  Status FinishRows(Cells* values, Batch* out) {
    TOCSIN_RETURN_IF_ERROR(out->Reset(groups_, steps_, &place_.context->memory));
    for (size_t g = 0; g < groups_; ++g) {
      std::copy_n(values->row(g), steps_, out->values(g));
      std::copy_n(kinds(g), steps_, out->kinds(g));
    }
    return Status::Ok();
  }
  void AnnotateIgnored(const Batch& batch, size_t row, std::string_view name) {
    if (!batch.has_histograms(row)) return;
    const PointKind* k = batch.kinds(row);
    if (std::find(k, k + steps_, PointKind::kHistogram) != k + steps_) {
      place_.context->annotations.HistogramIgnoredInAggregation(name, place_.position);
    }
  }

  const size_t groups_;
  const size_t steps_;
  const AggregationPlace place_;

 private:
  std::vector<PointKind> kinds_;
};

// count and group.
class CountAccumulator final : public Base {
 public:
  CountAccumulator(size_t groups, size_t steps, AggregationPlace place, bool group_only)
      : Base(groups, steps, place), group_only_(group_only), counts_(groups, steps, 0) {}

  Status Add(size_t group, size_t /*series*/, const Batch& batch, size_t row) override {
    const PointKind* k = batch.kinds(row);
    double* count = counts_.row(group);
    PointKind* there = kinds(group);
    for (size_t t = 0; t < steps_; ++t) {
      if (k[t] == PointKind::kAbsent) continue;
      count[t] = group_only_ ? 1 : count[t] + 1;
      there[t] = PointKind::kFloat;
    }
    return Status::Ok();
  }
  Status Finish(Batch* out) override { return FinishRows(&counts_, out); }

 private:
  const bool group_only_;
  Cells counts_;
};

template <typename Better>
class ExtremeAccumulator final : public Base {
 public:
  ExtremeAccumulator(size_t groups, size_t steps, AggregationPlace place, std::string_view name)
      : Base(groups, steps, place), name_(name), best_(groups, steps, model::NormalNan()) {}

  Status Add(size_t group, size_t /*series*/, const Batch& batch, size_t row) override {
    const PointKind* k = batch.kinds(row);
    const double* v = batch.values(row);
    double* best = best_.row(group);
    PointKind* there = kinds(group);
    for (size_t t = 0; t < steps_; ++t) {
      if (k[t] != PointKind::kFloat) continue;
      there[t] = PointKind::kFloat;
      if (Better()(v[t], best[t]) || std::isnan(best[t])) best[t] = v[t];
    }
    AnnotateIgnored(batch, row, name_);
    return Status::Ok();
  }
  Status Finish(Batch* out) override { return FinishRows(&best_, out); }

 private:
  const std::string_view name_;
  Cells best_;
};

class DeviationAccumulator final : public Base {
 public:
  DeviationAccumulator(size_t groups, size_t steps, AggregationPlace place, bool squared)
      : Base(groups, steps, place),
        squared_(squared),
        counts_(groups, steps, 0),
        means_(groups, steps, 0),
        squares_(groups, steps, 0) {}

  Status Add(size_t group, size_t /*series*/, const Batch& batch, size_t row) override {
    const PointKind* k = batch.kinds(row);
    const double* v = batch.values(row);
    double* count = counts_.row(group);
    double* mean = means_.row(group);
    double* squares = squares_.row(group);
    PointKind* there = kinds(group);
    for (size_t t = 0; t < steps_; ++t) {
      if (k[t] != PointKind::kFloat) continue;
      there[t] = PointKind::kFloat;
      count[t] += 1;
      if (count[t] == 1) {
        mean[t] = v[t];
        squares[t] = std::isfinite(v[t]) ? 0 : model::NormalNan();
        continue;
      }
      const double delta = v[t] - mean[t];
      mean[t] += delta / count[t];
      squares[t] += delta * (v[t] - mean[t]);
    }
    AnnotateIgnored(batch, row, squared_ ? "stdvar" : "stddev");
    return Status::Ok();
  }
  Status Finish(Batch* out) override {
    for (size_t g = 0; g < groups_; ++g) {
      for (size_t t = 0; t < steps_; ++t) {
        double& value = squares_.row(g)[t];
        value /= counts_.row(g)[t];
        if (!squared_) value = std::sqrt(value);
      }
    }
    return FinishRows(&squares_, out);
  }

 private:
  const bool squared_;
  Cells counts_;
  Cells means_;
  Cells squares_;
};

// sum[t] += v[t] with the rounding error kept, without branches (Knuth's two-sum finds the same
// error that Neumaier's form does).
[[gnu::always_inline]] inline void AddRow(const double* v, size_t steps, double* sum,
                                          double* compensation) {
  for (size_t t = 0; t < steps; ++t) {
    const double total = sum[t] + v[t];
    const double part = total - sum[t];
    const double error = (sum[t] - (total - part)) + (v[t] - part);
    sum[t] = total;
    compensation[t] += error;
  }
}

// The same numbers, four at a time.
[[gnu::target("avx2")]] void AddRowAvx2(const double* v, size_t steps, double* sum,
                                        double* compensation) {
  AddRow(v, steps, sum, compensation);
}

void AddDense(const double* v, size_t steps, double* sum, double* compensation) {
  static const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
  if (has_avx2) return AddRowAvx2(v, steps, sum, compensation);
  AddRow(v, steps, sum, compensation);
}

// sum and avg.
class SumAccumulator final : public Base {
 public:
  SumAccumulator(size_t groups, size_t steps, AggregationPlace place, bool average)
      : Base(groups, steps, place),
        average_(average),
        sums_(groups, steps, 0),
        compensations_(groups, steps, 0),
        counts_(average ? groups : 0, steps, 0) {}

  Status Add(size_t group, size_t series, const Batch& batch, size_t row) override {
    const PointKind* k = batch.kinds(row);
    size_t begin = 0;
    size_t end = 0;
    if (!average_ && !batch.has_histograms(row) && IsFloatRun(k, steps_, &begin, &end)) {
      AddDense(batch.values(row) + begin, end - begin, sums_.row(group) + begin,
               compensations_.row(group) + begin);
      if (histograms_.empty()) {
        std::fill_n(kinds(group) + begin, end - begin, PointKind::kFloat);
        return Status::Ok();
      }
    } else {
      for (size_t t = 0; t < steps_; ++t) {
        if (k[t] != PointKind::kFloat) continue;
        if (average_) {
          AddToAverage(group, t, batch.values(row)[t]);
        } else {
          AddToSum(group, t, batch.values(row)[t]);
        }
      }
    }
    return AddKinds(group, series, batch, row);
  }

  Status Finish(Batch* out) override {
    for (size_t g = 0; g < groups_; ++g) {
      for (size_t t = 0; t < steps_; ++t) {
        if (kinds(g)[t] == PointKind::kFloat) sums_.row(g)[t] = FinalValue(g, t);
      }
    }
    TOCSIN_RETURN_IF_ERROR(FinishRows(&sums_, out));
    return histograms_.empty() ? Status::Ok() : FinishHistograms(out);
  }

 private:
  // A sum that became infinite on the way says nothing through its compensation (NaN then).
  void AddToSum(size_t group, size_t t, double value) {
    AddRow(&value, 1, sums_.row(group) + t, compensations_.row(group) + t);
  }

  void AddToAverage(size_t group, size_t t, double value) {
    double& sum = sums_.row(group)[t];
    double& compensation = compensations_.row(group)[t];
    double& count = counts_.row(group)[t];
    count += 1;
    if (count == 1) {
      sum = value;
      return;
    }
    KahanSum state{sum, compensation};
    if (!IsIncremental(group, t)) {
      state.Add(value);
      if (!std::isinf(state.sum)) {
        sum = state.sum;
        compensation = state.compensation;
        return;
      }
      if (incremental_.empty()) incremental_.assign(groups_ * steps_, 0);
      incremental_[group * steps_ + t] = 1;
      state = {sum / (count - 1), compensation / (count - 1)};
    }
    const double q = (count - 1) / count;
    state = {q * state.sum, q * state.compensation};
    state.Add(value / count);
    sum = state.sum;
    compensation = state.compensation;
  }
  bool IsIncremental(size_t group, size_t t) const {
    return !incremental_.empty() && incremental_[group * steps_ + t] != 0;
  }

  double FinalValue(size_t g, size_t t) {
    const double sum = sums_.row(g)[t];
    const double compensation = compensations_.row(g)[t];
    if (!average_) return std::isinf(sum) ? sum : sum + compensation;
    if (IsIncremental(g, t)) return sum + compensation;
    const double count = counts_.row(g)[t];
    return sum / count + compensation / count;
  }

  // Notes what is there at each step; where floats and histograms meet, nothing comes out.
  Status AddKinds(size_t group, size_t series, const Batch& batch, size_t row) {
    const PointKind* k = batch.kinds(row);
    PointKind* there = kinds(group);
    const HistogramPtr* row_histograms = batch.histograms(row);
    for (size_t t = 0; t < steps_; ++t) {
      if (k[t] == PointKind::kAbsent) continue;
      if (k[t] == PointKind::kHistogram) {
        if (histograms_.empty()) histograms_.resize(groups_ * steps_);
        HistogramSum& sum = histograms_[group * steps_ + t];
        if (there[t] == PointKind::kFloat) sum.MeetFloats();
        if (!sum.Add(*row_histograms[t])) {
          place_.context->annotations.MixedExponentialCustom(
              place_.child->LabelsAt(series).MetricName(), place_.position);
        }
        there[t] = PointKind::kHistogram;
      } else if (there[t] == PointKind::kHistogram) {
        histograms_[group * steps_ + t].MeetFloats();
      } else {
        there[t] = PointKind::kFloat;
      }
    }
    return Status::Ok();
  }

  Status FinishHistograms(Batch* out) {
    for (size_t g = 0; g < groups_; ++g) {
      for (size_t t = 0; t < steps_; ++t) {
        if (out->kinds(g)[t] != PointKind::kHistogram) continue;
        out->kinds(g)[t] = PointKind::kAbsent;
        std::optional<model::Histogram> total = histograms_[g * steps_ + t].Finish(
            average_, &place_.context->annotations, place_.position);
        if (!total.has_value()) continue;
        out->SetHistogram(g, t, std::make_shared<const model::Histogram>(std::move(*total)));
      }
    }
    return Status::Ok();
  }

  const bool average_;
  Cells sums_;  // the mean where incremental_
  Cells compensations_;
  Cells counts_;
  std::vector<uint8_t> incremental_;
  std::vector<HistogramSum> histograms_;  // groups × steps once there is any
};

}  // namespace

Result<std::unique_ptr<GroupAccumulator>> NewGroupAccumulator(AggregateOp op, size_t groups,
                                                              size_t steps,
                                                              AggregationPlace place) {
  switch (op) {
    case AggregateOp::kSum:
      return std::make_unique<SumAccumulator>(groups, steps, place, false);
    case AggregateOp::kAvg:
      return std::make_unique<SumAccumulator>(groups, steps, place, true);
    case AggregateOp::kCount:
      return std::make_unique<CountAccumulator>(groups, steps, place, false);
    case AggregateOp::kGroup:
      return std::make_unique<CountAccumulator>(groups, steps, place, true);
    case AggregateOp::kMin:
      return std::make_unique<ExtremeAccumulator<std::less<double>>>(groups, steps, place, "min");
    case AggregateOp::kMax:
      return std::make_unique<ExtremeAccumulator<std::greater<double>>>(groups, steps, place,
                                                                        "max");
    case AggregateOp::kStddev:
      return std::make_unique<DeviationAccumulator>(groups, steps, place, false);
    case AggregateOp::kStdvar:
      return std::make_unique<DeviationAccumulator>(groups, steps, place, true);
    default:
      return Error(Code::kInternal, "not a plain aggregation");
  }
}

}  // namespace tocsin::query
