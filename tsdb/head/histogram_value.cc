#include "tsdb/head/histogram_value.h"

#include <bit>
#include <cmath>
#include <vector>

#include "base/bytes.h"

namespace tocsin::tsdb {
namespace {

constexpr uint8_t kIntegerFlag = 0x01;
constexpr int kHintShift = 1;
constexpr uint8_t kHintMask = 0x03;

// Populations are mostly whole numbers: varint (k << 1), else 1 and the bits.
void PutPopulation(std::string* out, double v) {
  if (v >= 0 && v < 9007199254740992.0 && v == std::floor(v) && !std::signbit(v)) {
    PutVarint(*out, static_cast<uint64_t>(v) << 1);
    return;
  }
  PutVarint(*out, 1);
  PutDouble(*out, v);
}

double ReadPopulation(ByteReader& reader) {
  const uint64_t head = reader.Varint();
  return (head & 1) != 0 ? reader.Double() : static_cast<double>(head >> 1);
}

void PutSide(std::string* out, const std::vector<model::BucketSpan>& spans,
             const std::vector<double>& buckets) {
  PutVarint(*out, spans.size());
  for (const model::BucketSpan& span : spans) {
    PutSignedVarint(*out, span.offset);
    PutVarint(*out, span.length);
  }
  PutVarint(*out, buckets.size());
  for (const double population : buckets) PutPopulation(out, population);
}

void ReadSide(ByteReader& reader, std::vector<model::BucketSpan>* spans,
              std::vector<double>* buckets) {
  const uint64_t span_count = reader.Varint();
  if (span_count > reader.remaining()) reader.Fail();
  for (uint64_t i = 0; i < span_count && reader.ok(); ++i) {
    const int64_t offset = reader.SignedVarint();
    spans->push_back({static_cast<int32_t>(offset), reader.Varint32()});
  }
  const uint64_t bucket_count = reader.Varint();
  if (bucket_count > reader.remaining()) reader.Fail();
  for (uint64_t i = 0; i < bucket_count && reader.ok(); ++i)
    buckets->push_back(ReadPopulation(reader));
}

}  // namespace

void EncodeHistogram(const model::Histogram& histogram, std::string* out) {
  PutFixed8(*out, static_cast<uint8_t>((histogram.integer ? kIntegerFlag : 0) |
                                       static_cast<uint8_t>(histogram.hint) << kHintShift));
  PutSignedVarint(*out, histogram.schema);
  PutDouble(*out, histogram.zero_threshold);
  PutPopulation(out, histogram.zero_count);
  PutPopulation(out, histogram.count);
  PutDouble(*out, histogram.sum);
  PutSide(out, histogram.positive_spans, histogram.positive_buckets);
  PutSide(out, histogram.negative_spans, histogram.negative_buckets);
  PutVarint(*out, histogram.custom_values.size());
  for (const double bound : histogram.custom_values) PutDouble(*out, bound);
}

Status DecodeHistogram(std::string_view bytes, model::Histogram* histogram) {
  *histogram = model::Histogram();
  ByteReader reader(bytes);
  const uint8_t flags = reader.Fixed8();
  histogram->integer = (flags & kIntegerFlag) != 0;
  histogram->hint = static_cast<model::CounterResetHint>((flags >> kHintShift) & kHintMask);
  histogram->schema = static_cast<int32_t>(reader.SignedVarint());
  histogram->zero_threshold = reader.Double();
  histogram->zero_count = ReadPopulation(reader);
  histogram->count = ReadPopulation(reader);
  histogram->sum = reader.Double();
  ReadSide(reader, &histogram->positive_spans, &histogram->positive_buckets);
  ReadSide(reader, &histogram->negative_spans, &histogram->negative_buckets);
  const uint64_t bounds = reader.Varint();
  if (bounds > reader.remaining() / sizeof(double)) reader.Fail();
  for (uint64_t i = 0; i < bounds && reader.ok(); ++i)
    histogram->custom_values.push_back(reader.Double());
  if (!reader.ok() || !reader.at_end()) return Status(Code::kCorruption, "histogram: damaged");
  return Status::Ok();
}

}  // namespace tocsin::tsdb
