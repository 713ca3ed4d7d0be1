#include "tsdb/segment/facts.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "tsdb/codec/values.h"
#include "tsdb/segment/format.h"
#include "tsdb/segment/segment_file.h"

namespace tocsin::tsdb {

using model::Column;
using model::ColumnBatch;
using model::Facts;
using model::Timestamp;

namespace {

// Head of a record.
constexpr uint8_t kRecordFacts = 1;      // clear: nothing else follows
constexpr uint8_t kRecordRegular = 2;    // a sample at every row of the source, no markers
constexpr uint8_t kRecordSingle = 4;     // all values have the same bits
constexpr uint8_t kRecordRising = 8;     // min is first and max is last
constexpr uint8_t kRecordSum = 16;       // the sum follows
constexpr uint8_t kRecordResets = 32;    // resets follow
constexpr uint8_t kRecordNoResets = 64;  // there are too many
constexpr uint8_t kRecordEndsStale = 128;

// Since this version numbers are short doubles, and constants are left to their columns.
constexpr uint8_t kShortFactsVersion = 5;

constexpr uint64_t kExponentBits = 0x7ff0000000000000;
constexpr uint64_t kNegativeZeroBits = 0x8000000000000000;

bool SameBits(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
}

// Differences of damaged or extreme timestamps wrap.
int64_t Minus(Timestamp a, Timestamp b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}
Timestamp Plus(Timestamp a, int64_t b) {
  return static_cast<Timestamp>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}

}  // namespace

void FactsFolder::AddSample(Timestamp t, double value) {
  if (facts_.count == 0) {
    facts_.first_ms = t;
    facts_.first = value;
    facts_.min = facts_.max = value;
  } else if (value < facts_.last) {
    before_resets_.push_back(facts_.last);
    ++facts_.resets;
  }
  if (std::isnan(value)) {
    if (!any_number_) facts_.min = facts_.max = value;
  } else if (!any_number_) {
    facts_.min = facts_.max = value;
    any_number_ = true;
  } else {
    if (!(facts_.min < value)) facts_.min = value;
    if (!(facts_.max > value)) facts_.max = value;
  }
  // Neumaier's compensated sum.
  const double total = sum_ + value;
  if (std::isfinite(total)) {
    compensation_ +=
        std::fabs(sum_) >= std::fabs(value) ? (sum_ - total) + value : (value - total) + sum_;
  } else {
    compensation_ = 0;
  }
  sum_ = total;
  all_finite_ = all_finite_ && std::isfinite(value);
  facts_.last_ms = t;
  facts_.last = value;
  ++facts_.count;
}

bool FactsFolder::AddPlain(std::span<const Timestamp> timestamps, std::span<const double> values) {
  if (facts_.count != 0 || facts_.ends_stale || values.empty()) return false;
  // Markers, NaN, infinities; -0, which as an extreme is not 0.
  uint64_t special = 0;
  for (const double value : values) {
    const auto bits = std::bit_cast<uint64_t>(value);
    special |= (bits & kExponentBits) == kExponentBits || bits == kNegativeZeroBits ? 1 : 0;
  }
  if (special != 0) return false;
  double min = values[0];
  double max = values[0];
  double previous = values[0];
  double sum = 0;
  double compensation = 0;
  uint32_t resets = 0;
  for (const double value : values) {
    resets += value < previous ? 1 : 0;
    previous = value;
    min = min < value ? min : value;
    max = max > value ? max : value;
    // What the addition rounds off, exactly (Knuth): the same as Neumaier's, without a branch.
    const double total = sum + value;
    const double of_value = total - sum;
    compensation += (sum - (total - of_value)) + (value - of_value);
    sum = total;
  }
  if (!std::isfinite(sum) || !std::isfinite(compensation)) return false;
  if (resets > 0) {
    before_resets_.reserve(before_resets_.size() + resets);
    for (size_t i = 1; i < values.size(); ++i) {
      if (values[i] < values[i - 1]) before_resets_.push_back(values[i - 1]);
    }
  }
  sum_ = sum;
  compensation_ = compensation;
  any_number_ = true;
  facts_.count = static_cast<uint32_t>(values.size());
  facts_.resets = resets;
  facts_.min = min;
  facts_.max = max;
  facts_.first = values.front();
  facts_.last = values.back();
  facts_.first_ms = timestamps.front();
  facts_.last_ms = facts_.newest_ms = timestamps.back();
  return true;
}

void FactsFolder::Add(std::span<const Timestamp> timestamps, std::span<const double> values) {
  if (AddPlain(timestamps, values)) return;
  for (size_t i = 0; i < values.size(); ++i) Add(timestamps[i], values[i]);
}

Facts FactsFolder::Take() {
  Facts facts = facts_;
  facts.sum = sum_ + compensation_;
  facts.known = model::kFactFirst | model::kFactExtremes | model::kFactResets;
  if (std::isfinite(facts.sum) || !all_finite_) facts.known |= model::kFactSum;
  facts_ = Facts();
  sum_ = compensation_ = 0;
  all_finite_ = true;
  any_number_ = false;
  return facts;
}

void FactsFolder::Clear() {
  Take();
  before_resets_.clear();
}

std::span<const Facts> FoldByTile(const Column& column, const model::FactsWish& wish,
                                  std::span<const Facts> between, ColumnBatch* batch) {
  FactsFolder folder;
  std::vector<Facts> runs;
  Timestamp tile_end = model::kMinTimestamp;
  size_t next = 0;  // of `between`
  for (size_t i = 0; i < column.values.size(); ++i) {
    const Timestamp t = column.timestamps[i];
    const size_t passed = next;
    while (next < between.size() && between[next].newest_ms < t) ++next;
    if (t > tile_end || next != passed) {
      if (!folder.empty()) runs.push_back(folder.Take());
      tile_end = wish.origin_ms + (wish.TileOf(t) + 1) * wish.tile_ms;
    }
    folder.Add(t, column.values[i]);
  }
  if (!folder.empty()) runs.push_back(folder.Take());
  const std::vector<double>& resets = folder.before_resets();
  double* kept = batch->NewValues(resets.size());
  std::copy(resets.begin(), resets.end(), kept);
  Facts* facts = batch->NewFacts(runs.size());
  for (size_t i = 0; i < runs.size(); ++i) {
    facts[i] = runs[i];
    facts[i].before_resets = kept;
    kept += runs[i].resets;
  }
  return {facts, runs.size()};
}

// ----------------------------------------------------------------------------------------------------------
// writing

void FactsWriter::NextColumn() {
  if (columns_++ % kFactsBlockColumns == 0)
    blocks_.push_back(static_cast<uint32_t>(records_.size()));
}

void FactsWriter::AddConstant() {
  NextColumn();
  PutFixed8(records_, kRecordFacts | kRecordRegular | kRecordSingle | kRecordRising);
}

void FactsWriter::AddColumn(std::span<const Timestamp> rows, const Column& column) {
  NextColumn();
  if (!column.histograms.empty() || column.values.empty()) return PutFixed8(records_, 0);
  folder_.Clear();
  folder_.Add(column.timestamps, column.values);
  const Facts f = folder_.Take();
  const std::vector<double>& resets = folder_.before_resets();
  const bool single = AllSameBits(column.values);
  // Timestamps of a column are its source's rows, or some of them, or its own.
  const bool regular = f.count == rows.size() && !f.ends_stale && f.first_ms == rows.front() &&
                       f.last_ms == rows.back();
  const bool rising = SameBits(f.min, f.first) && SameBits(f.max, f.last);
  const bool sum = !single && (f.known & model::kFactSum) != 0;
  const bool too_many =
      resets.size() > std::min<size_t>(kFactsResetsMax, f.count / kSamplesPerReset);
  PutFixed8(records_, static_cast<uint8_t>(kRecordFacts | (regular ? kRecordRegular : 0) |
                                           (single ? kRecordSingle : 0) |
                                           (rising ? kRecordRising : 0) | (sum ? kRecordSum : 0) |
                                           (!resets.empty() && !too_many ? kRecordResets : 0) |
                                           (too_many ? kRecordNoResets : 0) |
                                           (f.ends_stale ? kRecordEndsStale : 0)));
  if (!regular) {
    const Timestamp base = rows.empty() ? 0 : rows.front();
    PutVarint(records_, f.count);
    if (f.count > 0) {
      PutSignedVarint(records_, Minus(f.first_ms, base));
      PutSignedVarint(records_, Minus(f.last_ms, f.first_ms));
    }
    if (f.ends_stale) PutSignedVarint(records_, Minus(f.newest_ms, base));
  }
  if (f.count == 0) return;
  // A constant's column has its value in front.
  if (!single) {
    PutShortDouble(records_, f.first);
    PutShortDouble(records_, f.last);
    if (!rising) {
      PutShortDouble(records_, f.min);
      PutShortDouble(records_, f.max);
    }
  }
  if (sum) PutShortDouble(records_, f.sum);
  if (!resets.empty() && !too_many) {
    PutVarint(records_, resets.size());
    for (const double value : resets) PutShortDouble(records_, value);
  }
}

std::string FactsWriter::Finish() const {
  std::string section;
  PutVarint(section, columns_);
  const size_t records_at = section.size() + blocks_.size() * sizeof(uint32_t);
  for (const uint32_t offset : blocks_)
    PutFixed32(section, static_cast<uint32_t>(records_at + offset));
  return section + records_;
}

// ----------------------------------------------------------------------------------------------------------
// reading

Status FactsReader::Open() {
  opened_ = true;
  TOCSIN_ASSIGN_OR_RETURN_STATUS(section_, file_.ExtraBytes(ExtraSection::kFacts));
  if (section_.empty()) return Status::Ok();
  ByteReader in(section_);
  const uint64_t columns = in.Varint();
  const uint64_t blocks = (columns + kFactsBlockColumns - 1) / kFactsBlockColumns;
  if (!in.ok() || columns != file_.meta().column_count ||
      blocks > in.remaining() / sizeof(uint32_t)) {
    return file_.Damaged(file_.OffsetOf(section_), "bad facts section");
  }
  columns_ = columns;
  offsets_ = in.Bytes(blocks * sizeof(uint32_t));
  next_column_ = UINT32_MAX;
  return Status::Ok();
}

Status FactsReader::UseRows(uint32_t source) {
  if (source == rows_source_) return Status::Ok();
  rows_source_ = UINT32_MAX;
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::string_view bytes, file_.AxisBytes(source, 0));
  if (!DecodeAxisTable(bytes, &rows_)) return file_.Damaged(file_.OffsetOf(bytes), "bad axis");
  rows_source_ = source;
  return Status::Ok();
}

