// What codecs are tried on: columns as exporters have them, and as nobody should. Used by the unit
// tests and by tests/bench/codec_roundtrip_bench.cc.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "model/histogram.h"
#include "model/sample.h"

namespace tocsin::tsdb::codec_shapes {

inline const std::vector<double> kOdd = {0.0,
                                         -0.0,
                                         1.0,
                                         -1.0,
                                         0.1,
                                         1e-300,
                                         5e-324,
                                         1.7976931348623157e308,
                                         9007199254740991.0,
                                         9007199254740992.0,
                                         9007199254740994.0,
                                         9.2e18,
                                         9.3e18,
                                         -9.3e18,
                                         1e15,
                                         1e22,
                                         123456.789,
                                         std::numeric_limits<double>::infinity(),
                                         -std::numeric_limits<double>::infinity(),
                                         model::StaleMarker(),
                                         model::NormalNan(),
                                         std::bit_cast<double>(uint64_t{0xfff8000000000001}),
                                         std::bit_cast<double>(uint64_t{0x7ff0000000000001}),
                                         std::bit_cast<double>(~uint64_t{0})};

struct Random {
  std::mt19937_64 engine;
  uint64_t Bits() { return engine(); }
  double Below(uint64_t n) { return static_cast<double>(engine() % n); }
  double Odd() { return kOdd[engine() % kOdd.size()]; }
};

struct Shape {
  const char* name;
  std::function<double(Random&, double row)> value;
};

inline const std::vector<Shape>& Shapes() {
  static const std::vector<Shape> shapes = {
      {"constant", [](Random&, double) { return 42.5; }},
      {"steady counter", [](Random& r, double i) { return 1e6 + i * 100 + r.Below(20); }},
      {"sparse counter", [](Random&, double i) { return std::floor(i / 37); }},
      {"resets", [](Random& r, double i) { return std::fmod(i, 500) * 1000 + r.Below(7); }},
      {"pages", [](Random& r, double) { return 4096 * (100000 + r.Below(64)); }},
      {"tenths", [](Random& r, double) { return 20 + r.Below(50) / 10; }},
      {"seconds", [](Random& r, double i) { return (i * 1500 + r.Below(300)) / 100; }},
      {"walk", [](Random& r, double i) { return std::sin(i / 10) + r.Below(1000000) / 1e18; }},
      {"stale runs",
       [](Random& r, double i) {
         return std::fmod(i, 50) < 10 ? model::StaleMarker() : r.Below(9);
       }},
      {"odd doubles", [](Random& r, double) { return r.Odd(); }},
      {"sums", [](Random& r, double i) { return i * 0.1 + r.Below(9) * 0.001 * 3; }},
      {"products", [](Random& r, double i) { return (i * 1000 + r.Below(900)) * 1e-3; }},
      {"nanoseconds",
       [](Random& r, double i) { return (i * 1e9 + r.Below(1u << 30)) / 1e3 / 1e6; }},
      {"denormals", [](Random& r, double) { return 5e-324 * r.Below(99); }},
      {"mostly integers",
       [](Random& r, double) { return r.Below(10) == 0 ? r.Odd() : r.Below(1000); }},
      {"bits", [](Random& r, double) { return std::bit_cast<double>(r.Bits()); }},
      {"huge integers",
       [](Random& r, double) { return static_cast<double>(static_cast<int64_t>(r.Bits())); }},
  };
  return shapes;
}

// A histogram whose buckets are some of [first, first + width) of its schema.
inline model::Histogram SomeHistogram(Random& r, double row) {
  model::Histogram h;
  h.integer = r.engine() % 2 == 0;
  h.hint = static_cast<model::CounterResetHint>(r.engine() % 4);
  h.schema = static_cast<int32_t>(r.engine() % 13) - 4;
  if (r.engine() % 8 == 0) {
    h.schema = model::kCustomBucketsSchema;
    for (int i = 0; i < 5; ++i) h.custom_values.push_back(i * 0.25);
  }
  h.zero_threshold = r.engine() % 2 == 0 ? 0x1p-128 : r.Odd();
  h.zero_count = r.Below(9);
  h.sum = r.engine() % 4 == 0 ? r.Odd() : row * 1.25;
  for (const bool negative : {false, true}) {
    auto& spans = negative ? h.negative_spans : h.positive_spans;
    auto& buckets = negative ? h.negative_buckets : h.positive_buckets;
    for (uint64_t n = r.engine() % 3; n > 0; --n) {
      const int32_t offset = static_cast<int32_t>(r.engine() % 5) - (spans.empty() ? 2 : 0);
      spans.push_back({offset, static_cast<uint32_t>(r.engine() % 4)});
      for (uint32_t i = 0; i < spans.back().length; ++i) {
        buckets.push_back(h.integer ? row + r.Below(3) : row * 0.5 + r.Below(5) / 3);
      }
    }
  }
  h.count = row * 10 + r.Below(7);
  return h;
}

inline bool SameBits(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
}
inline bool SameBits(const std::vector<double>& a, const std::vector<double>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](double x, double y) { return SameBits(x, y); });
}
inline bool SameBits(const model::Histogram& a, const model::Histogram& b) {
  return a.integer == b.integer && a.hint == b.hint && a.schema == b.schema &&
         SameBits(a.zero_threshold, b.zero_threshold) && SameBits(a.zero_count, b.zero_count) &&
         SameBits(a.count, b.count) && SameBits(a.sum, b.sum) &&
         a.positive_spans == b.positive_spans && a.negative_spans == b.negative_spans &&
         SameBits(a.positive_buckets, b.positive_buckets) &&
         SameBits(a.negative_buckets, b.negative_buckets) &&
         SameBits(a.custom_values, b.custom_values);
}

}  // namespace tocsin::tsdb::codec_shapes
