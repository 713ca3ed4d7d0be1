#include "tsdb/prometheus/block_index.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "tsdb/prometheus/big_endian.h"

namespace tocsin::tsdb {
namespace {

Status Damaged(std::string_view what, uint64_t offset) {
  return Status(Code::kCorruption,
                "index: " + std::string(what) + " at offset " + std::to_string(offset));
}

}  // namespace

Result<std::string_view> BlockIndex::Part(uint64_t offset, std::string_view what) const {
  if (offset > bytes_.size() || bytes_.size() - offset < 4)
    return Error(Damaged(std::string(what) + " past the end", offset));
  ByteReader in(bytes_.substr(offset));
  const uint32_t length = ReadBig32(in);
  const std::string_view content = in.Bytes(length);
  const uint32_t crc = ReadBig32(in);
  if (!in.ok()) return Error(Damaged(std::string(what) + " past the end", offset));
  if (Crc32c(content) != crc)
    return Error(Damaged(std::string(what) + " with a wrong checksum", offset));
  return content;
}

Status BlockIndex::OpenSymbols(uint64_t offset) {
  TOCSIN_ASSIGN_OR_RETURN_STATUS(symbols_, Part(offset, "symbols"));
  ByteReader in(symbols_);
  const uint32_t count = ReadBig32(in);
  if (version_ == 1) {
    symbols_end_ = offset + 4 + symbols_.size();
    return Status::Ok();
  }
  // Each is a byte at least.
  if (count > in.remaining()) return Damaged("too many symbols", offset);
  symbol_places_.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    symbol_places_.push_back(static_cast<uint32_t>(in.position()));
    in.String();
  }
  return in.ok() ? Status::Ok() : Damaged("symbols end early", offset);
}

Result<std::string_view> BlockIndex::Postings(uint64_t offset) const {
  TOCSIN_ASSIGN_OR_RETURN(const std::string_view postings, Part(offset, "postings"));
  if (postings.size() < 4 || postings.size() % 4 != 0 ||
      LoadBig32(postings.data()) != (postings.size() - 4) / 4) {
    return Error(Damaged("postings of another length than they say", offset));
  }
  return postings.substr(4);
}

Status BlockIndex::FindAllPostings(uint64_t table_offset) {
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::string_view table,
                                 Part(table_offset, "postings offset table"));
  std::vector<uint64_t> lists;
  ByteReader in(table);
  for (uint32_t left = ReadBig32(in); left > 0 && in.ok(); --left) {
    if (in.Varint() != 2) in.Fail();
    const std::string_view name = in.String();
    const std::string_view value = in.String();
    const uint64_t offset = in.Varint();
    if (!in.ok()) break;
    if (name.empty() && value.empty()) {
      TOCSIN_ASSIGN_OR_RETURN_STATUS(all_, Postings(offset));
      return Status::Ok();
    }
    lists.push_back(offset);
  }
  if (!in.ok()) return Damaged("postings offset table ends early", table_offset);
  // Every series is in the list of each of its labels.
  std::sort(lists.begin(), lists.end());
  lists.erase(std::unique(lists.begin(), lists.end()), lists.end());
  for (const uint64_t offset : lists) {
    TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::string_view list, Postings(offset));
    for (size_t at = 0; at < list.size(); at += 4) gathered_.push_back(LoadBig32(list.data() + at));
  }
  std::sort(gathered_.begin(), gathered_.end());
  gathered_.erase(std::unique(gathered_.begin(), gathered_.end()), gathered_.end());
  return Status::Ok();
}

