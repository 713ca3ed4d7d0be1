#include "tsdb/rollup/rollup_column.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/bytes.h"
#include "model/histogram.h"
#include "tsdb/codec/values.h"
#include "tsdb/rollup/rollup_places.h"
#include "tsdb/segment/facts.h"

namespace tocsin::tsdb {

using model::Facts;
using model::Timestamp;

namespace {

// Head of a column.
constexpr uint8_t kSingle = 2;  // all values have the same bits
constexpr uint8_t kFirst = 4;
constexpr uint8_t kExtremes = 8;
constexpr uint8_t kSum = 16;
constexpr uint8_t kResets = 32;

using Integers = std::vector<int64_t>;

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

bool ColumnBuckets::Restore(const std::vector<Facts>& read, int64_t bucket_ms) {
  numbers.clear();
  facts.clear();
  before_resets.clear();
  kept.clear();
  gauges = false;
  for (const Facts& bucket : read) {
    numbers.push_back(BucketOf(bucket.newest_ms, bucket_ms));
    Facts& f = facts.emplace_back(bucket);
    for (uint32_t r = 0; r < f.resets; ++r) before_resets.push_back(f.before_resets[r]);
    for (uint32_t k = 0; k < f.kept_count; ++k) kept.push_back(f.kept[k]);
    if (f.kept != nullptr) gauges = f.kept[0]->hint == model::CounterResetHint::kGauge;
    // What is not known of numbers must not make them look alike.
    if ((f.known & model::kFactFirst) == 0) f.first = model::NormalNan();
    if ((f.known & model::kFactExtremes) == 0) f.min = f.max = model::NormalNan();
  }
  return kept.empty();
}

RollupKind ColumnBuckets::RestoredKind() const {
  uint8_t known = 0;
  for (const Facts& f : facts) known |= f.known;
  if ((known & model::kFactFirst) == 0) return RollupKind::kGauge;
  return (known & model::kFactExtremes) == 0 ? RollupKind::kCounter : RollupKind::kBoth;
}

// ----------------------------------------------------------------------------------------------------------
// writing

namespace {

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

}  // namespace

void EncodeRollupColumn(const ColumnBuckets& column, const SourceBuckets& source, int64_t bucket_ms,
                        RollupKind kind, std::string* out) {
  const size_t head_at = out->size();
  out->push_back(0);
  uint8_t head = EncodePlaces(column, source, bucket_ms, out);
  const std::vector<double> last = Values(column, &Facts::last);
  bool sums_known = true;
  Integers counts;
  for (const Facts& f : column.facts) {
    sums_known = sums_known && (f.count == 0 || (f.known & model::kFactSum) != 0);
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
  if (HasMarkers(column)) {
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
    if (!ReadPlaces(head_, source_, bucket_ms_, &in_, &facts_, &starts_)) return false;
    if (!((head_ & kSingle) != 0 ? ReadSingle() : ReadFacts())) return false;
    for (Facts& f : facts_) f.newest_ms = f.last_ms;
    if ((head_ & kResets) != 0 && !ReadResets(batch)) return false;
    if ((head_ & kMarkers) != 0 && !ReadMarkers(starts_, &in_, &facts_)) return false;
    return in_.ok() && in_.at_end();
  }

 private:
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
