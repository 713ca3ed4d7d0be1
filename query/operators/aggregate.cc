#include "query/operators/aggregate.h"

#include <algorithm>

#include "query/aggregations.h"

namespace tocsin::query {

Result<Groups> GroupSeries(const Operator& child, const Grouping& grouping) {
  Groups groups{{}, {}, {}, LabelsCharge(child.context())};
  child.Group(grouping.without, grouping.labels, &groups.of_series, &groups.labels);
  // Only now: parts of label sets that the child holds. How many groups there will be is known to
  // none.
  for (const model::Labels& labels : groups.labels) TOCSIN_TRY(groups.charge.Add(labels));
  const bool named = std::any_of(groups.labels.begin(), groups.labels.end(),
                                 [](const model::Labels& l) { return l.Has(model::kMetricName); });
  if (named && child.context()->language.delayed_name_removal) {
    groups.drops_name.assign(groups.labels.size(), false);
    for (size_t s = 0; s < groups.of_series.size(); ++s) {
      if (child.DropsName(s)) groups.drops_name[groups.of_series[s]] = true;
    }
  }
  return groups;
}

bool AggregateOperator::HasSingleName() const {
  return grouping_.without ||
         std::none_of(grouping_.labels.begin(), grouping_.labels.end(),
                      [](const std::string& name) { return IsNameLabel(name); });
}

Status AggregateOperator::Open() {
  TOCSIN_RETURN_IF_ERROR(child_->Open());
  TOCSIN_ASSIGN_OR_RETURN_STATUS(Groups groups, GroupSeries(*child_, grouping_));
  const int64_t held_before = context_->samples.held();
  // Kinds, sum, compensation and count a cell.
  static constexpr uint64_t kCellBytes = 25;
  MemoryCharge charge;
  TOCSIN_RETURN_IF_ERROR(
      charge.Grow(&context_->memory, groups.labels.size() * grid_.count * kCellBytes));
  TOCSIN_ASSIGN_OR_RETURN_STATUS(
      std::unique_ptr<GroupAccumulator> accumulator,
      NewGroupAccumulator(op_, groups.labels.size(), grid_.count,
                          AggregationPlace{context_, position_, child_.get()}));
  const Status read = ForEachMorselInOrder(*child_, [&](size_t first, Batch& batch) {
    for (size_t s = 0; s < batch.series(); ++s) {
      TOCSIN_RETURN_IF_ERROR(accumulator->Add(groups.of_series[first + s], first + s, batch, s));
    }
    return Status::Ok();
  });
  TOCSIN_RETURN_IF_ERROR(read);
  TOCSIN_RETURN_IF_ERROR(accumulator->Finish(&data_));
  TakeGroups(std::move(groups.labels), std::move(groups.drops_name), std::move(groups.charge));
  child_.reset();
  // The child's points are gone; the groups' stay.
  TOCSIN_RETURN_IF_ERROR(context_->samples.Add(static_cast<int64_t>(data_.CountPoints())));
  context_->samples.ReturnTo(held_before + static_cast<int64_t>(data_.CountPoints()));
  return Status::Ok();
}

}  // namespace tocsin::query