Status FactsReader::Read(const ColumnRef& ref, ColumnBatch* batch, Facts* facts) {
  if (!opened_) TOCSIN_RETURN_IF_ERROR(Open());
  *facts = Facts();
  if (ref.number >= columns_) return Status::Ok();
  if (ref.number < next_column_ ||
      ref.number / kFactsBlockColumns != next_column_ / kFactsBlockColumns) {
    const uint32_t block = ref.number / kFactsBlockColumns;
    const auto offset = LoadFixed<uint32_t>(offsets_.data() + block * sizeof(uint32_t));
    if (offset > section_.size()) return file_.Damaged(file_.OffsetOf(section_), "bad facts block");
    records_ = ByteReader(section_.substr(offset));
    next_column_ = block * kFactsBlockColumns;
  }
  for (; next_column_ <= ref.number; ++next_column_) {
    const Status status = Decode(ref, next_column_ == ref.number, &records_, batch, facts);
    if (!status.ok()) {
      next_column_ = UINT32_MAX;
      return status;
    }
  }
  return Status::Ok();
}

Status FactsReader::Verify(const ColumnRef& ref, const Column& column, ColumnBatch* batch) {
  Facts stored;
  TOCSIN_RETURN_IF_ERROR(Read(ref, batch, &stored));
  if (!column.histograms.empty()) return Status::Ok();
  FactsFolder folder;
  folder.Add(column.timestamps, column.values);
  const Facts f = folder.Take();
  const bool same =
      f.count == stored.count && f.newest_ms == stored.newest_ms &&
      f.ends_stale == stored.ends_stale &&
      (f.count == 0 || (f.first_ms == stored.first_ms && f.last_ms == stored.last_ms &&
                        SameBits(f.first, stored.first) && SameBits(f.last, stored.last) &&
                        SameBits(f.min, stored.min) && SameBits(f.max, stored.max) &&
                        (f.resets == stored.resets || (stored.known & model::kFactResets) == 0)));
  return same ? Status::Ok() : file_.Damaged(ref.offset, "facts that are not the column's");
}

