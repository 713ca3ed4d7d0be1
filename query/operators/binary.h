// Binary operators with at least one vector: arithmetic and comparison of vector and scalar
// (VectorScalarOperator) and of two vectors (JoinOperator), and the set operators (SetOperator).
//
// A join hashes both sides by signature (the labels that must agree) once. The "one" side is read
// whole into one row a signature; the "many" side streams through, and its output series are known
// before a sample is read. Only where series of the many side could meet each other in the output
// (several of one signature in a one-to-one match, labels that become equal) everything is computed
// by Open, so that a clash at a step is seen.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "query/ast.h"
#include "query/functions/point_math.h"
#include "query/operators/map.h"
#include "query/operators/operator.h"
#include "query/operators/pair_notes.h"
#include "query/operators/signature.h"

namespace tocsin::query {

struct BinarySpec {
  BinaryOp op = BinaryOp::kAdd;
  bool return_bool = false;
  PositionRange position;
};

class VectorScalarOperator final : public UnaryOperator {
 public:
  // `scalar_left`: the scalar is the left operand.
  VectorScalarOperator(QueryContext* context, const Grid& grid, BinarySpec spec, OperatorPtr vector,
                       OperatorPtr scalar, bool scalar_left);
  Status Open() override;
  std::unique_ptr<Cursor> NewCursor() const override;

 private:
  const BinarySpec spec_;
  const OperatorPtr scalar_operator_;
  const bool scalar_left_;
  std::vector<double> scalar_;
};

class JoinOperator final : public Operator {
 public:
  JoinOperator(QueryContext* context, const Grid& grid, BinarySpec spec, VectorMatching matching,
               OperatorPtr lhs, OperatorPtr rhs);

  Status Open() override;
  size_t series_count() const override { return outputs_.size(); }
  model::Labels LabelsAt(size_t series) const override { return outputs_[series].labels; }
  bool DropsName(size_t series) const override { return outputs_[series].drops_name; }
  bool HasSingleName() const override { return false; }
  std::unique_ptr<Cursor> NewCursor() const override;

 private:
  static constexpr uint32_t kNoSeries = UINT32_MAX;
  static constexpr uint32_t kAnyOwner = UINT32_MAX;
  static constexpr uint32_t kFilledOwner = UINT32_MAX - 1;
  static constexpr uint32_t kNoGroup = UINT32_MAX;

  // One output series of the streaming form: a series of the many side (or, without one, what
  // `fill` stands in for) joined with its signature's row of the one side, at the steps where that
  // row comes from `owner`.
  struct Output {
    model::Labels labels;
    uint32_t many = kNoSeries;
    uint32_t group = kNoGroup;
    uint32_t owner = kAnyOwner;
    bool drops_name = false;
  };
  // Of its pairs among those of a step; filled ones come last.
  static uint64_t OrderOf(const Output& output);
  class JoinCursor;

  Status ReadOneSide(const std::vector<uint32_t>& group_of_one, size_t groups);
  // Two series of the one side with one signature at one step.
  struct Duplicate {
    uint32_t first;
    uint32_t second;
  };
  Status CheckDuplicates(const std::map<size_t, Duplicate>& duplicates);
  Status DuplicateOnOneSide(uint32_t a, uint32_t b) const;
  Status AddOutputs(const std::vector<uint32_t>& group_of_many,
                    const std::vector<uint32_t>& group_of_one, size_t groups);
  model::Labels ResultLabels(const model::Labels& many, const model::Labels* one) const;
  Result<bool> NeedsCare(const std::vector<uint32_t>& group_of_many) const;
  Status ComputeCarefully();
  Status ReadManyMatches();
  bool Fit(const Batch& many, size_t row, uint32_t group, size_t t) const;
  // `paired` (may be null): set at the steps where two points met, whether or not a comparison then
  // kept them.
  Status CombineRow(const Output& output, const Batch* many, size_t many_row, Batch* out,
                    size_t row, uint8_t* paired) const;

  const BinarySpec spec_;
  const VectorMatching matching_;
  const bool many_is_left_;
  const OperatorPtr many_;
  const OperatorPtr one_;
  std::optional<double> fill_many_;
  std::optional<double> fill_one_;

  MemoryCharge charge_;  // for the arrays of signature × step
  MemoryCharge outputs_charge_;
  LabelsCharge labels_charge_{context_};  // of outputs
  std::vector<Output> outputs_;
  Batch one_rows_;                    // a row a signature
  std::vector<uint32_t> one_owners_;  // signature × step: series of the one side; empty when no
                                      // signature has several
  std::vector<uint32_t> group_of_many_;
  // Signature × step, only with fill_many_: a series of the many side met the one side there, and
  // the two could be combined. Histograms that do not fit together match nothing.
  std::vector<uint8_t> many_matches_;
  std::shared_ptr<PairNotes> notes_;  // outlives the operator: read when the query is done
  bool careful_ = false;
  Batch computed_;  // a row an output, when careful_
};

// and, or, unless.
class SetOperator final : public Operator {
 public:
  SetOperator(QueryContext* context, const Grid& grid, BinaryOp op, VectorMatching matching,
              OperatorPtr lhs, OperatorPtr rhs)
      : Operator(context, grid),
        op_(op),
        matching_(std::move(matching)),
        single_name_(op != BinaryOp::kOr && lhs->HasSingleName()),
        lhs_(std::move(lhs)),
        rhs_(std::move(rhs)) {}

  Status Open() override;
  size_t series_count() const override {
    return op_ == BinaryOp::kOr ? lhs_labels_.size() + rhs_->series_count()
                                : label_source_->series_count();
  }
  model::Labels LabelsAt(size_t series) const override;
  bool DropsName(size_t series) const override;
  const Operator& LabelSource() const override {
    return label_source_ == nullptr ? *this : *label_source_;
  }
  bool HasSingleName() const override { return single_name_; }
  std::unique_ptr<Cursor> NewCursor() const override;

 private:
  class SetCursor;

  Status OpenOr();
  void MarkPresent(const Batch& batch, size_t row, uint32_t group);

  const BinaryOp op_;
  const VectorMatching matching_;
  const bool single_name_;
  OperatorPtr lhs_;                         // null for `or` once it was read
  const Operator* label_source_ = nullptr;  // of `and` and `unless`: below lhs_
  const OperatorPtr rhs_;
  // Of `or`: its left side is needed twice, for its signatures and for the answer, and chains of
  // `or` grow to the left.
  Batch lhs_rows_;
  std::vector<model::Labels> lhs_labels_;
  LabelsCharge labels_charge_{context_};
  std::vector<bool> lhs_drops_name_;
  std::vector<uint32_t> group_of_lhs_;
  std::vector<uint32_t> group_of_rhs_;
  MemoryCharge charge_;
  std::vector<uint8_t> present_;  // signature × step: of rhs for and, unless; of lhs for or
};

}  // namespace tocsin::query
