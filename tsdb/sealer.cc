#include "tsdb/sealer.h"

#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

#include "tsdb/segment/writer.h"
#include "tsdb/snapshot.h"

namespace tocsin::tsdb {
namespace {

// Columns lie metric by metric in the file and come source by source from the head. So the sources
// are walked several times, each time for a part of the metric families; only that part's encoded
// columns wait in memory. A walk costs half a nanosecond a sample.
constexpr size_t kWalksMax = 8;
constexpr size_t kWalkColumnsMin = 16'384;
// Slots decoded at once: at 120 rows a batch of 1 MB.
constexpr size_t kTogether = 512;

// A set of ids that numbers its members in ascending order: 1.5 bits for each id that there is.
class DenseIds {
 public:
  void Add(uint32_t id) {
    if (id / 64 >= words_.size()) words_.resize(id / 64 + id / 512 + 1, 0);
    words_[id / 64] |= uint64_t{1} << (id % 64);
  }
  // After the last Add: the members.
  std::vector<uint32_t> Number() {
    std::vector<uint32_t> ids;
    for (size_t w = 0; w < words_.size(); ++w) {
      before_.push_back(static_cast<uint32_t>(ids.size()));
      for (uint64_t word = words_[w]; word != 0; word &= word - 1)
        ids.push_back(static_cast<uint32_t>(64 * w + static_cast<size_t>(std::countr_zero(word))));
    }
    return ids;
  }
  // kNoId: not a member, because it came later.
  uint32_t NumberOf(uint32_t id) const {
    if (id / 64 >= words_.size()) return kNoId;
    const uint64_t word = words_[id / 64];
    const uint64_t bit = uint64_t{1} << (id % 64);
    if ((word & bit) == 0) return kNoId;
    return before_[id / 64] + static_cast<uint32_t>(std::popcount(word & (bit - 1)));
  }

 private:
  std::vector<uint64_t> words_;
  std::vector<uint32_t> before_;
};

class WindowSealer {
 public:
  WindowSealer(const DatabaseSnapshot& snapshot, const HeadView& view, SegmentWriter& writer,
               DroppedSamples& dropped)
      : snapshot_(snapshot),
        view_(view),
        writer_(writer),
        dropped_(dropped),
        deleted_(snapshot.HeadTombstones(view.range)) {}

  void Seal() {
    FindSources();
    FindKeys();
    for (walk_ = 0; walk_ < walks_; ++walk_) {
      for (SealedSource& source : sources_) SealSource(source);
      writer_.WriteWaiting();
    }
  }

 private:
  struct SealedSource {
    SourceId id;
    const Source* source;
    uint32_t file_id;
    uint32_t slots;
    std::vector<uint32_t> pages;  // with samples in the window
    std::vector<model::Timestamp> axis;
  };
  struct FileKey {
    uint32_t file_id;
    uint32_t walk;
  };

  // Sources with samples in the window, in the file's order, with their rows.
  void FindSources() {
    for (SourceId id = 0; id < snapshot_.index().source_id_end(); ++id) {
      const Source* source = snapshot_.head().FindSource(id);
      if (source == nullptr) continue;
      SealedSource sealed{id, source, 0, snapshot_.index().slot_count(id), {}, {}};
      for (uint32_t p = 0; const Page* page = source->page(p); ++p) {
        const PageReader reader(*page, view_);
        if (reader.empty()) continue;
        reader.AppendRowTimes(&sealed.axis);
        sealed.pages.push_back(p);
      }
      if (sealed.pages.empty()) continue;
      // Every slot's timestamps are among the rows', own timestamps aside.
      std::sort(sealed.axis.begin(), sealed.axis.end());
      sealed.axis.erase(std::unique(sealed.axis.begin(), sealed.axis.end()), sealed.axis.end());
      sealed.axis.shrink_to_fit();
      sources_.push_back(std::move(sealed));
    }
    std::sort(sources_.begin(), sources_.end(), [](const SealedSource& a, const SealedSource& b) {
      return SourceOrder(a.source->labels, a.source->origin, b.source->labels, b.source->origin);
    });
    for (SealedSource& sealed : sources_) {
      sealed.file_id = writer_.AddSource(sealed.source->origin, sealed.source->labels, sealed.axis);
    }
  }

  template <typename Visit>
  void ForEachSlot(const SealedSource& source, uint32_t page, Visit visit) const {
    const uint32_t begin = page * kFrameSlotsMax;
    const uint32_t end = std::min(begin + kFrameSlotsMax, source.slots);
    for (uint32_t slot = begin; slot < end; ++slot) {
      const KeyId key = snapshot_.index().KeyAt(source.id, slot);
      if (key != kNoId) visit(slot - begin, key);
    }
  }

