#include "tsdb/sealer.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "tsdb/segment/writer.h"
#include "tsdb/snapshot.h"

namespace tocsin::tsdb {
namespace {

// Writes the columns of one source.
class SourceSealer {
 public:
  SourceSealer(const DatabaseSnapshot& snapshot, const HeadView& view, SegmentWriter& writer,
               std::vector<uint32_t>& keys, DroppedSamples& dropped)
      : snapshot_(snapshot), view_(view), writer_(writer), keys_(keys), dropped_(dropped) {}

  void Seal(SourceId id, const Source& source) {
    pages_.clear();
    axis_.clear();
    for (uint32_t p = 0; const Page* page = source.page(p); ++p) {
      auto reader = std::make_unique<PageReader>(*page, view_);
      if (reader->empty()) continue;
      reader->AppendRowTimes(&axis_);
      pages_.emplace_back(p, std::move(reader));
    }
    if (pages_.empty()) return;
    // Every slot's timestamps are among the rows', own timestamps aside.
    std::sort(axis_.begin(), axis_.end());
    axis_.erase(std::unique(axis_.begin(), axis_.end()), axis_.end());
    segment_source_ = writer_.AddSource(source.origin, source.labels, axis_);
    const uint32_t slots = snapshot_.index().slot_count(id);
    for (auto& [number, reader] : pages_) {
      const uint32_t begin = number * kFrameSlotsMax;
      const uint32_t end = std::min(begin + kFrameSlotsMax, slots);
      for (uint32_t slot = begin; slot < end; slot += kTogether)
        SealSlots(*reader, id, begin, slot, std::min(slot + kTogether, end));
      dropped_.equal += reader->equal_dropped();
      dropped_.unequal += reader->unequal_dropped();
    }
  }

 private:
  // Slots decoded at once: at 120 rows a batch of 2 MB.
  static constexpr uint32_t kTogether = 1024;

  void SealSlots(PageReader& reader, SourceId id, uint32_t page_begin, uint32_t begin,
                 uint32_t end) {
    batch_.Clear();
    reader.BatchCleared();
    slots_.clear();
    keys_of_slots_.clear();
    for (uint32_t slot = begin; slot < end; ++slot) {
      const KeyId key = snapshot_.index().KeyAt(id, slot);
      if (key == kNoId) continue;
      slots_.push_back(slot - page_begin);
      keys_of_slots_.push_back(key);
    }
    columns_.resize(slots_.size());
    reader.ReadSlots(slots_, &batch_, columns_.data());
    for (size_t i = 0; i < slots_.size(); ++i) Add(keys_of_slots_[i], columns_[i]);
  }

  void Add(KeyId key, model::Column& column) {
    if (column.values.empty() && column.histograms.empty()) return;
    if (column.timestamps.size() == axis_.size() &&
        std::equal(axis_.begin(), axis_.end(), column.timestamps.begin()))
      column.timestamps = axis_;
    if (key >= keys_.size()) keys_.resize(key + key / 2 + 64, kNoId);
    if (keys_[key] == kNoId) keys_[key] = writer_.AddKey(snapshot_.index().KeyLabels(key));
    writer_.AddColumn(segment_source_, keys_[key], column);
  }

  const DatabaseSnapshot& snapshot_;
  const HeadView& view_;
  SegmentWriter& writer_;
  std::vector<uint32_t>& keys_;  // the file's ids, by ours
  DroppedSamples& dropped_;
  std::vector<std::pair<uint32_t, std::unique_ptr<PageReader>>> pages_;
  std::vector<model::Timestamp> axis_;
  uint32_t segment_source_ = 0;
  model::ColumnBatch batch_;
  std::vector<uint32_t> slots_;
  std::vector<KeyId> keys_of_slots_;
  std::vector<model::Column> columns_;
};

}  // namespace

Result<SegmentMeta> WriteSealedWindow(Env& env, const Head& head,
                                      std::shared_ptr<const Version> version,
                                      Quarantine& quarantine, model::Timestamp window_ms,
                                      const std::string& path, SegmentMeta meta,
                                      DroppedSamples* dropped) {
  const DatabaseSnapshot snapshot(head, std::move(version), quarantine);
  const HeadView view{
      snapshot.commit_number(), &snapshot.version().sealed, {window_ms, window_ms + kWindowMs - 1}};
  meta.cuts = {{0, window_ms, snapshot.commit_number()}};
  SegmentWriter writer(env, path, meta, {});
  TOCSIN_TRY(writer.Open());
  std::vector<uint32_t> keys;
  SourceSealer sealer(snapshot, view, writer, keys, *dropped);
  for (SourceId id = 0; id < snapshot.index().source_id_end(); ++id) {
    const Source* source = head.FindSource(id);
    if (source != nullptr) sealer.Seal(id, *source);
  }
  return writer.Finish();
}

}  // namespace tocsin::tsdb
