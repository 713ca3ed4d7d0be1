#include "query/result.h"

#include <algorithm>
#include <unordered_set>

#include "query/functions/window.h"
#include "query/operators/map.h"

namespace tocsin::query {

using model::Labels;

namespace {

Labels FinalLabels(Labels labels, bool drops_name) {
  return drops_name ? WithoutName(labels) : labels;
}

// Two ascending lists become one; false when both have a point at the same time.
template <typename Point>
bool MergePoints(std::vector<Point> from, std::vector<Point>* into) {
  if (from.empty()) return true;
  std::vector<Point> merged;
  merged.reserve(from.size() + into->size());
  std::merge(std::make_move_iterator(into->begin()), std::make_move_iterator(into->end()),
             std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()),
             std::back_inserter(merged),
             [](const Point& a, const Point& b) { return a.timestamp_ms < b.timestamp_ms; });
  *into = std::move(merged);
  return std::adjacent_find(into->begin(), into->end(), [](const Point& a, const Point& b) {
           return a.timestamp_ms == b.timestamp_ms;
         }) == into->end();
}

bool SharesTime(const Series& series) {
  size_t h = 0;
  for (const FloatPoint& point : series.floats) {
    while (h < series.histograms.size() && series.histograms[h].timestamp_ms < point.timestamp_ms) {
      ++h;
    }
    if (h < series.histograms.size() && series.histograms[h].timestamp_ms == point.timestamp_ms) {
      return true;
    }
  }
  return false;
}

Status SortAndMerge(Matrix* matrix) {
  std::stable_sort(matrix->begin(), matrix->end(), [](const Series& a, const Series& b) {
    return Labels::Compare(a.metric, b.metric) < 0;
  });
  Matrix merged;
  merged.reserve(matrix->size());
  for (Series& series : *matrix) {
    if (merged.empty() || merged.back().metric != series.metric) {
      merged.push_back(std::move(series));
      continue;
    }
    Series& into = merged.back();
    if (!MergePoints(std::move(series.floats), &into.floats) ||
        !MergePoints(std::move(series.histograms), &into.histograms) || SharesTime(into)) {
      return DuplicateLabelsError();
    }
  }
  *matrix = std::move(merged);
  return Status::Ok();
}

}  // namespace

Result<Scalar> CollectScalar(Operator* op) {
  TOCSIN_TRY(op->Open());
  std::vector<double> values;
  TOCSIN_TRY(ReadScalar(*op, &values));
  return Scalar{op->grid().start_ms, values.front()};
}

Result<Vector> CollectVector(Operator* op) {
  TOCSIN_TRY(op->Open());
  Vector vector;
  std::unordered_set<Labels, model::LabelsHash> seen;  // labels of series that lost their names
  bool any_dropped = false;
  LabelsCharge labels_charge(op->context());
  MemoryCharge charge;
  const Status read = ForEachMorselInOrder(*op, [&](size_t first, Batch& batch) -> Status {
    for (size_t s = 0; s < batch.series(); ++s) {
      if (batch.kinds(s)[0] == PointKind::kAbsent) continue;
      VectorSample sample;
      const bool drops_name = op->DropsName(first + s);
      any_dropped |= drops_name;
      sample.metric = FinalLabels(op->LabelsAt(first + s), drops_name);
      sample.timestamp_ms = op->grid().start_ms;
      sample.value = batch.values(s)[0];
      if (batch.kinds(s)[0] == PointKind::kHistogram) {
        sample.value = 0;
        sample.histogram = batch.histograms(s)[0];
      }
      TOCSIN_RETURN_IF_ERROR(labels_charge.Add(sample.metric));
      vector.push_back(std::move(sample));
    }
    return charge.Grow(&op->context()->memory, vector.capacity() * sizeof(VectorSample));
  });
  TOCSIN_TRY(read);
  if (any_dropped) {
    for (const VectorSample& sample : vector) {
      TOCSIN_TRY(labels_charge.Add(sample.metric));
      if (!seen.insert(sample.metric).second) return std::unexpected(DuplicateLabelsError());
    }
  }
  return vector;
}

