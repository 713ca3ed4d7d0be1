// SegmentCursor: from a column's bytes to spans in a batch.
//
// What columns share is kept: for each axis met since the batch was cleared, its rows within the
// range asked for, as decoded into the batch. A column then costs its own chunks only.
#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/bytes.h"
#include "tsdb/codec/histogram_columns.h"
#include "tsdb/codec/integers.h"
#include "tsdb/codec/presence.h"
#include "tsdb/codec/values.h"
#include "tsdb/segment/column_codec.h"
#include "tsdb/segment/segment_file.h"

namespace tocsin::tsdb {
namespace {

using model::Column;
using model::ColumnBatch;
using model::Histogram;
using model::TimeRange;
using model::Timestamp;

// Columns whose values are kept for others that are told by them: those of a histogram.
constexpr size_t kRecentColumns = 64;

// The rows of an axis that lie in a range, and the chunks that hold them.
struct RowWindow {
  uint64_t axis_rows = 0;
  uint64_t first_chunk = 0;
  uint64_t chunk_count = 0;
  // Rows counted from the start of the first chunk.
  uint64_t begin = 0;
  uint64_t end = 0;
  // The rows of those chunks, in the batch.
  const Timestamp* timestamps = nullptr;

  bool empty() const { return begin == end; }
  // Rows of the chunks, inside the window or not.
  uint64_t chunk_rows() const {
    return std::min(axis_rows - first_chunk * kChunkRows, chunk_count * kChunkRows);
  }
};

}  // namespace

struct SegmentCursor::Impl {
  Impl(const SegmentFile& f, bool times) : file(f), times_only(times) {}

  // Makes `window` that of (source, axis number, range).
  Status UseAxis(uint32_t source, uint32_t number, TimeRange range, ColumnBatch* batch);
  Status LoadAxis(uint32_t source, uint32_t number, AxisChunks* axis) const;
  Status MakeWindow(uint32_t source, uint32_t number, TimeRange range, ColumnBatch* batch,
                    RowWindow* made) const;
  Status ReadFloats(const ColumnRef& ref, std::string_view part, TimeRange range,
                    ColumnBatch* batch, Column* column);
  Status ReadHistograms(const ColumnRef& ref, std::string_view part, TimeRange range,
                        ColumnBatch* batch, Column* column);
  // Splits the chunks of a part that the window needs; `chunks` views `in`.
  bool SplitChunks(ByteReader* in);
  // One chunk's rows, clipped to the window: appended to `rows`, counted from the first chunk.
  // `kept` says which of the chunk's samples those are.
  struct Kept {
    size_t first = 0;  // of the column's decoded samples
    size_t count = 0;  // samples of the chunk
    size_t begin = 0;  // those inside the window
    size_t end = 0;
  };
  // A column's floats as far as they are decoded. Views into the batch.
  struct DecodedFloats {
    uint64_t offset = 0;
    uint64_t axis_key = 0;  // of the axis by which it was decoded
    const double* values = nullptr;
    std::vector<Kept> chunks;  // of the window
  };
  // What comes before a float part's chunks.
  struct FloatHead {
    uint32_t axis = 0;
    bool full = false;
    bool constant = false;
    bool has_starts = false;
    double value = 0;  // if constant
    std::optional<ColumnReference> reference;
  };
  static FloatHead ReadFloatHead(uint32_t flags, ByteReader* in);
  // `references_left`: columns that may yet be decoded for the one that is read.
  Status DecodeFloats(uint64_t offset, const FloatHead& head, ByteReader* in,
                      unsigned* references_left, ColumnBatch* batch, Timestamp* starts,
                      DecodedFloats* out);
  Status LoadReferenced(uint64_t offset, const ReferencedColumn& referenced, uint32_t axis,
                        unsigned* references_left, ColumnBatch* batch, DecodedFloats* out);
  // The values that tell the column, as one column's.
  Status LoadReference(uint64_t offset, const FloatHead& head, unsigned* references_left,
                       ColumnBatch* batch, DecodedFloats* out);
  std::span<const double> Zeros(size_t count, ColumnBatch* batch);
  const DecodedFloats* FindDecoded(uint64_t offset) const;
  void Remember(DecodedFloats decoded);
  void Forget() {
    window_known = false;
    windows.clear();
    recent.clear();
    next_recent = 0;
    zeros = {};
  }
  bool ReadPresence(ByteReader* chunk, uint64_t index, bool part_is_full, Kept* kept);

