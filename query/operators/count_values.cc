#include "query/operators/count_values.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/number.h"
#include "query/histogram_math.h"

namespace tocsin::query {

using model::Labels;

namespace {

bool IsBefore(const CellCounts::Cell& a, const CellCounts::Cell& b) {
  return a.row != b.row ? a.row < b.row : a.step < b.step;
}

// Adds up neighbours of one place.
void MergeEqual(std::vector<CellCounts::Cell>* cells) {
  size_t kept = 0;
  for (size_t i = 0; i < cells->size(); ++i) {
    CellCounts::Cell& cell = (*cells)[i];
    if (kept > 0 && !IsBefore((*cells)[kept - 1], cell)) {
      (*cells)[kept - 1].count += cell.count;
    } else {
      (*cells)[kept++] = cell;
    }
  }
  cells->resize(kept);
}

}  // namespace

Status CellCounts::Add(uint32_t row, uint32_t step) {
  // Portions as large as what is there: each cell is merged a few times only.
  static constexpr size_t kPendingMin = 4096;
  if (pending_.size() == pending_max_) {
    TOCSIN_RETURN_IF_ERROR(Settle());
    pending_max_ = std::max(kPendingMin, cells_.size());
    TOCSIN_RETURN_IF_ERROR(charge_.Grow(
        memory_,
        pending_max_ * sizeof(uint64_t) + 2 * (cells_.size() + pending_max_) * sizeof(Cell)));
    pending_.reserve(pending_max_);
  }
  pending_.push_back(uint64_t{row} << 32 | step);
  return Status::Ok();
}

Status CellCounts::Settle() {
  std::sort(pending_.begin(), pending_.end());
  std::vector<Cell> merged;
  merged.reserve(cells_.size() + pending_.size());
  size_t i = 0;
  for (const uint64_t place : pending_) {
    const Cell cell{static_cast<uint32_t>(place >> 32), static_cast<uint32_t>(place), 1};
    while (i < cells_.size() && IsBefore(cells_[i], cell)) merged.push_back(cells_[i++]);
    merged.push_back(cell);
  }
  merged.insert(merged.end(), cells_.begin() + static_cast<ptrdiff_t>(i), cells_.end());
  pending_.clear();
  MergeEqual(&merged);
  cells_ = std::move(merged);
  return Status::Ok();
}

Status CellCounts::Rename(const std::vector<uint32_t>& target) {
  TOCSIN_RETURN_IF_ERROR(Settle());
  for (Cell& cell : cells_) cell.row = target[cell.row];
  std::sort(cells_.begin(), cells_.end(), IsBefore);
  MergeEqual(&cells_);
  return Status::Ok();
}

Status CountValuesOperator::Open() {
  TOCSIN_RETURN_IF_ERROR(child_->Open());
  if (label_.empty() || !model::IsValidUtf8(label_)) {
    return Status(Code::kExecution,
                  fmt::format("invalid label name {}", model::QuoteString(label_)));
  }
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const Groups groups, GroupSeries(*child_, spec_.grouping));
  Rows rows;
  TOCSIN_RETURN_IF_ERROR(Count(groups, &rows));
  child_.reset();
  return NameRows(groups, rows);
}

Status CountValuesOperator::Count(const Groups& groups, Rows* rows) {
  // A node of the map besides the text.
  static constexpr uint64_t kRowBytes = 112;
  uint64_t row_bytes = 0;
  MemoryCharge charge;
  const auto row_at = [&](uint32_t group, std::string text) -> Result<uint32_t> {
    const auto next = static_cast<uint32_t>(rows->size());
    const auto [it, added] = rows->try_emplace({group, std::move(text)}, next);
    if (added) {
      row_bytes += kRowBytes + it->first.second.size();
      TOCSIN_TRY(charge.Grow(&context_->memory, row_bytes));
    }
    return it->second;
  };
  return ForEachMorselInOrder(*child_, [&](size_t first, Batch& batch) -> Status {
    for (size_t s = 0; s < batch.series(); ++s) {
      const PointKind* kinds = batch.kinds(s);
      for (size_t t = 0; t < grid_.count; ++t) {
        if (kinds[t] == PointKind::kAbsent) continue;
        std::string text = kinds[t] == PointKind::kFloat ? FormatFloatDecimal(batch.values(s)[t])
                                                         : HistogramText(*batch.histograms(s)[t]);
        TOCSIN_ASSIGN_OR_RETURN_STATUS(const uint32_t row,
                                       row_at(groups.of_series[first + s], std::move(text)));
        TOCSIN_RETURN_IF_ERROR(counts_.Add(row, static_cast<uint32_t>(t)));
      }
    }
    return Status::Ok();
  });
}

// Overwriting a grouping label may make groups equal. `without` may take the new label away again.
Status CountValuesOperator::NameRows(const Groups& groups, const Rows& rows) {
  const Grouping& grouping = spec_.grouping;
  const bool dropped =
      grouping.without &&
      (label_ == model::kMetricName ||
       std::find(grouping.labels.begin(), grouping.labels.end(), label_) != grouping.labels.end());
  std::map<Labels, uint32_t> merged;
  std::vector<uint32_t> target(rows.size());
  for (const auto& [key, row] : rows) {
    model::LabelsBuilder builder(groups.labels[key.first]);
    Labels labels = (dropped ? builder : builder.Set(label_, key.second)).Build();
    const auto [it, added] = merged.try_emplace(labels, static_cast<uint32_t>(labels_.size()));
    if (added) {
      TOCSIN_RETURN_IF_ERROR(labels_charge_.Add(labels));  // the table has it too
      TOCSIN_RETURN_IF_ERROR(
          AddLabels(std::move(labels), !groups.drops_name.empty() && groups.drops_name[key.first]));
    }
    target[row] = it->second;
  }
  return counts_.Rename(target);
}

class CountValuesOperator::CellCursor final : public Cursor {
 public:
  explicit CellCursor(const CountValuesOperator* of) : of_(*of) {}

  Status Read(size_t first, size_t count, Batch* out) override {
    TOCSIN_RETURN_IF_ERROR(out->Reset(count, of_.grid_.count, &of_.context_->memory));
    const std::vector<CellCounts::Cell>& cells = of_.counts_.cells();
    const CellCounts::Cell begin{static_cast<uint32_t>(first), 0, 0};
    for (auto cell = std::lower_bound(cells.begin(), cells.end(), begin, IsBefore);
         cell != cells.end() && cell->row < first + count; ++cell) {
      out->SetFloat(cell->row - first, cell->step, cell->count);
    }
    return Status::Ok();
  }

 private:
  const CountValuesOperator& of_;
};

std::unique_ptr<Cursor> CountValuesOperator::NewCursor() const {
  return std::make_unique<CellCursor>(this);
}

}  // namespace tocsin::query
