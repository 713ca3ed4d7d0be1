// Bytes per sample of real exporters, by part, and what coding them costs.
//
//   tsdb_capture_bench FOLDER…          (or TOCSIN_CAPTURE=FOLDER; tests/bench/capture.h says what
//   is in one)
//
// Each exporter's pages are sealed half hour by half hour (L0), merged to six hours (L1) and to a
// day (L2), as the store does it; one target a store, which is the worst case for the index. Then
// every value column of the day is decoded, by kind. CPU time, best of seven rounds.
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <memory>

#include "base/env.h"
#include "base/mem_env.h"
#include "tests/bench/capture.h"
#include "tsdb/codec/presence.h"
#include "tsdb/codec/values.h"
#include "tsdb/segment/column_codec.h"
#include "tsdb/segment/format.h"
#include "tsdb/segment/merge.h"
#include "tsdb/segment/reader.h"
#include "tsdb/segment/segment_file.h"
#include "tsdb/segment/writer.h"

namespace tocsin::tsdb {
namespace {

using model::Column;
using model::ColumnBatch;
using model::Labels;
using model::Timestamp;

constexpr uint64_t kSeed = 1;
constexpr int64_t kWindow = 30 * 60 * 1000;

double CpuNanos() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

// For profiles, TOCSIN_ROUNDS makes it more.
int Rounds() {
  const char* rounds = std::getenv("TOCSIN_ROUNDS");
  return rounds != nullptr ? std::atoi(rounds) : 7;
}

template <typename Work>
double BestNanos(Work work) {
  double best = 1e300;
  for (int round = 0; round < Rounds(); ++round) {
    const double start = CpuNanos();
    work();
    best = std::min(best, CpuNanos() - start);
  }
  return best;
}

[[noreturn]] void Fail(const Status& status) {
  fmt::print(stderr, "{}\n", status.message());
  std::exit(1);
}

SegmentMeta NewMeta(Env& env, uint8_t level) {
  SegmentMeta meta;
  meta.id = NewSegmentId(env);
  meta.level = level;
  meta.fingerprint_seed = kSeed;
  return meta;
}

using Segments = std::vector<std::shared_ptr<const SegmentReader>>;

std::shared_ptr<const SegmentReader> Open(Env& env, const std::string& path) {
  auto reader = SegmentReader::Open(env, path, kSeed);
  if (!reader) Fail(reader.error());
  return *reader;
}

void SealWindow(Env& env, const Capture& capture, size_t begin, size_t end,
                const std::string& path) {
  SegmentWriter writer(env, path, NewMeta(env, 0), {});
  if (const Status status = writer.Open(); !status.ok()) Fail(status);
  const std::span<const Timestamp> rows = std::span(capture.rows).subspan(begin, end - begin);
  const uint32_t source = writer.AddSource(
      {model::OriginKind::kScrape, "x"},
      Labels::FromPairs({{"instance", "localhost:9100"}, {"job", "capture"}}), rows);
  std::vector<Timestamp> times;
  for (const CapturedSeries& series : capture.series) {
    const auto low = std::lower_bound(series.rows.begin(), series.rows.end(), begin);
    const auto high = std::lower_bound(low, series.rows.end(), end);
    if (low == high) continue;
    Column column;
    const auto count = static_cast<size_t>(high - low);
    column.values =
        std::span(series.values).subspan(static_cast<size_t>(low - series.rows.begin()), count);
    column.timestamps = rows;
    if (count != rows.size()) {
      times.clear();
      for (auto at = low; at != high; ++at) times.push_back(capture.rows[*at]);
      column.timestamps = times;
    }
    writer.AddColumn(source, writer.AddKey(series.key), column);
  }
  const auto written = writer.Finish();
  if (!written) Fail(written.error());
}

Segments Seal(Env& env, const Capture& capture) {
  Segments files;
  for (size_t begin = 0; begin < capture.rows.size();) {
    const int64_t window = capture.rows[begin] / kWindow;
    size_t end = begin;
    while (end < capture.rows.size() && capture.rows[end] / kWindow == window) ++end;
    const std::string path = fmt::format("{}.seg", files.size());
    SealWindow(env, capture, begin, end, path);
    files.push_back(Open(env, path));
    begin = end;
  }
  return files;
}

Segments Merge(Env& env, const Segments& inputs, uint8_t level, const std::string& path) {
  const auto merged = MergeSegments(env, inputs, path, NewMeta(env, level), {});
  if (!merged) Fail(merged.error());
  return {Open(env, path)};
}

constexpr size_t kKinds = 16;
constexpr size_t kResidual = 7;
constexpr std::array<const char*, kKinds> kKindNames = {
    "constant", "raw", "gorilla", "decimal", "scaled", "ordered", "reference", "residual"};

struct Sizes {
  double samples = 0;
  double file = 0;
  double axes = 0;
  double presence = 0;
  double tables = 0;  // of chunks' lengths, lengths, references
  double whole_constant = 0;
  std::array<double, kKinds> kinds{};
  std::array<double, kKinds> kind_samples{};
  double whole_constant_samples = 0;
  std::array<double, kSectionCount> sections{};
  double extra = 0;
  double ends = 0;
};

// One chunk of values, as the file has it.
struct ValueChunk {
  std::string_view bytes;
  uint32_t rows;
  ValueKind kind;
};

uint64_t AxisRows(const SegmentFile& file, uint32_t source, uint32_t axis) {
  AxisChunks chunks;
  const auto bytes = file.AxisBytes(source, axis);
  return bytes && DecodeAxisTable(*bytes, &chunks) ? chunks.rows : 0;
}

void MeasureColumn(const SegmentFile& file, const ColumnRef& ref, Sizes* sizes,
                   std::vector<ValueChunk>* chunks) {
  const auto bytes = file.Bytes(ref.offset, ref.length);
  if (!bytes || (ref.flags & kColumnHistograms) != 0) return;
  ByteReader in(*bytes);
  const uint32_t axis = (ref.flags & kColumnOwnAxis) != 0 ? in.Varint32() : 0;
  const uint64_t rows = AxisRows(file, ref.source, axis);
  const bool full = (ref.flags & kColumnFull) != 0;
  if ((ref.flags & kColumnConstant) != 0) {
    sizes->whole_constant += static_cast<double>(ref.length);
    sizes->whole_constant_samples += static_cast<double>(rows);
    return;
  }
  ColumnReference reference;
  if ((ref.flags & kColumnReference) != 0 && !DecodeReference(&in, &reference)) return;
  const uint64_t count = ChunkCount(rows);
  std::vector<uint64_t> lengths;
  for (uint64_t c = 0; count > 1 && c < count; ++c) lengths.push_back(in.Varint());
  if (count <= 1) lengths.push_back(in.remaining());
  sizes->tables += static_cast<double>(in.position());
  for (uint64_t c = 0; c < lengths.size(); ++c) {
    ByteReader chunk(in.Bytes(lengths[c]));
    if (lengths[c] == 0) continue;
    uint32_t present = ChunkRows(rows, c);
    if (!full) {
      bool all = false;
      std::vector<uint32_t> places;
      if (!DecodePresence(&chunk, present, &all, &places)) return;
      if (!all) present = static_cast<uint32_t>(places.size());
      sizes->presence += static_cast<double>(chunk.position());
    }
    const std::string_view values = chunk.rest();
    auto kind = static_cast<size_t>(values[0]);
    if (kind == static_cast<size_t>(ValueKind::kScaled) && NeedsReference(values)) kind = kResidual;
    sizes->kinds[kind] += static_cast<double>(values.size());
    sizes->kind_samples[kind] += present;
    chunks->push_back({values, present, static_cast<ValueKind>(kind)});
  }
}

Sizes Measure(const Segments& segments, std::vector<ValueChunk>* chunks) {
  Sizes sizes;
  for (const auto& segment : segments) {
    const auto& file = static_cast<const SegmentFile&>(*segment);
    sizes.samples += static_cast<double>(file.meta().sample_count);
    sizes.file += static_cast<double>(file.meta().file_bytes);
    for (size_t s = 0; s < kSectionCount; ++s) {
      sizes.sections[s] += static_cast<double>(file.footer().sections[s].length);
    }
    double columns = 0;
    const Status status = file.ForEachColumn([&](const ColumnRef& ref) {
      columns += static_cast<double>(ref.length);
      MeasureColumn(file, ref, &sizes, chunks);
      return true;
    });
    if (!status.ok()) Fail(status);
    sizes.axes += static_cast<double>(file.footer().sections[0].offset) -
                  static_cast<double>(kSegmentHeaderBytes) - columns;
    for (const auto& [number, place] : file.footer().extra) {
      sizes.extra += static_cast<double>(place.length);
    }
    sizes.ends += static_cast<double>(file.meta().file_bytes - file.footer().page_table_offset +
                                      kSegmentHeaderBytes);
  }
  return sizes;
}

void Print(const char* level, const Sizes& s, double nanos) {
  const auto per_sample = [&](double bytes) { return bytes / s.samples; };
  double columns = s.whole_constant + s.presence + s.tables;
  for (const double kind : s.kinds) columns += kind;
  double index = 0;
  for (const double section : s.sections) index += section;
  fmt::print(
      "  {}: {:.4f} B/sample ({:.0f} bytes), columns {:.4f}, axes {:.4f}, index {:.4f}, facts "
      "{:.4f}, ends "
      "{:.4f}; {:.1f} ns/sample\n",
      level, per_sample(s.file), s.file, per_sample(columns), per_sample(s.axes), per_sample(index),
      per_sample(s.extra), per_sample(s.ends), nanos / s.samples);
  fmt::print("    constant columns {:.4f} ({:.1f} % of samples), presence {:.4f}, tables {:.4f}",
             per_sample(s.whole_constant), 100 * s.whole_constant_samples / s.samples,
             per_sample(s.presence), per_sample(s.tables));
  for (size_t k = 0; k < kKinds; ++k) {
    if (s.kinds[k] == 0) continue;
    fmt::print(", {} {:.4f} ({:.1f} %)", kKindNames[k], per_sample(s.kinds[k]),
               100 * s.kind_samples[k] / s.samples);
  }
  fmt::print(
      "\n    symbols {:.4f}, sources {:.4f}, keys {:.4f}, postings {:.4f}, directory {:.4f}\n",
      per_sample(s.sections[0]), per_sample(s.sections[1]), per_sample(s.sections[2]),
      per_sample(s.sections[3] + s.sections[4]), per_sample(s.sections[5] + s.sections[6]));
}

// The families that take the most.
void PrintFamilies(const SegmentReader& segment) {
  std::map<std::string, std::pair<uint64_t, uint64_t>> families;  // bytes, columns
  const Status status = segment.ForEachColumn([&](const ColumnRef& ref) {
    auto& [bytes, columns] =
        families[std::string(MetricFamily((*segment.KeyLabels(ref.key)).MetricName()))];
    bytes += ref.length;
    ++columns;
    return true;
  });
  if (!status.ok()) Fail(status);
  std::vector<std::pair<uint64_t, std::string>> order;
  for (const auto& [name, use] : families) {
    order.emplace_back(use.first, fmt::format("{} ({} columns)", name, use.second));
  }
  std::sort(order.rbegin(), order.rend());
  for (size_t i = 0; i < std::min<size_t>(order.size(), 25); ++i) {
    fmt::print("    {:8} bytes {}\n", order[i].first, order[i].second);
  }
}

// Everything decoded, as a query over all of it would.
double ReadNanos(const Segments& segments) {
  return BestNanos([&] {
    for (const auto& segment : segments) {
      SegmentCursor cursor(*segment);
      ColumnBatch batch;
      size_t held = 0;
      const Status status = segment->ForEachColumn([&](const ColumnRef& ref) {
        if (held > 1 << 16) {
          batch.Clear();
          cursor.BatchCleared();
          held = 0;
        }
        Column column;
        const Status read = cursor.Read(ref, model::TimeRange(), &batch, &column);
        if (!read.ok()) Fail(read);
        held += column.values.size();
        return true;
      });
      if (!status.ok()) Fail(status);
    }
  });
}

// The samples of the merged file are those of the capture, bit for bit.
void Compare(const Capture& capture, const SegmentReader& segment) {
  std::map<std::string, const CapturedSeries*> expected;
  for (const CapturedSeries& series : capture.series) expected[series.key.ToString()] = &series;
  SegmentCursor cursor(segment);
  uint64_t samples = 0;
  uint64_t bad = 0;
  const Status status = segment.ForEachColumn([&](const ColumnRef& ref) {
    ColumnBatch batch;
    cursor.BatchCleared();
    Column column;
    const Status read = cursor.Read(ref, model::TimeRange(), &batch, &column);
    if (!read.ok()) Fail(read);
    const CapturedSeries& series = *expected.at((*segment.KeyLabels(ref.key)).ToString());
    if (series.values.size() != column.values.size()) {
      bad += series.values.size();
      return true;
    }
    for (size_t i = 0; i < column.values.size(); ++i) {
      bad +=
          std::bit_cast<uint64_t>(column.values[i]) != std::bit_cast<uint64_t>(series.values[i]) ||
          column.timestamps[i] != capture.rows[series.rows[i]];
    }
    samples += column.values.size();
    return true;
  });
  if (!status.ok()) Fail(status);
  fmt::print("  compared {} samples with the pages, bits of value and timestamp: {} different\n",
             samples, bad + capture.samples - samples);
}

void Report(const std::string& name, const Capture& capture) {
  MemEnv env;
  fmt::print("{}: {} series, {} rows, {} samples\n", name, capture.series.size(),
             capture.rows.size(), capture.samples);
  Segments l0;
  Segments l1;
  Segments l2;
  std::vector<ValueChunk> chunks;
  const double seal = BestNanos([&] { l0 = Seal(env, capture); });
  Print("L0", Measure(l0, &chunks), seal);
  const double first = BestNanos([&] { l1 = Merge(env, l0, 1, "l1.seg"); });
  Print("L1", Measure(l1, &chunks), first);
  chunks.clear();
  const double second = BestNanos([&] { l2 = Merge(env, l1, 2, "l2.seg"); });
  Print("L2", Measure(l2, &chunks), second);
  const auto samples = static_cast<double>(capture.samples);
  fmt::print("  seal + merges {:.1f} ns/sample; read all: L0 {:.2f}, L1 {:.2f}, L2 {:.2f}\n",
             (seal + first + second) / samples, ReadNanos(l0) / samples, ReadNanos(l1) / samples,
             ReadNanos(l2) / samples);
  Compare(capture, *l2[0]);
  if (std::getenv("TOCSIN_FAMILIES") != nullptr) PrintFamilies(*l2[0]);
}

}  // namespace
}  // namespace tocsin::tsdb

int main(int argc, char** argv) {
  std::vector<std::string> folders(argv + 1, argv + argc);
  const char* folder = std::getenv("TOCSIN_CAPTURE");
  if (folders.empty() && folder != nullptr) folders.emplace_back(folder);
  if (folders.empty()) fmt::print("skipped: no capture given (argument or TOCSIN_CAPTURE)\n");
  for (const std::string& path : folders) {
    const auto captures = tocsin::tsdb::ReadCaptures(path);
    if (!captures) {
      fmt::print("skipped: {}\n", captures.error().message());
      continue;
    }
    fmt::print("== {}\n", path);
    for (const auto& [name, capture] : *captures) tocsin::tsdb::Report(name, capture);
  }
  return 0;
}
