#include "expected_state.h"

#include <bit>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

namespace tocsin::stress {

using model::Histogram;
using model::Labels;
using model::Timestamp;

namespace {

// The slot whose histograms are counters with resets; the others are gauges.
constexpr int kCountingHistogram = 21;

// splitmix64's finaliser: every bit of the input moves every bit of the output.
uint64_t Mix(uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9;
  x ^= x >> 27;
  x *= 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

double Special(uint64_t hash) {
  switch (hash % 10) {
    case 0:
      return 0.0;
    case 1:
      return -0.0;
    case 2:
      return std::numeric_limits<double>::infinity();
    case 3:
      return -std::numeric_limits<double>::infinity();
    case 4:
      return model::NormalNan();
    case 5:
      return model::StaleMarker();
    case 6:
      return std::numeric_limits<double>::denorm_min();
    case 7:
      return std::numeric_limits<double>::max();
    case 8:
      return std::bit_cast<double>(0xfff0000000000000 | (hash >> 12));  // any NaN's payload
    default:
      return 1;
  }
}

std::string Describe(const Universe& universe, const Unit& unit) {
  return "source " + std::to_string(unit.source) + " row " + std::to_string(unit.row) + " part " +
         std::to_string(unit.part) + " at " +
         std::to_string(universe.TimestampOf(unit.source, unit.row));
}

bool SameBits(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
}

bool IsOld(const Universe& universe, const Unit& unit, std::span<const Timestamp> floors) {
  return !floors.empty() &&
         universe.TimestampOf(unit.source, unit.row) <= floors[static_cast<size_t>(unit.source)];
}

int NumberAfter(std::string_view text, char mark) {
  if (text.size() < 2 || text.front() != mark) return -1;
  int number = 0;
  for (const char c : text.substr(1)) {
    if (c < '0' || c > '9' || number > 100'000) return -1;
    number = number * 10 + (c - '0');
  }
  return number;
}

// Counts the samples of one column into `observed`.
class ColumnCheck {
 public:
  ColumnCheck(const Universe& universe, int source, int slot, Observed* observed)
      : universe_(universe), source_(source), slot_(slot), observed_(observed) {}

  // What is not later comes from a rollup: true samples, but not all.
  void set_thinned_until(Timestamp t) { thinned_until_ = t; }
  void set_starts_may_lack(bool may) { starts_may_lack_ = may; }

  Status Floats(const model::Column& column) {
    last_ = model::kMinTimestamp;
    if (!column.start_timestamps.empty() &&
        column.start_timestamps.size() != column.values.size()) {
      return Wrong("start timestamps of another length", -1);
    }
    for (size_t i = 0; i < column.values.size(); ++i) {
      int row = 0;
      const Timestamp start = column.start_timestamps.empty() ? 0 : column.start_timestamps[i];
      if (Status status = Place(column.timestamps[i], start, &row); !status.ok()) return status;
      if (Universe::IsHistogram(slot_, row)) return Wrong("a float", row);
      if (!SameBits(column.values[i], universe_.Value(source_, row, slot_))) {
        return Wrong("another value", row);
      }
    }
    return {};
  }

  Status Histograms(const model::Column& column) {
    last_ = model::kMinTimestamp;
    const auto starts = column.histogram_start_timestamps;
    if (!starts.empty() && starts.size() != column.histograms.size()) {
      return Wrong("start timestamps of another length", -1);
    }
    for (size_t i = 0; i < column.histograms.size(); ++i) {
      int row = 0;
      const Timestamp start = starts.empty() ? 0 : starts[i];
      if (Status status = Place(column.histogram_timestamps[i], start, &row); !status.ok()) {
        return status;
      }
      if (!Universe::IsHistogram(slot_, row)) return Wrong("a histogram", row);
      if (!SameHistogram(*column.histograms[i], universe_.HistogramOf(source_, row, slot_))) {
        return Wrong("another histogram", row);
      }
    }
    return {};
  }

 private:
  Status Place(Timestamp t, Timestamp start, int* row) {
    *row = universe_.RowAt(source_, t + Universe::OwnLagMs(slot_));
    const Unit unit{source_, *row, Universe::PartOf(source_, slot_)};
    if (*row < 0 || !universe_.Holds(unit, slot_)) {
      return Wrong("an invented sample at " + std::to_string(t), *row);
    }
    if (t <= last_) return Wrong("a sample twice or out of order", *row);
    last_ = t;
    if (t <= thinned_until_) return {};
    if (start != universe_.StartOf(source_, *row, slot_) && !(starts_may_lack_ && start == 0)) {
      return Wrong("another start timestamp: " + std::to_string(start), *row);
    }
    ++(*observed_)[Universe::IndexOf(unit)];
    return {};
  }

  Status Wrong(const std::string& what, int row) const {
    return Status(Code::kCorruption, "slot " + std::to_string(slot_) + " of source " +
                                         std::to_string(source_) + " row " + std::to_string(row) +
                                         " holds " + what);
  }

  const Universe& universe_;
  const int source_;
  const int slot_;
  Observed* observed_;
  Timestamp last_ = model::kMinTimestamp;
  Timestamp thinned_until_ = model::kMinTimestamp;
  bool starts_may_lack_ = false;
};

}  // namespace

bool SameHistogram(const Histogram& a, const Histogram& b) {
  return a.schema == b.schema && a.integer == b.integer && SameBits(a.sum, b.sum) &&
         a.count == b.count && a.zero_count == b.zero_count &&
         a.zero_threshold == b.zero_threshold && a.positive_spans == b.positive_spans &&
         a.negative_spans == b.negative_spans && a.positive_buckets == b.positive_buckets &&
         a.negative_buckets == b.negative_buckets && a.custom_values == b.custom_values;
}

bool FindPlace(const Universe& universe, const Labels& labels, int* source, int* slot) {
  *source = NumberAfter(labels.Get("source"), 's');
  *slot = NumberAfter(labels.Get("slot"), 'k');
  return *source >= 0 && *source < universe.sources() && *slot >= 0 && *slot < kSlots;
}

uint64_t Universe::Hash(int source, int row, int slot) const {
  return Mix(seed_ + Mix((static_cast<uint64_t>(source) << 48) ^
                         (static_cast<uint64_t>(row) << 16) ^ static_cast<uint64_t>(slot)));
}

Timestamp Universe::TimestampOf(int source, int row) const {
  return start_ms_ + row * kRowMs + static_cast<int64_t>(Hash(source, row, 0xffff) % 997);
}

int Universe::RowAt(int source, Timestamp t) const {
  if (t < start_ms_ || t >= start_ms_ + kRows * kRowMs) return -1;
  const int row = static_cast<int>((t - start_ms_) / kRowMs);
  return TimestampOf(source, row) == t ? row : -1;
}

Timestamp Universe::StartOf(int source, int row, int slot) const {
  if (slot % 8 == 0) return TimestampOf(source, row / 500 * 500) - 7;
  if (slot == kCountingHistogram) return TimestampOf(source, row / 300 * 300) - 9;
  return 0;
}

std::optional<model::Exemplar> Universe::ExemplarOf(int source, int row, int slot) const {
  if (slot % 8 != 7 || row % 5 != slot % 5) return std::nullopt;
  model::Exemplar exemplar;
  exemplar.labels = Labels::FromPairs({{"trace_id", "r" + std::to_string(row)}}).packed();
  exemplar.value = static_cast<double>(row) + slot * 0.125;
  exemplar.has_timestamp = row % 2 == 0;
  exemplar.timestamp_ms = TimestampOf(source, row);
  return exemplar;
}

bool Universe::Holds(const Unit& unit, int slot) const {
  if (PartOf(unit.source, slot) != unit.part) return false;
  if (slot < kParts) return true;  // no unit is empty
  // Scraped series come and go for ten minutes at a time, pushed ones have holes.
  if (IsScrape(unit.source)) return (unit.row / 40 + slot * 7) % 9 != 0;
  return Hash(unit.source, unit.row, slot + 1000) % 10 != 0;
}

int Universe::CountSlots(const Unit& unit) const {
  int count = 0;
  for (int slot = 0; slot < kSlots; ++slot) count += Holds(unit, slot) ? 1 : 0;
  return count;
}

double Universe::Value(int source, int row, int slot) const {
  const uint64_t hash = Hash(source, row, slot);
  switch (slot % 8) {
    case 0:
      return row % 500 * 7 + slot;  // a counter with resets
    case 1:
      return slot * 1.5;
    case 2:
      return static_cast<double>(hash % 100'000) / 100;
    case 3:
      return std::bit_cast<double>(hash);
    case 4:
      return Special(hash);
    case 6:
      return 9'007'199'254'740'992.0 + static_cast<double>(hash % 4096) * 4;
    default:
      return static_cast<double>(row * 1000 + static_cast<int>(hash % 1000)) * 0.001;
  }
}

Histogram Universe::HistogramOf(int source, int row, int slot) const {
  const uint64_t hash = Hash(source, row, slot);
  Histogram h;
  h.integer = source % 3 != 1;
  if (slot == kCountingHistogram) {
    const int counted = row % 300;
    h.schema = row / 600 % 3;
    h.zero_threshold = 0.001;
    h.zero_count = counted / 7;
    h.positive_spans = {{1, 2}, {3, 1}};
    h.negative_spans = {{0, 1}};
    h.positive_buckets = {static_cast<double>(counted), static_cast<double>(counted / 2),
                          static_cast<double>(counted / 3)};
    h.negative_buckets = {static_cast<double>(counted / 5)};
    h.count = h.zero_count + h.negative_buckets[0];
    for (const double b : h.positive_buckets) h.count += b;
    h.sum = counted * 1.75;
    return h;
  }
  h.hint = model::CounterResetHint::kGauge;
  if (source % 4 == 3) {
    h.schema = model::kCustomBucketsSchema;
    h.custom_values = {0.1, 1, 10};
    h.positive_spans = {{0, 3}};
  } else {
    h.schema = row / 300 % 3;
    h.zero_threshold = 0.001;
    h.zero_count = static_cast<double>(hash % 3);
    h.positive_spans = {{row / 100 % 4, 2}, {1 + row / 150 % 2, 1}};
    h.negative_spans = {{0, 1}};
    h.negative_buckets = {static_cast<double>(hash >> 60)};
  }
  h.positive_buckets = {static_cast<double>(row), static_cast<double>(hash % 50), 1};
  h.count = h.zero_count;
  for (const double b : h.positive_buckets) h.count += b;
  for (const double b : h.negative_buckets) h.count += b;
  h.sum = static_cast<double>(hash % 1'000'000) / 1000;
  return h;
}

Labels Universe::SourceLabels(int source) const {
  return Labels::FromPairs(
      {{"job", IsScrape(source) ? "scrape" : "push"}, {"source", "s" + std::to_string(source)}});
}

Labels Universe::Key(int slot) const {
  return Labels::FromPairs(
      {{"__name__", "m" + std::to_string(slot % 5)}, {"slot", "k" + std::to_string(slot)}});
}

void ExpectedState::Raise(const Unit& unit, WriteState state) {
  const size_t index = Universe::IndexOf(unit);
  const uint8_t byte = Get(index);
  if ((byte & kWriteMask) < state) {
    Set(index, static_cast<uint8_t>((byte & ~kWriteMask) | state));
  }
}

void ExpectedState::Flag(const Unit& unit, uint8_t delete_flag) {
  const size_t index = Universe::IndexOf(unit);
  Set(index, Get(index) | delete_flag);
}

std::vector<uint8_t> ExpectedState::Copy() const {
  std::vector<uint8_t> bytes(universe_.units());
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = Get(i);
  return bytes;
}

Result<Observed> Observe(const Universe& universe, const model::Snapshot& snapshot,
                         bool starts_may_lack) {
  static constexpr size_t kSeriesAtOnce = 16;
  Observed observed(universe.units());
  auto selection = snapshot.Select({}, {}, {});
  if (!selection) return std::unexpected(selection.error());
  const auto reader = (*selection)->NewReader();
  model::ColumnBatch batch;
  std::map<std::string, int> seen;
  const size_t size = (*selection)->size();
  for (size_t first = 0; first < size; first += kSeriesAtOnce) {
    const size_t count = std::min(kSeriesAtOnce, size - first);
    if (Status status = reader->Read(first, count, &batch); !status.ok()) {
      return std::unexpected(status);
    }
    for (size_t i = 0; i < count; ++i) {
      const Labels labels = (*selection)->LabelsAt(first + i);
      int source = 0;
      int slot = 0;
      if (!FindPlace(universe, labels, &source, &slot) || ++seen[labels.ToString()] > 1) {
        return std::unexpected(
            Status(Code::kCorruption, "invented or repeated series " + labels.ToString()));
      }
      ColumnCheck check(universe, source, slot, &observed);
      check.set_thinned_until((*selection)->resolution().thinned_until_ms);
      check.set_starts_may_lack(starts_may_lack);
      Status status = check.Floats(batch.columns[i]);
      if (status.ok()) status = check.Histograms(batch.columns[i]);
      if (!status.ok()) return std::unexpected(status);
    }
  }
  return observed;
}

Status Compare(const Universe& universe, std::span<const uint8_t> before,
               std::span<const uint8_t> after, const Observed& observed, WriteState least,
               std::span<const Timestamp> floors) {
  for (size_t i = 0; i < observed.size(); ++i) {
    const Unit unit = Universe::UnitAt(i);
    const bool old = IsOld(universe, unit, floors);
    if (observed[i] == 0) {
      if (!old && (before[i] & kWriteMask) >= least &&
          (after[i] & (kDeleteTried | kDeleted)) == 0) {
        return Status(Code::kCorruption, "lost: " + Describe(universe, unit));
      }
      continue;
    }
    if ((after[i] & kWriteMask) == kNever) {
      return Status(Code::kCorruption, "never written: " + Describe(universe, unit));
    }
    if ((before[i] & kDeleted) != 0) {
      return Status(Code::kCorruption, "deleted and still there: " + Describe(universe, unit));
    }
    if (!old && observed[i] != universe.CountSlots(unit)) {
      return Status(Code::kCorruption, std::to_string(observed[i]) + " samples of " +
                                           std::to_string(universe.CountSlots(unit)) + ": " +
                                           Describe(universe, unit));
    }
  }
  return {};
}

Status CompareExemplars(const ExpectedState& expected, const model::Snapshot& snapshot,
                        std::span<const Timestamp> floors) {
  const Universe& universe = expected.universe();
  const auto all = snapshot.Exemplars({}, {});
  if (!all) return all.error();
  for (const model::ExemplarSeries& series : *all) {
    int source = 0;
    int slot = 0;
    if (!FindPlace(universe, series.series_labels, &source, &slot)) {
      return Status(Code::kCorruption, "exemplars of " + series.series_labels.ToString());
    }
    for (const model::Exemplar& exemplar : series.exemplars) {
      const int row = universe.RowAt(source, exemplar.timestamp_ms);
      const auto written = row < 0 ? std::nullopt : universe.ExemplarOf(source, row, slot);
      const Unit unit{source, row, Universe::PartOf(source, slot)};
      if (!written || written->labels != exemplar.labels || written->value != exemplar.value ||
          !universe.Holds(unit, slot)) {
        return Status(Code::kCorruption, "an invented exemplar of " +
                                             series.series_labels.ToString() + " at " +
                                             std::to_string(exemplar.timestamp_ms));
      }
      if (IsOld(universe, unit, floors)) continue;
      const uint8_t byte = expected.Get(unit);
      if ((byte & kWriteMask) == kNever || (byte & kDeleted) != 0) {
        return Status(Code::kCorruption,
                      "an exemplar of what is not there: " + Describe(universe, unit));
      }
    }
  }
  return {};
}

void Settle(ExpectedState* expected, const Observed& observed) {
  for (size_t i = 0; i < observed.size(); ++i) {
    const uint8_t byte = expected->Get(i);
    if (byte == kNever) continue;
    const bool delete_tried = (byte & (kDeleteTried | kDeleted)) != 0;
    if (observed[i] > 0) {
      expected->Set(i, kKernel);  // also undoes a delete that did not happen
    } else if (delete_tried) {
      expected->Set(i, kDeleteTried | kDeleted | kTried);
    } else {
      expected->Set(i, kNever);
    }
  }
}

}  // namespace tocsin::stress
