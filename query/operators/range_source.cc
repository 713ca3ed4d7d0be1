#include "query/operators/range_source.h"

#include <algorithm>
#include <numeric>

#include "query/functions/window_facts.h"

namespace tocsin::query {

using model::Column;
using model::Timestamp;

namespace {

class MatrixCursor final : public ColumnCursor {
 public:
  MatrixCursor(QueryContext* context, ResetHints* reset_hints,
               const model::SeriesSelection& selection)
      : context_(context),
        selection_(selection),
        reset_hints_(reset_hints),
        reader_(selection.NewReader()) {}

  Status Read(size_t first, size_t count, std::vector<Column>* out) override {
    TOCSIN_RETURN_IF_ERROR(reader_->Read(first, count, &columns_));
    TOCSIN_RETURN_IF_ERROR(charge_.Grow(&context_->memory, columns_.allocated_bytes()));
    out->assign(columns_.columns.begin(), columns_.columns.end());
    int64_t decoded = 0;
    for (size_t s = 0; s < count; ++s) {
      Column& column = (*out)[s];
      decoded += static_cast<int64_t>(column.values.size() + column.histograms.size() +
                                      column.facts.size());
      ListKeptHistograms(&columns_, &column);
      if (column.may_hold_stale) DropStale(&column);
      if (!column.histograms.empty()) {
        TOCSIN_RETURN_IF_ERROR(
            reset_hints_.Apply(selection_.LabelsAt(first + s), &columns_, &column));
      }
    }
    context_->CountRead(decoded);
    // With what the copies without staleness markers take: a morsel's worth too late.
    return charge_.Grow(&context_->memory, columns_.allocated_bytes());
  }

 private:
  // Copies what is not a staleness marker; columns without one stay views.
  void DropStale(Column* column) {
    const auto stale_floats =
        std::count_if(column->values.begin(), column->values.end(), model::IsStale);
    if (stale_floats > 0) DropStaleFloats(column, column->values.size() - stale_floats);
    const auto stale_histograms =
        std::count_if(column->histograms.begin(), column->histograms.end(),
                      [](const model::Histogram* h) { return h->is_stale(); });
    if (stale_histograms > 0) {
      DropStaleHistograms(column, column->histograms.size() - stale_histograms);
    }
    column->may_hold_stale = false;
  }

  void DropStaleFloats(Column* column, size_t left) {
    Timestamp* timestamps = columns_.NewTimestamps(left);
    double* values = columns_.NewValues(left);
    Timestamp* starts = column->start_timestamps.empty() ? nullptr : columns_.NewTimestamps(left);
    size_t n = 0;
    for (size_t i = 0; i < column->values.size(); ++i) {
      if (model::IsStale(column->values[i])) continue;
      timestamps[n] = column->timestamps[i];
      values[n] = column->values[i];
      if (starts != nullptr) starts[n] = column->start_timestamps[i];
      ++n;
    }
    column->timestamps = {timestamps, n};
    column->values = {values, n};
    if (starts != nullptr) column->start_timestamps = {starts, n};
  }

  void DropStaleHistograms(Column* column, size_t left) {
    Timestamp* timestamps = columns_.NewTimestamps(left);
    const model::Histogram** histograms = columns_.NewHistogramPointers(left);
    Timestamp* starts =
        column->histogram_start_timestamps.empty() ? nullptr : columns_.NewTimestamps(left);
    size_t n = 0;
    for (size_t i = 0; i < column->histograms.size(); ++i) {
      if (column->histograms[i]->is_stale()) continue;
      timestamps[n] = column->histogram_timestamps[i];
      histograms[n] = column->histograms[i];
      if (starts != nullptr) starts[n] = column->histogram_start_timestamps[i];
      ++n;
    }
    column->histogram_timestamps = {timestamps, n};
    column->histograms = {histograms, n};
    if (starts != nullptr) column->histogram_start_timestamps = {starts, n};
  }

  QueryContext* const context_;
  const model::SeriesSelection& selection_;
  ResetHints::Session reset_hints_;
  const std::unique_ptr<model::ColumnReader> reader_;
  model::ColumnBatch columns_;
  MemoryCharge charge_;
};

// Of a sub-query that is never asked at any time, so that it has no series (yet `x or …` reads on).
class NoColumns final : public ColumnCursor {
 public:
  Status Read(size_t /*first*/, size_t count, std::vector<Column>* out) override {
    out->assign(count, Column());
    return Status::Ok();
  }
};

// Turns rows of a batch into columns: points that are absent are left out. Rows without a gap share
// the grid's timestamps.
class SubqueryCursor final : public ColumnCursor {
 public:
  explicit SubqueryCursor(const Operator* inner)
      : inner_(inner), cursor_(inner->NewCursor()), times_(inner->grid().count) {
    for (size_t t = 0; t < times_.size(); ++t) times_[t] = inner->grid().at(t);
  }

  Status Read(size_t first, size_t count, std::vector<Column>* out) override {
    columns_.Clear();
    TOCSIN_RETURN_IF_ERROR(cursor_->Read(first, count, &batch_));
    out->assign(count, Column());
    for (size_t s = 0; s < count; ++s) {
      Fill(s, &(*out)[s]);
    }
    return charge_.Grow(&inner_->context()->memory, columns_.allocated_bytes());
  }

