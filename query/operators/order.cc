#include "query/operators/order.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "query/operators/rank_heap.h"

namespace tocsin::query {

using model::Labels;

namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// The end of the run of digits, or of other characters, that begins at `i`.
size_t RunEnd(std::string_view text, size_t i) {
  const bool digits = IsDigit(text[i]);
  while (i < text.size() && IsDigit(text[i]) == digits) ++i;
  return i;
}

// Nothing when it is no number or too long for one.
std::optional<int64_t> WholeNumber(std::string_view digits) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(digits.begin(), digits.end(), number);
  if (error != std::errc() || end != digits.end() || digits.front() == '-') return std::nullopt;
  return number;
}

int CompareNumbers(std::string_view a, std::string_view b) {
  a.remove_prefix(std::min(a.find_first_not_of('0'), a.size()));
  b.remove_prefix(std::min(b.find_first_not_of('0'), b.size()));
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  return a.compare(b);
}

}  // namespace

bool NaturalLess(std::string_view a, std::string_view b) {
  size_t i = 0;
  size_t j = 0;
  while (i < a.size() && j < b.size()) {
    const size_t i_end = RunEnd(a, i);
    const size_t j_end = RunEnd(b, j);
    const std::string_view x = a.substr(i, i_end - i);
    const std::string_view y = b.substr(j, j_end - j);
    const bool numbers = IsDigit(x[0]) && IsDigit(y[0]);
    const int order = numbers ? CompareNumbers(x, y) : x.compare(y);
    if (order != 0) return order < 0;
    i = i_end;
    j = j_end;
  }
  if (i == a.size() && j == b.size()) return a < b;  // 01 and 1
  return i == a.size();
}

bool NaturallyPrecedes(std::string_view a, std::string_view b) {
  size_t i = 0;
  size_t j = 0;
  while (i < a.size()) {
    if (j >= b.size()) return false;
    const size_t i_end = RunEnd(a, i);
    const size_t j_end = RunEnd(b, j);
    const std::string_view x = a.substr(i, i_end - i);
    const std::string_view y = b.substr(j, j_end - j);
    const std::optional<int64_t> m = WholeNumber(x);
    const std::optional<int64_t> n = WholeNumber(y);
    const bool numbers = m.has_value() && n.has_value();
    if (numbers ? *m != *n : x != y) return numbers ? *m < *n : x < y;
    if (i_end == a.size()) return true;
    if (j_end == b.size()) return false;
    i = i_end;
    j = j_end;
  }
  return false;
}

Status SortOperator::Open() {
  TOCSIN_RETURN_IF_ERROR(child_->Open());
  const bool instant = grid_.count == 1 && context_->is_instant;
  if (!context_->is_instant) context_->annotations.SortInRangeQuery(spec_.position);
  Batch all;
  TOCSIN_RETURN_IF_ERROR(ReadAll(*child_, &all));
  std::vector<uint32_t> order;
  std::vector<Labels> labels(all.series());
  for (size_t s = 0; s < all.series(); ++s) {
    labels[s] = child_->LabelsAt(s);
    TOCSIN_RETURN_IF_ERROR(labels_charge_.Add(labels[s]));
    const bool dropped =
        instant && (spec_.key == SortKey::kValue ? all.kinds(s)[0] != PointKind::kFloat
                                                 : all.kinds(s)[0] == PointKind::kAbsent);
    if (!dropped) order.push_back(static_cast<uint32_t>(s));
  }
  const auto precedes = [&](uint32_t a, uint32_t b,
                            bool (*natural)(std::string_view, std::string_view)) {
    for (const std::string& name : spec_.labels) {
      const std::string_view x = labels[a].Get(name);
      const std::string_view y = labels[b].Get(name);
      if (x != y) return natural(x, y) != spec_.descending;
    }
    const int whole = Labels::Compare(labels[a], labels[b]);
    return spec_.descending ? whole > 0 : whole < 0;
  };
  if (instant && spec_.key == SortKey::kValue) {
    std::vector<RankElement> elements;
    for (const uint32_t s : order) elements.push_back({all.values(s)[0], s});
    SortBestFirst(spec_.descending, &elements);
    std::transform(elements.begin(), elements.end(), order.begin(),
                   [](const RankElement& element) { return element.series; });
  } else if (instant && order.size() <= kInsertionMax) {
    for (size_t i = 1; i < order.size(); ++i) {
      for (size_t j = i; j > 0 && precedes(order[j], order[j - 1], NaturallyPrecedes); --j) {
        std::swap(order[j], order[j - 1]);
      }
    }
  } else if (instant) {
    std::stable_sort(order.begin(), order.end(),
                     [&](uint32_t a, uint32_t b) { return precedes(a, b, NaturalLess); });
  }
  TOCSIN_RETURN_IF_ERROR(ResetData(order.size()));
  for (size_t i = 0; i < order.size(); ++i) {
    data_.CopyRow(all, order[i], i);
    if (spec_.key == SortKey::kValue && data_.has_histograms(i)) {  // only floats have an order
      PointKind* kinds = data_.kinds(i);
      std::replace(kinds, kinds + grid_.count, PointKind::kHistogram, PointKind::kAbsent);
    }
    labels_.push_back(std::move(labels[order[i]]));
    drops_name_.push_back(child_->DropsName(order[i]));
  }
  return Status::Ok();
}

