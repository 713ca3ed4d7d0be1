#include "tsdb/segment/writer.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <functional>
#include <map>
#include <numeric>
#include <optional>
#include <tuple>
#include <unordered_map>

#include "base/check.h"
#include "base/env.h"
#include "tsdb/codec/values.h"
#include "tsdb/segment/column_codec.h"
#include "tsdb/segment/directory_writer.h"
#include "tsdb/segment/facts.h"
#include "tsdb/segment/format.h"
#include "tsdb/segment/index_writer.h"
#include "tsdb/segment/page_sink.h"
#include "tsdb/segment/reference_chooser.h"
#include "tsdb/segment/section_packing.h"

namespace tocsin::tsdb {
namespace {

using model::Column;
using model::Labels;
using model::Timestamp;

// 32-bit offsets inside a section bound its size.
constexpr uint64_t kSectionBytesMax = UINT32_MAX;
// The directory stores lengths of columns in 32 bits.
constexpr size_t kColumnBytesMax = UINT32_MAX;

bool AnySet(std::span<const Timestamp> starts) {
  return std::any_of(starts.begin(), starts.end(), [](Timestamp t) { return t != 0; });
}

bool Ascending(std::span<const Timestamp> timestamps) {
  return std::adjacent_find(timestamps.begin(), timestamps.end(), std::greater_equal<>()) ==
         timestamps.end();
}

// Where `timestamps` lie among `rows`; false when one of them is not there.
bool FindPlaces(std::span<const Timestamp> timestamps, std::span<const Timestamp> rows,
                RowPlaces* places) {
  places->full = false;
  places->rows.clear();
  if (timestamps.size() > rows.size()) return false;
  if (timestamps.size() == rows.size()) {
    places->full = timestamps.data() == rows.data() ||
                   std::memcmp(timestamps.data(), rows.data(), rows.size_bytes()) == 0;
    return places->full;
  }
  size_t row = 0;
  for (const Timestamp t : timestamps) {
    while (row < rows.size() && rows[row] < t) ++row;
    if (row == rows.size() || rows[row] != t) return false;
    places->rows.push_back(static_cast<uint32_t>(row++));
  }
  return true;
}

}  // namespace

struct SegmentWriter::Impl {
  struct Source {
    std::span<const Timestamp> rows;  // unless Options::rows_of
    model::TimeRange range;           // of the rows
    // Own axes by content; number 0 is the rows.
    std::unordered_map<uint64_t, uint32_t> own_axes;
    std::vector<uint64_t> axis_rows;
  };
  struct Waiting {
    uint32_t source;
    uint32_t key;
    uint64_t position;  // in `encoded`
    uint32_t length;
    uint8_t flags;
  };

  Impl(Env& e, std::string p, SegmentMeta m, Options o)
      : env(e), path(std::move(p)), meta(std::move(m)), options(o) {}

  void CountSamples(uint64_t samples, model::TimeRange range);
  std::span<const Timestamp> RowsOf(uint32_t source);
  // The axis of `timestamps` in the source, written first if need be.
  uint32_t PlaceOnAxis(uint32_t source, std::span<const Timestamp> timestamps, RowPlaces* places);
  // A reader would refuse what does not ascend: then there is no file at all, and the rows stay.
  void EncodeAxisChecked(std::span<const Timestamp> timestamps, std::string* out);
  uint32_t AxisFor(uint32_t source, std::span<const Timestamp> timestamps);
  uint8_t EncodeFloats(uint32_t source, uint32_t key, const Column& column, std::string* out);
  // The part of a column's floats behind the axis number, with a reference if that is smaller: true
  // then. `column`: source, family and axis are set.
  bool EncodeFloatPart(ReferenceChooser::Candidate column, PartInput part, std::string* out);
  // Days are kept, and their columns come in file order: worth the effort.
  bool Thorough() const { return options.sorted_input && meta.level >= kMaxSegmentLevel; }
  Effort effort() const { return Thorough() ? Effort::kSmall : Effort::kFast; }
  void EncodeHistograms(uint32_t source, const Column& column, std::string* out);
  // Directory and data of the next column in file order.
  void WriteColumn(uint32_t source, uint32_t key, uint8_t flags, std::string_view bytes);
  void SortKeys();
  void SortSources();
  void SortColumns();
  void WriteWaiting();
  bool SortedDictionary() const { return options.sorted_input || options.sorted_dictionary; }
  void WriteIndex();
  Status WriteEnd();

  Env& env;
  const std::string path;
  SegmentMeta meta;
  const Options options;
  std::unique_ptr<PageSink> sink;
  Status status;
  bool finished = false;