double FactsReader::ReadNumber(ByteReader* in) const {
  return file_.version() >= kShortFactsVersion ? ReadShortDouble(in) : ReadPackedDouble(in);
}

Status FactsReader::ReadConstant(const ColumnRef& ref, double* value) const {
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::string_view bytes, file_.Bytes(ref.offset, ref.length));
  ByteReader in(bytes);
  if ((ref.flags & kColumnOwnAxis) != 0) in.Varint32();
  *value = ReadPackedDouble(&in);
  const bool constant = (ref.flags & kColumnConstant) != 0 && in.ok();
  return constant ? Status::Ok() : file_.Damaged(ref.offset, "facts of a constant");
}

Status FactsReader::Decode(const ColumnRef& ref, bool wanted, ByteReader* in, ColumnBatch* batch,
                           Facts* facts) {
  *facts = Facts();
  const uint8_t head = in->Fixed8();
  const bool regular = (head & kRecordRegular) != 0;
  const bool single = (head & kRecordSingle) != 0;
  facts->ends_stale = (head & kRecordEndsStale) != 0;
  if ((head & kRecordFacts) != 0) {
    TOCSIN_RETURN_IF_ERROR(UseRows(ref.source));
    const Timestamp base = rows_.rows == 0 ? 0 : rows_.chunks.front().first;
    if (regular) {
      facts->count = static_cast<uint32_t>(rows_.rows);
      facts->first_ms = base;
      facts->last_ms = rows_.last;
    } else {
      facts->count = in->Varint32();
      if (facts->count > 0) {
        facts->first_ms = Plus(base, in->SignedVarint());
        facts->last_ms = Plus(facts->first_ms, in->SignedVarint());
      }
    }
    facts->newest_ms = facts->ends_stale ? Plus(base, in->SignedVarint()) : facts->last_ms;
  }
  if (facts->count > 0) {
    facts->known = model::kFactFirst | model::kFactExtremes;
    if ((head & kRecordNoResets) == 0) facts->known |= model::kFactResets;
    if (!single || file_.version() < kShortFactsVersion) {
      facts->first = ReadNumber(in);
    } else if (wanted) {
      TOCSIN_RETURN_IF_ERROR(ReadConstant(ref, &facts->first));
    }
    facts->last = facts->min = facts->max = facts->first;
    if (!single) {
      facts->last = ReadNumber(in);
      const bool rising = (head & kRecordRising) != 0;
      facts->min = rising ? facts->first : ReadNumber(in);
      facts->max = rising ? facts->last : ReadNumber(in);
    }
    if ((head & kRecordSum) != 0) facts->sum = ReadNumber(in);
    if (single) facts->sum = 0.0 + facts->first * facts->count;  // no -0
    if ((head & kRecordSum) != 0 ||
        (single && (std::isfinite(facts->sum) || !std::isfinite(facts->first))))
      facts->known |= model::kFactSum;
    if ((head & kRecordResets) != 0) {
      const uint64_t resets = in->Varint();
      if (resets > kFactsResetsMax) in->Fail();
      double* values = in->ok() ? batch->NewValues(resets) : nullptr;
      facts->before_resets = values;
      for (uint64_t i = 0; in->ok() && i < resets; ++i) values[i] = ReadNumber(in);
      facts->resets = static_cast<uint32_t>(resets);
    }
  }
  return in->ok() ? Status::Ok() : file_.Damaged(file_.OffsetOf(section_), "bad facts record");
}

}  // namespace tocsin::tsdb
