// What an explained query tells about each node of its plan. While a thread works inside a node
// (Open, Read), what it decodes and charges counts there; nothing is measured in other queries.
//
//   ProfiledOperator and ProfiledRangeSource stand around the planner's own; ProfileScope marks the
//   node that the thread is in.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "query/operators/operator.h"
#include "query/operators/range_source.h"
#include "query/value.h"

namespace tocsin::query {

// Counted by several threads at once; children are added while planning, by one.
class NodeProfile {
 public:
  // Texts are cut, so that a tree is no larger than its query by more than a constant a node.
  static constexpr size_t kTextBytesMax = 256;

  explicit NodeProfile(std::string_view text) : text_(text.substr(0, kTextBytesMax)) {}

  NodeProfile* AddChild(std::string_view text) {
    return children_.emplace_back(std::make_unique<NodeProfile>(text)).get();
  }
  PlanNode ToPlan() const;
  // The node selected from storage.
  void NoteSelect(const model::SelectHints& hints);

  std::atomic<int64_t> series = 0;
  std::atomic<int64_t> points = 0;
  std::atomic<int64_t> samples = 0;
  std::atomic<int64_t> bytes = 0;
  std::atomic<int64_t> nanos = 0;

 private:
  const std::string text_;
  std::atomic<bool> selects_ = false;
  std::atomic<bool> selects_values_ = false;
  std::atomic<bool> selects_older_ = false;
  std::vector<std::unique_ptr<NodeProfile>> children_;
};

// Tells the profile of the node that this thread works in, if any.
void NoteProfiledSelect(const model::SelectHints& hints);

// For its lifetime this thread is in `node`, and the time counts there.
class ProfileScope {
 public:
  explicit ProfileScope(NodeProfile* node);
  ~ProfileScope();
  ProfileScope(const ProfileScope&) = delete;
  ProfileScope& operator=(const ProfileScope&) = delete;

 private:
  NodeProfile* const node_;
  NodeProfile* const outer_;
  const int64_t begun_nanos_;
};

class ProfiledOperator final : public Operator {
 public:
  ProfiledOperator(QueryContext* context, OperatorPtr inner, NodeProfile* node)
      : Operator(context, inner->grid()), inner_(std::move(inner)), node_(node) {}

  Status Open() override;
  size_t series_count() const override { return inner_->series_count(); }
  model::Labels LabelsAt(size_t series) const override { return inner_->LabelsAt(series); }
  bool DropsName(size_t series) const override { return inner_->DropsName(series); }
  bool HasSingleName() const override { return inner_->HasSingleName(); }
  const double* constant() const override { return inner_->constant(); }
  void Group(bool without, std::span<const std::string> names,
             std::vector<uint32_t>* group_of_series,
             std::vector<model::Labels>* groups) const override {
    inner_->Group(without, names, group_of_series, groups);
  }
  std::unique_ptr<Cursor> NewCursor() const override;

 private:
  const OperatorPtr inner_;
  NodeProfile* const node_;
};

class ProfiledRangeSource final : public RangeSource {
 public:
  ProfiledRangeSource(QueryContext* context, RangeSourcePtr inner, NodeProfile* node)
      : RangeSource(context, *inner), inner_(std::move(inner)), node_(node) {}

  Status Open() override;
  size_t series_count() const override { return inner_->series_count(); }
  model::Labels LabelsAt(size_t series) const override { return inner_->LabelsAt(series); }
  bool DropsName(size_t series) const override { return inner_->DropsName(series); }
  bool HasSingleName() const override { return inner_->HasSingleName(); }
  void Group(bool without, std::span<const std::string> names,
             std::vector<uint32_t>* group_of_series,
             std::vector<model::Labels>* groups) const override {
    inner_->Group(without, names, group_of_series, groups);
  }
  std::unique_ptr<ColumnCursor> NewCursor() const override;

 private:
  const RangeSourcePtr inner_;
  NodeProfile* const node_;
};

}  // namespace tocsin::query
