#include "tsdb/rollup/rollup_column.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "base/bytes.h"
#include "tsdb/codec/integers.h"
#include "tsdb/codec/presence.h"
#include "tsdb/codec/values.h"
#include "tsdb/segment/facts.h"

namespace tocsin::tsdb {

using model::Facts;
using model::Timestamp;

namespace {

// Head of a column.
constexpr uint8_t kOwnBuckets = 1;
constexpr uint8_t kSingle = 2;  // all values have the same bits
constexpr uint8_t kFirst = 4;
constexpr uint8_t kExtremes = 8;
constexpr uint8_t kSum = 16;
constexpr uint8_t kResets = 32;
constexpr uint8_t kMarkers = 64;
constexpr uint8_t kExceptions = 128;

// Of a file: three months of minutes.
constexpr uint64_t kBucketsMax = 1 << 17;

using Integers = std::vector<int64_t>;

void PutIntegers(const Integers& values, std::string* out) {
  EncodeIntegers(values, Effort::kSmall, out);
}

bool ReadIntegers(ByteReader* in, size_t count, Integers* values) {
  values->resize(count);
  return DecodeIntegers(in, count, values->data());
}

// A count that was made of sums of damaged numbers still is one of samples.
bool FitsCount(int64_t count) {
  return count >= 0 && count <= std::numeric_limits<uint32_t>::max();
}

int64_t Plus(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
Timestamp EndOf(int64_t number, int64_t bucket_ms) {
  return static_cast<int64_t>(static_cast<uint64_t>(number) * static_cast<uint64_t>(bucket_ms));
}

// `values` are told by `reference`, which the reader has by then.
void PutValues(const std::vector<double>& values, std::span<const double> reference,
               std::string* out) {
  std::string column;
  EncodeValues(values, {.effort = Effort::kSmall, .reference = reference}, &column);
  PutString(*out, column);
}

bool ReadValues(ByteReader* in, size_t count, std::span<const double> reference,
                std::vector<double>* values) {
  values->resize(count);
  const std::string_view column = in->String();
  return in->ok() && DecodeValues(column, count, reference, values->data());
}

// The last value of the bucket before, for the first bucket its own.
std::vector<double> Shifted(const std::vector<double>& last) {
  std::vector<double> shifted(last);
  std::copy(last.begin(), last.end() - 1, shifted.begin() + 1);
  return shifted;
}

std::vector<double> Scaled(const std::vector<double>& last, std::span<const int64_t> counts) {
  std::vector<double> scaled(last.size());
  for (size_t i = 0; i < last.size(); ++i) scaled[i] = last[i] * static_cast<double>(counts[i]);
  return scaled;
}

}  // namespace

void SourceBuckets::Clear() {
  numbers.clear();
  first_ms.clear();
  last_ms.clear();
  rows.clear();
}

void SourceBuckets::Fold(std::span<const Timestamp> row_times, int64_t bucket_ms) {
  Clear();
  for (const Timestamp t : row_times) {
    const int64_t number = BucketOf(t, bucket_ms);
    if (numbers.empty() || numbers.back() != number) {
      numbers.push_back(number);
      first_ms.push_back(t);
      last_ms.push_back(t);
      rows.push_back(0);
    }
    last_ms.back() = t;
    ++rows.back();
  }
}

void ColumnBuckets::Fold(const model::Column& column, int64_t bucket_ms) {
  numbers.clear();
  facts.clear();
  FactsFolder folder;
  for (size_t i = 0; i < column.values.size(); ++i) {
    const int64_t number = BucketOf(column.timestamps[i], bucket_ms);
    if (numbers.empty() || numbers.back() != number) {
      if (!numbers.empty()) facts.push_back(folder.Take());
      numbers.push_back(number);
    }
    folder.Add(column.timestamps[i], column.values[i]);
  }
  if (!numbers.empty()) facts.push_back(folder.Take());
  before_resets = folder.before_resets();
}

void EncodeSourceBuckets(const SourceBuckets& buckets, int64_t bucket_ms, std::string* out) {
  PutVarint(*out, buckets.size());
  Integers from_start;
  Integers to_end;
  for (size_t i = 0; i < buckets.size(); ++i) {
    const Timestamp end = BucketEnd(buckets.numbers[i], bucket_ms);
    from_start.push_back(buckets.first_ms[i] - (end - bucket_ms));
    to_end.push_back(end - buckets.last_ms[i]);
  }
  PutIntegers(buckets.numbers, out);
  PutIntegers(from_start, out);
  PutIntegers(to_end, out);
  PutIntegers(buckets.rows, out);
}

bool DecodeSourceBuckets(std::string_view bytes, int64_t bucket_ms, SourceBuckets* buckets) {
  buckets->Clear();
  ByteReader in(bytes);
  const uint64_t count = in.Varint();
  if (!in.ok() || count > kBucketsMax) return false;
  if (!ReadIntegers(&in, count, &buckets->numbers) ||
      !ReadIntegers(&in, count, &buckets->first_ms) ||
      !ReadIntegers(&in, count, &buckets->last_ms) || !ReadIntegers(&in, count, &buckets->rows)) {
    return false;
  }
  for (size_t i = 0; i < count; ++i) {
    const Timestamp end = EndOf(buckets->numbers[i], bucket_ms);
    buckets->first_ms[i] = Plus(Plus(end, -bucket_ms), buckets->first_ms[i]);
    buckets->last_ms[i] = Plus(end, -buckets->last_ms[i]);
    if (!FitsCount(buckets->rows[i])) return false;
  }
  return in.ok() && in.at_end();
}

// ----------------------------------------------------------------------------------------------------------
// writing

namespace {

// Where a column's buckets are, in the form that takes fewer bytes.
class PlacesEncoder {
 public:
  PlacesEncoder(const ColumnBuckets& column, const SourceBuckets& source, int64_t bucket_ms)
      : column_(column), source_(source), bucket_ms_(bucket_ms) {}

