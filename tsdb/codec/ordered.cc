#include "tsdb/codec/ordered.h"

#include <bit>
#include <vector>

#include "base/bytes.h"

namespace tocsin::tsdb {
namespace {

// Its own inverse: the sign bit stays.
int64_t Turn(int64_t word) { return word ^ (word >> 63 & INT64_MAX); }

}  // namespace

void EncodeOrdered(std::span<const double> values, Effort effort, std::string* out) {
  std::vector<int64_t> words(values.size());
  for (size_t i = 0; i < values.size(); ++i) words[i] = Turn(std::bit_cast<int64_t>(values[i]));
  EncodeIntegers(words, effort, out);
}

bool DecodeOrdered(std::string_view bytes, size_t count, double* out) {
  ByteReader in(bytes);
  static_assert(sizeof(int64_t) == sizeof(double));
  if (!DecodeIntegers(&in, count, reinterpret_cast<int64_t*>(out)) || !in.at_end()) return false;
  for (size_t i = 0; i < count; ++i) {
    out[i] =
        std::bit_cast<double>(Turn(LoadFixed<int64_t>(reinterpret_cast<const char*>(out + i))));
  }
  return true;
}

}  // namespace tocsin::tsdb