Result<Matrix> CollectMatrix(Operator* op) {
  TOCSIN_TRY(op->Open());
  const Grid grid = op->grid();
  Mutex mu;
  MemoryCharge charge;
  uint64_t result_bytes = op->series_count() * sizeof(Series);
  TOCSIN_TRY(charge.Grow(&op->context()->memory, result_bytes));
  Matrix matrix(op->series_count());
  const Status read = ForEachMorsel(*op, [&](size_t /*morsel*/, size_t first, Batch& batch) {
    uint64_t bytes = batch.CountPoints() * sizeof(FloatPoint) + batch.HistogramBytes();
    for (size_t s = 0; s < batch.series(); ++s) {
      if (CountPresent(batch.kinds(s), grid.count) == 0) continue;
      Labels& labels = matrix[first + s].metric;
      labels = FinalLabels(op->LabelsAt(first + s), op->DropsName(first + s));
      bytes += labels.packed().size();
    }
    {
      MutexLock lock(mu);
      result_bytes += bytes;
      TOCSIN_RETURN_IF_ERROR(charge.Grow(&op->context()->memory, result_bytes));
    }
    for (size_t s = 0; s < batch.series(); ++s) {
      const PointKind* kinds = batch.kinds(s);
      const auto floats =
          static_cast<size_t>(std::count(kinds, kinds + grid.count, PointKind::kFloat));
      Series& series = matrix[first + s];
      series.floats.reserve(floats);
      for (size_t t = 0; t < grid.count; ++t) {
        if (kinds[t] == PointKind::kFloat) {
          series.floats.push_back({grid.at(t), batch.values(s)[t]});
        } else if (kinds[t] == PointKind::kHistogram) {
          series.histograms.push_back({grid.at(t), batch.histograms(s)[t]});
        }
      }
    }
    return Status::Ok();
  });
  TOCSIN_TRY(read);
  std::erase_if(matrix, [](const Series& s) { return s.floats.empty() && s.histograms.empty(); });
  TOCSIN_TRY(SortAndMerge(&matrix));
  return matrix;
}

Result<Matrix> CollectRange(QueryContext* context, RangeSource* source) {
  TOCSIN_TRY(source->Open());
  Matrix matrix;
  if (source->series_count() == 0) return matrix;
  const std::unique_ptr<ColumnCursor> cursor = source->NewCursor();
  std::vector<model::Column> columns;
  Windows windows;
  const size_t morsel = MorselSeries(1);
  MemoryCharge charge;
  uint64_t result_bytes = 0;
  for (size_t first = 0; first < source->series_count(); first += morsel) {
    TOCSIN_TRY(context->CheckRunning());
    TOCSIN_TRY(cursor->Read(first, std::min(morsel, source->series_count() - first), &columns));
    for (size_t s = 0; s < columns.size(); ++s) {
      const model::Column& column = columns[s];
      Series series;
      FindWindows(column.timestamps, source->times(), source->range_ms(), &windows);
      for (size_t i = windows.begin[0]; i < windows.end[0]; ++i) {
        series.floats.push_back({column.timestamps[i], column.values[i]});
      }
      FindWindows(column.histogram_timestamps, source->times(), source->range_ms(), &windows);
      for (size_t i = windows.begin[0]; i < windows.end[0]; ++i) {
        series.histograms.push_back(
            {column.histogram_timestamps[i],
             std::make_shared<const model::Histogram>(*column.histograms[i])});
      }
      const auto points = static_cast<int64_t>(series.floats.size() + series.histograms.size());
      if (points == 0) continue;
      TOCSIN_TRY(context->samples.Add(points));
      context->CountQueryable(context->grid, points, [&](size_t) { return points; });
      series.metric = FinalLabels(source->LabelsAt(first + s), source->DropsName(first + s));
      result_bytes +=
          sizeof(Series) + series.metric.packed().size() +
          series.floats.capacity() * sizeof(FloatPoint) +
          series.histograms.size() * (sizeof(HistogramPoint) + sizeof(model::Histogram));
      matrix.push_back(std::move(series));
      TOCSIN_TRY(charge.Grow(&context->memory, result_bytes));
    }
  }
  TOCSIN_TRY(SortAndMerge(&matrix));
  return matrix;
}

}  // namespace tocsin::query