  // The head's bits.
  uint8_t Encode(std::string* out) {
    const bool by_source = FindPlaces();
    const size_t exceptions = by_source ? CollectExceptions() : 0;
    if (!by_source || exceptions * 2 > column_.numbers.size()) {
      EncodeOwn(out);
      return kOwnBuckets;
    }
    EncodePresence(places_, source_.size(), out);
    if (exceptions == 0) return 0;
    PutVarint(*out, exceptions);
    for (const Integers* values : {&index_, &first_, &last_, &count_}) PutIntegers(*values, out);
    return kExceptions;
  }

 private:
  bool FindPlaces() {
    size_t at = 0;
    for (const int64_t number : column_.numbers) {
      while (at < source_.size() && source_.numbers[at] < number) ++at;
      if (at == source_.size() || source_.numbers[at] != number) return false;
      places_.push_back(static_cast<uint32_t>(at++));
    }
    return true;
  }

  size_t CollectExceptions() {
    for (size_t i = 0; i < places_.size(); ++i) {
      const Facts& f = column_.facts[i];
      const uint32_t at = places_[i];
      const int64_t first = f.count == 0 ? 0 : f.first_ms - source_.first_ms[at];
      const int64_t last = f.count == 0 ? 0 : f.last_ms - source_.last_ms[at];
      const int64_t count = f.count - source_.rows[at];
      if (first == 0 && last == 0 && count == 0) continue;
      index_.push_back(static_cast<int64_t>(i));
      first_.push_back(first);
      last_.push_back(last);
      count_.push_back(count);
    }
    return index_.size();
  }

