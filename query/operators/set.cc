#include <algorithm>

#include "query/operators/binary.h"

namespace tocsin::query {

using model::Labels;

void SetOperator::MarkPresent(const Batch& batch, size_t row, uint32_t group) {
  uint8_t* present = present_.data() + group * grid_.count;
  const PointKind* kinds = batch.kinds(row);
  for (size_t t = 0; t < grid_.count; ++t) {
    if (kinds[t] != PointKind::kAbsent) present[t] = 1;
  }
}

Status SetOperator::Open() {
  TOCSIN_RETURN_IF_ERROR(lhs_->Open());
  TOCSIN_RETURN_IF_ERROR(rhs_->Open());
  if (op_ != BinaryOp::kOr) label_source_ = &lhs_->LabelSource();
  TOCSIN_ASSIGN_OR_RETURN_STATUS(
      const size_t groups, HashSignatures(matching_, *lhs_, *rhs_, &group_of_lhs_, &group_of_rhs_));
  TOCSIN_RETURN_IF_ERROR(charge_.Grow(&context_->memory, groups * grid_.count));
  present_.assign(groups * grid_.count, 0);
  if (op_ == BinaryOp::kOr) return OpenOr();
  return ForEachMorselInOrder(*rhs_, [&](size_t first, Batch& batch) {
    for (size_t s = 0; s < batch.series(); ++s) MarkPresent(batch, s, group_of_rhs_[first + s]);
    return Status::Ok();
  });
}

Status SetOperator::OpenOr() {
  TOCSIN_RETURN_IF_ERROR(ReadAll(*lhs_, &lhs_rows_));
  for (size_t s = 0; s < lhs_rows_.series(); ++s) {
    MarkPresent(lhs_rows_, s, group_of_lhs_[s]);
    Labels labels = lhs_->LabelsAt(s);
    TOCSIN_RETURN_IF_ERROR(labels_charge_.Add(labels));
    lhs_labels_.push_back(std::move(labels));
    lhs_drops_name_.push_back(lhs_->DropsName(s));
  }
  lhs_.reset();
  return Status::Ok();
}

Labels SetOperator::LabelsAt(size_t series) const {
  if (label_source_ != nullptr) return label_source_->LabelsAt(series);
  const size_t left = lhs_labels_.size();
  return series < left ? lhs_labels_[series] : rhs_->LabelsAt(series - left);
}

bool SetOperator::DropsName(size_t series) const {
  if (label_source_ != nullptr) return label_source_->DropsName(series);
  const size_t left = lhs_labels_.size();
  return series < left ? lhs_drops_name_[series] : rhs_->DropsName(series - left);
}

class SetOperator::SetCursor final : public Cursor {
 public:
  explicit SetCursor(const SetOperator* set)
      : set_(set),
        lhs_(set->lhs_ == nullptr ? nullptr : set->lhs_->NewCursor()),
        rhs_(set->lhs_ == nullptr ? set->rhs_->NewCursor() : nullptr) {}

  Status Read(size_t first, size_t count, Batch* out) override {
    if (lhs_ == nullptr) return ReadOr(first, count, out);
    TOCSIN_RETURN_IF_ERROR(lhs_->Read(first, count, out));
    for (size_t s = 0; s < count; ++s) {
      Filter(set_->group_of_lhs_[first + s], set_->op_ == BinaryOp::kAnd, out->kinds(s));
    }
    return Status::Ok();
  }

 private:
  Status ReadOr(size_t first, size_t count, Batch* out) {
    TOCSIN_RETURN_IF_ERROR(out->Reset(count, set_->grid_.count, &set_->context_->memory));
    const size_t left = set_->lhs_labels_.size();
    const size_t from_left = first < left ? std::min(count, left - first) : 0;
    for (size_t s = 0; s < from_left; ++s) out->CopyRow(set_->lhs_rows_, first + s, s);
    if (from_left == count) return Status::Ok();
    const size_t right = first + from_left - left;
    TOCSIN_RETURN_IF_ERROR(rhs_->Read(right, count - from_left, &batch_));
    for (size_t s = 0; s < batch_.series(); ++s) {
      Filter(set_->group_of_rhs_[right + s], false, batch_.kinds(s));
      out->CopyRow(batch_, s, from_left + s);
    }
    return Status::Ok();
  }

  // Keeps the points at steps where the signature's presence on the other side is `wanted`.
  void Filter(uint32_t group, bool wanted, PointKind* kinds) const {
    const uint8_t* present = set_->present_.data() + group * set_->grid_.count;
    for (size_t t = 0; t < set_->grid_.count; ++t) {
      if ((present[t] != 0) != wanted) kinds[t] = PointKind::kAbsent;
    }
  }

  const SetOperator* const set_;
  const std::unique_ptr<Cursor> lhs_;
  const std::unique_ptr<Cursor> rhs_;
  Batch batch_;
};

std::unique_ptr<Cursor> SetOperator::NewCursor() const { return std::make_unique<SetCursor>(this); }

}  // namespace tocsin::query
