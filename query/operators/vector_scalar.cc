#include "query/operators/binary.h"

namespace tocsin::query {

namespace {

// Float against float over a whole row; comparisons filter.
void ScalarRow(const BinarySpec& spec, const std::vector<double>& scalar, bool scalar_left,
               double* values, PointKind* kinds) {
  const size_t steps = scalar.size();
  if (!IsComparison(spec.op)) {
    for (size_t t = 0; t < steps; ++t) {
      if (kinds[t] != PointKind::kFloat) continue;
      values[t] = scalar_left ? FloatArithmetic(spec.op, scalar[t], values[t])
                              : FloatArithmetic(spec.op, values[t], scalar[t]);
    }
    return;
  }
  for (size_t t = 0; t < steps; ++t) {
    if (kinds[t] != PointKind::kFloat) continue;
    const bool holds = scalar_left ? FloatCompare(spec.op, scalar[t], values[t])
                                   : FloatCompare(spec.op, values[t], scalar[t]);
    if (spec.return_bool) {
      values[t] = holds ? 1 : 0;
    } else if (!holds) {
      kinds[t] = PointKind::kAbsent;
    }
  }
}

bool IsTrim(BinaryOp op) { return op == BinaryOp::kTrimUpper || op == BinaryOp::kTrimLower; }

class VectorScalarCursor final : public Cursor {
 public:
  VectorScalarCursor(QueryContext* context, const BinarySpec* spec,
                     const std::vector<double>* scalar, bool scalar_left,
                     std::unique_ptr<Cursor> child)
      : context_(context),
        spec_(spec),
        scalar_(scalar),
        scalar_left_(scalar_left),
        child_(std::move(child)) {}

  Status Read(size_t first, size_t count, Batch* out) override {
    TOCSIN_RETURN_IF_ERROR(child_->Read(first, count, out));
    for (size_t s = 0; s < count; ++s) {
      if (out->has_histograms(s)) HistogramPoints(out, s);
      if (IsTrim(spec_->op)) {
        RefuseFloats(out->kinds(s));
      } else {
        ScalarRow(*spec_, *scalar_, scalar_left_, out->values(s), out->kinds(s));
      }
    }
    return Status::Ok();
  }

 private:
  void RefuseFloats(PointKind* kinds) {
    for (size_t t = 0; t < scalar_->size(); ++t) {
      if (kinds[t] != PointKind::kFloat) continue;
      kinds[t] = PointKind::kAbsent;
      context_->annotations.IncompatibleTypes("float", BinaryOpName(spec_->op), "float",
                                              spec_->position);
    }
  }

  void HistogramPoints(Batch* out, size_t s) {
    HistogramPtr* histograms = out->MutableHistograms(s);
    PointKind* kinds = out->kinds(s);
    for (size_t t = 0; t < scalar_->size(); ++t) {
      if (kinds[t] != PointKind::kHistogram) continue;
      const Operand vector{0, histograms[t].get()};
      const Operand scalar{(*scalar_)[t], nullptr};
      PairResult result = scalar_left_ ? CombineHistograms(spec_->op, scalar, vector)
                                       : CombineHistograms(spec_->op, vector, scalar);
      AnnotatePair(result.note, spec_->op, spec_->position, &context_->annotations);
      if (result.outcome == PairOutcome::kHistogram) {
        histograms[t] = std::move(result.histogram);
      } else {
        kinds[t] = PointKind::kAbsent;
      }
    }
  }

  QueryContext* const context_;
  const BinarySpec* const spec_;
  const std::vector<double>* const scalar_;
  const bool scalar_left_;
  const std::unique_ptr<Cursor> child_;
};

NamePolicy PolicyOf(const BinarySpec& spec) {
  return ChangesMetric(spec.op) || spec.return_bool ? NamePolicy::kDrop : NamePolicy::kKeep;
}

}  // namespace

VectorScalarOperator::VectorScalarOperator(QueryContext* context, const Grid& grid, BinarySpec spec,
                                           OperatorPtr vector, OperatorPtr scalar, bool scalar_left)
    : UnaryOperator(context, grid, std::move(vector), PolicyOf(spec)),
      spec_(spec),
      scalar_operator_(std::move(scalar)),
      scalar_left_(scalar_left) {}

Status VectorScalarOperator::Open() {
  TOCSIN_RETURN_IF_ERROR(child_->Open());
  TOCSIN_RETURN_IF_ERROR(scalar_operator_->Open());
  return ReadScalar(*scalar_operator_, &scalar_);
}

std::unique_ptr<Cursor> VectorScalarOperator::NewCursor() const {
  return std::make_unique<VectorScalarCursor>(context_, &spec_, &scalar_, scalar_left_,
                                              child_->NewCursor());
}

}  // namespace tocsin::query