namespace {

// A row of ones where nothing was present.
Status FillAbsent(const std::vector<uint8_t>& present, QueryContext* context, Batch* out) {
  TOCSIN_RETURN_IF_ERROR(out->Reset(1, present.size(), &context->memory));
  for (size_t t = 0; t < present.size(); ++t) {
    if (present[t] == 0) out->SetFloat(0, t, 1);
  }
  return Status::Ok();
}

}  // namespace

Status AbsentOperator::Open() {
  TOCSIN_RETURN_IF_ERROR(child_->Open());
  std::vector<uint8_t> present(grid_.count, 0);
  Mutex mu;
  const Status read = ForEachMorsel(*child_, [&](size_t, size_t, Batch& batch) {
    MutexLock lock(mu);
    for (size_t s = 0; s < batch.series(); ++s) {
      for (size_t t = 0; t < grid_.count; ++t) {
        if (batch.kinds(s)[t] != PointKind::kAbsent) present[t] = 1;
      }
    }
    return Status::Ok();
  });
  TOCSIN_RETURN_IF_ERROR(read);
  return FillAbsent(present, context_, &data_);
}

Status AbsentOverTimeOperator::Open() {
  TOCSIN_RETURN_IF_ERROR(source_->Open());
  std::vector<uint8_t> present(grid_.count, 0);
  if (source_->series_count() > 0) {
    const std::unique_ptr<ColumnCursor> cursor = source_->NewCursor();
    std::vector<model::Column> columns;
    Windows windows;
    const size_t morsel = MorselSeries(grid_.count);
    const auto mark = [&](std::span<const model::Timestamp> samples) {
      FindWindows(samples, source_->times(), source_->range_ms(), &windows);
      for (size_t t = 0; t < grid_.count; ++t) {
        if (windows.size(t) > 0) present[t] = 1;
      }
    };
    for (size_t first = 0; first < source_->series_count(); first += morsel) {
      TOCSIN_RETURN_IF_ERROR(context_->CheckRunning());
      TOCSIN_RETURN_IF_ERROR(
          cursor->Read(first, std::min(morsel, source_->series_count() - first), &columns));
      for (const model::Column& column : columns) {
        mark(column.timestamps);
        if (!column.histograms.empty()) mark(column.histogram_timestamps);
      }
    }
  }
  return FillAbsent(present, context_, &data_);
}

Labels AbsentLabels(const model::MatcherSet& matchers) {
  model::LabelsBuilder builder;
  std::vector<std::string> seen;
  for (const model::Matcher& matcher : matchers) {
    if (matcher.name() == model::kMetricName) continue;
    const bool again = std::find(seen.begin(), seen.end(), matcher.name()) != seen.end();
    if (matcher.type() == model::MatchType::kEqual && !again) {
      builder.Set(matcher.name(), matcher.value());
      seen.push_back(matcher.name());
    } else {
      builder.Del(matcher.name());
    }
  }
  return builder.Build();
}

}  // namespace tocsin::query
