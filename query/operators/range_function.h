// RangeFunctionOperator: a window kernel over the columns of a RangeSource.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "query/functions/window.h"
#include "query/operators/operator.h"
#include "query/operators/range_source.h"

namespace tocsin::query {

struct RangeFunctionSpec {
  std::string function;
  WindowKernel kernel = nullptr;
  bool keeps_name = false;  // last_over_time, first_over_time
  PositionRange position;
  PositionRange first_position;
};

class RangeFunctionOperator final : public Operator, private MetricNamer {
 public:
  RangeFunctionOperator(QueryContext* context, const Grid& grid, RangeFunctionSpec spec,
                        RangeSourcePtr source, std::vector<OperatorPtr> scalars)
      : Operator(context, grid),
        spec_(std::move(spec)),
        source_(std::move(source)),
        scalars_(std::move(scalars)) {}

  Status Open() override;
  size_t series_count() const override { return source_->series_count(); }
  model::Labels LabelsAt(size_t series) const override;
  bool DropsName(size_t series) const override;
  bool HasSingleName() const override { return source_->HasSingleName(); }
  void Group(bool without, std::span<const std::string> names,
             std::vector<uint32_t>* group_of_series,
             std::vector<model::Labels>* groups) const override;
  std::unique_ptr<Cursor> NewCursor() const override;

 private:
  std::string MetricName(size_t series) const override;
  std::string TypeLabel(size_t series) const override;
  bool SameForAll() const override {
    return source_->HasSingleName() && !context_->language.type_and_unit_labels;
  }
  bool DropsNameNow() const;

  const RangeFunctionSpec spec_;
  const RangeSourcePtr source_;
  const std::vector<OperatorPtr> scalars_;
  WindowCall call_;
  std::atomic<bool> counter_checked_ = false;
};

}  // namespace tocsin::query
