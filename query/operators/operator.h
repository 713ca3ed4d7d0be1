// Operator: a node of the physical plan. It knows its output series once it is open (labels are
// never computed per step), and evaluates any run of them over all steps of its grid at once.
//
//   op->Open();                              resolves series; hashes joins and groups
//   auto cursor = op->NewCursor();           one a thread
//   cursor->Read(first, count, &batch);      series [first, first + count) × all steps
//
// Contract: Open is called once, from one thread. After that everything const is thread-safe, and
// cursors may be made and read in parallel, each by one thread. Series may be read in any order;
// parents read each at most once. Reading a child happens in Open for operators that need all of it
// (aggregations, the hashed side of a join), else in Read.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/labels.h"
#include "query/context.h"
#include "query/operators/batch.h"

namespace tocsin::query {

class Cursor {
 public:
  virtual ~Cursor() = default;
  // Overwrites `out` with series [first, first + count) over the whole grid.
  virtual Status Read(size_t first, size_t count, Batch* out) = 0;
};

class Operator {
 public:
  Operator(QueryContext* context, const Grid& grid) : context_(context), grid_(grid) {}
  virtual ~Operator() = default;
  Operator(const Operator&) = delete;
  Operator& operator=(const Operator&) = delete;

  virtual Status Open() = 0;
  virtual size_t series_count() const = 0;
  // A scalar is one series without labels.
  virtual model::Labels LabelsAt(size_t series) const = 0;
  // True: the series' name is to be dropped at the end of the query (delayed name removal).
  virtual bool DropsName(size_t series) const;
  // Who knows the labels: this operator, or the one below that has the same series. Asked once it
  // is open; a chain of a thousand `and` is not to be walked down for every series at every link.
  virtual const Operator& LabelSource() const { return *this; }
  // True: no two series differ in the metric name (and type and unit) alone.
  virtual bool HasSingleName() const = 0;
  // The value at every step when it is known before Open; else null.
  virtual const double* constant() const { return nullptr; }
  // Groups the series by (or without) label names, one id a series; groups in order of appearance.
  // `without` drops the metric name too.
  virtual void Group(bool without, std::span<const std::string> names,
                     std::vector<uint32_t>* group_of_series,
                     std::vector<model::Labels>* groups) const;
  virtual std::unique_ptr<Cursor> NewCursor() const = 0;

  QueryContext* context() const { return context_; }
  const Grid& grid() const { return grid_; }

 protected:
  QueryContext* const context_;
  const Grid grid_;
};
using OperatorPtr = std::unique_ptr<Operator>;

// Series that a morsel holds: about 16,384 points, which fit into a core's own cache together with
// the columns that they came from.
size_t MorselSeries(size_t steps);

// Reads all series in morsels, in parallel on the pool: consume(morsel, first series, batch) is
// called once a morsel, from several threads at once, in no particular order. The first error ends
// it.
Status ForEachMorsel(const Operator& op,
                     const std::function<Status(size_t, size_t, Batch&)>& consume);

// The same, but consume is called in the order of morsels and never twice at once: reading runs in
// parallel, and what adds up does so in the same order however many threads there are.
Status ForEachMorselInOrder(const Operator& op,
                            const std::function<Status(size_t, Batch&)>& consume);

// Everything at once.
Status ReadAll(const Operator& op, Batch* out);

// Precondition: `op` is a scalar. One value a step.
Status ReadScalar(const Operator& op, std::vector<double>* out);

// Label sets that an operator keeps, charged by what they take. Also asks, every now and then,
// whether the query may run on: loops over series make labels and do little else. One thread.
class LabelsCharge {
 public:
  explicit LabelsCharge(QueryContext* context) : context_(context), poll_(*context) {}
  LabelsCharge(LabelsCharge&&) = default;
  LabelsCharge& operator=(LabelsCharge&&) = default;

  // Before a set of so many bytes of text is made. What making it takes meanwhile (builders,
  // copies) is charged too, for as long as this lives.
  Status Reserve(uint64_t text_bytes);
  // Before `labels` are kept.
  Status Add(const model::Labels& labels);

 private:
  QueryContext* context_;
  RunningPoll poll_;
  uint64_t held_bytes_ = 0;
  uint64_t charged_bytes_ = 0;
  MemoryCharge kept_;
  MemoryCharge making_;
};

// An operator whose whole answer is computed by Open.
class MaterialisedOperator : public Operator {
 public:
  using Operator::Operator;
  size_t series_count() const override { return labels_.size(); }
  model::Labels LabelsAt(size_t series) const override { return labels_[series]; }
  bool DropsName(size_t series) const override {
    return series < drops_name_.size() && drops_name_[series];
  }
  bool HasSingleName() const override { return false; }
  std::unique_ptr<Cursor> NewCursor() const override;

 protected:
  // Adds an output series, charged.
  Status AddLabels(model::Labels labels, bool drops_name);
  // The output series are groups (aggregate.h).
  void TakeGroups(std::vector<model::Labels> labels, std::vector<bool> drops_name,
                  LabelsCharge charge) {
    labels_ = std::move(labels);
    drops_name_ = std::move(drops_name);
    labels_charge_ = std::move(charge);
  }
  // data_ for so many series, absent everywhere.
  Status ResetData(size_t series) { return data_.Reset(series, grid_.count, &context_->memory); }

  std::vector<model::Labels> labels_;
  std::vector<bool> drops_name_;  // shorter than labels_: false
  Batch data_;
  LabelsCharge labels_charge_{context_};
};

// Reads the rows of `data`, which outlives it.
std::unique_ptr<Cursor> NewCopyCursor(const Batch* data, QueryContext* context);

// The labels without metric name, type and unit.
model::Labels WithoutName(const model::Labels& labels);
bool IsNameLabel(std::string_view name);  // __name__, __type__, __unit__

}  // namespace tocsin::query