Result<BlockIndex> BlockIndex::Open(std::string_view bytes, int force_version) {
  BlockIndex index;
  index.bytes_ = bytes;
  if (bytes.size() < 5 + kIndexTocBytes || LoadBig32(bytes.data()) != kBlockIndexMagic)
    return Error(Code::kCorruption, "index: no index file of Prometheus");
  index.version_ = force_version != 0 ? force_version : static_cast<uint8_t>(bytes[4]);
  if (index.version_ != 1 && index.version_ != 2) {
    return Error(Code::kUnimplemented,
                 "index: version " + std::to_string(index.version_) + " is not known");
  }
  const std::string_view toc = bytes.substr(bytes.size() - kIndexTocBytes);
  ByteReader in(toc);
  const uint64_t symbols = ReadBig64(in);
  in.Skip(4 * 8);
  const uint64_t postings_table = ReadBig64(in);
  if (ReadBig32(in) != Crc32c(toc.substr(0, kIndexTocBytes - 4)))
    return Error(Damaged("table of contents with a wrong checksum", bytes.size() - kIndexTocBytes));
  TOCSIN_TRY(index.OpenSymbols(symbols));
  TOCSIN_TRY(index.FindAllPostings(postings_table));
  return index;
}

uint64_t BlockIndex::series_ref(uint64_t i) const {
  return gathered_.empty() ? LoadBig32(all_.data() + i * 4) : gathered_[i];
}

Result<std::string_view> BlockIndex::Symbol(uint32_t ref) const {
  ByteReader in;
  if (version_ == 1) {
    // The place in the file.
    if (ref >= symbols_end_) return Error(Damaged("symbol past the table", ref));
    in = ByteReader(bytes_.substr(ref, symbols_end_ - ref));
  } else {
    if (ref >= symbol_places_.size())
      return Error(Code::kCorruption, "index: symbol " + std::to_string(ref) + " of " +
                                          std::to_string(symbol_places_.size()));
    in = ByteReader(symbols_.substr(symbol_places_[ref]));
  }
  const std::string_view text = in.String();
  if (!in.ok()) return Error(Damaged("symbol ends early", ref));
  return text;
}

Status BlockIndex::ReadSeries(uint64_t ref, model::Labels* labels,
                              std::vector<ChunkPlace>* chunks) const {
  const uint64_t offset = version_ == 1 ? ref : ref * kSeriesAlignment;
  if (offset >= bytes_.size()) return Damaged("series past the end", offset);
  ByteReader frame(bytes_.substr(offset));
  const std::string_view content = frame.String();
  const uint32_t crc = ReadBig32(frame);
  if (!frame.ok()) return Damaged("series past the end", offset);
  if (Crc32c(content) != crc) return Damaged("series with a wrong checksum", offset);
  ByteReader in(content);
  const uint64_t label_count = in.Varint();
  if (label_count > kSeriesLabelsMax) return Damaged("series with too many labels", offset);
  std::vector<model::LabelView> views;
  for (uint64_t i = 0; i < label_count; ++i) {
    const uint32_t name = in.Varint32();
    const uint32_t value = in.Varint32();
    if (!in.ok()) return Damaged("series ends early", offset);
    if (labels == nullptr) continue;
    TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::string_view name_text, Symbol(name));
    TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::string_view value_text, Symbol(value));
    views.push_back({name_text, value_text});
  }
  if (labels != nullptr) *labels = model::Labels::FromViews(std::move(views));
  if (chunks == nullptr) return Status::Ok();
  chunks->clear();
  const uint64_t chunk_count = in.Varint();
  if (chunk_count > kSeriesChunksMax) return Damaged("series with too many chunks", offset);
  uint64_t before = 0;  // end of the chunk before
  uint64_t chunk_ref = 0;
  for (uint64_t i = 0; i < chunk_count && in.ok(); ++i) {
    ChunkPlace place;
    const uint64_t begin = i == 0 ? static_cast<uint64_t>(in.SignedVarint()) : before + in.Varint();
    before = begin + in.Varint();
    chunk_ref = i == 0 ? in.Varint() : chunk_ref + static_cast<uint64_t>(in.SignedVarint());
    place.min_ms = static_cast<model::Timestamp>(begin);
    place.max_ms = static_cast<model::Timestamp>(before);
    place.ref = chunk_ref;
    chunks->push_back(place);
  }
  if (!in.ok()) return Damaged("series ends early", offset);
  return Status::Ok();
}

}  // namespace tocsin::tsdb
