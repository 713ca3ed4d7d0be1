// Columns of every shape through every way of coding them, compared bit for bit.
//
//   codec_roundtrip_bench [SAMPLES = 100000000] [SEED = 1]
//
// Each column is coded with both efforts, without and with a reference (itself, a neighbour,
// noise), by the chooser; and by each codec alone. Every eighth column is one of histograms. Prints
// what was compared by kind; ends with 1 at the first difference.
#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <string>

#include "tests/tsdb/codec_shapes.h"
#include "tsdb/codec/decimal.h"
#include "tsdb/codec/gorilla.h"
#include "tsdb/codec/histogram_columns.h"
#include "tsdb/codec/ordered.h"
#include "tsdb/codec/values.h"

namespace tocsin::tsdb {
namespace {

using codec_shapes::Random;
using codec_shapes::SameBits;
using codec_shapes::Shapes;
using Doubles = std::vector<double>;

struct Totals {
  uint64_t samples = 0;
  uint64_t comparisons = 0;
  std::array<uint64_t, 8> by_kind{};
  std::array<uint64_t, 4> alone{};  // decimal, scaled, gorilla, ordered
  uint64_t histograms = 0;
};

[[noreturn]] void Differ(const char* what, uint64_t column, uint64_t seed) {
  fmt::print("DIFFERENT: {}, column {} of seed {}\n", what, column, seed);
  std::exit(1);
}

Doubles MakeColumn(Random& random) {
  Doubles values(1 + random.engine() % 1024);
  const auto& shapes = Shapes();
  const auto* shape = &shapes[random.engine() % shapes.size()];
  const double offset = random.engine() % 4 == 0 ? random.Below(1u << 30) : 0;
  const double sign = random.engine() % 6 == 0 ? -1 : 1;
  const double factor = random.engine() % 5 == 0 ? 0.001 : 1;
  const bool mixed = random.engine() % 10 == 0;
  for (size_t i = 0; i < values.size(); ++i) {
    if (mixed && random.engine() % 100 == 0) shape = &shapes[random.engine() % shapes.size()];
    const double value = shape->value(random, offset + static_cast<double>(i));
    // Bits that arithmetic would change stay as they are.
    values[i] = std::isnan(value) || factor * sign == 1 ? value : value * sign * factor;
  }
  return values;
}

Doubles MakeReference(Random& random, const Doubles& values) {
  Doubles reference = values;
  switch (random.engine() % 4) {
    case 0:
      return {};
    case 1:
      break;
    case 2:
      for (double& v : reference) v += std::isnan(v) ? 0 : random.Below(3);
      break;
    default:
      for (double& v : reference) v = random.engine() % 3 == 0 ? random.Odd() : random.Below(1000);
  }
  return reference;
}

void CheckFloats(Random& random, uint64_t column, uint64_t seed, Totals* totals) {
  const Doubles values = MakeColumn(random);
  const Doubles reference = MakeReference(random, values);
  Doubles back(values.size());
  std::string bytes;
  for (const Effort effort : {Effort::kFast, Effort::kSmall}) {
    bytes.clear();
    ValueKind kind{};
    EncodeValues(values, {.effort = effort, .reference = reference}, &bytes, &kind);
    if (!DecodeValues(bytes, values.size(), reference, back.data()) || !SameBits(values, back)) {
      Differ("chooser", column, seed);
    }
    totals->by_kind[static_cast<size_t>(kind)] += values.size();
    totals->comparisons += values.size();
    const auto alone = [&](size_t which, bool encoded, bool decoded) {
      if (!encoded) return;
      if (!decoded || !SameBits(values, back)) Differ("codec alone", column, seed);
      totals->alone[which] += values.size();
      totals->comparisons += values.size();
    };
    bytes.clear();
    bool encoded = EncodeDecimal(values, effort, &bytes);
    alone(0, encoded, encoded && DecodeDecimal(bytes, values.size(), back.data()));
    bytes.clear();
    encoded = EncodeScaled(values, effort, &bytes);
    alone(1, encoded, encoded && DecodeScaled(bytes, values.size(), {}, back.data()));
    bytes.clear();
    EncodeOrdered(values, effort, &bytes);
    alone(3, true, DecodeOrdered(bytes, values.size(), back.data()));
  }
  bytes.clear();
  EncodeGorilla(values, &bytes);
  if (!DecodeGorilla(bytes, values.size(), back.data()) || !SameBits(values, back)) {
    Differ("gorilla", column, seed);
  }
  totals->alone[2] += values.size();
  totals->comparisons += values.size();
  totals->samples += values.size();
}

void CheckHistograms(Random& random, uint64_t column, uint64_t seed, Totals* totals) {
  std::vector<model::Histogram> histograms;
  const size_t count = 1 + random.engine() % 100;
  const uint64_t change = 1 + random.engine() % 50;
  for (size_t i = 0; i < count; ++i) {
    if (i == 0 || random.engine() % change == 0) {
      histograms.push_back(codec_shapes::SomeHistogram(random, static_cast<double>(i)));
      continue;
    }
    histograms.push_back(histograms.back());
    for (double& bucket : histograms.back().positive_buckets) bucket += random.Below(3);
    if (random.engine() % 50 == 0) histograms.back() = model::Histogram::Stale();
  }
  std::vector<const model::Histogram*> pointers;
  std::vector<model::Histogram> back(count);
  std::vector<model::Histogram*> out;
  for (size_t i = 0; i < count; ++i) {
    pointers.push_back(&histograms[i]);
    out.push_back(&back[i]);
  }
  for (const Effort effort : {Effort::kFast, Effort::kSmall}) {
    std::string bytes;
    EncodeHistograms(pointers, effort, &bytes);
    if (!DecodeHistograms(bytes, out)) Differ("histograms", column, seed);
    for (size_t i = 0; i < count; ++i) {
      if (!SameBits(histograms[i], back[i])) Differ("histograms", column, seed);
    }
  }
  totals->histograms += count;
  totals->samples += count;
}

}  // namespace
}  // namespace tocsin::tsdb

int main(int argc, char** argv) {
  using namespace tocsin::tsdb;
  const uint64_t samples = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 100'000'000;
  const uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  Random random{std::mt19937_64(seed)};
  Totals totals;
  for (uint64_t column = 0; totals.samples < samples; ++column) {
    if (column % 8 == 7) {
      CheckHistograms(random, column, seed, &totals);
    } else {
      CheckFloats(random, column, seed, &totals);
    }
  }
  fmt::print("seed {}: {} samples ({} histograms), {} comparisons of coded samples, 0 different\n",
             seed, totals.samples, totals.histograms, totals.comparisons);
  fmt::print(
      "chooser by kind: constant {}, raw {}, gorilla {}, decimal {}, scaled {}, ordered {}, "
      "reference {}\n",
      totals.by_kind[0], totals.by_kind[1], totals.by_kind[2], totals.by_kind[3], totals.by_kind[4],
      totals.by_kind[5], totals.by_kind[6]);
  fmt::print("alone: decimal {}, scaled {}, gorilla {}, ordered {}\n", totals.alone[0],
             totals.alone[1], totals.alone[2], totals.alone[3]);
  return 0;
}
