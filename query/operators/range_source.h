// RangeSource: where a range function gets its columns from: a matrix selector (stored samples) or
// a sub-query (an inner operator evaluated on its own grid). Staleness markers are already gone
// from the columns, and a window of step t holds the samples in (time(t) - range, time(t)].
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/storage.h"
#include "query/operators/operator.h"
#include "query/operators/selector.h"

namespace tocsin::query {

// One thread. The columns of the last Read are valid until the next.
class ColumnCursor {
 public:
  virtual ~ColumnCursor() = default;
  virtual Status Read(size_t first, size_t count, std::vector<model::Column>* out) = 0;
};

class RangeSource {
 public:
  RangeSource(QueryContext* context, const Grid& grid, TimeShift shift, int64_t range_ms)
      : context_(context), times_(ShiftedTimes(grid, shift)), range_ms_(range_ms) {}
  virtual ~RangeSource() = default;
  RangeSource& operator=(const RangeSource&) = delete;

  virtual Status Open() = 0;
  virtual size_t series_count() const = 0;
  virtual model::Labels LabelsAt(size_t series) const = 0;
  virtual bool DropsName(size_t series) const = 0;
  virtual bool HasSingleName() const = 0;
  virtual void Group(bool without, std::span<const std::string> names,
                     std::vector<uint32_t>* group_of_series,
                     std::vector<model::Labels>* groups) const = 0;
  virtual std::unique_ptr<ColumnCursor> NewCursor() const = 0;

  // The end of each step's window.
  const std::vector<model::Timestamp>& times() const { return times_; }
  int64_t range_ms() const { return range_ms_; }

 protected:
  // With the windows of another one.
  RangeSource(QueryContext* context, const RangeSource& other)
      : context_(context), times_(other.times_), range_ms_(other.range_ms_) {}

  QueryContext* const context_;
  const std::vector<model::Timestamp> times_;
  const int64_t range_ms_;
};
using RangeSourcePtr = std::unique_ptr<RangeSource>;

// What a matrix selector reads besides the windows.
struct MatrixOptions {
  // How far before the windows' first start, and behind their last end, samples are wanted too.
  int64_t before_ms = 0;
  int64_t behind_ms = 0;
  bool mark_resets = false;  // reset_hints.h
  bool facts = false;        // the function can do with facts of runs (functions/window_facts.h)
  bool times_only = false;   // the function does not look at values
};

class MatrixSource final : public RangeSource {
 public:
  MatrixSource(QueryContext* context, const Grid& grid, model::MatcherSet matchers, TimeShift shift,
               int64_t range_ms, MatrixOptions options, std::string function)
      : RangeSource(context, grid, shift, range_ms),
        matchers_(std::move(matchers)),
        options_(options),
        step_ms_(grid.count > 1 ? grid.step_ms : 0),
        function_(std::move(function)) {}

  Status Open() override;
  size_t series_count() const override { return selection_->size(); }
  model::Labels LabelsAt(size_t series) const override { return selection_->LabelsAt(series); }
  bool DropsName(size_t /*series*/) const override { return false; }
  bool HasSingleName() const override { return FixesName(matchers_); }
  void Group(bool without, std::span<const std::string> names,
             std::vector<uint32_t>* group_of_series,
             std::vector<model::Labels>* groups) const override {
    GroupSelection(*selection_, without, names, group_of_series, groups);
  }
  std::unique_ptr<ColumnCursor> NewCursor() const override;

 private:
  const model::MatcherSet matchers_;
  const MatrixOptions options_;
  const int64_t step_ms_;
  const std::string function_;
  std::shared_ptr<const model::SeriesSelection> selection_;
  std::unique_ptr<ResetHints> reset_hints_;
};

// Evaluation times of a sub-query: multiples of its step, so that they do not move with the query.
Grid SubqueryGrid(std::span<const model::Timestamp> window_ends, int64_t range_ms, int64_t step_ms);

class SubquerySource final : public RangeSource {
 public:
  // `inner` is evaluated on SubqueryGrid of the shifted times. Null when that grid is empty.
  SubquerySource(QueryContext* context, const Grid& grid, TimeShift shift, int64_t range_ms,
                 OperatorPtr inner)
      : RangeSource(context, grid, shift, range_ms), inner_(std::move(inner)) {}

  Status Open() override { return inner_ == nullptr ? Status::Ok() : inner_->Open(); }
  size_t series_count() const override { return inner_ == nullptr ? 0 : inner_->series_count(); }
  model::Labels LabelsAt(size_t series) const override { return inner_->LabelsAt(series); }
  bool DropsName(size_t series) const override { return inner_->DropsName(series); }
  bool HasSingleName() const override { return inner_ == nullptr || inner_->HasSingleName(); }
  void Group(bool without, std::span<const std::string> names,
             std::vector<uint32_t>* group_of_series,
             std::vector<model::Labels>* groups) const override;
  std::unique_ptr<ColumnCursor> NewCursor() const override;

 private:
  const OperatorPtr inner_;
};

}  // namespace tocsin::query