  const SegmentFile& file;
  const bool times_only;
  // Room for values: in `place`, else in the batch.
  double* NewValues(size_t count, ColumnBatch* batch) {
    if (count > place.size()) return batch->NewValues(count);
    place_used = count;
    return std::exchange(place, {}).data();
  }

  std::span<double> place;  // of the column being read, not of those that tell it
  size_t place_used = 0;
  RowWindow window;               // of the part being read
  bool window_known = false;      // it is that of axis_key
  uint64_t axis_key = 0;          // source << 32 | axis number: the window's
  std::span<const double> zeros;  // in the batch: values that do not matter
  // Windows of `cached_range` in `cached_batch`, by axis key.
  std::unordered_map<uint64_t, RowWindow> windows;
  TimeRange cached_range;
  const ColumnBatch* cached_batch = nullptr;

  // Columns read last, in the same batch and range: others may be told by them.
  std::vector<DecodedFloats> recent;
  size_t next_recent = 0;

  std::vector<std::string_view> chunks;  // of the part being read, from the window's first on
  std::vector<uint32_t> chunk_rows;      // present rows of one chunk
  std::vector<uint32_t> rows;            // present rows in the window, from its first chunk
};

SegmentCursor::SegmentCursor(const SegmentReader& reader, bool times_only)
    : impl_(std::make_unique<Impl>(static_cast<const SegmentFile&>(reader), times_only)) {}
SegmentCursor::~SegmentCursor() = default;
SegmentCursor::SegmentCursor(SegmentCursor&&) noexcept = default;

void SegmentCursor::BatchCleared() { impl_->Forget(); }

void SegmentCursor::Prefetch(const ColumnRef& ref) const {
  impl_->file.Prefetch(ref.offset, ref.length);
}

Status SegmentCursor::Impl::LoadAxis(uint32_t source, uint32_t number, AxisChunks* axis) const {
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::string_view bytes, file.AxisBytes(source, number));
  if (DecodeAxisTable(bytes, axis)) return Status::Ok();
  return file.Damaged(file.OffsetOf(bytes), "bad axis");
}

Status SegmentCursor::Impl::MakeWindow(uint32_t source, uint32_t number, TimeRange range,
                                       ColumnBatch* batch, RowWindow* made) const {
  AxisChunks axis;
  TOCSIN_RETURN_IF_ERROR(LoadAxis(source, number, &axis));
  *made = RowWindow();
  made->axis_rows = axis.rows;
  if (axis.rows == 0 || range.min_ms > range.max_ms || range.min_ms > axis.last ||
      range.max_ms < axis.chunks[0].first) {
    return Status::Ok();
  }
  const auto after = [](Timestamp t, const AxisChunks::Chunk& chunk) { return t < chunk.first; };
  const auto begin = axis.chunks.begin();
  // The last chunk that begins at or before each end of the range.
  const auto low = std::upper_bound(begin, axis.chunks.end(), range.min_ms, after);
  const auto high = std::upper_bound(begin, axis.chunks.end(), range.max_ms, after);
  made->first_chunk = static_cast<uint64_t>(low == begin ? 0 : low - begin - 1);
  made->chunk_count = static_cast<uint64_t>(high - begin) - made->first_chunk;
  Timestamp* decoded = batch->NewTimestamps(made->chunk_rows());
  for (uint64_t c = 0; c < made->chunk_count; ++c) {
    if (!DecodeAxisChunk(axis, made->first_chunk + c, decoded + c * kChunkRows)) {
      return file.Damaged(file.OffsetOf(axis.bytes), "bad axis chunk");
    }
  }
  Timestamp* end = decoded + made->chunk_rows();
  made->begin = static_cast<uint64_t>(std::lower_bound(decoded, end, range.min_ms) - decoded);
  made->end = static_cast<uint64_t>(std::upper_bound(decoded, end, range.max_ms) - decoded);
  made->timestamps = decoded;
  return Status::Ok();
}

