// Any bytes as what Prometheus writes: chunks, an index, chunk files, log segments and records,
// tombstones, meta.json. The first byte picks the decoder. Checksums are in the way of some; seeds
// with right ones come from a real data directory.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tsdb/prometheus/block.h"
#include "tsdb/prometheus/chunk.h"
#include "tsdb/prometheus/wal_reader.h"
#include "tsdb/prometheus/wal_records.h"

namespace {

class Ignore final : public tocsin::tsdb::PrometheusLogVisitor {
 public:
  void OnSeries(uint64_t, const tocsin::model::Labels&) override {}
  void OnSample(uint64_t, int64_t, double, int64_t) override {}
  void OnHistogram(uint64_t, int64_t, tocsin::model::Histogram, int64_t) override {}
  void OnDeletion(uint64_t, tocsin::model::TimeRange) override {}
  void OnExemplar() override {}
  void OnMetadata(uint64_t, const tocsin::model::Metadata&) override {}
  void OnChunkMarker(uint64_t) override {}
  void OnUnknown(uint8_t) override {}
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tocsin::tsdb;
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 8) {
    case 0: {
      ChunkSamples samples;
      (void)DecodeChunk(static_cast<uint8_t>(data[1] % 5), bytes.substr(1), &samples);
      break;
    }
    case 1:
    case 2: {
      const auto index = BlockIndex::Open(bytes, data[0] % 8);
      if (!index) break;
      tocsin::model::Labels labels;
      std::vector<ChunkPlace> chunks;
      for (uint64_t i = 0; i < index->series_count() && i < 1000; ++i)
        (void)index->ReadSeries(index->series_ref(i), &labels, &chunks);
      break;
    }
    case 3:
      (void)ReadChunkAt(bytes, 8);
      (void)ForEachHeadChunk(bytes, [](const HeadChunk&) {});
      break;
    case 4: {
      PrometheusLogStats stats;
      ReadPrometheusSegment(bytes, "fuzz", [](std::string_view) {}, &stats);
      break;
    }
    case 5: {
      Ignore ignore;
      uint64_t rounded = 0;
      (void)VisitPrometheusRecord(bytes, &ignore, &rounded);
      break;
    }
    case 6:
      (void)ParseTombstones(bytes);
      break;
    default:
      (void)ParseBlockMeta(bytes);
  }
  return 0;
}