 private:
  void Fill(size_t s, Column* column) {
    const PointKind* kinds = batch_.kinds(s);
    const double* values = batch_.values(s);
    const size_t steps = batch_.steps();
    const auto floats = static_cast<size_t>(std::count(kinds, kinds + steps, PointKind::kFloat));
    column->may_hold_stale = false;
    if (floats == steps) {
      column->timestamps = times_;
      column->values = {values, steps};
      return;
    }
    Timestamp* timestamps = columns_.NewTimestamps(floats);
    double* kept = columns_.NewValues(floats);
    size_t n = 0;
    for (size_t t = 0; t < steps; ++t) {
      if (kinds[t] != PointKind::kFloat) continue;
      timestamps[n] = times_[t];
      kept[n++] = values[t];
    }
    column->timestamps = {timestamps, n};
    column->values = {kept, n};
    if (batch_.has_histograms(s)) FillHistograms(s, column);
  }

  // What was said about the stored predecessor says nothing about that of the sub-query.
  const model::Histogram* WithoutHint(const model::Histogram* histogram) {
    if (histogram->hint == model::CounterResetHint::kGauge) return histogram;
    model::Histogram* changed = columns_.NewHistogram();
    *changed = *histogram;
    changed->hint = model::CounterResetHint::kUnknown;
    return changed;
  }

  void FillHistograms(size_t s, Column* column) {
    const PointKind* kinds = batch_.kinds(s);
    const HistogramPtr* row = batch_.histograms(s);
    const size_t steps = batch_.steps();
    const auto count = static_cast<size_t>(std::count(kinds, kinds + steps, PointKind::kHistogram));
    Timestamp* timestamps = columns_.NewTimestamps(count);
    const model::Histogram** histograms = columns_.NewHistogramPointers(count);
    size_t n = 0;
    for (size_t t = 0; t < steps; ++t) {
      if (kinds[t] != PointKind::kHistogram) continue;
      timestamps[n] = times_[t];
      histograms[n++] = WithoutHint(row[t].get());
    }
    column->histogram_timestamps = {timestamps, n};
    column->histograms = {histograms, n};
  }

  const Operator* const inner_;
  const std::unique_ptr<Cursor> cursor_;
  std::vector<Timestamp> times_;
  Batch batch_;
  model::ColumnBatch columns_;
  MemoryCharge charge_;
};

}  // namespace

namespace {

// Windows are made of tiles of the greatest common divisor of range and step.
model::FactsWish FactsOfWindows(std::span<const Timestamp> ends, int64_t range_ms,
                                std::string_view function) {
  model::FactsWish wish;
  wish.wanted = true;
  wish.needs = FindFactsFunction(function).needs;
  wish.tile_ms = ends.size() > 1 ? std::gcd(range_ms, ends[1] - ends[0]) : range_ms;
  wish.origin_ms = ends[0] - range_ms;
  wish.bucket_max_ms = range_ms / 2;
  return wish;
}

}  // namespace

Status MatrixSource::Open() {
  const auto [first, last] = std::minmax_element(times_.begin(), times_.end());
  const model::TimeRange range{*first - range_ms_ - options_.before_ms + 1,
                               *last + options_.behind_ms};
  model::SelectHints hints;
  hints.step_ms = step_ms_;
  hints.range_ms = range_ms_;
  hints.function = function_;
  hints.times_only = options_.times_only;
  if (options_.facts) hints.facts = FactsOfWindows(times_, range_ms_, function_);
  TOCSIN_ASSIGN_OR_RETURN_STATUS(selection_, context_->Select(matchers_, range, hints));
  reset_hints_ = std::make_unique<ResetHints>(context_, matchers_, range, options_.mark_resets,
                                              options_.times_only);
  return Status::Ok();
}

std::unique_ptr<ColumnCursor> MatrixSource::NewCursor() const {
  return std::make_unique<MatrixCursor>(context_, reset_hints_.get(), *selection_);
}

Grid SubqueryGrid(std::span<const Timestamp> window_ends, int64_t range_ms, int64_t step_ms) {
  const auto [first, last] = std::minmax_element(window_ends.begin(), window_ends.end());
  const Timestamp open_start = *first - range_ms;  // the windows' start does not belong to them
  Timestamp start = step_ms * (open_start / step_ms);
  if (start <= open_start) start += step_ms;
  Grid grid;
  grid.start_ms = start;
  grid.step_ms = step_ms;
  grid.count = *last < start ? 0 : static_cast<size_t>((*last - start) / step_ms) + 1;
  return grid;
}

void SubquerySource::Group(bool without, std::span<const std::string> names,
                           std::vector<uint32_t>* group_of_series,
                           std::vector<model::Labels>* groups) const {
  if (inner_ == nullptr) {
    group_of_series->clear();
    groups->clear();
    return;
  }
  inner_->Group(without, names, group_of_series, groups);
}

std::unique_ptr<ColumnCursor> SubquerySource::NewCursor() const {
  if (inner_ == nullptr) return std::make_unique<NoColumns>();
  return std::make_unique<SubqueryCursor>(inner_.get());
}

}  // namespace tocsin::query