Status SegmentCursor::Impl::UseAxis(uint32_t source, uint32_t number, TimeRange range,
                                    ColumnBatch* batch) {
  if (batch != cached_batch || !(range == cached_range)) Forget();
  cached_batch = batch;
  cached_range = range;
  const uint64_t key = uint64_t{source} << 32 | number;
  if (window_known && key == axis_key) return Status::Ok();
  axis_key = key;
  window_known = false;
  const auto [known, fresh] = windows.try_emplace(axis_key);
  if (fresh) {
    const Status status = MakeWindow(source, number, range, batch, &known->second);
    if (!status.ok()) {
      windows.erase(known);
      return status;
    }
  }
  window = known->second;
  window_known = true;
  return Status::Ok();
}

bool SegmentCursor::Impl::SplitChunks(ByteReader* in) {
  chunks.clear();
  const uint64_t count = ChunkCount(window.axis_rows);
  if (count <= 1) {
    chunks.push_back(in->rest());
    return true;
  }
  uint64_t skipped = 0;
  uint64_t total = 0;
  std::vector<uint64_t> lengths;
  for (uint64_t c = 0; c < count; ++c) {
    const uint64_t length = in->Varint();
    if (!in->ok() || length > in->remaining()) return false;
    total += length;
    if (c < window.first_chunk) skipped += length;
    if (c >= window.first_chunk && c < window.first_chunk + window.chunk_count) {
      lengths.push_back(length);
    }
  }
  if (total != in->remaining()) return false;
  in->Skip(skipped);
  for (const uint64_t length : lengths) chunks.push_back(in->Bytes(length));
  return in->ok();
}

bool SegmentCursor::Impl::ReadPresence(ByteReader* chunk, uint64_t index, bool part_is_full,
                                       Kept* kept) {
  const uint32_t row_count = ChunkRows(window.axis_rows, window.first_chunk + index);
  const uint64_t base = index * kChunkRows;
  bool full = part_is_full;
  if (!part_is_full && !DecodePresence(chunk, row_count, &full, &chunk_rows)) return false;
  const uint64_t begin = window.begin > base ? window.begin - base : 0;
  const uint64_t end = std::min<uint64_t>(window.end > base ? window.end - base : 0, row_count);
  if (full) {
    *kept = {0, row_count, std::min<uint64_t>(begin, end), end};
    if (!part_is_full) {
      for (uint64_t r = kept->begin; r < kept->end; ++r) {
        rows.push_back(static_cast<uint32_t>(base + r));
      }
    }
    return true;
  }
  const auto low = std::lower_bound(chunk_rows.begin(), chunk_rows.end(), begin);
  const auto high = std::lower_bound(low, chunk_rows.end(), end);
  *kept = {0, chunk_rows.size(), static_cast<size_t>(low - chunk_rows.begin()),
           static_cast<size_t>(high - chunk_rows.begin())};
  for (auto at = low; at != high; ++at) rows.push_back(static_cast<uint32_t>(base + *at));
  return true;
}

SegmentCursor::Impl::FloatHead SegmentCursor::Impl::ReadFloatHead(uint32_t flags, ByteReader* in) {
  FloatHead head;
  head.axis = (flags & kColumnOwnAxis) != 0 ? in->Varint32() : 0;
  head.full = (flags & kColumnFull) != 0;
  head.constant = (flags & kColumnConstant) != 0;
  head.has_starts = (flags & kColumnStarts) != 0;
  if ((flags & kColumnReference) != 0) {
    head.reference.emplace();
    if (!DecodeReference(in, &*head.reference)) in->Fail();
  }
  head.value = head.constant ? ReadPackedDouble(in) : 0;
  return head;
}

std::span<const double> SegmentCursor::Impl::Zeros(size_t count, ColumnBatch* batch) {
  if (zeros.size() < count) {
    double* values = batch->NewValues(count);
    std::fill_n(values, count, 0.0);
    zeros = {values, count};
  }
  return zeros.first(count);
}

const SegmentCursor::Impl::DecodedFloats* SegmentCursor::Impl::FindDecoded(uint64_t offset) const {
  // A damaged reference may name a column of another axis: that has other chunks.
  const auto at = std::find_if(recent.begin(), recent.end(), [&](const DecodedFloats& d) {
    return d.offset == offset && d.axis_key == axis_key;
  });
  return at == recent.end() ? nullptr : &*at;
}

void SegmentCursor::Impl::Remember(DecodedFloats decoded) {
  if (recent.size() < kRecentColumns) {
    recent.push_back(std::move(decoded));
    return;
  }
  recent[next_recent] = std::move(decoded);
  next_recent = (next_recent + 1) % kRecentColumns;
}

