#include "query/operators/selector.h"

#include <algorithm>
#include <numeric>

namespace tocsin::query {

using model::Column;
using model::Timestamp;

std::vector<Timestamp> ShiftedTimes(const Grid& grid, const TimeShift& shift) {
  std::vector<Timestamp> times(grid.count);
  for (size_t t = 0; t < grid.count; ++t) times[t] = shift.Apply(grid.at(t));
  return times;
}

bool FixesName(const model::MatcherSet& matchers) {
  return std::any_of(matchers.begin(), matchers.end(), [](const model::Matcher& m) {
    return m.type() == model::MatchType::kEqual && m.name() == model::kMetricName;
  });
}

void GroupSelection(const model::SeriesSelection& selection, bool without,
                    std::span<const std::string> names, std::vector<uint32_t>* group_of_series,
                    std::vector<model::Labels>* groups) {
  if (!without) {
    selection.Group(false, names, group_of_series, groups);
    return;
  }
  std::vector<std::string> dropped(names.begin(), names.end());
  dropped.emplace_back("__type__");
  dropped.emplace_back("__unit__");
  selection.Group(true, dropped, group_of_series, groups);
}

namespace {

constexpr uint32_t kNone = UINT32_MAX;

// For each time the index of the newest sample in (time - lookback, time], or kNone. `times`
// ascends. Where rollups have kept but a sample a bucket, it may be a bucket older.
void ChooseSamples(std::span<const Timestamp> samples, const std::vector<Timestamp>& times,
                   int64_t lookback_ms, const model::Resolution& resolution,
                   std::vector<uint32_t>* chosen) {
  chosen->resize(times.size());
  size_t next = 0;  // first sample after the time
  for (size_t t = 0; t < times.size(); ++t) {
    while (next < samples.size() && samples[next] <= times[t]) ++next;
    const auto reaches = [&](Timestamp sample) {
      const bool thinned = sample <= resolution.thinned_until_ms;
      return sample > times[t] - lookback_ms - (thinned ? resolution.thinned_bucket_ms : 0);
    };
    const bool found = next > 0 && reaches(samples[next - 1]);
    (*chosen)[t] = found ? static_cast<uint32_t>(next - 1) : kNone;
  }
}

class SelectorCursor final : public Cursor {
 public:
  SelectorCursor(QueryContext* context, const Grid& grid, const std::vector<Timestamp>& times,
                 int64_t lookback_ms, SelectorOutput output, ResetHints* reset_hints,
                 const model::SeriesSelection& selection)
      : context_(context),
        grid_(grid),
        times_(times),
        lookback_ms_(lookback_ms),
        output_(output),
        selection_(selection),
        resolution_(selection.resolution()),
        reset_hints_(reset_hints),
        reader_(selection.NewReader()) {}

  Status Read(size_t first, size_t count, Batch* out) override {
    TOCSIN_RETURN_IF_ERROR(out->Reset(count, times_.size(), &context_->memory));
    TOCSIN_RETURN_IF_ERROR(reader_->Read(first, count, &columns_));
    TOCSIN_RETURN_IF_ERROR(charge_.Grow(&context_->memory, columns_.allocated_bytes()));
    shared_timestamps_ = {};
    int64_t decoded = 0;
    int64_t points = 0;
    const bool by_step = !context_->samples_per_step.empty();
    for (size_t s = 0; s < count; ++s) {
      Column& column = columns_.columns[s];
      ListKeptHistograms(&columns_, &column);
      if (!column.histograms.empty()) {
        TOCSIN_RETURN_IF_ERROR(
            reset_hints_.Apply(selection_.LabelsAt(first + s), &columns_, &column));
      }
      decoded += static_cast<int64_t>(column.values.size() + column.histograms.size() +
                                      column.facts.size());
      int64_t found = 0;
      if (!column.facts.empty()) {
        found = ReadFacts(column, s, out);
      } else {
        found = column.histograms.empty() ? ReadFloats(column, s, out) : ReadMixed(column, s, out);
      }
      if (by_step) {
        context_->CountQueryable(
            grid_, found, [&](size_t t) { return out->kinds(s)[t] != PointKind::kAbsent ? 1 : 0; });
      }
      points += found;
    }
    if (!by_step) context_->queryable_samples.fetch_add(points, std::memory_order_relaxed);
    context_->CountRead(decoded);
    return context_->samples.Add(points);
  }

 private:
  void Choose(const Column& column) {
    if (column.timestamps.data() == shared_timestamps_.data() &&
        column.timestamps.size() == shared_timestamps_.size() && !column.timestamps.empty()) {
      return;
    }
    shared_timestamps_ = column.timestamps;
    ChooseSamples(column.timestamps, times_, lookback_ms_, resolution_, &chosen_);
  }

  int64_t ReadFloats(const Column& column, size_t s, Batch* out) {
    Choose(column);
    double* values = out->values(s);
    PointKind* kinds = out->kinds(s);
    int64_t points = 0;
    for (size_t t = 0; t < times_.size(); ++t) {
      const uint32_t i = chosen_[t];
      if (i == kNone || (column.may_hold_stale && model::IsStale(column.values[i]))) continue;
      values[t] = FloatOutput(column, i);
      kinds[t] = PointKind::kFloat;
      ++points;
    }
    return points;
  }

