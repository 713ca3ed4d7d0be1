#include "query/operators/map.h"

#include <algorithm>
#include <unordered_map>

namespace tocsin::query {

using model::Labels;

Labels UnaryOperator::LabelsAt(size_t series) const {
  Labels labels = child_->LabelsAt(series);
  return DropsNameNow() ? WithoutName(labels) : labels;
}

bool UnaryOperator::DropsName(size_t series) const {
  return child_->DropsName(series) ||
         (policy_ == NamePolicy::kDrop && context_->language.delayed_name_removal);
}

void UnaryOperator::Group(bool without, std::span<const std::string> names,
                          std::vector<uint32_t>* group_of_series,
                          std::vector<Labels>* groups) const {
  if (!DropsNameNow() || without) {
    child_->Group(without, names, group_of_series, groups);
    return;
  }
  std::vector<std::string> left;
  for (const std::string& name : names) {
    if (!IsNameLabel(name)) left.push_back(name);
  }
  child_->Group(without, left, group_of_series, groups);
}

namespace {

class MapCursor final : public Cursor {
 public:
  MapCursor(std::unique_ptr<Cursor> child, const MapOperator::RowMap* map,
            const MapOperator::Scalars* scalars)
      : child_(std::move(child)), map_(map), scalars_(scalars) {}
  Status Read(size_t first, size_t count, Batch* out) override {
    TOCSIN_RETURN_IF_ERROR(child_->Read(first, count, out));
    for (size_t s = 0; s < count; ++s) (*map_)(*scalars_, out, s);
    return Status::Ok();
  }

 private:
  const std::unique_ptr<Cursor> child_;
  const MapOperator::RowMap* const map_;
  const MapOperator::Scalars* const scalars_;
};

class BroadcastCursor final : public Cursor {
 public:
  BroadcastCursor(QueryContext* context, size_t steps, std::unique_ptr<Cursor> child)
      : context_(context), steps_(steps), child_(std::move(child)) {}
  Status Read(size_t first, size_t count, Batch* out) override {
    TOCSIN_RETURN_IF_ERROR(child_->Read(first, count, &once_));
    TOCSIN_RETURN_IF_ERROR(out->Reset(count, steps_, &context_->memory));
    out->Broadcast(once_);
    return Status::Ok();
  }

 private:
  QueryContext* const context_;
  const size_t steps_;
  const std::unique_ptr<Cursor> child_;
  Batch once_;
};

}  // namespace

Status MapOperator::Open() {
  TOCSIN_RETURN_IF_ERROR(child_->Open());
  for (const OperatorPtr& scalar : scalar_operators_) {
    TOCSIN_RETURN_IF_ERROR(scalar->Open());
    TOCSIN_RETURN_IF_ERROR(ReadScalar(*scalar, &scalars_.emplace_back()));
  }
  return Status::Ok();
}

std::unique_ptr<Cursor> MapOperator::NewCursor() const {
  return std::make_unique<MapCursor>(child_->NewCursor(), &map_, &scalars_);
}

std::unique_ptr<Cursor> StepInvariantOperator::NewCursor() const {
  return std::make_unique<BroadcastCursor>(context_, grid_.count, child_->NewCursor());
}

Status MergeEqualLabelsOperator::Open() {
  TOCSIN_RETURN_IF_ERROR(child_->Open());
  LabelsCharge charge(context_);
  std::unordered_map<Labels, uint32_t, model::LabelsHash> ids;
  std::vector<uint32_t> target;
  for (size_t s = 0; s < child_->series_count(); ++s) {
    const auto [it, added] =
        ids.try_emplace(child_->LabelsAt(s), static_cast<uint32_t>(first_members_.size()));
    if (added) {
      TOCSIN_RETURN_IF_ERROR(charge.Add(it->first));
      first_members_.push_back(static_cast<uint32_t>(s));
    }
    target.push_back(it->second);
  }
  distinct_ = first_members_.size() == child_->series_count();
  if (!distinct_) return Merge(target);
  first_members_.clear();
  return Status::Ok();
}

// At once, not when somebody reads: two points at one step are an error also when nobody does.
Status MergeEqualLabelsOperator::Merge(const std::vector<uint32_t>& target) {
  TOCSIN_RETURN_IF_ERROR(merged_.Reset(first_members_.size(), grid_.count, &context_->memory));
  const auto cursor = child_->NewCursor();
  Batch batch;
  const size_t morsel = MorselSeries(grid_.count);
  for (size_t first = 0; first < target.size(); first += morsel) {
    TOCSIN_RETURN_IF_ERROR(context_->CheckRunning());
    const size_t count = std::min(morsel, target.size() - first);
    TOCSIN_RETURN_IF_ERROR(cursor->Read(first, count, &batch));
    for (size_t s = 0; s < count; ++s)
      TOCSIN_RETURN_IF_ERROR(MergeRow(batch, s, &merged_, target[first + s]));
  }
  return Status::Ok();
}

std::unique_ptr<Cursor> MergeEqualLabelsOperator::NewCursor() const {
  if (distinct_) return child_->NewCursor();
  return NewCopyCursor(&merged_, context_);
}

Status DuplicateLabelsError() {
  return Status(Code::kExecution, "vector cannot contain metrics with the same labelset");
}

Status MergeRow(const Batch& source, size_t from, Batch* target, size_t to) {
  const PointKind* kinds = source.kinds(from);
  for (size_t t = 0; t < source.steps(); ++t) {
    if (kinds[t] == PointKind::kAbsent) continue;
    if (target->kinds(to)[t] != PointKind::kAbsent) return DuplicateLabelsError();
    if (kinds[t] == PointKind::kFloat) {
      target->SetFloat(to, t, source.values(from)[t]);
    } else {
      target->SetHistogram(to, t, source.histograms(from)[t]);
    }
  }
  return Status::Ok();
}

}  // namespace tocsin::query