Status SegmentCursor::Impl::LoadReferenced(uint64_t offset, const ReferencedColumn& referenced,
                                           uint32_t axis, unsigned* references_left,
                                           ColumnBatch* batch, DecodedFloats* out) {
  const auto damaged = [&] { return file.Damaged(offset, "bad reference"); };
  if (referenced.distance > offset) return damaged();
  const uint64_t at = offset - referenced.distance;
  if (const DecodedFloats* known = FindDecoded(at); known != nullptr) {
    *out = *known;
    return Status::Ok();
  }
  if (*references_left == 0) return damaged();
  --*references_left;
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::string_view bytes, file.Bytes(at, referenced.length));
  ByteReader in(bytes);
  const FloatHead told = ReadFloatHead(referenced.flags, &in);
  // The window is that of the axis they share.
  if (!in.ok() || (referenced.flags & kColumnFloats) == 0 ||
      (referenced.flags & kColumnHistograms) != 0 || told.axis != axis || told.constant) {
    return damaged();
  }
  const std::span<double> own_place = std::exchange(place, {});
  TOCSIN_RETURN_IF_ERROR(DecodeFloats(at, told, &in, references_left, batch, nullptr, out));
  place = own_place;
  Remember(*out);
  return Status::Ok();
}

Status SegmentCursor::Impl::LoadReference(uint64_t offset, const FloatHead& head,
                                          unsigned* references_left, ColumnBatch* batch,
                                          DecodedFloats* out) {
  const ColumnReference& reference = *head.reference;
  TOCSIN_RETURN_IF_ERROR(
      LoadReferenced(offset, reference.first, head.axis, references_left, batch, out));
  if (reference.way == ReferenceWay::kOne) return Status::Ok();
  DecodedFloats second;
  if (TakesTwo(reference.way)) {
    TOCSIN_RETURN_IF_ERROR(
        LoadReferenced(offset, reference.second, head.axis, references_left, batch, &second));
    const auto same_samples = [](const Kept& a, const Kept& b) {
      return a.first == b.first && a.count == b.count;
    };
    if (!std::equal(out->chunks.begin(), out->chunks.end(), second.chunks.begin(),
                    second.chunks.end(), same_samples)) {
      return file.Damaged(offset, "references of different rows");
    }
  }
  if (out->chunks.empty()) return Status::Ok();
  const size_t count = out->chunks.back().first + out->chunks.back().count;
  double* values = batch->NewValues(count);
  CombineReferences(reference.way, {out->values, count},
                    {second.values, second.values == nullptr ? 0 : count}, values);
  out->values = values;
  return Status::Ok();
}

// All samples of the window's chunks, one chunk behind the other; `starts`, unless null, has as
// much room. Rows inside the window are appended to `rows`, unless all are.
Status SegmentCursor::Impl::DecodeFloats(uint64_t offset, const FloatHead& head, ByteReader* in,
                                         unsigned* references_left, ColumnBatch* batch,
                                         Timestamp* starts, DecodedFloats* out) {
  const auto damaged = [&] { return file.Damaged(offset, "bad column"); };
  DecodedFloats reference;
  if (head.reference) {
    TOCSIN_RETURN_IF_ERROR(LoadReference(offset, head, references_left, batch, &reference));
  }
  if (!SplitChunks(in)) return damaged();
  double* values = NewValues(window.chunk_rows(), batch);
  *out = {.offset = offset, .axis_key = axis_key, .values = values, .chunks = {}};
  rows.clear();
  std::vector<Timestamp> passed_over;
  size_t decoded = 0;
  for (uint64_t c = 0; c < chunks.size(); ++c) {
    Kept& kept = out->chunks.emplace_back();
    kept.first = decoded;
    if (chunks[c].empty() && !(head.constant && head.full)) continue;
    ByteReader chunk(chunks[c]);
    if (!ReadPresence(&chunk, c, head.full, &kept)) return damaged();
    kept.first = decoded;
    if (head.has_starts) {
      if (starts == nullptr) passed_over.resize(kept.count);
      ByteReader section(chunk.String());
      Timestamp* to = starts == nullptr ? passed_over.data() : starts + decoded;
      if (!DecodeIntegers(&section, kept.count, to) || !section.at_end()) return damaged();
    }
    if (head.constant) {
      std::fill_n(values + decoded, kept.count, head.value);
      if (!chunk.ok() || !chunk.at_end()) return damaged();
    } else {
      std::span<const double> told_by;
      if (head.reference) {
        const Kept& same = reference.chunks[c];
        told_by = {reference.values + same.first, same.count};
      }
      if (!chunk.ok() || !DecodeValues(chunk.rest(), kept.count, told_by, values + decoded)) {
        return damaged();
      }
    }
    decoded += kept.count;
  }
  return Status::Ok();
}

