// Arithmetic and comparison of two points, floats and histograms.
#pragma once

#include <cstdint>

#include "query/ast.h"
#include "query/context.h"
#include "query/operators/batch.h"

namespace tocsin::query {

// a % b and a ^ b with Go's special cases (pow(1, NaN) and the like agree with C's).
double Modulo(double a, double b);
// Go's math.Min and math.Max, which clamp() and min_of() show: the infinity that decides wins
// even over NaN, any other NaN wins, and -0 is smaller than 0.
double SmallerOf(double a, double b);
double LargerOf(double a, double b);
// Float operators only: arithmetic gives the result, comparisons 1 or 0.
double FloatArithmetic(BinaryOp op, double a, double b);
bool FloatCompare(BinaryOp op, double a, double b);

// One operand: a histogram when `histogram` is set.
struct Operand {
  double value = 0;
  const model::Histogram* histogram = nullptr;
};

// What there is to say about a pair.
enum class PairNote : uint8_t {
  kNone,
  kFloatFloat,  // these four: operands that the operator does not take
  kFloatHistogram,
  kHistogramFloat,
  kHistogramHistogram,
  kBucketLayout,    // exponential and custom buckets
  kResetCollision,  // opposite reset hints
  kReconciled,      // custom buckets with other bounds; there is a result all the same
};
void AnnotatePair(PairNote note, BinaryOp op, PositionRange position, AnnotationSink* annotations);

enum class PairOutcome : uint8_t { kFloat, kHistogram, kNothing };
struct PairResult {
  PairOutcome outcome = PairOutcome::kNothing;
  PairNote note = PairNote::kNone;
  bool keep = true;  // comparisons: whether it holds
  double value = 0;
  HistogramPtr histogram;
};

// Where at least one operand is a histogram (two floats are taken by no trimming operator).
PairResult CombineHistograms(BinaryOp op, const Operand& lhs, const Operand& rhs);

// True for operators whose result is not the metric any more (+ - * / % ^ atan2).
bool ChangesMetric(BinaryOp op);

}  // namespace tocsin::query
