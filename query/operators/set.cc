#include "query/operators/binary.h"

namespace tocsin::query {

using model::Labels;

Status SetOperator::Open() {
  TOCSIN_RETURN_IF_ERROR(lhs_->Open());
  TOCSIN_RETURN_IF_ERROR(rhs_->Open());
  const size_t groups = HashSignatures(matching_, *lhs_, *rhs_, &group_of_lhs_, &group_of_rhs_);
  TOCSIN_RETURN_IF_ERROR(charge_.Grow(&context_->memory, groups * grid_.count));
  present_.assign(groups * grid_.count, 0);
  const bool of_lhs = op_ == BinaryOp::kOr;
  const std::vector<uint32_t>& group_of = of_lhs ? group_of_lhs_ : group_of_rhs_;
  return ForEachMorselInOrder(of_lhs ? *lhs_ : *rhs_, [&](size_t first, Batch& batch) {
    for (size_t s = 0; s < batch.series(); ++s) {
      uint8_t* present = present_.data() + group_of[first + s] * grid_.count;
      for (size_t t = 0; t < grid_.count; ++t) {
        if (batch.kinds(s)[t] != PointKind::kAbsent) present[t] = 1;
      }
    }
    return Status::Ok();
  });
}

Labels SetOperator::LabelsAt(size_t series) const {
  const size_t left = lhs_->series_count();
  return series < left ? lhs_->LabelsAt(series) : rhs_->LabelsAt(series - left);
}

bool SetOperator::DropsName(size_t series) const {
  const size_t left = lhs_->series_count();
  return series < left ? lhs_->DropsName(series) : rhs_->DropsName(series - left);
}

class SetOperator::SetCursor final : public Cursor {
 public:
  explicit SetCursor(const SetOperator* set)
      : set_(set), lhs_(set->lhs_->NewCursor()), rhs_(set->rhs_->NewCursor()) {}

  Status Read(size_t first, size_t count, Batch* out) override {
    const size_t left = set_->lhs_->series_count();
    const size_t from_left = first < left ? std::min(count, left - first) : 0;
    if (from_left == count) {
      TOCSIN_RETURN_IF_ERROR(lhs_->Read(first, count, out));
      if (set_->op_ == BinaryOp::kOr) return Status::Ok();
      for (size_t s = 0; s < count; ++s) {
        Filter(set_->group_of_lhs_[first + s], set_->op_ == BinaryOp::kAnd, out->kinds(s));
      }
      return Status::Ok();
    }
    TOCSIN_RETURN_IF_ERROR(out->Reset(count, set_->grid_.count, &set_->context_->memory));
    if (from_left > 0) {
      TOCSIN_RETURN_IF_ERROR(lhs_->Read(first, from_left, &batch_));
      for (size_t s = 0; s < from_left; ++s) out->CopyRow(batch_, s, s);
    }
    const size_t right = first + from_left - left;
    TOCSIN_RETURN_IF_ERROR(rhs_->Read(right, count - from_left, &batch_));
    for (size_t s = 0; s < batch_.series(); ++s) {
      Filter(set_->group_of_rhs_[right + s], false, batch_.kinds(s));
      out->CopyRow(batch_, s, from_left + s);
    }
    return Status::Ok();
  }

 private:
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
