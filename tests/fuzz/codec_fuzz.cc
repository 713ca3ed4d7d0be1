// The first byte picks a decoder for the rest, the second a count. And all bytes, taken as doubles
// and as integers, come back from their codecs bit for bit.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "tsdb/codec/decimal.h"
#include "tsdb/codec/entropy.h"
#include "tsdb/codec/gorilla.h"
#include "tsdb/codec/histogram_columns.h"
#include "tsdb/codec/histograms.h"
#include "tsdb/codec/integers.h"
#include "tsdb/codec/ordered.h"
#include "tsdb/codec/presence.h"
#include "tsdb/codec/values.h"
#include "tsdb/segment/column_codec.h"
#include "tsdb/segment/format.h"

namespace {

using namespace tocsin;
using namespace tocsin::tsdb;

void Decode(uint8_t which, size_t count, std::string_view bytes) {
  std::vector<double> values(count);
  std::vector<int64_t> integers(count);
  ByteReader in(bytes);
  switch (which % 11) {
    case 0:
      static_cast<void>(DecodeValues(bytes, count, {}, values.data()));
      break;
    case 1:
      static_cast<void>(DecodeGorilla(bytes, count, values.data()));
      break;
    case 2:
      static_cast<void>(DecodeDecimal(bytes, count, values.data()));
      break;
    case 3:
      static_cast<void>(DecodeIntegers(&in, count, integers.data()));
      break;
    case 4: {
      bool full = false;
      std::vector<uint32_t> rows;
      static_cast<void>(DecodePresence(&in, count, &full, &rows));
      break;
    }
    case 5: {
      model::Histogram histogram;
      if (!DecodeHistogram(&in, &histogram)) break;
      // What decodes encodes to something that decodes to the same bytes again.
      std::string once;
      std::string twice;
      EncodeHistogram(histogram, &once);
      ByteReader again(once);
      CHECK(DecodeHistogram(&again, &histogram) && again.at_end());
      EncodeHistogram(histogram, &twice);
      CHECK(once == twice);
      break;
    }
    case 6: {
      // Against a reference, too.
      std::vector<double> reference(count, 1234.5);
      static_cast<void>(DecodeValues(bytes, count, reference, values.data()));
      static_cast<void>(DecodeScaled(bytes, count, reference, values.data()));
      break;
    }
    case 7:
      static_cast<void>(DecodeOrdered(bytes, count, values.data()));
      break;
    case 8: {
      std::vector<uint64_t> numbers(count);
      if (count > 0) static_cast<void>(DecodeEntropy(&in, count, numbers.data()));
      break;
    }
    case 9: {
      std::vector<model::Histogram> histograms(count);
      std::vector<model::Histogram*> out;
      for (size_t i = 0; i < count; ++i) out.push_back(i % 4 == 1 ? nullptr : &histograms[i]);
      static_cast<void>(DecodeHistograms(bytes, out));
      break;
    }
    default: {
      IdList ids;
      static_cast<void>(DecodeIds(&in, static_cast<uint32_t>(count), &ids));
      AxisChunks axis;
      if (DecodeAxisTable(bytes, &axis) && axis.rows <= 1 << 20) {
        std::vector<model::Timestamp> rows(axis.rows);
        for (uint64_t c = 0; c < axis.chunks.size(); ++c) {
          static_cast<void>(DecodeAxisChunk(axis, c, rows.data() + c * kChunkRows));
        }
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size >= 2) {
    // A copy of exactly the size, so that the sanitizer sees reads past the end.
    const std::vector<char> body(data + 2, data + size);
    Decode(data[0], data[1] * 5u, {body.data(), body.size()});
  }
  const size_t count = size / 8;
  if (count == 0) return 0;
  std::vector<double> values(count);
  std::memcpy(values.data(), data, count * 8);
  std::string bytes;
  std::vector<double> back(count);
  const std::vector<double> reference(values.rbegin(), values.rend());
  for (const Effort effort : {Effort::kFast, Effort::kSmall}) {
    bytes.clear();
    EncodeValues(values, {.effort = effort, .reference = reference}, &bytes);
    CHECK(DecodeValues(bytes, count, reference, back.data()));
    CHECK(std::memcmp(values.data(), back.data(), count * 8) == 0);
  }
  std::vector<int64_t> integers(count);
  std::memcpy(integers.data(), data, count * 8);
  for (const Effort effort : {Effort::kFast, Effort::kSmall}) {
    bytes.clear();
    EncodeIntegers(integers, effort, &bytes);
    std::vector<int64_t> integers_back(count);
    ByteReader in(bytes);
    CHECK(DecodeIntegers(&in, count, integers_back.data()) && in.at_end());
    CHECK(integers == integers_back);
  }
  return 0;
}
