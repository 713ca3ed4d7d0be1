#include "query/operators/smoothed.h"

#include "query/functions/interpolate.h"
#include "query/functions/window.h"

namespace tocsin::query {

using model::Column;
using model::Timestamp;

class SmoothedSelectorOperator::SmoothedCursor final : public Cursor {
 public:
  SmoothedCursor(const SmoothedSelectorOperator* selector)
      : selector_(selector), source_(selector->source_->NewCursor()) {}

  Status Read(size_t first, size_t count, Batch* out) override {
    QueryContext* const context = selector_->context_;
    TOCSIN_RETURN_IF_ERROR(out->Reset(count, selector_->grid_.count, &context->memory));
    TOCSIN_RETURN_IF_ERROR(source_->Read(first, count, &columns_));
    for (size_t s = 0; s < count; ++s) {
      const Column& column = columns_[s];
      if (column.histograms.empty()) {
        ReadFloats(column, s, out);
      } else {
        ReadMixed(column, first + s, s, out);
      }
    }
    return context->samples.Add(static_cast<int64_t>(out->CountPoints()));
  }

 private:
  struct Neighbours {
    size_t before;
    bool has_after;
  };
  // False: no sample at or before the time within the lookback.
  bool Find(std::span<const Timestamp> samples, Timestamp time, size_t* next,
            Neighbours* found) const {
    const int64_t lookback = selector_->context_->lookback_delta_ms;
    while (*next < samples.size() && samples[*next] <= time) ++*next;
    if (*next == 0 || samples[*next - 1] <= time - lookback) return false;
    found->before = *next - 1;
    found->has_after = samples[found->before] < time && *next < samples.size() &&
                       samples[*next] <= time + lookback;
    return true;
  }

  void ReadFloats(const Column& column, size_t row, Batch* out) const {
    const std::vector<Timestamp>& times = selector_->source_->times();
    size_t next = 0;
    for (size_t t = 0; t < times.size(); ++t) {
      Neighbours n{};
      if (!Find(column.timestamps, times[t], &next, &n)) continue;
      const double before = column.values[n.before];
      out->SetFloat(row, t,
                    !n.has_after
                        ? before
                        : InterpolateFloats(before, column.values[n.before + 1],
                                            PartBetween(column.timestamps[n.before],
                                                        column.timestamps[n.before + 1], times[t]),
                                            false));
    }
  }

  // Floats and histograms within the lookback of a step do not interpolate.
  void ReadMixed(const Column& column, size_t series, size_t row, Batch* out) const {
    const std::vector<Timestamp>& times = selector_->source_->times();
    QueryContext* const context = selector_->context_;
    const int64_t lookback = context->lookback_delta_ms;
    size_t next = 0;
    size_t float_next = 0;
    for (size_t t = 0; t < times.size(); ++t) {
      const auto near = [&](std::span<const Timestamp> samples) {
        return AnyIn(samples, times[t] - lookback, times[t] + lookback);
      };
      const bool floats = near(column.timestamps);
      const bool histograms = near(column.histogram_timestamps);
      if (floats && histograms) {
        context->annotations.MixedFloatsHistograms(
            selector_->source_->LabelsAt(series).MetricName(), selector_->position_);
        continue;
      }
      Neighbours n{};
      if (floats) {
        if (!Find(column.timestamps, times[t], &float_next, &n)) continue;
        const double before = column.values[n.before];
        out->SetFloat(
            row, t,
            !n.has_after ? before
                         : InterpolateFloats(before, column.values[n.before + 1],
                                             PartBetween(column.timestamps[n.before],
                                                         column.timestamps[n.before + 1], times[t]),
                                             false));
        continue;
      }
      if (!Find(column.histogram_timestamps, times[t], &next, &n)) continue;
      HistogramAt(column, series, n, times[t], row, t, out);
    }
  }

  void HistogramAt(const Column& column, size_t series, const Neighbours& n, Timestamp time,
                   size_t row, size_t t, Batch* out) const {
    AnnotationSink& annotations = selector_->context_->annotations;
    const model::Histogram& before = *column.histograms[n.before];
    if (!n.has_after) {
      model::Histogram held = before;
      // Held on, it says nothing about its predecessor any more.
      if (column.histogram_timestamps[n.before] < time) {
        held.hint = model::CounterResetHint::kUnknown;
      }
      out->SetHistogram(row, t, std::make_shared<const model::Histogram>(std::move(held)));
      return;
    }
    const model::Histogram& after = *column.histograms[n.before + 1];
    std::optional<BetweenHistograms> between;
    if (before.uses_custom_buckets() == after.uses_custom_buckets()) {
      const bool counter = before.hint != model::CounterResetHint::kGauge ||
                           after.hint != model::CounterResetHint::kGauge;
      between = InterpolateHistograms(before, after,
                                      PartBetween(column.histogram_timestamps[n.before],
                                                  column.histogram_timestamps[n.before + 1], time),
                                      counter);
    }
    if (!between.has_value()) {
      annotations.MixedExponentialCustom(selector_->source_->LabelsAt(series).MetricName(),
                                         selector_->position_);
      return;
    }
    if (between->difference_reconciled) {
      annotations.MismatchedCustomBuckets("subtraction", selector_->position_);
    }
    if (between->sum_reconciled) {
      annotations.MismatchedCustomBuckets("addition", selector_->position_);
    }
    out->SetHistogram(row, t, std::make_shared<const model::Histogram>(std::move(between->value)));
  }

  const SmoothedSelectorOperator* const selector_;
  const std::unique_ptr<ColumnCursor> source_;
  std::vector<Column> columns_;
};

std::unique_ptr<Cursor> SmoothedSelectorOperator::NewCursor() const {
  return std::make_unique<SmoothedCursor>(this);
}

}  // namespace tocsin::query
