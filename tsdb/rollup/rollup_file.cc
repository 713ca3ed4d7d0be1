#include "tsdb/rollup/rollup_file.h"

#include "base/duration.h"
#include "tsdb/segment/format.h"

namespace tocsin::tsdb {

using model::ColumnBatch;
using model::Facts;

std::string BucketText(int64_t bucket_ms) { return FormatDuration(bucket_ms); }

std::string RollupFileName(const SegmentMeta& meta, int64_t bucket_ms) {
  // As the segment's, with the resolution for the level.
  const std::string name = SegmentFileName(meta);
  const size_t level_end = name.find('-');
  return BucketText(bucket_ms) +
         name.substr(level_end, name.size() - level_end - kSegmentSuffix.size()) +
         std::string(kRollupSuffix);
}

std::string EncodeRollupSection(const RollupInfo& info,
                                const std::vector<std::string>& source_buckets) {
  std::string section;
  PutVarint(section, static_cast<uint64_t>(info.bucket_ms));
  section.append(reinterpret_cast<const char*>(info.input.bytes.data()), info.input.bytes.size());
  PutVarint(section, info.input_bytes);
  PutVarint(section, info.input_samples);
  PutVarint(section, source_buckets.size());
  size_t offset = section.size() + (source_buckets.size() + 1) * sizeof(uint32_t);
  for (const std::string& buckets : source_buckets) {
    PutFixed32(section, static_cast<uint32_t>(offset));
    offset += buckets.size();
  }
  PutFixed32(section, static_cast<uint32_t>(offset));
  for (const std::string& buckets : source_buckets) section += buckets;
  return section;
}

Result<std::shared_ptr<const RollupFile>> RollupFile::Open(Env& env, const std::string& path,
                                                           uint64_t fingerprint_seed) {
  return Create(SegmentReader::Open(env, path, fingerprint_seed));
}

Result<std::shared_ptr<const RollupFile>> RollupFile::OpenBytes(std::string_view bytes,
                                                                const std::string& name,
                                                                uint64_t fingerprint_seed,
                                                                bool verify_checksums) {
  return Create(SegmentReader::OpenBytes(bytes, name, fingerprint_seed, verify_checksums));
}

Result<std::shared_ptr<const RollupFile>> RollupFile::Create(
    Result<std::shared_ptr<const SegmentReader>> segment) {
  if (!segment) return Error(segment.error());
  std::shared_ptr<RollupFile> file(new RollupFile());
  file->segment_ = std::static_pointer_cast<const SegmentFile>(*segment);
  TOCSIN_TRY(file->ReadInfo());
  // A rollup that opens can stand for its samples; one that does not is made anew.
  TOCSIN_TRY(file->segment_->VerifyIndex());
  return std::shared_ptr<const RollupFile>(std::move(file));
}

Status RollupFile::ReadInfo() {
  TOCSIN_ASSIGN_OR_RETURN_STATUS(section_, segment_->ExtraBytes(ExtraSection::kRollup));
  ByteReader in(section_);
  const uint64_t bucket_ms = in.Varint();
  const std::string_view input = in.Bytes(info_.input.bytes.size());
  std::copy(input.begin(), input.end(), info_.input.bytes.begin());
  info_.input_bytes = in.Varint();
  info_.input_samples = in.Varint();
  const uint64_t sources = in.Varint();
  static constexpr uint64_t kBucketMax = uint64_t{366} * 24 * 60 * 60 * 1000;
  if (!in.ok() || bucket_ms == 0 || bucket_ms > kBucketMax || sources != segment_->source_count() ||
      sources >= in.remaining() / sizeof(uint32_t)) {
    return segment_->Damaged(segment_->OffsetOf(section_), "bad rollup section");
  }
  info_.bucket_ms = static_cast<int64_t>(bucket_ms);
  sources_ = static_cast<uint32_t>(sources);
  offsets_ = in.Bytes((sources + 1) * sizeof(uint32_t));
  return Status::Ok();
}

Result<std::string_view> RollupFile::SourceBytes(uint32_t source) const {
  if (source < sources_) {
    const char* at = offsets_.data() + source * sizeof(uint32_t);
    const auto begin = LoadFixed<uint32_t>(at);
    const auto end = LoadFixed<uint32_t>(at + sizeof(uint32_t));
    if (begin <= end && end <= section_.size()) return section_.substr(begin, end - begin);
  }
  return Error(segment_->Damaged(segment_->OffsetOf(section_), "bad rollup source"));
}

Status RollupCursor::Read(const ColumnRef& ref, ColumnBatch* batch, std::vector<Facts>* facts) {
  const SegmentFile& segment = file_.segment();
  const int64_t bucket_ms = file_.info().bucket_ms;
  if (ref.source != source_) {
    source_ = UINT32_MAX;
    TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::string_view bytes, file_.SourceBytes(ref.source));
    if (!DecodeSourceBuckets(bytes, bucket_ms, &buckets_))
      return segment.Damaged(segment.OffsetOf(bytes), "bad rollup source");
    source_ = ref.source;
  }
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::string_view bytes,
                                 segment.Bytes(ref.offset, ref.length));
  const bool histograms = (ref.flags & kColumnHistograms) != 0;
  if (!(histograms ? DecodeHistogramRollup(bytes, buckets_, bucket_ms, batch, facts)
                   : DecodeRollupColumn(bytes, buckets_, bucket_ms, batch, facts)))
    return segment.Damaged(ref.offset, "bad rollup column");
  return Status::Ok();
}

Status RollupFile::Verify() const {
  RollupCursor cursor(*this);
  ColumnBatch batch;
  std::vector<Facts> facts;
  Status status;
  TOCSIN_RETURN_IF_ERROR(segment_->ForEachColumn([&](const ColumnRef& ref) {
    batch.Clear();
    status = cursor.Read(ref, &batch, &facts);
    return status.ok();
  }));
  return status;
}

}  // namespace tocsin::tsdb
