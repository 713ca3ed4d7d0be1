#include "tsdb/prometheus/block_writer.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "base/crc32c.h"
#include "tsdb/prometheus/big_endian.h"
#include "tsdb/prometheus/block.h"
#include "tsdb/prometheus/chunk_files.h"

namespace tocsin::tsdb {
namespace {

constexpr uint8_t kIndexVersion = 2;
constexpr uint64_t kPartAlignment = 4;
constexpr std::string_view kUnfinishedSuffix = ".tmp-for-creation";

Status TooLarge(std::string_view what) {
  return Status(Code::kResourceExhausted,
                std::string(what) + " of more than 4 GiB: choose a shorter block duration");
}

}  // namespace

BlockWriter::BlockWriter(Env& env, std::string directory)
    : env_(env), directory_(std::move(directory)), path_([this] {
        meta_.ulid = NewUlid(env_);
        return JoinPath(directory_, meta_.ulid) + std::string(kUnfinishedSuffix);
      }()) {}

BlockWriter::~BlockWriter() {
  if (finished_) return;
  index_.reset();
  chunk_file_.reset();
  // Prometheus removes such directories at its start, too.
  static_cast<void>(env_.RemoveTree(path_));
}

Status BlockWriter::WriteIndex(std::string_view bytes) {
  bytes_ += bytes.size();
  return index_->Append(bytes);
}

Status BlockWriter::WriteIndexPart(std::string_view content) {
  if (content.size() > UINT32_MAX) return TooLarge("a part of the index");
  std::string frame;
  PutBig32(frame, static_cast<uint32_t>(content.size()));
  TOCSIN_RETURN_IF_ERROR(WriteIndex(frame));
  TOCSIN_RETURN_IF_ERROR(WriteIndex(content));
  frame.clear();
  PutBig32(frame, Crc32c(content));
  return WriteIndex(frame);
}

Status BlockWriter::PadIndex(uint64_t alignment) {
  const uint64_t over = index_->size() % alignment;
  return over == 0 ? Status::Ok() : WriteIndex(std::string(alignment - over, '\0'));
}

Status BlockWriter::Open(std::vector<std::string> symbols) {
  symbols_ = std::move(symbols);
  TOCSIN_RETURN_IF_ERROR(env_.CreateDirs(JoinPath(path_, "chunks")));
  TOCSIN_ASSIGN_OR_RETURN_STATUS(
      index_, env_.NewWritableFile(JoinPath(path_, "index"), WriteMode::kTruncate));
  std::string header;
  PutBig32(header, kBlockIndexMagic);
  PutFixed8(header, kIndexVersion);
  TOCSIN_RETURN_IF_ERROR(WriteIndex(header));
  std::string table;
  PutBig32(table, static_cast<uint32_t>(symbols_.size()));
  for (uint32_t i = 0; i < symbols_.size(); ++i) {
    symbol_numbers_.emplace(symbols_[i], i);
    PutString(table, symbols_[i]);
  }
  TOCSIN_RETURN_IF_ERROR(WriteIndexPart(table));
  TOCSIN_RETURN_IF_ERROR(PadIndex(kSeriesAlignment));
  series_offset_ = index_->size();
  meta_.min_ms = std::numeric_limits<int64_t>::max();
  meta_.end_ms = std::numeric_limits<int64_t>::min();
  return Status::Ok();
}

// ----------------------------------------------------------------------------------------------------------
// chunks

void BlockWriter::EndFloats() {
  if (floats_.count() > 0) chunks_.push_back(floats_.Take());
}

void BlockWriter::EndHistograms() {
  if (histograms_ != nullptr && histograms_->count() > 0) chunks_.push_back(histograms_->Take());
}

// In time order, so that a chunk ends where a sample of the other kind comes between.
void BlockWriter::MakeChunks(const model::Column& column) {
  chunks_.clear();
  histograms_.reset();
  size_t h = 0;
  const auto add_histogram = [&] {
    EndFloats();
    if (histograms_ == nullptr) histograms_ = std::make_unique<HistogramChunkWriter>();
    const model::Histogram& histogram = *column.histograms[h];
    if (histograms_->count() == kChunkSamplesMax || !histograms_->Fits(histogram)) EndHistograms();
    histograms_->Append(column.histogram_timestamps[h], histogram);
    ++h;
  };
  for (size_t f = 0; f < column.values.size(); ++f) {
    while (h < column.histograms.size() && column.histogram_timestamps[h] < column.timestamps[f])
      add_histogram();
    EndHistograms();
    floats_.Append(column.timestamps[f], column.values[f]);
    if (floats_.count() == kChunkSamplesMax) EndFloats();
  }
  while (h < column.histograms.size()) add_histogram();
  EndFloats();
  EndHistograms();
}

Status BlockWriter::OpenChunkFile() {
  if (chunk_file_ != nullptr) {
    TOCSIN_RETURN_IF_ERROR(chunk_file_->Sync());
    TOCSIN_RETURN_IF_ERROR(chunk_file_->Close());
  }
  ++chunk_files_;
  TOCSIN_ASSIGN_OR_RETURN_STATUS(
      chunk_file_, env_.NewWritableFile(JoinPath(path_, fmt::format("chunks/{:06}", chunk_files_)),
                                        WriteMode::kTruncate));
  std::string header;
  PutBig32(header, kChunksMagic);
  header.append({1, 0, 0, 0});
  bytes_ += header.size();
  return chunk_file_->Append(header);
}

Status BlockWriter::WriteChunks(std::vector<ChunkPlace>* places) {
  for (const ChunkBytes& chunk : chunks_) {
    std::string bytes;
    PutVarint(bytes, chunk.data.size());
    const size_t checked = bytes.size();
    PutFixed8(bytes, static_cast<uint8_t>(chunk.encoding));
    bytes += chunk.data;
    PutBig32(bytes, Crc32c(std::string_view(bytes).substr(checked)));
    if (chunk_file_ == nullptr || chunk_file_->size() + bytes.size() > kChunkFileBytesMax)
      TOCSIN_RETURN_IF_ERROR(OpenChunkFile());
    places->push_back({chunk.min_ms, chunk.max_ms, (chunk_files_ - 1) << 32 | chunk_file_->size()});
    bytes_ += bytes.size();
    TOCSIN_RETURN_IF_ERROR(chunk_file_->Append(bytes));
    ++meta_.stats.chunks;
  }
  return Status::Ok();
}

// ----------------------------------------------------------------------------------------------------------
// index

Status BlockWriter::WriteSeriesEntry(const model::Labels& labels,
                                     const std::vector<ChunkPlace>& places) {
  TOCSIN_RETURN_IF_ERROR(PadIndex(kSeriesAlignment));
  const uint64_t number = index_->size() / kSeriesAlignment;
  if (number > UINT32_MAX) return TooLarge("the series of an index");
  const auto ref = static_cast<uint32_t>(number);
  std::string entry;
  PutVarint(entry, labels.size());
  for (const model::LabelView& label : labels) {
    const auto name = symbol_numbers_.find(label.name);
    const auto value = symbol_numbers_.find(label.value);
    CHECK(name != symbol_numbers_.end() && value != symbol_numbers_.end());
    PutVarint(entry, name->second);
    PutVarint(entry, value->second);
    postings_[{name->second, value->second}].push_back(ref);
  }
  all_series_.push_back(ref);
  PutVarint(entry, places.size());
  for (size_t i = 0; i < places.size(); ++i) {
    if (i == 0) {
      PutSignedVarint(entry, places[i].min_ms);
    } else {
      PutVarint(entry, static_cast<uint64_t>(places[i].min_ms - places[i - 1].max_ms));
    }
    PutVarint(entry, static_cast<uint64_t>(places[i].max_ms - places[i].min_ms));
    if (i == 0) {
      PutVarint(entry, places[i].ref);
    } else {
      PutSignedVarint(entry, static_cast<int64_t>(places[i].ref - places[i - 1].ref));
    }
  }
  std::string frame;
  PutVarint(frame, entry.size());
  frame += entry;
  PutBig32(frame, Crc32c(entry));
  return WriteIndex(frame);
}

Status BlockWriter::AddSeries(const model::Labels& labels, const model::Column& column) {
  if (column.values.empty() && column.histograms.empty()) return Status::Ok();
  MakeChunks(column);
  std::vector<ChunkPlace> places;
  TOCSIN_RETURN_IF_ERROR(WriteChunks(&places));
  meta_.min_ms = std::min(meta_.min_ms, places.front().min_ms);
  meta_.end_ms = std::max(meta_.end_ms, places.back().max_ms + 1);
  meta_.stats.float_samples += column.values.size();
  meta_.stats.histogram_samples += column.histograms.size();
  ++meta_.stats.series;
  return WriteSeriesEntry(labels, places);
}

// The values of each name. Prometheus reads them from the postings, and expects them all the same.
Status BlockWriter::WriteLabelIndices(std::string* table) {
  std::string entries;
  uint32_t names = 0;
  for (auto it = postings_.begin(); it != postings_.end();) {
    const uint32_t name = it->first.first;
    std::string values;
    uint32_t count = 0;
    for (; it != postings_.end() && it->first.first == name; ++it, ++count)
      PutBig32(values, it->first.second);
    TOCSIN_RETURN_IF_ERROR(PadIndex(kPartAlignment));
    PutVarint(entries, 1);
    PutString(entries, symbols_[name]);
    PutVarint(entries, index_->size());
    ++names;
    std::string part;
    PutBig32(part, 1);
    PutBig32(part, count);
    TOCSIN_RETURN_IF_ERROR(WriteIndexPart(part + values));
  }
  PutBig32(*table, names);
  *table += entries;
  return Status::Ok();
}

Status BlockWriter::WritePostings(std::string* table) {
  PutBig32(*table, static_cast<uint32_t>(postings_.size() + 1));
  const auto write = [&](std::string_view name, std::string_view value,
                         const std::vector<uint32_t>& refs) {
    TOCSIN_RETURN_IF_ERROR(PadIndex(kPartAlignment));
    PutVarint(*table, 2);
    PutString(*table, name);
    PutString(*table, value);
    PutVarint(*table, index_->size());
    std::string part;
    part.reserve(4 + 4 * refs.size());
    PutBig32(part, static_cast<uint32_t>(refs.size()));
    for (const uint32_t ref : refs) PutBig32(part, ref);
    return WriteIndexPart(part);
  };
  TOCSIN_RETURN_IF_ERROR(write("", "", all_series_));
  for (const auto& [pair, refs] : postings_)
    TOCSIN_RETURN_IF_ERROR(write(symbols_[pair.first], symbols_[pair.second], refs));
  return Status::Ok();
}

Status BlockWriter::FinishIndex() {
  std::string label_table;
  std::string postings_table;
  TOCSIN_RETURN_IF_ERROR(PadIndex(kPartAlignment));
  const uint64_t label_indices = index_->size();
  TOCSIN_RETURN_IF_ERROR(WriteLabelIndices(&label_table));
  TOCSIN_RETURN_IF_ERROR(PadIndex(kPartAlignment));
  const uint64_t postings = index_->size();
  TOCSIN_RETURN_IF_ERROR(WritePostings(&postings_table));
  const uint64_t label_table_offset = index_->size();
  TOCSIN_RETURN_IF_ERROR(WriteIndexPart(label_table));
  const uint64_t postings_table_offset = index_->size();
  TOCSIN_RETURN_IF_ERROR(WriteIndexPart(postings_table));
  std::string toc;
  PutBig64(toc, 5);  // symbols stand behind the header
  PutBig64(toc, series_offset_);
  PutBig64(toc, label_indices);
  PutBig64(toc, label_table_offset);
  PutBig64(toc, postings);
  PutBig64(toc, postings_table_offset);
  PutBig32(toc, Crc32c(toc));
  TOCSIN_RETURN_IF_ERROR(WriteIndex(toc));
  TOCSIN_RETURN_IF_ERROR(index_->Sync());
  return index_->Close();
}

Result<BlockMeta> BlockWriter::Finish() {
  TOCSIN_TRY(FinishIndex());
  if (chunk_file_ == nullptr) TOCSIN_TRY(OpenChunkFile());
  TOCSIN_TRY(chunk_file_->Sync());
  TOCSIN_TRY(chunk_file_->Close());
  std::string tombstones;
  PutBig32(tombstones, kTombstonesMagic);
  PutFixed8(tombstones, 1);
  PutBig32(tombstones, Crc32c(""));
  TOCSIN_TRY(env_.WriteFileAtomically(JoinPath(path_, "tombstones"), tombstones));
  meta_.stats.samples = meta_.stats.float_samples + meta_.stats.histogram_samples;
  meta_.sources = {meta_.ulid};
  if (meta_.stats.samples == 0) meta_.min_ms = meta_.end_ms = 0;
  TOCSIN_TRY(env_.WriteFileAtomically(JoinPath(path_, kBlockMetaFile), FormatBlockMeta(meta_)));
  TOCSIN_TRY(env_.SyncDir(JoinPath(path_, "chunks")));
  TOCSIN_TRY(env_.SyncDir(path_));
  TOCSIN_TRY(env_.Rename(path_, JoinPath(directory_, meta_.ulid)));
  finished_ = true;
  TOCSIN_TRY(env_.SyncDir(directory_));
  return meta_;
}

}  // namespace tocsin::tsdb
