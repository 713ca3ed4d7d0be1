// label_replace and label_join: new labels for the same samples.
#pragma once

#include <string>
#include <vector>

#include "query/operators/operator.h"

namespace tocsin::query {

struct LabelReplaceSpec {
  std::string destination;
  std::string replacement;  // $1, ${name} as in Go's regexp
  std::string source;
  std::string pattern;  // RE2, anchored at both ends
};

struct LabelJoinSpec {
  std::string destination;
  std::string separator;
  std::vector<std::string> sources;
};

// Setting the metric name undoes its delayed removal. Series that become equal are for
// MergeEqualLabelsOperator.
class RelabelOperator final : public Operator {
 public:
  RelabelOperator(QueryContext* context, const Grid& grid, LabelReplaceSpec spec,
                  OperatorPtr child);
  RelabelOperator(QueryContext* context, const Grid& grid, LabelJoinSpec spec, OperatorPtr child);

  Status Open() override;
  size_t series_count() const override { return labels_.size(); }
  model::Labels LabelsAt(size_t series) const override { return labels_[series]; }
  bool DropsName(size_t series) const override { return drops_name_[series]; }
  bool HasSingleName() const override { return false; }
  std::unique_ptr<Cursor> NewCursor() const override { return child_->NewCursor(); }

 private:
  Status OpenReplace();
  Status OpenJoin();

  const bool replace_;
  const LabelReplaceSpec replace_spec_;
  const LabelJoinSpec join_spec_;
  const OperatorPtr child_;
  // Builds `labels` with the destination set to `value` and keeps them.
  Status Keep(const model::Labels& labels, const std::string& destination, std::string_view value,
              bool drops_name);

  std::vector<model::Labels> labels_;
  std::vector<bool> drops_name_;
  LabelsCharge charge_{context_};
};

}  // namespace tocsin::query
