#include "tsdb/rollup/rollup_places.h"

#include <algorithm>
#include <limits>

#include "tsdb/codec/integers.h"
#include "tsdb/codec/presence.h"
#include "tsdb/rollup/rollup_column.h"

namespace tocsin::tsdb {

using model::Facts;
using model::Timestamp;

namespace {

using Integers = std::vector<int64_t>;

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

}  // namespace

void PutIntegers(const std::vector<int64_t>& values, std::string* out) {
  EncodeIntegers(values, Effort::kSmall, out);
}

bool ReadIntegers(ByteReader* in, size_t count, std::vector<int64_t>* values) {
  values->resize(count);
  return DecodeIntegers(in, count, values->data());
}

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
// columns

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

class PlacesDecoder {
 public:
  PlacesDecoder(const SourceBuckets& source, int64_t bucket_ms, ByteReader* in,
                std::vector<Facts>* facts, std::vector<Timestamp>* starts)
      : source_(source), bucket_ms_(bucket_ms), in_(*in), facts_(*facts), starts_(*starts) {
    facts_.clear();
    starts_.clear();
  }

  bool Read(uint8_t head) {
    return (head & kOwnBuckets) != 0 ? ReadOwn() : ReadBySource((head & kExceptions) != 0);
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

  bool ReadBySource(bool exceptions) {
    bool full = false;
    std::vector<uint32_t> places;
    if (!DecodePresence(&in_, source_.size(), &full, &places)) return false;
    const size_t count = full ? source_.size() : places.size();
    for (size_t i = 0; i < count; ++i) {
      const size_t at = full ? i : places[i];
      AddBucket(source_.numbers[at], source_.first_ms[at], source_.last_ms[at], source_.rows[at]);
    }
    return !exceptions || ReadExceptions();
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

  const SourceBuckets& source_;
  const int64_t bucket_ms_;
  ByteReader& in_;
  std::vector<Facts>& facts_;
  std::vector<Timestamp>& starts_;
};

}  // namespace

uint8_t EncodePlaces(const ColumnBuckets& column, const SourceBuckets& source, int64_t bucket_ms,
                     std::string* out) {
  return PlacesEncoder(column, source, bucket_ms).Encode(out);
}

bool ReadPlaces(uint8_t head, const SourceBuckets& source, int64_t bucket_ms, ByteReader* in,
                std::vector<Facts>* facts, std::vector<Timestamp>* starts) {
  return PlacesDecoder(source, bucket_ms, in, facts, starts).Read(head);
}

bool HasMarkers(const ColumnBuckets& column) {
  return std::any_of(column.facts.begin(), column.facts.end(),
                     [](const Facts& f) { return f.ends_stale; });
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

bool ReadMarkers(const std::vector<Timestamp>& starts, ByteReader* in, std::vector<Facts>* facts) {
  const uint64_t count = in->Varint();
  Integers index, from_start;
  if (!in->ok() || count > facts->size() || !ReadIntegers(in, count, &index) ||
      !ReadIntegers(in, count, &from_start)) {
    return false;
  }
  for (size_t i = 0; i < count; ++i) {
    if (index[i] < 0 || static_cast<uint64_t>(index[i]) >= facts->size()) return false;
    const auto at = static_cast<size_t>(index[i]);
    (*facts)[at].ends_stale = true;
    (*facts)[at].newest_ms = Plus(starts[at], from_start[i]);
  }
  return true;
}

}  // namespace tocsin::tsdb
