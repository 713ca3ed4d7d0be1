#include "tsdb/codec/values.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#include "tsdb/codec/decimal.h"
#include "tsdb/codec/gorilla.h"
#include "tsdb/codec/ordered.h"

namespace tocsin::tsdb {
namespace {

// A decimal column, or a near decimal one, up to this size is taken without trying what hardly ever
// gets there on such values. Days are worth more trying.
constexpr size_t kGoodBitsPerValue = 20;
constexpr size_t kGoodBitsPerValueFast = 28;

constexpr size_t kUsualBytesPerValue = 3;

// Of a short double: what no decimal beats, and where decimals begin.
constexpr size_t kShortPackedBytes = 3;
constexpr unsigned kDecimalHead = 16;

bool SameBits(std::span<const double> a, std::span<const double> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

// Takes the smallest of the candidates it is shown.
class Smallest {
 public:
  void Offer(ValueKind kind, std::string* payload) {
    if (kind_ && payload->size() >= payload_.size()) return;
    kind_ = kind;
    payload_.swap(*payload);
  }
  bool any() const { return kind_.has_value(); }
  size_t size() const { return payload_.size(); }
  ValueKind kind() const { return *kind_; }
  const std::string& payload() const { return payload_; }

 private:
  std::optional<ValueKind> kind_;
  std::string payload_;
};

}  // namespace

bool AllSameBits(std::span<const double> values) {
  // Each is what stands before it.
  return values.empty() ||
         std::memcmp(values.data(), values.data() + 1, values.size_bytes() - sizeof(double)) == 0;
}

void EncodeValues(std::span<const double> values, const ValueEncoding& encoding, std::string* out,
                  ValueKind* kind) {
  if (values.empty()) return;
  const auto put = [&](ValueKind chosen, std::string_view payload) {
    out->push_back(static_cast<char>(chosen));
    out->append(payload);
    if (kind != nullptr) *kind = chosen;
  };
  std::string payload;
  if (AllSameBits(values)) {
    PutPackedDouble(payload, values[0]);
    return put(ValueKind::kConst, payload);
  }
  if (SameBits(values, encoding.reference)) return put(ValueKind::kReference, {});
  payload.reserve(values.size() * kUsualBytesPerValue);
  Smallest best;
  const bool fast = encoding.effort == Effort::kFast;
  const auto good = [&best, &values](size_t bits) {
    return best.size() * 8 <= values.size() * bits;
  };
  bool residual = false;
  if (EncodeDecimalOrResidual(values, encoding.reference, encoding.effort, &payload, &residual)) {
    best.Offer(residual ? ValueKind::kScaled : ValueKind::kDecimal, &payload);
    if (good(fast ? kGoodBitsPerValueFast : kGoodBitsPerValue)) {
      return put(best.kind(), best.payload());
    }
  }
  payload.clear();
  if (EncodeScaled(values, encoding.effort, &payload)) {
    best.Offer(ValueKind::kScaled, &payload);
    if (fast && good(kGoodBitsPerValueFast)) return put(best.kind(), best.payload());
  }
  payload.clear();
  EncodeGorilla(values, &payload);
  best.Offer(ValueKind::kGorilla, &payload);
  payload.clear();
  EncodeOrdered(values, encoding.effort, &payload);
  best.Offer(ValueKind::kOrdered, &payload);
  const std::string_view raw(reinterpret_cast<const char*>(values.data()), values.size_bytes());
  if (raw.size() < best.size()) return put(ValueKind::kRaw, raw);
  put(best.kind(), best.payload());
}

bool DecodeValues(std::string_view bytes, size_t count, std::span<const double> reference,
                  double* out) {
  if (count == 0) return bytes.empty();
  if (bytes.empty()) return false;
  const std::string_view payload = bytes.substr(1);
  switch (static_cast<ValueKind>(bytes[0])) {
    case ValueKind::kConst: {
      ByteReader in(payload);
      const double value = ReadPackedDouble(&in);
      if (!in.ok() || !in.at_end()) return false;
      std::fill_n(out, count, value);
      return true;
    }
    case ValueKind::kRaw:
      if (payload.size() != count * sizeof(double)) return false;
      std::memcpy(out, payload.data(), payload.size());
      return true;
    case ValueKind::kGorilla:
      return DecodeGorilla(payload, count, out);
    case ValueKind::kDecimal:
      return DecodeDecimal(payload, count, out);
    case ValueKind::kScaled:
      return DecodeScaled(payload, count, reference, out);
    case ValueKind::kOrdered:
      return DecodeOrdered(payload, count, out);
    case ValueKind::kReference:
      if (!payload.empty() || reference.size() != count) return false;
      std::copy(reference.begin(), reference.end(), out);
      return true;
  }
  return false;
}

bool NeedsReference(std::string_view bytes) {
  if (bytes.empty()) return false;
  const auto kind = static_cast<ValueKind>(bytes[0]);
  return kind == ValueKind::kReference ||
         (kind == ValueKind::kScaled && ScaledByReference(bytes.substr(1)));
}

void PutPackedDouble(std::string& out, double value) {
  const auto bits = std::bit_cast<uint64_t>(value);
  const auto zero_bytes = bits == 0 ? 8u : static_cast<unsigned>(std::countr_zero(bits)) / 8;
  const unsigned count = 8 - zero_bytes;
  out.push_back(static_cast<char>(count));
  char raw[8];
  std::memcpy(raw, &bits, 8);
  out.append(raw + zero_bytes, count);
}

double ReadPackedDouble(ByteReader* in) {
  const unsigned count = in->Fixed8();
  if (count > 8) in->Fail();
  const std::string_view high = in->Bytes(count);
  if (!in->ok()) return 0;
  uint64_t bits = 0;
  if (count > 0) std::memcpy(reinterpret_cast<char*>(&bits) + (8 - count), high.data(), count);
  return std::bit_cast<double>(bits);
}

void PutShortDouble(std::string& out, double value) {
  std::string packed;
  PutPackedDouble(packed, value);
  if (packed.size() > kShortPackedBytes) {
    if (const std::optional<Decimal> decimal = ShortestDecimal(value)) {
      std::string digits(1, static_cast<char>(kDecimalHead + decimal->exponent));
      PutSignedVarint(digits, decimal->mantissa);
      if (digits.size() < packed.size()) packed = std::move(digits);
    }
  }
  out += packed;
}

double ReadShortDouble(ByteReader* in) {
  ByteReader head = *in;
  const unsigned first = head.Fixed8();
  if (first < kDecimalHead) return ReadPackedDouble(in);
  in->Fixed8();
  const std::optional<double> value = FromDecimal({first - kDecimalHead, in->SignedVarint()});
  if (!value) in->Fail();
  return value.value_or(0);
}

}  // namespace tocsin::tsdb