  void EncodeOwn(std::string* out) {
    for (Integers* values : {&first_, &last_, &count_}) values->clear();
    for (size_t i = 0; i < column_.numbers.size(); ++i) {
      const Facts& f = column_.facts[i];
      const Timestamp end = BucketEnd(column_.numbers[i], bucket_ms_);
      first_.push_back(f.count == 0 ? 0 : f.first_ms - (end - bucket_ms_));
      last_.push_back(f.count == 0 ? 0 : end - f.last_ms);
      count_.push_back(f.count);
    }
    PutVarint(*out, column_.numbers.size());
    PutIntegers(column_.numbers, out);
    for (const Integers* values : {&first_, &last_, &count_}) PutIntegers(*values, out);
  }

  const ColumnBuckets& column_;
  const SourceBuckets& source_;
  const int64_t bucket_ms_;
  std::vector<uint32_t> places_;
  Integers index_, first_, last_, count_;
};

// One fact of all buckets. A bucket without samples repeats the one before it.
std::vector<double> Values(const ColumnBuckets& column, double Facts::* fact) {
  std::vector<double> values;
  double before = 0;
  for (const Facts& f : column.facts) {
    if (f.count > 0) before = f.*fact;
    values.push_back(before);
  }
  return values;
}

bool AllAlike(const ColumnBuckets& column) {
  const auto bits = [](double v) { return std::bit_cast<uint64_t>(v); };
  const Facts* one = nullptr;
  for (const Facts& f : column.facts) {
    if (f.count == 0) continue;
    if (one == nullptr) one = &f;
    for (const double v : {f.first, f.last, f.min, f.max}) {
      if (bits(v) != bits(one->first)) return false;
    }
    // Of NaN among numbers the extremes say nothing; the sum does.
    if (std::isnan(f.sum) != std::isnan(f.first)) return false;
  }
  return true;
}

void EncodeResets(const ColumnBuckets& column, std::string* out) {
  Integers index;
  for (size_t i = 0; i < column.facts.size(); ++i)
    index.insert(index.end(), column.facts[i].resets, static_cast<int64_t>(i));
  PutVarint(*out, index.size());
  PutIntegers(index, out);
  PutValues(column.before_resets, {}, out);
}

void EncodeMarkers(const ColumnBuckets& column, int64_t bucket_ms, std::string* out) {
  Integers index;
  Integers from_start;
  for (size_t i = 0; i < column.facts.size(); ++i) {
    if (!column.facts[i].ends_stale) continue;
    index.push_back(static_cast<int64_t>(i));
    from_start.push_back(column.facts[i].newest_ms - BucketEnd(column.numbers[i] - 1, bucket_ms));
  }
  PutVarint(*out, index.size());
  PutIntegers(index, out);
  PutIntegers(from_start, out);
}

}  // namespace

void EncodeRollupColumn(const ColumnBuckets& column, const SourceBuckets& source, int64_t bucket_ms,
                        RollupKind kind, std::string* out) {
  const size_t head_at = out->size();
  out->push_back(0);
  uint8_t head = PlacesEncoder(column, source, bucket_ms).Encode(out);
  const std::vector<double> last = Values(column, &Facts::last);
  bool sums_known = true;
  bool markers = false;
  Integers counts;
  for (const Facts& f : column.facts) {
    sums_known = sums_known && (f.count == 0 || (f.known & model::kFactSum) != 0);
    markers = markers || f.ends_stale;
    counts.push_back(f.count);
  }
  if (AllAlike(column)) {
    head |= kSingle;
    const auto any = std::find_if(column.facts.begin(), column.facts.end(),
                                  [](const Facts& f) { return f.count > 0; });
    PutPackedDouble(*out, any == column.facts.end() ? 0 : any->last);
  } else {
    PutValues(last, {}, out);
    if (kind != RollupKind::kGauge) {
      head |= kFirst;
      PutValues(Values(column, &Facts::first), Shifted(last), out);
      if (!column.before_resets.empty()) head |= kResets;
    }
    if (kind != RollupKind::kCounter) {
      head |= kExtremes;
      PutValues(Values(column, &Facts::min), last, out);
      PutValues(Values(column, &Facts::max), last, out);
      if (sums_known) {
        head |= kSum;
        PutValues(Values(column, &Facts::sum), Scaled(last, counts), out);
      }
    }
  }
  if ((head & kResets) != 0) EncodeResets(column, out);
  if (markers) {
    head |= kMarkers;
    EncodeMarkers(column, bucket_ms, out);
  }
  (*out)[head_at] = static_cast<char>(head);
}

// ----------------------------------------------------------------------------------------------------------
// reading

namespace {

class ColumnDecoder {
 public:
  ColumnDecoder(std::string_view bytes, const SourceBuckets& source, int64_t bucket_ms,
                std::vector<Facts>* facts)
      : in_(bytes), source_(source), bucket_ms_(bucket_ms), facts_(*facts) {
    facts_.clear();
  }

