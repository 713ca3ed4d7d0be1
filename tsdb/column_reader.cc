#include "tsdb/column_reader.h"

#include <algorithm>
#include <bit>

namespace tocsin::tsdb {
namespace {

template <typename T>
bool SameSpan(std::span<const T> a, std::span<const T> b) {
  return a.data() == b.data() && a.size() == b.size();
}

// Removes what lies in the spans. Every sample of a segment was committed before them.
void LeaveOut(std::span<const DeletedSpan> deleted, model::ColumnBatch* batch,
              model::Column* column) {
  const auto gone = [deleted](model::Timestamp t) {
    return std::any_of(deleted.begin(), deleted.end(),
                       [t](const DeletedSpan& span) { return span.range.Contains(t); });
  };
  // Copies the elements at which a timestamp is not gone; `to` has room for all.
  const auto copy = [&gone](std::span<const model::Timestamp> times, auto from, auto* to) {
    size_t kept = 0;
    for (size_t i = 0; i < times.size(); ++i) {
      if (!gone(times[i])) to[kept++] = from[i];
    }
    return std::span(to, kept);
  };
  const std::span<const model::Timestamp> times = column->timestamps;
  if (std::any_of(times.begin(), times.end(), gone)) {
    column->values = copy(times, column->values, batch->NewValues(times.size()));
    if (!column->start_timestamps.empty())
      column->start_timestamps =
          copy(times, column->start_timestamps, batch->NewTimestamps(times.size()));
    column->timestamps = copy(times, times, batch->NewTimestamps(times.size()));
  }
  const std::span<const model::Timestamp> histogram_times = column->histogram_timestamps;
  if (std::any_of(histogram_times.begin(), histogram_times.end(), gone)) {
    const size_t count = histogram_times.size();
    column->histograms =
        copy(histogram_times, column->histograms, batch->NewHistogramPointers(count));
    if (!column->histogram_start_timestamps.empty())
      column->histogram_start_timestamps =
          copy(histogram_times, column->histogram_start_timestamps, batch->NewTimestamps(count));
    column->histogram_timestamps =
        copy(histogram_times, histogram_times, batch->NewTimestamps(count));
  }
}

}  // namespace

Status SelectionReader::Read(size_t first, size_t count, model::ColumnBatch* batch) {
  batch->Clear();
  joined_parts_.clear();
  joined_ = {};
  free_place_ = {};
  for (auto& [key, reader] : pages_) {
    if (reader != nullptr) reader->BatchCleared();
  }
  for (auto& cursor : cursors_) {
    if (cursor != nullptr) cursor->BatchCleared();
  }
  batch->columns.resize(count);
  ReadHeadParts(first, count, batch);
  for (size_t i = 0; i < count; ++i)
    TOCSIN_RETURN_IF_ERROR(ReadSeries(first, i, batch, &batch->columns[i]));
  return Status::Ok();
}

void SelectionReader::ReadHeadParts(size_t first, size_t count, model::ColumnBatch* batch) {
  head_parts_.assign(count, model::Column());
  head_addresses_.assign(count, kNoId);
  std::vector<uint32_t> slots;  // of one page, ascending, of series next to each other
  uint64_t page = UINT64_MAX;
  size_t begin = 0;
  const auto flush = [&] {
    if (slots.empty()) return;
    ReadSlots(static_cast<uint32_t>(page >> 32), static_cast<uint32_t>(page), slots, batch,
              &head_parts_[begin]);
    slots.clear();
  };
  for (size_t i = 0; i < count; ++i) {
    uint32_t a = selection_.first_address(first + i);
    while (a != kNoId && selection_.address(a).segment != Selection::Address::kHead)
      a = selection_.address(a).next;
    // What is partly deleted is read slot by slot.
    if (a == kNoId || !selection_.deleted(a).empty()) {
      flush();
      continue;
    }
    head_addresses_[i] = a;
    const ColumnRef& ref = selection_.address(a).ref;
    const uint32_t slot = static_cast<uint32_t>(ref.offset) % kFrameSlotsMax;
    const uint64_t its_page = uint64_t{ref.source} << 32 | ref.offset / kFrameSlotsMax;
    if (its_page != page || slots.empty() || slot <= slots.back()) {
      flush();
      page = its_page;
      begin = i;
    }
    slots.push_back(slot);
  }
  flush();
}

HeadView SelectionReader::View() const {
  const DatabaseSnapshot& snapshot = selection_.snapshot();
  return {snapshot.commit_number(), &snapshot.version().sealed, selection_.range()};
}

void SelectionReader::ReadSlots(uint32_t source, uint32_t page, std::span<const uint32_t> slots,
                                model::ColumnBatch* batch, model::Column* columns) {
  if (!selection_.newest_only()) {
    PageReader* reader = ReaderOf(source, page);
    if (reader != nullptr)
      reader->ReadSlots(slots, batch, columns, &pass_, selection_.times_only());
    return;
  }
  std::vector<uint32_t> left;
  ReadNewest(source, page, slots, batch, columns, &left);
  if (left.empty()) return;
  PageReader* reader = ReaderOf(source, page);
  if (reader == nullptr) return;
  std::vector<uint32_t> left_slots;
  for (const uint32_t i : left) left_slots.push_back(slots[i]);
  std::vector<model::Column> read(left.size());
  reader->ReadSlots(left_slots, batch, read.data(), &pass_, selection_.times_only());
  for (size_t i = 0; i < left.size(); ++i) columns[left[i]] = read[i];
}

void SelectionReader::ReadNewest(uint32_t source_id, uint32_t page_number,
                                 std::span<const uint32_t> slots, model::ColumnBatch* batch,
                                 model::Column* columns, std::vector<uint32_t>* left) {
  const Head& head = selection_.snapshot().head();
  const Source* source = head.FindSource(source_id);
  const Page* page = source == nullptr ? nullptr : source->page(page_number);
  if (page == nullptr) return;
  newest_.resize(slots.size());
  head.ReadNewest(*source, *page, View(), slots, newest_.data());
  double* values = batch->NewValues(slots.size());
  std::span<const model::Timestamp> shared;  // neighbours mostly have the same time
  for (uint32_t i = 0; i < slots.size(); ++i) {
    const NewestSample& sample = newest_[i];
    columns[i] = model::Column();
    if (sample.kind == NewestSample::kUnknown) left->push_back(i);
    if (sample.kind != NewestSample::kFloat) continue;
    if (shared.empty() || shared[0] != sample.t) {
      model::Timestamp* time = batch->NewTimestamps(1);
      *time = sample.t;
      shared = {time, 1};
    }
    values[i] = sample.value;
    columns[i].timestamps = shared;
    columns[i].values = {&values[i], 1};
    columns[i].may_hold_stale = model::IsStale(sample.value);
  }
}

PageReader* SelectionReader::ReaderOf(uint32_t source_id, uint32_t page_number) {
  const uint64_t key = uint64_t{source_id} << 32 | page_number;
  const auto found = pages_.find(key);
  if (found != pages_.end()) return found->second.get();
  const DatabaseSnapshot& snapshot = selection_.snapshot();
  const Source* source = snapshot.head().FindSource(source_id);
  const Page* page = source == nullptr ? nullptr : source->page(page_number);
  if (pages_.size() >= kPageReadersMax) pages_.clear();
  return pages_
      .emplace(key, page == nullptr ? nullptr : std::make_unique<PageReader>(*page, View()))
      .first->second.get();
}

Status SelectionReader::ReadPart(uint32_t number, model::TimeRange range, model::ColumnBatch* batch,
                                 model::Column* column) {
  const Selection::Address& address = selection_.address(number);
  const std::span<const DeletedSpan> deleted = selection_.deleted(number);
  if (address.segment == Selection::Address::kHead) {
    const auto slot = static_cast<model::Slot>(address.ref.offset);
    PageReader* reader = ReaderOf(address.ref.source, slot / kFrameSlotsMax);
    *column = model::Column();
    if (reader != nullptr) reader->ReadSlot(slot % kFrameSlotsMax, batch, column, deleted);
    return Status::Ok();
  }
  const SegmentReader& segment = *selection_.snapshot().version().segments[address.segment];
  if (cursors_.size() <= address.segment) cursors_.resize(address.segment + 1);
  auto& cursor = cursors_[address.segment];
  if (cursor == nullptr) cursor = std::make_unique<SegmentCursor>(segment, selection_.times_only());
  Status status = cursor->Read(address.ref, range, batch, column, free_place_);
  free_place_ = free_place_.subspan(cursor->place_used());
  if (status.ok()) {
    if (!deleted.empty()) LeaveOut(deleted, batch, column);
    return status;
  }
  *column = model::Column();
  return selection_.snapshot().SkipDamage(segment, std::move(status));
}

void SelectionReader::PrefetchBehind(uint32_t address) const {
  static constexpr uint32_t kAhead = 3;
  if (address + kAhead >= selection_.address_count()) return;
  const Selection::Address& ahead = selection_.address(address + kAhead);
  if (ahead.segment < cursors_.size() && cursors_[ahead.segment] != nullptr)
    cursors_[ahead.segment]->Prefetch(ahead.ref);
}

Status SelectionReader::ReadSeries(size_t first, size_t i, model::ColumnBatch* batch,
                                   model::Column* column) {
  // What is left of the last series' may hold a part that was copied behind others.
  free_place_ = {};
  if (selection_.facts_plan().any_facts()) {
    TOCSIN_ASSIGN_OR_RETURN_STATUS(const bool found, ReadSeriesFacts(first, i, batch, column));
    if (found) return Status::Ok();
  }
  parts_.clear();
  const uint32_t first_address = selection_.first_address(first + i);
  BeginPlace(first_address != kNoId && selection_.address(first_address).next != kNoId, batch);
  // What is older than the head's part cannot be the newest.
  const model::Column& head_part = head_parts_[i];
  const model::Timestamp wanted_from =
      selection_.newest_only() && head_part.histograms.empty() && !head_part.values.empty()
          ? head_part.timestamps.back()
          : model::kMinTimestamp;
  for (uint32_t a = first_address; a != kNoId; a = selection_.address(a).next) {
    model::Column part;
    PrefetchBehind(a);
    if (selection_.OlderThan(selection_.address(a), wanted_from)) continue;
    if (selection_.address(a).in_rollup()) {
      TOCSIN_RETURN_IF_ERROR(ReadThinned(a, batch, &part));
    } else if (a == head_addresses_[i]) {
      part = head_parts_[i];
    } else {
      TOCSIN_RETURN_IF_ERROR(ReadPart(a, selection_.range(), batch, &part));
    }
    if (!part.values.empty() || !part.histograms.empty()) parts_.push_back(part);
  }
  *column = model::Column();
  if (parts_.size() == 1) {
    *column = parts_.front();
  } else if (parts_.size() > 1) {
    Merge(batch, column);
  }
  return Status::Ok();
}

void SelectionReader::BeginPlace(bool several, model::ColumnBatch* batch) {
  free_place_ = {};
  if (several && place_wanted_ > 0) free_place_ = {batch->NewValues(place_wanted_), place_wanted_};
}

void SelectionReader::LearnPlace(size_t wanted) {
  // Beside the range as much as a chunk is decoded at either end.
  place_wanted_ = std::max(place_wanted_, wanted + std::min<size_t>(wanted, 2 * kChunkRows));
}

void SelectionReader::Merge(model::ColumnBatch* batch, model::Column* column) {
  column->may_hold_stale = false;
  for (const model::Column& part : parts_)
    column->may_hold_stale = column->may_hold_stale || part.may_hold_stale;
  MergeFloats(batch, column);
  MergeHistograms(batch, column);
}

void SelectionReader::MergeFloats(model::ColumnBatch* batch, model::Column* column) {
  std::vector<const model::Column*>& parts = float_parts_;
  parts.clear();
  size_t count = 0;
  bool any_start = false;
  for (const model::Column& part : parts_) {
    if (part.values.empty()) continue;
    parts.push_back(&part);
    count += part.values.size();
    any_start = any_start || !part.start_timestamps.empty();
  }
  if (parts.empty()) return;
  const auto earlier = [](const auto* a, const auto* b) {
    return a->timestamps.front() < b->timestamps.front();
  };
  if (!std::is_sorted(parts.begin(), parts.end(), earlier))
    std::stable_sort(parts.begin(), parts.end(), earlier);
  bool disjoint = true;
  for (size_t i = 1; i < parts.size(); ++i)
    disjoint = disjoint && parts[i - 1]->timestamps.back() < parts[i]->timestamps.front();

  LearnPlace(count);
  // Parts that were decoded end to end are joined already; what follows (of the head, mostly) is
  // copied behind them.
  const double* const begin = parts.front()->values.data();
  size_t joined = 0;
  size_t joined_count = 0;
  while (joined < parts.size() && parts[joined]->values.data() == begin + joined_count) {
    joined_count += parts[joined++]->values.size();
  }
  const bool in_place =
      disjoint && (joined == parts.size() || (free_place_.data() == begin + joined_count &&
                                              free_place_.size() >= count - joined_count));
  double* values = !in_place                ? batch->NewValues(count)
                   : joined == parts.size() ? nullptr
                                            : free_place_.data() - joined_count;
  model::Timestamp* starts = any_start ? batch->NewTimestamps(count) : nullptr;
  if (disjoint) {
    size_t at = 0;
    for (const model::Column* part : parts) {
      if (!in_place || at >= joined_count)
        std::copy(part->values.begin(), part->values.end(), values + at);
      if (starts != nullptr) {
        if (part->start_timestamps.empty()) {
          std::fill_n(starts + at, part->values.size(), 0);
        } else {
          std::copy(part->start_timestamps.begin(), part->start_timestamps.end(), starts + at);
        }
      }
      at += part->values.size();
    }
    const bool known = joined_parts_.size() == parts.size() &&
                       std::equal(parts.begin(), parts.end(), joined_parts_.begin(),
                                  [](const auto* part, const auto& span) {
                                    return SameSpan(part->timestamps, span);
                                  });
    if (!known) {
      model::Timestamp* times = batch->NewTimestamps(count);
      joined_ = {times, count};
      joined_parts_.clear();
      for (const model::Column* part : parts) {
        times = std::copy(part->timestamps.begin(), part->timestamps.end(), times);
        joined_parts_.push_back(part->timestamps);
      }
    }
    column->timestamps = joined_;
    column->values = {in_place ? begin : values, count};
    if (starts != nullptr) column->start_timestamps = {starts, count};
  } else {
    // By time; of equal timestamps the part of higher precedence (lower number) counts.
    struct Cursor {
      const model::Column* part;
      size_t rank;
      size_t next;
    };
    std::vector<Cursor> cursors;
    for (const model::Column* part : parts)
      cursors.push_back({part, static_cast<size_t>(part - parts_.data()), 0});
    std::sort(cursors.begin(), cursors.end(),
              [](const Cursor& a, const Cursor& b) { return a.rank < b.rank; });
    model::Timestamp* times = batch->NewTimestamps(count);
    size_t kept = 0;
    while (true) {
      model::Timestamp t = model::kMaxTimestamp;
      const Cursor* best = nullptr;
      for (const Cursor& cursor : cursors) {
        if (cursor.next == cursor.part->values.size()) continue;
        if (best == nullptr || cursor.part->timestamps[cursor.next] < t) {
          best = &cursor;
          t = cursor.part->timestamps[cursor.next];
        }
      }
      if (best == nullptr) break;
      times[kept] = t;
      values[kept] = best->part->values[best->next];
      if (starts != nullptr)
        starts[kept] =
            best->part->start_timestamps.empty() ? 0 : best->part->start_timestamps[best->next];
      ++kept;
      for (Cursor& cursor : cursors) {
        if (cursor.next < cursor.part->values.size() && cursor.part->timestamps[cursor.next] == t)
          ++cursor.next;
      }
    }
    column->timestamps = {times, kept};
    column->values = {values, kept};
    if (starts != nullptr) column->start_timestamps = {starts, kept};
  }
  column->constant = std::all_of(parts.begin(), parts.end(), [&](const model::Column* part) {
    return part->constant &&
           std::bit_cast<uint64_t>(part->values[0]) == std::bit_cast<uint64_t>(column->values[0]);
  });
}

void SelectionReader::MergeHistograms(model::ColumnBatch* batch, model::Column* column) {
  struct Sample {
    model::Timestamp t;
    size_t rank;
    const model::Histogram* histogram;
    model::Timestamp start_ms;
  };
  std::vector<Sample> samples;
  bool any_start = false;
  for (size_t rank = 0; rank < parts_.size(); ++rank) {
    const model::Column& part = parts_[rank];
    for (size_t i = 0; i < part.histograms.size(); ++i) {
      const model::Timestamp start =
          part.histogram_start_timestamps.empty() ? 0 : part.histogram_start_timestamps[i];
      any_start = any_start || start != 0;
      samples.push_back({part.histogram_timestamps[i], rank, part.histograms[i], start});
    }
  }
  if (samples.empty()) return;
  std::sort(samples.begin(), samples.end(), [](const Sample& a, const Sample& b) {
    return a.t != b.t ? a.t < b.t : a.rank < b.rank;
  });
  model::Timestamp* times = batch->NewTimestamps(samples.size());
  model::Timestamp* starts = batch->NewTimestamps(samples.size());
  const model::Histogram** histograms = batch->NewHistogramPointers(samples.size());
  size_t kept = 0;
  for (const Sample& sample : samples) {
    if (kept > 0 && times[kept - 1] == sample.t) continue;
    times[kept] = sample.t;
    starts[kept] = sample.start_ms;
    histograms[kept++] = sample.histogram;
  }
  column->histogram_timestamps = {times, kept};
  column->histograms = {histograms, kept};
  if (any_start) column->histogram_start_timestamps = {starts, kept};
}

}  // namespace tocsin::tsdb
