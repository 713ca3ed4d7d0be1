#include "tsdb/codec/histograms.h"

#include <bit>
#include <vector>

namespace tocsin::tsdb {
namespace {

constexpr double kWholeEnd = 9007199254740992.0;  // 2^53
constexpr uint8_t kHeadMax = 7;

void PutNumber(std::string* out, double value) {
  const auto bits = std::bit_cast<uint64_t>(value);
  // Written so that NaN and -0 go the other way.
  if (value >= 0 && value < kWholeEnd && bits >> 63 == 0) {
    const auto whole = static_cast<uint64_t>(value);
    if (static_cast<double>(whole) == value) {
      PutVarint(*out, whole + 1);
      return;
    }
  }
  PutVarint(*out, 0);
  PutFixed64(*out, bits);
}

double ReadNumber(ByteReader* in) {
  const uint64_t tag = in->Varint();
  return tag == 0 ? in->Double() : static_cast<double>(tag - 1);
}

void PutSpans(std::string* out, const std::vector<model::BucketSpan>& spans) {
  PutVarint(*out, spans.size());
  for (const model::BucketSpan& span : spans) {
    PutSignedVarint(*out, span.offset);
    PutVarint(*out, span.length);
  }
}

void PutNumbers(std::string* out, const std::vector<double>& numbers) {
  PutVarint(*out, numbers.size());
  for (const double number : numbers) PutNumber(out, number);
}

// Counts are trusted only as far as the bytes that are left could hold them.
bool ReadSpans(ByteReader* in, std::vector<model::BucketSpan>* spans) {
  const uint64_t count = in->Varint();
  if (!in->ok() || count > in->remaining() / 2) return false;
  spans->clear();
  spans->reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    const int64_t offset = in->SignedVarint();
    if (offset != static_cast<int32_t>(offset)) return false;
    spans->push_back({static_cast<int32_t>(offset), in->Varint32()});
  }
  return in->ok();
}

bool ReadNumbers(ByteReader* in, std::vector<double>* numbers) {
  const uint64_t count = in->Varint();
  if (!in->ok() || count > in->remaining()) return false;
  numbers->clear();
  numbers->reserve(count);
  for (uint64_t i = 0; i < count; ++i) numbers->push_back(ReadNumber(in));
  return in->ok();
}

// What a histogram and its shape begin with.
void PutHead(const model::Histogram& h, std::string* out) {
  PutFixed8(*out, static_cast<uint8_t>((h.integer ? 1 : 0) | static_cast<unsigned>(h.hint) << 1));
  PutSignedVarint(*out, h.schema);
  PutNumber(out, h.zero_threshold);
}

bool ReadHead(ByteReader* in, model::Histogram* h) {
  const uint8_t head = in->Fixed8();
  if (head > kHeadMax) return false;
  h->integer = (head & 1) != 0;
  h->hint = static_cast<model::CounterResetHint>(head >> 1);
  const int64_t schema = in->SignedVarint();
  if (schema != static_cast<int32_t>(schema)) return false;
  h->schema = static_cast<int32_t>(schema);
  h->zero_threshold = ReadNumber(in);
  return in->ok();
}

}  // namespace

void EncodeHistogram(const model::Histogram& h, std::string* out) {
  PutHead(h, out);
  PutNumber(out, h.zero_count);
  PutNumber(out, h.count);
  PutNumber(out, h.sum);
  PutSpans(out, h.positive_spans);
  PutSpans(out, h.negative_spans);
  PutNumbers(out, h.positive_buckets);
  PutNumbers(out, h.negative_buckets);
  PutNumbers(out, h.custom_values);
}

void EncodeShape(const model::Histogram& h, std::string* out) {
  PutHead(h, out);
  PutSpans(out, h.positive_spans);
  PutSpans(out, h.negative_spans);
  PutNumbers(out, h.custom_values);
}

bool DecodeShape(ByteReader* in, model::Histogram* h) {
  return ReadHead(in, h) && ReadSpans(in, &h->positive_spans) &&
         ReadSpans(in, &h->negative_spans) && ReadNumbers(in, &h->custom_values);
}

bool DecodeHistogram(ByteReader* in, model::Histogram* h) {
  if (!ReadHead(in, h)) return false;
  h->zero_count = ReadNumber(in);
  h->count = ReadNumber(in);
  h->sum = ReadNumber(in);
  return in->ok() && ReadSpans(in, &h->positive_spans) && ReadSpans(in, &h->negative_spans) &&
         ReadNumbers(in, &h->positive_buckets) && ReadNumbers(in, &h->negative_buckets) &&
         ReadNumbers(in, &h->custom_values);
}

}  // namespace tocsin::tsdb
