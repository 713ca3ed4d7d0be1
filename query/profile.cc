#include "query/profile.h"

#include <chrono>

#include "query/budget.h"

namespace tocsin::query {
namespace {

int64_t SteadyNanos() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

thread_local NodeProfile* current_node = nullptr;

class ProfiledCursor final : public Cursor {
 public:
  ProfiledCursor(std::unique_ptr<Cursor> inner, NodeProfile* node)
      : inner_(std::move(inner)), node_(node) {}
  Status Read(size_t first, size_t count, Batch* out) override {
    const ProfileScope scope(node_);
    TOCSIN_RETURN_IF_ERROR(inner_->Read(first, count, out));
    node_->points.fetch_add(static_cast<int64_t>(out->CountPoints()), std::memory_order_relaxed);
    return Status::Ok();
  }

 private:
  const std::unique_ptr<Cursor> inner_;
  NodeProfile* const node_;
};

class ProfiledColumnCursor final : public ColumnCursor {
 public:
  ProfiledColumnCursor(std::unique_ptr<ColumnCursor> inner, NodeProfile* node)
      : inner_(std::move(inner)), node_(node) {}
  Status Read(size_t first, size_t count, std::vector<model::Column>* out) override {
    const ProfileScope scope(node_);
    TOCSIN_RETURN_IF_ERROR(inner_->Read(first, count, out));
    int64_t points = 0;
    for (const model::Column& column : *out) {
      points += static_cast<int64_t>(column.values.size() + column.histograms.size());
    }
    node_->points.fetch_add(points, std::memory_order_relaxed);
    return Status::Ok();
  }

 private:
  const std::unique_ptr<ColumnCursor> inner_;
  NodeProfile* const node_;
};

}  // namespace

PlanNode NodeProfile::ToPlan() const {
  PlanNode node;
  node.text = text_;
  node.series = series.load();
  node.points = points.load();
  node.samples = samples.load();
  node.bytes = bytes.load();
  node.seconds = static_cast<double>(nanos.load()) / 1e9;
  node.times_only = selects_.load() && !selects_values_.load();
  node.newest_only = selects_.load() && !selects_older_.load();
  for (const auto& child : children_) node.children.push_back(child->ToPlan());
  return node;
}

void NodeProfile::NoteSelect(const model::SelectHints& hints) {
  selects_ = true;
  if (!hints.times_only) selects_values_ = true;
  if (!hints.newest_only) selects_older_ = true;
}

ProfileScope::ProfileScope(NodeProfile* node)
    : node_(node), outer_(current_node), begun_nanos_(SteadyNanos()) {
  current_node = node;
}

ProfileScope::~ProfileScope() {
  current_node = outer_;
  node_->nanos.fetch_add(SteadyNanos() - begun_nanos_, std::memory_order_relaxed);
}

void CountProfiledBytes(uint64_t bytes) {
  if (current_node != nullptr) {
    current_node->bytes.fetch_add(static_cast<int64_t>(bytes), std::memory_order_relaxed);
  }
}

void NoteProfiledSelect(const model::SelectHints& hints) {
  if (current_node != nullptr) current_node->NoteSelect(hints);
}

void QueryContext::CountRead(int64_t count) {
  samples_read.fetch_add(count, std::memory_order_relaxed);
  if (current_node != nullptr) {
    current_node->samples.fetch_add(count, std::memory_order_relaxed);
  }
}

Status ProfiledOperator::Open() {
  const ProfileScope scope(node_);
  TOCSIN_RETURN_IF_ERROR(inner_->Open());
  node_->series = static_cast<int64_t>(inner_->series_count());
  return Status::Ok();
}

std::unique_ptr<Cursor> ProfiledOperator::NewCursor() const {
  return std::make_unique<ProfiledCursor>(inner_->NewCursor(), node_);
}

Status ProfiledRangeSource::Open() {
  const ProfileScope scope(node_);
  TOCSIN_RETURN_IF_ERROR(inner_->Open());
  node_->series = static_cast<int64_t>(inner_->series_count());
  return Status::Ok();
}

std::unique_ptr<ColumnCursor> ProfiledRangeSource::NewCursor() const {
  return std::make_unique<ProfiledColumnCursor>(inner_->NewCursor(), node_);
}

}  // namespace tocsin::query
