#include "query/operators/scalar.h"

#include <algorithm>

#include "base/mutex.h"

namespace tocsin::query {
namespace {

class ScalarCursor final : public Cursor {
 public:
  ScalarCursor(QueryContext* context, const std::vector<double>* values)
      : context_(context), values_(values) {}
  Status Read(size_t /*first*/, size_t count, Batch* out) override {
    TOCSIN_RETURN_IF_ERROR(out->Reset(count, values_->size(), &context_->memory));
    if (count == 0) return Status::Ok();
    std::copy(values_->begin(), values_->end(), out->values(0));
    std::fill_n(out->kinds(0), values_->size(), PointKind::kFloat);
    return Status::Ok();
  }

 private:
  QueryContext* const context_;
  const std::vector<double>* const values_;
};

}  // namespace

std::unique_ptr<Cursor> ScalarOperator::NewCursor() const {
  return std::make_unique<ScalarCursor>(context_, &values_);
}

Status ConstantOperator::Open() {
  values_.assign(grid_.count, value_);
  return Status::Ok();
}

Status TimeOperator::Open() {
  values_.resize(grid_.count);
  for (size_t t = 0; t < grid_.count; ++t) values_[t] = static_cast<double>(grid_.at(t)) / 1000;
  return Status::Ok();
}

Status ScalarBinaryOperator::Open() {
  TOCSIN_RETURN_IF_ERROR(lhs_->Open());
  TOCSIN_RETURN_IF_ERROR(rhs_->Open());
  std::vector<double> rhs;
  TOCSIN_RETURN_IF_ERROR(ReadScalar(*lhs_, &values_));
  TOCSIN_RETURN_IF_ERROR(ReadScalar(*rhs_, &rhs));
  for (size_t t = 0; t < values_.size(); ++t) values_[t] = function_(values_[t], rhs[t]);
  return Status::Ok();
}

Status ToScalarOperator::Open() {
  TOCSIN_RETURN_IF_ERROR(vector_->Open());
  values_.assign(grid_.count, model::NormalNan());
  std::vector<uint32_t> elements(grid_.count, 0);
  Mutex mu;
  const Status read = ForEachMorsel(*vector_, [&](size_t, size_t, Batch& batch) {
    MutexLock lock(mu);
    for (size_t s = 0; s < batch.series(); ++s) {
      for (size_t t = 0; t < grid_.count; ++t) {
        if (batch.kinds(s)[t] != PointKind::kFloat) continue;
        ++elements[t];
        values_[t] = batch.values(s)[t];
      }
    }
    return Status::Ok();
  });
  TOCSIN_RETURN_IF_ERROR(read);
  for (size_t t = 0; t < grid_.count; ++t) {
    if (elements[t] != 1) values_[t] = model::NormalNan();
  }
  return Status::Ok();
}

}  // namespace tocsin::query