  // Their keys, in the file's order, shared out to the walks by metric family.
  void FindKeys() {
    size_t columns = 0;
    for (const SealedSource& source : sources_) {
      for (const uint32_t page : source.pages) {
        ForEachSlot(source, page, [&](uint32_t, KeyId key) {
          ids_.Add(key);
          ++columns;
        });
      }
    }
    const std::vector<uint32_t> ids = ids_.Number();
    std::vector<uint32_t> uses(ids.size(), 0);
    for (const SealedSource& source : sources_) {
      for (const uint32_t page : source.pages) {
        ForEachSlot(source, page, [&](uint32_t, KeyId key) {
          if (const uint32_t number = ids_.NumberOf(key); number != kNoId) ++uses[number];
        });
      }
    }
    std::vector<std::pair<model::Labels, uint32_t>> sorted;
    sorted.reserve(ids.size());
    for (uint32_t i = 0; i < ids.size(); ++i)
      sorted.emplace_back(snapshot_.index().KeyLabels(ids[i]), i);
    std::sort(sorted.begin(), sorted.end(),
              [](const auto& a, const auto& b) { return KeyOrder(a.first, b.first); });
    keys_.resize(ids.size(), {kNoId, 0});
    const size_t per_walk = std::max(kWalkColumnsMin, columns / kWalksMax + 1);
    size_t in_walk = 0;
    std::string_view family;
    for (const auto& [labels, number] : sorted) {
      const std::string_view its_family = MetricFamily(labels.MetricName());
      if (in_walk >= per_walk && its_family != family) {
        ++walks_;
        in_walk = 0;
      }
      family = its_family;
      in_walk += uses[number];
      keys_[number] = {writer_.AddKey(labels), walks_ - 1};
    }
  }

  void SealSource(const SealedSource& source) {
    for (const uint32_t number : source.pages) {
      slots_.clear();
      file_keys_.clear();
      slot_keys_.clear();
      ForEachSlot(source, number, [this](uint32_t at, KeyId key) {
        const uint32_t dense = ids_.NumberOf(key);
        if (dense == kNoId || keys_[dense].file_id == kNoId || keys_[dense].walk != walk_) return;
        slots_.push_back(at);
        file_keys_.push_back(keys_[dense].file_id);
        slot_keys_.push_back(key);
      });
      if (slots_.empty()) continue;
      PageReader reader(*source.source->page(number), view_);
      for (size_t i = 0; i < slots_.size(); i += kTogether)
        SealSlots(source, reader, i, std::min(kTogether, slots_.size() - i));
      dropped_.equal += reader.equal_dropped();
      dropped_.unequal += reader.unequal_dropped();
    }
  }

  void SealSlots(const SealedSource& source, PageReader& reader, size_t first, size_t count) {
    batch_.Clear();
    reader.BatchCleared();
    columns_.resize(count);
    reader.ReadSlots(std::span<const uint32_t>(slots_).subspan(first, count), &batch_,
                     columns_.data());
    for (size_t i = 0; i < count; ++i) {
      model::Column& column = columns_[i];
      if (!deleted_.empty()) LeaveOutDeleted(source.id, reader, first + i, &column);
      if (column.values.empty() && column.histograms.empty()) continue;
      if (column.timestamps.size() == source.axis.size() &&
          std::equal(source.axis.begin(), source.axis.end(), column.timestamps.begin()))
        column.timestamps = source.axis;
      writer_.AddColumn(source.file_id, file_keys_[first + i], column);
    }
  }

  void LeaveOutDeleted(SourceId source, PageReader& reader, size_t i, model::Column* column) {
    const auto source_labels = [this](uint32_t id) { return snapshot_.index().SourceLabels(id); };
    const auto key_labels = [this](uint32_t id) { return snapshot_.index().KeyLabels(id); };
    const auto spans = deleted_.Find(source, source_labels, slot_keys_[i], key_labels);
    if (!spans.empty()) reader.ReadSlot(slots_[i], &batch_, column, spans);
  }

  const DatabaseSnapshot& snapshot_;
  const HeadView& view_;
  SegmentWriter& writer_;
  DroppedSamples& dropped_;
  std::vector<SealedSource> sources_;
  DenseIds ids_;               // of the keys, as the head numbers them
  std::vector<FileKey> keys_;  // by their numbers in ids_
  uint32_t walks_ = 1;
  uint32_t walk_ = 0;
  model::ColumnBatch batch_;
  std::vector<uint32_t> slots_;
  std::vector<uint32_t> file_keys_;
  std::vector<KeyId> slot_keys_;
  DeletedSeries deleted_;
  std::vector<model::Column> columns_;
};

}  // namespace

Result<SegmentMeta> WriteSealedWindow(Env& env, const DatabaseSnapshot& snapshot,
                                      model::Timestamp first_ms, model::Timestamp last_ms,
                                      const std::string& path, SegmentMeta meta,
                                      DroppedSamples* dropped) {
  const HeadView view{
      snapshot.commit_number(), &snapshot.version().sealed, {first_ms, last_ms + kWindowMs - 1}};
  // Windows between them that have no rows, too: one may have come just now.
  for (model::Timestamp window = first_ms; window <= last_ms; window += kWindowMs)
    meta.cuts.push_back({0, window, snapshot.commit_number()});
  SegmentWriter writer(env, path, meta, {.sorted_dictionary = true});
  TOCSIN_TRY(writer.Open());
  WindowSealer(snapshot, view, writer, *dropped).Seal();
  return writer.Finish();
}

}  // namespace tocsin::tsdb