Status SegmentCursor::Impl::ReadFloats(const ColumnRef& ref, std::string_view part, TimeRange range,
                                       ColumnBatch* batch, Column* column) {
  const auto damaged = [&] { return file.Damaged(ref.offset, "bad column"); };
  ByteReader in(part);
  const FloatHead head = ReadFloatHead(ref.flags, &in);
  if (!in.ok()) return damaged();
  TOCSIN_RETURN_IF_ERROR(UseAxis(ref.source, head.axis, range, batch));
  column->constant = head.constant;
  column->may_hold_stale = (ref.flags & kColumnMayHoldStale) != 0;
  if (window.empty()) return Status::Ok();
  const uint64_t window_rows = window.end - window.begin;
  if (head.constant && head.full && !head.has_starts) {
    double* values = NewValues(window_rows, batch);
    std::fill_n(values, window_rows, head.value);
    column->timestamps = {window.timestamps + window.begin, window_rows};
    column->values = {values, window_rows};
    return in.at_end() ? Status::Ok() : damaged();
  }
  if (times_only && head.full && !head.has_starts && !column->may_hold_stale) {
    column->constant = false;
    column->timestamps = {window.timestamps + window.begin, window_rows};
    column->values = Zeros(window_rows, batch);
    return Status::Ok();
  }
  // Most columns of half hours: one chunk with all rows, which no other column needs.
  if (head.full && !head.constant && !head.has_starts && !head.reference &&
      window.axis_rows <= kChunkRows && file.meta().level < kMaxSegmentLevel) {
    double* values = NewValues(window.axis_rows, batch);
    if (!DecodeValues(in.rest(), window.axis_rows, {}, values)) return damaged();
    column->timestamps = {window.timestamps + window.begin, window_rows};
    column->values = {values + window.begin, window_rows};
    return Status::Ok();
  }
  Timestamp* starts = head.has_starts ? batch->NewTimestamps(window.chunk_rows()) : nullptr;
  DecodedFloats decoded;
  unsigned references_left = kReferencesMax;
  TOCSIN_RETURN_IF_ERROR(
      DecodeFloats(ref.offset, head, &in, &references_left, batch, starts, &decoded));
  // Samples outside the window come only before those inside (from the first chunk) and behind them
  // (from the last): what is kept lies together.
  size_t kept_begin = 0;
  size_t kept_end = 0;
  for (const Kept& kept : decoded.chunks) {
    if (kept.end <= kept.begin) continue;
    if (kept_end == 0) kept_begin = kept.first + kept.begin;
    kept_end = kept.first + kept.end;
  }
  const size_t count = kept_end - kept_begin;
  if (head.full) {
    // A chunk of a full column is never without samples.
    if (count != window_rows) return damaged();
    column->timestamps = {window.timestamps + window.begin, window_rows};
  } else {
    if (rows.size() != count) return damaged();
    Timestamp* timestamps = batch->NewTimestamps(count);
    for (size_t i = 0; i < count; ++i) timestamps[i] = window.timestamps[rows[i]];
    column->timestamps = {timestamps, count};
  }
  column->values = {decoded.values + kept_begin, count};
  if (head.has_starts) column->start_timestamps = {starts + kept_begin, count};
  // Only days have references.
  if (file.meta().level >= kMaxSegmentLevel) Remember(std::move(decoded));
  return Status::Ok();
}

