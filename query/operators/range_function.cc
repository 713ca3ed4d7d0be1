#include "query/operators/range_function.h"

#include <algorithm>

#include "query/functions/window_facts.h"

namespace tocsin::query {

using model::Column;
using model::Labels;
using model::Timestamp;

namespace {

// Windows of float or histogram samples, computed once for columns that have equal timestamps:
// neighbours share the array, sources that are sampled together have equal ones.
class SharedWindows {
 public:
  // True when they were computed anew.
  bool Find(std::span<const Timestamp> samples, const WindowCall& call) {
    // Empty arrays share nothing: of two the data may be null, as that of `shared_` forgotten.
    if (valid_ && !samples.empty() && shared_.data() == samples.data() &&
        shared_.size() == samples.size())
      return false;
    shared_ = samples;
    if (valid_ && std::equal(samples.begin(), samples.end(), known_.begin(), known_.end()))
      return false;
    known_.assign(samples.begin(), samples.end());
    valid_ = true;
    FindWindows(samples, call.times, call.range_ms, &windows_);
    return true;
  }
  // The arrays that were seen so far are gone.
  void Forget() { shared_ = {}; }
  const Windows& windows() const { return windows_; }

 private:
  bool valid_ = false;
  std::span<const Timestamp> shared_;
  std::vector<Timestamp> known_;
  Windows windows_;
};

class RangeFunctionCursor final : public Cursor {
 public:
  RangeFunctionCursor(const WindowCall* call, WindowKernel kernel, FactsKernel facts_kernel,
                      std::unique_ptr<ColumnCursor> source)
      : call_(call), kernel_(kernel), facts_kernel_(facts_kernel), source_(std::move(source)) {}

  Status Read(size_t first, size_t count, Batch* out) override {
    QueryContext* const context = call_->context;
    TOCSIN_RETURN_IF_ERROR(out->Reset(count, call_->grid.count, &context->memory));
    TOCSIN_RETURN_IF_ERROR(source_->Read(first, count, &columns_));
    floats_.Forget();
    int64_t queryable = 0;
    const bool by_step = !context->samples_per_step.empty();
    for (size_t s = 0; s < count; ++s) {
      const Column& column = columns_[s];
      if (!column.facts.empty()) {
        DCHECK(facts_kernel_ != nullptr);
        const FactsInput in = PrepareFacts(*call_, first + s, column, &facts_);
        TOCSIN_RETURN_IF_ERROR(facts_kernel_(*call_, in, WindowOutput{out, s}));
        continue;
      }
      if (column.values.empty() && column.histograms.empty()) continue;
      if (floats_.Find(column.timestamps, *call_)) scratch_.rate.valid = false;
      WindowInput in;
      in.series = first + s;
      in.column = &column;
      in.floats = &floats_.windows();
      in.scratch = &scratch_;
      if (!column.histograms.empty()) {
        histograms_.Forget();
        histograms_.Find(column.histogram_timestamps, *call_);
        in.histograms = &histograms_.windows();
        scratch_.histograms.valid = false;
      }
      const int64_t total =
          in.floats->total + (in.histograms == nullptr ? 0 : in.histograms->total);
      if (by_step) {
        context->CountQueryable(call_->grid, total,
                                [&](size_t t) { return in.FloatsIn(t) + in.HistogramsIn(t); });
      } else {
        queryable += total;
      }
      TOCSIN_RETURN_IF_ERROR(kernel_(*call_, in, WindowOutput{out, s}));
    }
    context->queryable_samples.fetch_add(queryable, std::memory_order_relaxed);
    return context->samples.Add(static_cast<int64_t>(out->CountPoints()));
  }

 private:
  const WindowCall* const call_;
  const WindowKernel kernel_;
  const FactsKernel facts_kernel_;  // for columns given as facts
  const std::unique_ptr<ColumnCursor> source_;
  std::vector<Column> columns_;
  SharedWindows floats_;
  SharedWindows histograms_;
  WindowScratch scratch_;
  FactsScratch facts_;
};

}  // namespace

Status RangeFunctionOperator::Open() {
  TOCSIN_RETURN_IF_ERROR(source_->Open());
  call_.context = context_;
  call_.function = spec_.function;
  call_.grid = grid_;
  call_.times = source_->times();
  call_.range_ms = source_->range_ms();
  call_.position = spec_.position;
  call_.first_position = spec_.first_position;
  call_.namer = this;
  call_.counter_checked = &counter_checked_;
  for (const OperatorPtr& scalar : scalars_) {
    TOCSIN_RETURN_IF_ERROR(scalar->Open());
    TOCSIN_RETURN_IF_ERROR(ReadScalar(*scalar, &call_.scalars.emplace_back()));
  }
  return Status::Ok();
}

bool RangeFunctionOperator::DropsNameNow() const {
  return !spec_.keeps_name && !context_->language.delayed_name_removal;
}

Labels RangeFunctionOperator::LabelsAt(size_t series) const {
  Labels labels = source_->LabelsAt(series);
  return DropsNameNow() ? WithoutName(labels) : labels;
}

bool RangeFunctionOperator::DropsName(size_t series) const {
  return source_->DropsName(series) ||
         (!spec_.keeps_name && context_->language.delayed_name_removal);
}

void RangeFunctionOperator::Group(bool without, std::span<const std::string> names,
                                  std::vector<uint32_t>* group_of_series,
                                  std::vector<Labels>* groups) const {
  const bool names_gone = DropsNameNow() && !without &&
                          std::any_of(names.begin(), names.end(),
                                      [](const std::string& name) { return IsNameLabel(name); });
  if (!names_gone) {
    source_->Group(without, names, group_of_series, groups);
    return;
  }
  std::vector<std::string> left;
  for (const std::string& name : names) {
    if (!IsNameLabel(name)) left.push_back(name);
  }
  source_->Group(without, left, group_of_series, groups);
}

std::unique_ptr<Cursor> RangeFunctionOperator::NewCursor() const {
  return std::make_unique<RangeFunctionCursor>(
      &call_, spec_.kernel, FindFactsFunction(spec_.function).kernel, source_->NewCursor());
}

std::string RangeFunctionOperator::MetricName(size_t series) const {
  return std::string(source_->LabelsAt(series).MetricName());
}

std::string RangeFunctionOperator::TypeLabel(size_t series) const {
  return std::string(source_->LabelsAt(series).Get("__type__"));
}

}  // namespace tocsin::query