  std::vector<SourceRecord> records;
  std::vector<Source> sources;
  std::vector<Labels> keys;
  std::vector<uint32_t> families;  // of keys, in final order
  std::unordered_map<Labels, uint32_t, model::LabelsHash> key_ids;
  std::string encoded;  // columns that wait
  std::vector<Waiting> waiting;
  uint32_t asked_source = kNoId;  // whose rows Options::rows_of gave last
  std::vector<Timestamp> asked_rows;
  RowPlaces places;
  std::string scratch;
  ReferenceChooser chooser;
  // What the column just encoded is to later ones; unset when it is no use.
  std::optional<ReferenceChooser::Candidate> candidate;

  FactsWriter facts;
  Footer footer;
  std::map<uint32_t, std::string> extra;
  DirectoryWriter directory;
  std::tuple<uint32_t, uint32_t, uint32_t> last_column;  // family, source, key
};

SegmentWriter::SegmentWriter(Env& env, std::string path, SegmentMeta meta, Options options)
    : impl_(std::make_unique<Impl>(env, std::move(path), std::move(meta), options)) {}

SegmentWriter::~SegmentWriter() {
  if (impl_->finished || impl_->sink == nullptr) return;
  impl_->sink.reset();
  // A file without a footer is no segment: readers would put it aside.
  static_cast<void>(impl_->env.Remove(impl_->path));
}

Status SegmentWriter::Open() {
  Impl& d = *impl_;
  auto file = d.env.NewWritableFile(d.path, WriteMode::kTruncate);
  if (!file) return file.error().Annotate("segment " + d.path);
  d.sink = std::make_unique<PageSink>(std::move(*file));
  d.meta.range = {model::kMaxTimestamp, model::kMinTimestamp};
  std::string header(kSegmentMagic);
  PutFixed8(header, kSegmentFormatVersion);
  header.append(7, '\0');
  header.append(reinterpret_cast<const char*>(d.meta.id.bytes.data()), d.meta.id.bytes.size());
  d.sink->Append(header);
  return Status::Ok();
}

uint32_t SegmentWriter::AddSource(const model::Origin& origin, const Labels& labels,
                                  std::span<const Timestamp> row_timestamps) {
  Impl& d = *impl_;
  const auto id = static_cast<uint32_t>(d.sources.size());
  CHECK(!d.SortedDictionary() || d.records.empty() ||
        SourceOrder(d.records.back().labels, d.records.back().origin, labels, origin));
  d.sources.push_back({d.options.rows_of ? std::span<const Timestamp>() : row_timestamps,
                       row_timestamps.empty()
                           ? model::TimeRange{1, 0}
                           : model::TimeRange{row_timestamps.front(), row_timestamps.back()},
                       {},
                       {row_timestamps.size()}});
  d.scratch.clear();
  d.EncodeAxisChecked(row_timestamps, &d.scratch);
  d.records.push_back({origin, labels, {{d.sink->offset(), d.scratch.size()}}});
  d.sink->Append(d.scratch);
  return id;
}

uint32_t SegmentWriter::AddKey(const Labels& labels) {
  Impl& d = *impl_;
  const auto id = static_cast<uint32_t>(d.keys.size());
  if (!d.SortedDictionary()) {
    const auto [known, fresh] = d.key_ids.try_emplace(labels, id);
    if (fresh) d.keys.push_back(labels);
    return known->second;
  }
  if (id > 0 && d.keys.back() == labels) return id - 1;
  CHECK(id == 0 || KeyOrder(d.keys.back(), labels));
  const bool same_family =
      id > 0 && MetricFamily(d.keys.back().MetricName()) == MetricFamily(labels.MetricName());
  d.families.push_back(id == 0 ? 0 : d.families.back() + (same_family ? 0 : 1));
  d.keys.push_back(labels);
  return id;
}

size_t SegmentWriter::buffered_bytes() const {
  return impl_->encoded.size() + impl_->waiting.size() * sizeof(Impl::Waiting);
}

void SegmentWriter::Impl::CountSamples(uint64_t samples, model::TimeRange range) {
  if (samples == 0) return;
  meta.sample_count += samples;
  meta.range.min_ms = std::min(meta.range.min_ms, range.min_ms);
  meta.range.max_ms = std::max(meta.range.max_ms, range.max_ms);
}

void SegmentWriter::Impl::EncodeAxisChecked(std::span<const Timestamp> timestamps,
                                            std::string* out) {
  if (!Ascending(timestamps) && status.ok()) {
    status = Status(Code::kInternal, "timestamps do not ascend strictly");
  }
  EncodeAxis(timestamps, effort(), out);
}

uint32_t SegmentWriter::Impl::AxisFor(uint32_t source, std::span<const Timestamp> timestamps) {
  // Seeded by the file's id: nobody can make up two axes of one hash.
  const uint64_t seed = LoadFixed<uint64_t>(reinterpret_cast<const char*>(meta.id.bytes.data()));
  const uint64_t hash = XXH3_64bits_withSeed(timestamps.data(), timestamps.size_bytes(), seed);
  Source& s = sources[source];
  const auto number = static_cast<uint32_t>(s.axis_rows.size());
  const auto [known, fresh] = s.own_axes.try_emplace(hash, number);
  if (!fresh && s.axis_rows[known->second] == timestamps.size()) return known->second;
  known->second = number;
  s.axis_rows.push_back(timestamps.size());
  std::string axis;
  EncodeAxisChecked(timestamps, &axis);
  records[source].axes.push_back({sink->offset(), axis.size()});
  sink->Append(axis);
  return number;
}

std::span<const Timestamp> SegmentWriter::Impl::RowsOf(uint32_t source) {
  if (!options.rows_of) return sources[source].rows;
  if (source != asked_source) {
    asked_source = source;
    asked_rows.clear();
    const Status asked = options.rows_of(source, &asked_rows);
    if (status.ok()) status = asked;
  }
  return asked_rows;
}

uint32_t SegmentWriter::Impl::PlaceOnAxis(uint32_t source, std::span<const Timestamp> timestamps,
                                          RowPlaces* where) {
  if (FindPlaces(timestamps, RowsOf(source), where)) return 0;
  where->full = true;
  where->rows.clear();
  return AxisFor(source, timestamps);
}

bool SegmentWriter::Impl::EncodeFloatPart(ReferenceChooser::Candidate column, PartInput part,
                                          std::string* out) {
  column.offset = sink->offset();
  column.places = *part.places;
  column.values.assign(part.values.begin(), part.values.end());
  column.hash = ReferenceChooser::HashOf(column.source, part.values);
  column.steps = ReferenceChooser::StepsOf(part.values);
  const ReferenceChooser::Choice choice = chooser.Choose(column);
  part.reference = choice.values;
  std::string body;
  const bool uses_reference = EncodePart(part, &body);
  if (uses_reference) {
    EncodeReference(choice.reference, out);
    column.decodes = choice.decodes;
  }
  out->append(body);
  // Whoever is told by the same values is told by the first that has them.
  if (!choice.equal) candidate = std::move(column);
  return uses_reference;
}

uint8_t SegmentWriter::Impl::EncodeFloats(uint32_t source, uint32_t key, const Column& column,
                                          std::string* out) {
  const uint32_t axis = PlaceOnAxis(source, column.timestamps, &places);
  const bool constant = AllSameBits(column.values);
  const bool starts = AnySet(column.start_timestamps);
  const bool stale = column.may_hold_stale &&
                     std::any_of(column.values.begin(),
                                 column.values.begin() +
                                     (constant ? 1 : static_cast<ptrdiff_t>(column.values.size())),
                                 [](double v) { return model::IsStale(v); });
  if (axis != 0) PutVarint(*out, axis);
  const PartInput part{.axis_rows = sources[source].axis_rows[axis],
                       .places = &places,
                       .starts = starts ? column.start_timestamps : std::span<const Timestamp>(),
                       .values = column.values,
                       .histograms = {},
                       .constant = constant,
                       .effort = effort(),
                       .reference = {}};
  bool reference = false;
  if (Thorough() && !constant && column.histograms.empty()) {
    ReferenceChooser::Candidate told;
    told.source = source;
    told.family = families[key];
    told.axis = axis;
    reference = EncodeFloatPart(std::move(told), part, out);
  } else {
    EncodePart(part, out);
  }
  return static_cast<uint8_t>(kColumnFloats | (constant ? kColumnConstant : 0) |
                              (stale ? kColumnMayHoldStale : 0) | (starts ? kColumnStarts : 0) |
                              (places.full ? kColumnFull : 0) | (axis != 0 ? kColumnOwnAxis : 0) |
                              (reference ? kColumnReference : 0));
}

void SegmentWriter::Impl::EncodeHistograms(uint32_t source, const Column& column,
                                           std::string* out) {
  const uint32_t axis = PlaceOnAxis(source, column.histogram_timestamps, &places);
  const bool starts = AnySet(column.histogram_start_timestamps);
  PutFixed8(*out, static_cast<uint8_t>(kHistogramColumns | (starts ? kColumnStarts : 0) |
                                       (places.full ? kColumnFull : 0) |
                                       (axis != 0 ? kColumnOwnAxis : 0)));
  if (axis != 0) PutVarint(*out, axis);
  EncodePart({.axis_rows = sources[source].axis_rows[axis],
              .places = &places,
              .starts = starts ? column.histogram_start_timestamps : std::span<const Timestamp>(),
              .values = {},
              .histograms = column.histograms,
              .effort = effort(),
              .reference = {}},
             out);
}

void SegmentWriter::AddColumn(uint32_t source, uint32_t key, const Column& column) {
  Impl& d = *impl_;
  DCHECK(source < d.sources.size() && key < d.keys.size());
  DCHECK(column.timestamps.size() == column.values.size());
  DCHECK(column.histogram_timestamps.size() == column.histograms.size());
  for (const auto timestamps : {column.timestamps, column.histogram_timestamps}) {
    if (timestamps.empty()) continue;
    d.CountSamples(timestamps.size(), {timestamps.front(), timestamps.back()});
  }
  uint8_t flags = 0;
  d.scratch.clear();
  d.candidate.reset();
  if (!column.timestamps.empty()) flags |= d.EncodeFloats(source, key, column, &d.scratch);
  if (!column.histogram_timestamps.empty()) {
    if (flags != 0) {
      std::string length;
      PutVarint(length, d.scratch.size());
      d.scratch.insert(0, length);
    }
    d.EncodeHistograms(source, column, &d.scratch);
    flags |= kColumnHistograms;
  }
  if (flags == 0) return;
  if (d.options.facts) d.facts.AddColumn(d.RowsOf(source), column);
  if (d.scratch.size() > kColumnBytesMax) {
    d.status = Status(Code::kResourceExhausted, "a column of more than 4 GiB");
    return;
  }
  if (d.options.sorted_input) {
    if (d.candidate) {
      d.candidate->length = static_cast<uint32_t>(d.scratch.size());
      d.candidate->flags = flags;
      d.chooser.Add(*std::exchange(d.candidate, std::nullopt));
    }
    d.WriteColumn(source, key, flags, d.scratch);
    return;
  }
  d.waiting.push_back(
      {source, key, d.encoded.size(), static_cast<uint32_t>(d.scratch.size()), flags});
  d.encoded += d.scratch;
}

std::span<const Timestamp> SegmentWriter::RowsOf(uint32_t source) { return impl_->RowsOf(source); }

void SegmentWriter::AddConstant(uint32_t source, uint32_t key, double value) {
  Impl& d = *impl_;
  DCHECK(d.options.sorted_input && !model::IsStale(value));
  const Impl::Source& rows = d.sources[source];
  d.CountSamples(rows.axis_rows[0], rows.range);
  d.scratch.clear();
  PutPackedDouble(d.scratch, value);
  if (d.options.facts) d.facts.AddConstant();
  d.WriteColumn(source, key, kColumnFloats | kColumnConstant | kColumnFull, d.scratch);
}

void SegmentWriter::AddEncodedColumn(uint32_t source, uint32_t key, uint8_t flags,
                                     std::string_view bytes, uint64_t samples,
                                     model::TimeRange range) {
  Impl& d = *impl_;
  DCHECK(d.options.sorted_input);
  if (bytes.size() > kColumnBytesMax) {
    d.status = Status(Code::kResourceExhausted, "a column of more than 4 GiB");
    return;
  }
  d.CountSamples(samples, range);
  d.WriteColumn(source, key, flags, bytes);
}

void SegmentWriter::Impl::WriteColumn(uint32_t source, uint32_t key, uint8_t flags,
                                      std::string_view bytes) {
  DCHECK(meta.column_count == 0 || last_column < std::tuple(families[key], source, key));
  last_column = {families[key], source, key};
  const uint64_t offset = sink->offset();
  sink->Append(bytes);
  directory.Add(source, key, flags, offset, bytes.size());
  ++meta.column_count;
}

// The next three give sources, keys and waiting columns their places in the file.
void SegmentWriter::Impl::SortSources() {
  std::vector<uint32_t> order(records.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [this](uint32_t a, uint32_t b) {
    return SourceOrder(records[a].labels, records[a].origin, records[b].labels, records[b].origin);
  });
  std::vector<uint32_t> final_id(records.size());
  std::vector<SourceRecord> sorted(records.size());
  for (uint32_t i = 0; i < order.size(); ++i) {
    final_id[order[i]] = i;
    sorted[i] = std::move(records[order[i]]);
  }
  records = std::move(sorted);
  for (Waiting& column : waiting) column.source = final_id[column.source];
}

void SegmentWriter::Impl::SortKeys() {
  KeyPlaces places_of_keys = tsdb::SortKeys(&keys);
  families = std::move(places_of_keys.families);
  for (Waiting& column : waiting) column.key = places_of_keys.place[column.key];
}

void SegmentWriter::Impl::SortColumns() {
  std::sort(waiting.begin(), waiting.end(), [this](const Waiting& a, const Waiting& b) {
    return std::tuple(families[a.key], a.source, a.key) <
           std::tuple(families[b.key], b.source, b.key);
  });
}

void SegmentWriter::Impl::WriteWaiting() {
  SortColumns();
  for (const Waiting& column : waiting) {
    WriteColumn(column.source, column.key, column.flags,
                std::string_view(encoded).substr(column.position, column.length));
  }
  waiting.clear();
  encoded.clear();
}

void SegmentWriter::WriteWaiting() {
  CHECK(impl_->options.sorted_dictionary);
  impl_->WriteWaiting();
}

void SegmentWriter::Impl::WriteIndex() {
  std::vector<bool> source_used = directory.sources();
  std::vector<bool> key_used = directory.keys();
  source_used.resize(records.size());
  key_used.resize(keys.size());
  const IndexWriter index(records, keys, meta.fingerprint_seed, std::move(source_used),
                          std::move(key_used));
  // By Section.
  const std::array<std::string, kSectionCount> sections = {
      index.Symbols(),     index.Sources(),     index.Keys(),      index.SourcePostings(),
      index.KeyPostings(), directory.columns(), directory.blocks()};
  uint64_t total = 0;
  for (const std::string& bytes : sections) {
    total += bytes.size();
    if (bytes.size() > kSectionBytesMax && status.ok()) {
      status = Status(Code::kResourceExhausted, "an index section of more than 4 GiB");
    }
  }
  SectionPacker packer(meta.level > 0);
  std::string packed;
  for (size_t s = 0; s < kSectionCount; ++s) {
    const bool pack = total <= kPackedIndexMax && packer.Pack(sections[s], &packed);
    const std::string& bytes = pack ? packed : sections[s];
    footer.sections[s] = {sink->offset(), bytes.size(), pack ? sections[s].size() : 0};
    sink->Append(bytes);
  }
}

Status SegmentWriter::Impl::WriteEnd() {
  if (!SortedDictionary()) {
    SortSources();
    SortKeys();
  }
  WriteWaiting();
  directory.Finish();
  meta.source_count = records.size();
  meta.key_count = keys.size();
  if (meta.sample_count == 0) meta.range = {1, 0};
  meta.deletes_applied = std::max(meta.deletes_applied, meta.commit());
  WriteIndex();
  if (options.facts) extra[static_cast<uint32_t>(ExtraSection::kFacts)] = facts.Finish();
  for (const auto& [number, bytes] : extra) {
    footer.extra[number] = {sink->offset(), bytes.size()};
    sink->Append(bytes);
  }

  std::string page_table;
  for (const uint32_t crc : sink->EndPages()) PutFixed32(page_table, crc);
  footer.page_table_offset = sink->offset();
  footer.page_table_crc = Crc32c(page_table);
  footer.meta = meta;
  std::string footer_bytes;
  EncodeFooter(footer, &footer_bytes);
  std::string trailer;
  PutFixed32(trailer, static_cast<uint32_t>(footer_bytes.size()));
  PutFixed32(trailer, Crc32c(footer_bytes));
  PutFixed8(trailer, kSegmentFormatVersion);
  trailer.append(7, '\0');
  trailer += kSegmentEndMagic;
  sink->AppendUnpaged(page_table);
  sink->AppendUnpaged(footer_bytes);
  sink->AppendUnpaged(trailer);
  meta.file_bytes = sink->offset();
  TOCSIN_RETURN_IF_ERROR(status);
  return sink->SyncAndClose();
}

void SegmentWriter::AddSection(ExtraSection number, std::string bytes) {
  impl_->extra[static_cast<uint32_t>(number)] = std::move(bytes);
}

Result<SegmentMeta> SegmentWriter::Finish() {
  Impl& d = *impl_;
  TOCSIN_TRY(d.WriteEnd().Annotate("segment " + d.path));
  d.finished = true;
  return d.meta;
}

}  // namespace tocsin::tsdb
