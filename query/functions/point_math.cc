#include "query/functions/point_math.h"

#include <cmath>
#include <limits>

#include "base/check.h"
#include "query/histogram_math.h"

namespace tocsin::query {

double Modulo(double a, double b) { return std::fmod(a, b); }

double SmallerOf(double a, double b) {
  constexpr double kLowest = -std::numeric_limits<double>::infinity();
  if (a == kLowest || b == kLowest) return kLowest;
  if (std::isnan(a) || std::isnan(b)) return model::NormalNan();
  if (a == b) return std::signbit(a) ? a : b;
  return a < b ? a : b;
}

double LargerOf(double a, double b) {
  constexpr double kHighest = std::numeric_limits<double>::infinity();
  if (a == kHighest || b == kHighest) return kHighest;
  if (std::isnan(a) || std::isnan(b)) return model::NormalNan();
  if (a == b) return std::signbit(a) ? b : a;
  return a > b ? a : b;
}

double FloatArithmetic(BinaryOp op, double a, double b) {
  switch (op) {
    case BinaryOp::kAdd:
      return a + b;
    case BinaryOp::kSub:
      return a - b;
    case BinaryOp::kMul:
      return a * b;
    case BinaryOp::kDiv:
      return a / b;
    case BinaryOp::kMod:
      return Modulo(a, b);
    case BinaryOp::kPow:
      return std::pow(a, b);
    case BinaryOp::kAtan2:
      return std::atan2(a, b);
    default:
      return FloatCompare(op, a, b) ? 1 : 0;
  }
}

bool FloatCompare(BinaryOp op, double a, double b) {
  switch (op) {
    case BinaryOp::kEqual:
      return a == b;
    case BinaryOp::kNotEqual:
      return a != b;
    case BinaryOp::kLess:
      return a < b;
    case BinaryOp::kLessEqual:
      return a <= b;
    case BinaryOp::kGreater:
      return a > b;
    case BinaryOp::kGreaterEqual:
      return a >= b;
    default:
      CHECK_MSG(false, "not a comparison");
  }
}

bool ChangesMetric(BinaryOp op) {
  switch (op) {
    case BinaryOp::kAdd:
    case BinaryOp::kSub:
    case BinaryOp::kMul:
    case BinaryOp::kDiv:
    case BinaryOp::kMod:
    case BinaryOp::kPow:
    case BinaryOp::kAtan2:
      return true;
    default:
      return false;
  }
}

namespace {

PairResult HistogramResult(model::Histogram histogram) {
  PairResult result;
  result.outcome = PairOutcome::kHistogram;
  CompactHistogram(&histogram);
  result.histogram = std::make_shared<const model::Histogram>(std::move(histogram));
  return result;
}

PairResult Refused(PairNote note) {
  PairResult result;
  result.note = note;
  return result;
}

PairResult AddOrSubtract(BinaryOp op, const model::Histogram& lhs, const model::Histogram& rhs) {
  const bool add = op == BinaryOp::kAdd;
  model::Histogram result = lhs;
  const std::optional<CombineNotes> notes =
      add ? AddHistogram(rhs, &result) : SubtractHistogram(rhs, &result);
  if (!notes.has_value()) return Refused(PairNote::kBucketLayout);
  // As in the reference, the warning stands in for the result.
  if (notes->counter_reset_collision) return Refused(PairNote::kResetCollision);
  if (!add) result.hint = model::CounterResetHint::kGauge;
  PairResult pair = HistogramResult(std::move(result));
  if (notes->bounds_reconciled) pair.note = PairNote::kReconciled;
  return pair;
}

PairResult CompareHistograms(BinaryOp op, const model::Histogram& lhs,
                             const model::Histogram& rhs) {
  PairResult result;
  result.outcome = PairOutcome::kHistogram;
  result.keep = SameHistogram(lhs, rhs) == (op == BinaryOp::kEqual);
  result.histogram = std::make_shared<const model::Histogram>(lhs);
  return result;
}

}  // namespace

void AnnotatePair(PairNote note, BinaryOp op, PositionRange position, AnnotationSink* annotations) {
  static constexpr std::string_view kFloat = "float";
  static constexpr std::string_view kHistogram = "histogram";
  const std::string_view operation = op == BinaryOp::kAdd ? "addition" : "subtraction";
  const std::string_view name = BinaryOpName(op);
  switch (note) {
    case PairNote::kNone:
      return;
    case PairNote::kFloatFloat:
      return annotations->IncompatibleTypes(kFloat, name, kFloat, position);
    case PairNote::kFloatHistogram:
      return annotations->IncompatibleTypes(kFloat, name, kHistogram, position);
    case PairNote::kHistogramFloat:
      return annotations->IncompatibleTypes(kHistogram, name, kFloat, position);
    case PairNote::kHistogramHistogram:
      return annotations->IncompatibleTypes(kHistogram, name, kHistogram, position);
    case PairNote::kBucketLayout:
      return annotations->IncompatibleBucketLayout(name, position);
    case PairNote::kResetCollision:
      return annotations->CounterResetCollision(operation, position);
    case PairNote::kReconciled:
      return annotations->MismatchedCustomBuckets(operation, position);
  }
}

PairResult CombineHistograms(BinaryOp op, const Operand& lhs, const Operand& rhs) {
  if (lhs.histogram != nullptr && rhs.histogram != nullptr) {
    if (op == BinaryOp::kAdd || op == BinaryOp::kSub) {
      return AddOrSubtract(op, *lhs.histogram, *rhs.histogram);
    }
    if (op == BinaryOp::kEqual || op == BinaryOp::kNotEqual) {
      return CompareHistograms(op, *lhs.histogram, *rhs.histogram);
    }
  } else if (lhs.histogram != nullptr) {
    model::Histogram result = *lhs.histogram;
    switch (op) {
      case BinaryOp::kMul:
        ScaleHistogram(rhs.value, &result);
        return HistogramResult(std::move(result));
      case BinaryOp::kDiv:
        DivideHistogram(rhs.value, &result);
        return HistogramResult(std::move(result));
      case BinaryOp::kTrimUpper:
      case BinaryOp::kTrimLower:
        TrimHistogram(rhs.value, op == BinaryOp::kTrimUpper, &result);
        return HistogramResult(std::move(result));
      default:
        break;
    }
  } else if (rhs.histogram != nullptr && op == BinaryOp::kMul) {
    model::Histogram result = *rhs.histogram;
    ScaleHistogram(lhs.value, &result);
    return HistogramResult(std::move(result));
  }
  if (lhs.histogram == nullptr) {
    return Refused(rhs.histogram == nullptr ? PairNote::kFloatFloat : PairNote::kFloatHistogram);
  }
  return Refused(rhs.histogram == nullptr ? PairNote::kHistogramFloat
                                          : PairNote::kHistogramHistogram);
}

}  // namespace tocsin::query