  // Runs that end at whatever their newest sample is.
  int64_t ReadFacts(const Column& column, size_t s, Batch* out) {
    const std::span<const model::Facts> facts = column.facts;
    run_ends_.clear();
    for (const model::Facts& run : facts) run_ends_.push_back(run.newest_ms);
    shared_timestamps_ = {};
    ChooseSamples(run_ends_, times_, lookback_ms_, resolution_, &chosen_);
    int64_t points = 0;
    size_t kept = 0;  // of the runs up to the one before `next`
    uint32_t next = 0;
    HistogramPtr copy;
    for (size_t t = 0; t < times_.size(); ++t) {
      if (chosen_[t] == kNone || facts[chosen_[t]].ends_stale) continue;
      const model::Facts& run = facts[chosen_[t]];
      if (run.kept_count > 0 && output_ == SelectorOutput::kValue) {
        const bool moves = next <= chosen_[t];
        while (next <= chosen_[t]) kept += facts[next++].kept_count;
        if (moves) copy = std::make_shared<const model::Histogram>(*column.histograms[kept - 1]);
        out->SetHistogram(s, t, copy);
        ++points;
        continue;
      }
      out->SetFloat(
          s, t,
          output_ == SelectorOutput::kValue ? run.last : static_cast<double>(run.last_ms) / 1000);
      ++points;
    }
    return points;
  }

  int64_t ReadMixed(const Column& column, size_t s, Batch* out) {
    Choose(column);
    ChooseSamples(column.histogram_timestamps, times_, lookback_ms_, resolution_,
                  &chosen_histograms_);
    int64_t points = 0;
    uint32_t last = kNone;
    HistogramPtr copy;
    for (size_t t = 0; t < times_.size(); ++t) {
      const uint32_t f = chosen_[t];
      const uint32_t h = chosen_histograms_[t];
      const bool is_float =
          f != kNone && (h == kNone || column.timestamps[f] > column.histogram_timestamps[h]);
      if (is_float) {
        if (model::IsStale(column.values[f])) continue;
        out->SetFloat(s, t, FloatOutput(column, f));
      } else if (h != kNone) {
        if (column.histograms[h]->is_stale()) continue;
        if (output_ != SelectorOutput::kValue) {
          out->SetFloat(s, t, HistogramTimeOutput(column, h));
        } else {
          if (h != last) copy = std::make_shared<const model::Histogram>(*column.histograms[h]);
          last = h;
          out->SetHistogram(s, t, copy);
        }
      } else {
        continue;
      }
      ++points;
    }
    return points;
  }

  double FloatOutput(const Column& column, size_t i) const {
    if (output_ == SelectorOutput::kValue) [[likely]]
      return column.values[i];
    if (output_ == SelectorOutput::kSampleTime) {
      return static_cast<double>(column.timestamps[i]) / 1000;
    }
    return column.start_timestamps.empty() ? 0
                                           : static_cast<double>(column.start_timestamps[i]) / 1000;
  }
  double HistogramTimeOutput(const Column& column, size_t i) const {
    if (output_ == SelectorOutput::kSampleTime) {
      return static_cast<double>(column.histogram_timestamps[i]) / 1000;
    }
    return column.histogram_start_timestamps.empty()
               ? 0
               : static_cast<double>(column.histogram_start_timestamps[i]) / 1000;
  }

  QueryContext* const context_;
  const Grid grid_;
  const std::vector<Timestamp>& times_;
  const int64_t lookback_ms_;
  const SelectorOutput output_;
  const model::SeriesSelection& selection_;
  const model::Resolution resolution_;
  ResetHints::Session reset_hints_;
  const std::unique_ptr<model::ColumnReader> reader_;
  model::ColumnBatch columns_;
  MemoryCharge charge_;
  std::span<const Timestamp> shared_timestamps_;  // what chosen_ was computed for
  std::vector<Timestamp> run_ends_;
  std::vector<uint32_t> chosen_;
  std::vector<uint32_t> chosen_histograms_;
};

}  // namespace

Status VectorSelectorOperator::Open() {
  model::SelectHints hints;
  hints.step_ms = grid_.count > 1 ? grid_.step_ms : 0;
  hints.times_only = times_only_;
  hints.newest_only = grid_.count == 1 && output_ != SelectorOutput::kStartTime && !mark_resets_;
  // The last sample of each bucket is all that is wanted where steps and lookback are made of whole
  // buckets. Whether a staleness marker stood before that one, which decides about a marked reset,
  // is not known of it.
  if (grid_.count > 1 && !mark_resets_ && output_ != SelectorOutput::kStartTime &&
      times_[1] > times_[0]) {
    hints.facts.wanted = true;
    hints.facts.tile_ms = std::gcd(times_[1] - times_[0], lookback_ms_);
    hints.facts.origin_ms = times_.front() - lookback_ms_;
    hints.facts.bucket_max_ms = lookback_ms_;
  }
  const model::TimeRange range{times_.front() - std::max<int64_t>(lookback_ms_, 1) + 1,
                               times_.back()};
  TOCSIN_ASSIGN_OR_RETURN_STATUS(selection_, context_->Select(matchers_, range, hints));
  reset_hints_ =
      std::make_unique<ResetHints>(context_, matchers_, range, mark_resets_, times_only_);
  return Status::Ok();
}

void VectorSelectorOperator::Group(bool without, std::span<const std::string> names,
                                   std::vector<uint32_t>* group_of_series,
                                   std::vector<model::Labels>* groups) const {
  GroupSelection(*selection_, without, names, group_of_series, groups);
}

std::unique_ptr<Cursor> VectorSelectorOperator::NewCursor() const {
  return std::make_unique<SelectorCursor>(context_, grid_, times_, lookback_ms_, output_,
                                          reset_hints_.get(), *selection_);
}

}  // namespace tocsin::query
