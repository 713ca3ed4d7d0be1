#include "tsdb/codec/values.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "tsdb/codec/decimal.h"
#include "tsdb/codec/gorilla.h"

namespace tocsin::tsdb {
namespace {

// A decimal column up to this size is taken without trying XOR, which never gets there on values
// that are decimals.
constexpr size_t kGoodBitsPerValue = 20;

}  // namespace

bool AllSameBits(std::span<const double> values) {
  if (values.empty()) return true;
  const auto first = std::bit_cast<uint64_t>(values[0]);
  return std::all_of(values.begin(), values.end(),
                     [first](double v) { return std::bit_cast<uint64_t>(v) == first; });
}

void EncodeValues(std::span<const double> values, std::string* out, ValueKind* kind) {
  if (values.empty()) return;
  const size_t start = out->size();
  const auto chose = [&](ValueKind chosen) {
    (*out)[start] = static_cast<char>(chosen);
    if (kind != nullptr) *kind = chosen;
  };
  out->push_back(0);
  if (AllSameBits(values)) {
    PutPackedDouble(*out, values[0]);
    return chose(ValueKind::kConst);
  }
  const size_t body = start + 1;
  const bool decimal = EncodeDecimal(values, out);
  const size_t decimal_bytes = out->size() - body;
  if (decimal && decimal_bytes * 8 <= values.size() * kGoodBitsPerValue) {
    return chose(ValueKind::kDecimal);
  }
  const size_t raw_bytes = values.size() * sizeof(double);
  std::string gorilla;
  EncodeGorilla(values, &gorilla);
  if (decimal && decimal_bytes <= std::min(gorilla.size(), raw_bytes)) {
    return chose(ValueKind::kDecimal);
  }
  out->resize(body);
  if (gorilla.size() < raw_bytes) {
    out->append(gorilla);
    return chose(ValueKind::kGorilla);
  }
  out->append(reinterpret_cast<const char*>(values.data()), raw_bytes);
  chose(ValueKind::kRaw);
}

bool DecodeValues(std::string_view bytes, size_t count, double* out) {
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
  }
  return false;
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

}  // namespace tocsin::tsdb