  bool Decode(model::ColumnBatch* batch) {
    head_ = in_.Fixed8();
    if (!in_.ok()) return false;
    if (!((head_ & kOwnBuckets) != 0 ? ReadOwn() : ReadBySource())) return false;
    if (!((head_ & kSingle) != 0 ? ReadSingle() : ReadFacts())) return false;
    for (Facts& f : facts_) f.newest_ms = f.last_ms;
    if ((head_ & kResets) != 0 && !ReadResets(batch)) return false;
    if ((head_ & kMarkers) != 0 && !ReadMarkers()) return false;
    return in_.ok() && in_.at_end();
  }

 private:
  void AddBucket(int64_t number, Timestamp first_ms, Timestamp last_ms, int64_t count) {
    Facts f;
    f.first_ms = first_ms;
    f.last_ms = last_ms;
    f.count = static_cast<uint32_t>(count);
    facts_.push_back(f);
    starts_.push_back(EndOf(Plus(number, -1), bucket_ms_));
  }

  bool ReadOwn() {
    const uint64_t count = in_.Varint();
    Integers numbers, first, last, counts;
    if (!in_.ok() || count > kBucketsMax || !ReadIntegers(&in_, count, &numbers) ||
        !ReadIntegers(&in_, count, &first) || !ReadIntegers(&in_, count, &last) ||
        !ReadIntegers(&in_, count, &counts)) {
      return false;
    }
    for (size_t i = 0; i < count; ++i) {
      if (!FitsCount(counts[i])) return false;
      const Timestamp end = EndOf(numbers[i], bucket_ms_);
      AddBucket(numbers[i], Plus(Plus(end, -bucket_ms_), first[i]), Plus(end, -last[i]), counts[i]);
    }
    return true;
  }

  bool ReadBySource() {
    bool full = false;
    std::vector<uint32_t> places;
    if (!DecodePresence(&in_, source_.size(), &full, &places)) return false;
    const size_t count = full ? source_.size() : places.size();
    for (size_t i = 0; i < count; ++i) {
      const size_t at = full ? i : places[i];
      AddBucket(source_.numbers[at], source_.first_ms[at], source_.last_ms[at], source_.rows[at]);
    }
    return (head_ & kExceptions) == 0 || ReadExceptions();
  }

  bool ReadExceptions() {
    const uint64_t count = in_.Varint();
    Integers index, first, last, counts;
    if (!in_.ok() || count > facts_.size() || !ReadIntegers(&in_, count, &index) ||
        !ReadIntegers(&in_, count, &first) || !ReadIntegers(&in_, count, &last) ||
        !ReadIntegers(&in_, count, &counts)) {
      return false;
    }
    for (size_t i = 0; i < count; ++i) {
      if (index[i] < 0 || static_cast<uint64_t>(index[i]) >= facts_.size()) return false;
      Facts& f = facts_[static_cast<size_t>(index[i])];
      const int64_t samples = Plus(f.count, counts[i]);
      if (!FitsCount(samples)) return false;
      f.first_ms = Plus(f.first_ms, first[i]);
      f.last_ms = Plus(f.last_ms, last[i]);
      f.count = static_cast<uint32_t>(samples);
    }
    return true;
  }