Status SegmentCursor::Impl::ReadHistograms(const ColumnRef& ref, std::string_view part,
                                           TimeRange range, ColumnBatch* batch, Column* column) {
  const auto damaged = [&] { return file.Damaged(ref.offset, "bad histogram column"); };
  ByteReader in(part);
  const uint8_t flags = in.Fixed8();
  const bool full = (flags & kColumnFull) != 0;
  const bool has_starts = (flags & kColumnStarts) != 0;
  const uint32_t number = (flags & kColumnOwnAxis) != 0 ? in.Varint32() : 0;
  if (!in.ok()) return damaged();
  TOCSIN_RETURN_IF_ERROR(UseAxis(ref.source, number, range, batch));
  if (window.empty()) return Status::Ok();
  if (!SplitChunks(&in)) return damaged();
  std::vector<Timestamp> all_starts;
  std::vector<Timestamp> starts;
  std::vector<const Histogram*> histograms;
  std::vector<Histogram*> wanted;  // of a chunk; null outside the window
  rows.clear();
  for (uint64_t c = 0; c < chunks.size(); ++c) {
    if (chunks[c].empty()) continue;
    ByteReader chunk(chunks[c]);
    Kept kept;
    if (!ReadPresence(&chunk, c, full, &kept)) return damaged();
    if (full) {
      for (size_t i = kept.begin; i < kept.end; ++i) {
        rows.push_back(static_cast<uint32_t>(c * kChunkRows + i));
      }
    }
    if (has_starts) {
      all_starts.resize(kept.count);
      ByteReader section(chunk.String());
      if (!DecodeIntegers(&section, kept.count, all_starts.data()) || !section.at_end()) {
        return damaged();
      }
      starts.insert(starts.end(), all_starts.begin() + static_cast<ptrdiff_t>(kept.begin),
                    all_starts.begin() + static_cast<ptrdiff_t>(kept.end));
    }
    wanted.assign(kept.count, nullptr);
    for (size_t i = kept.begin; i < kept.end; ++i) {
      wanted[i] = batch->NewHistogram();
      histograms.push_back(wanted[i]);
    }
    const bool in_columns = (flags & kHistogramColumns) != 0;
    if (!chunk.ok() || !(in_columns ? DecodeHistograms(chunk.rest(), wanted)
                                    : DecodeHistogramStrings(&chunk, wanted))) {
      return damaged();
    }
  }
  const size_t count = histograms.size();
  if (rows.size() != count) return damaged();
  const Histogram** pointers = batch->NewHistogramPointers(count);
  std::copy(histograms.begin(), histograms.end(), pointers);
  Timestamp* timestamps = batch->NewTimestamps(count);
  for (size_t i = 0; i < count; ++i) timestamps[i] = window.timestamps[rows[i]];
  column->histograms = {pointers, count};
  column->histogram_timestamps = {timestamps, count};
  if (has_starts) {
    Timestamp* copy = batch->NewTimestamps(count);
    std::copy(starts.begin(), starts.end(), copy);
    column->histogram_start_timestamps = {copy, count};
  }
  return Status::Ok();
}

size_t SegmentCursor::place_used() const { return impl_->place_used; }

Status SegmentCursor::Read(const ColumnRef& ref, TimeRange range, ColumnBatch* batch,
                           Column* column, std::span<double> place) {
  Impl& d = *impl_;
  d.place = place;
  d.place_used = 0;
  *column = Column();
  column->may_hold_stale = false;
  TOCSIN_ASSIGN_OR_RETURN_STATUS(std::string_view bytes, d.file.Bytes(ref.offset, ref.length));
  std::string_view floats = bytes;
  std::string_view histograms = bytes;
  if ((ref.flags & kColumnFloats) != 0 && (ref.flags & kColumnHistograms) != 0) {
    ByteReader in(bytes);
    floats = in.String();
    histograms = in.rest();
    if (!in.ok()) return d.file.Damaged(ref.offset, "bad column");
  }
  if ((ref.flags & kColumnFloats) != 0) {
    TOCSIN_RETURN_IF_ERROR(d.ReadFloats(ref, floats, range, batch, column));
  }
  if ((ref.flags & kColumnHistograms) != 0) {
    TOCSIN_RETURN_IF_ERROR(d.ReadHistograms(ref, histograms, range, batch, column));
  }
  return Status::Ok();
}

Status SegmentCursor::ReadRowTimestamps(uint32_t source, std::vector<Timestamp>* out) {
  AxisChunks axis;
  TOCSIN_RETURN_IF_ERROR(impl_->LoadAxis(source, 0, &axis));
  out->resize(axis.rows);
  for (uint64_t c = 0; c < axis.chunks.size(); ++c) {
    if (!DecodeAxisChunk(axis, c, out->data() + c * kChunkRows)) {
      return impl_->file.Damaged(impl_->file.OffsetOf(axis.bytes), "bad axis chunk");
    }
  }
  return Status::Ok();
}

}  // namespace tocsin::tsdb