  bool ReadSingle() {
    const double value = ReadPackedDouble(&in_);
    for (Facts& f : facts_) {
      f.first = f.last = f.min = f.max = value;
      f.sum = 0.0 + value * f.count;  // no -0
      f.known = model::kFactsAll;
      if (!std::isfinite(f.sum) && std::isfinite(value)) f.known &= ~model::kFactSum;
    }
    return in_.ok();
  }

  bool ReadFact(std::span<const double> reference, double Facts::* fact,
                std::vector<double>* values) {
    if (!ReadValues(&in_, facts_.size(), reference, values)) return false;
    for (size_t i = 0; i < facts_.size(); ++i) facts_[i].*fact = (*values)[i];
    return true;
  }

  bool ReadFacts() {
    if (facts_.empty()) return false;
    std::vector<double> last, values;
    if (!ReadFact({}, &Facts::last, &last)) return false;
    uint8_t known = 0;
    if ((head_ & kFirst) != 0) {
      known |= model::kFactFirst | model::kFactResets;
      if (!ReadFact(Shifted(last), &Facts::first, &values)) return false;
    }
    if ((head_ & kExtremes) != 0) {
      known |= model::kFactExtremes;
      if (!ReadFact(last, &Facts::min, &values) || !ReadFact(last, &Facts::max, &values))
        return false;
    }
    if ((head_ & kSum) != 0) {
      known |= model::kFactSum;
      Integers counts;
      for (const Facts& f : facts_) counts.push_back(f.count);
      if (!ReadFact(Scaled(last, counts), &Facts::sum, &values)) return false;
    }
    for (Facts& f : facts_) f.known = known;
    return true;
  }

  bool ReadResets(model::ColumnBatch* batch) {
    const uint64_t count = in_.Varint();
    // A reset is between two samples.
    uint64_t samples = 0;
    for (const Facts& f : facts_) samples += f.count;
    Integers index;
    std::vector<double> values;
    if (!in_.ok() || count > samples || !ReadIntegers(&in_, count, &index) ||
        !ReadValues(&in_, count, {}, &values)) {
      return false;
    }
    double* kept = batch->NewValues(count);
    std::copy(values.begin(), values.end(), kept);
    size_t next = 0;
    for (size_t i = 0; i < facts_.size(); ++i) {
      facts_[i].before_resets = kept + next;
      for (; next < count && index[next] == static_cast<int64_t>(i); ++next) ++facts_[i].resets;
    }
    return next == count;
  }

  bool ReadMarkers() {
    const uint64_t count = in_.Varint();
    Integers index, from_start;
    if (!in_.ok() || count > facts_.size() || !ReadIntegers(&in_, count, &index) ||
        !ReadIntegers(&in_, count, &from_start)) {
      return false;
    }
    for (size_t i = 0; i < count; ++i) {
      if (index[i] < 0 || static_cast<uint64_t>(index[i]) >= facts_.size()) return false;
      const auto at = static_cast<size_t>(index[i]);
      facts_[at].ends_stale = true;
      facts_[at].newest_ms = Plus(starts_[at], from_start[i]);
    }
    return true;
  }

  ByteReader in_;
  const SourceBuckets& source_;
  const int64_t bucket_ms_;
  std::vector<Facts>& facts_;
  std::vector<Timestamp> starts_;  // of the buckets
  uint8_t head_ = 0;
};

}  // namespace

bool DecodeRollupColumn(std::string_view bytes, const SourceBuckets& source, int64_t bucket_ms,
                        model::ColumnBatch* batch, std::vector<Facts>* facts) {
  return ColumnDecoder(bytes, source, bucket_ms, facts).Decode(batch);
}

}  // namespace tocsin::tsdb
