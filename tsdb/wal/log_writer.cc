#include "tsdb/wal/log_writer.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"

namespace tocsin::tsdb {
namespace {

// Framed and written at once: a checkpoint is as long as everything alive.
constexpr size_t kPieceBytes = 8 * kLogBlockBytes;

}  // namespace

LogWriter::LogWriter(Env& env, std::string path, const LogFileHeader& header)
    : env_(env), path_(std::move(path)), header_(header) {}

// Cuts `records` into fragments. Every Write starts at a record.
void LogWriter::FramePiece(std::string_view records, uint64_t position, size_t* done,
                           size_t* next_record) {
  out_.clear();
  while (*done < records.size() && out_.size() < kPieceBytes) {
    const size_t in_block = position % kLogBlockBytes;
    if (in_block == 0) {
      PutBlockHeader(out_, header_, static_cast<uint32_t>(position / kLogBlockBytes));
      position += kLogBlockHeaderBytes;
      continue;
    }
    const size_t room = kLogBlockBytes - in_block;
    if (room <= kLogFragmentHeaderBytes) {
      out_.append(room, '\0');
      position += room;
      continue;
    }
    const size_t length = std::min(room - kLogFragmentHeaderBytes, records.size() - *done);
    const size_t first = *next_record - *done;
    const size_t at = out_.size();
    PutFixed32(out_, 0);
    PutFixed16(out_, static_cast<uint16_t>(length));
    PutFixed16(out_, first < length ? static_cast<uint16_t>(first) : kNoRecord);
    out_.append(records.substr(*done, length));
    SetFixed32(out_, at, Crc32c(std::string_view(out_).substr(at + 4)));
    position += kLogFragmentHeaderBytes + length;
    *done += length;
    while (*next_record < *done) {
      ByteReader reader(records.substr(*next_record));
      const uint64_t bytes = reader.Varint();
      *next_record += reader.position() + static_cast<size_t>(bytes);
    }
  }
}

Status LogWriter::Open() {
  if (file_ != nullptr) return Status::Ok();
  if (created_) TOCSIN_RETURN_IF_ERROR(env_.Truncate(path_, good_bytes_));
  auto file = env_.NewWritableFile(path_, created_ ? WriteMode::kAppend : WriteMode::kTruncate);
  if (!file) return std::move(file).error();
  file_ = *std::move(file);
  created_ = true;
  return Status::Ok();
}

Status LogWriter::Write(std::string_view records, std::string* copy) {
  if (records.empty()) return Status::Ok();
  TOCSIN_RETURN_IF_ERROR(Open());
  const size_t copied = copy == nullptr ? 0 : copy->size();
  uint64_t position = good_bytes_;
  size_t done = 0;
  size_t next_record = 0;
  Status status;
  while (done < records.size() && status.ok()) {
    FramePiece(records, position, &done, &next_record);
    status = file_->Append(out_);
    position += out_.size();
    if (copy != nullptr) copy->append(out_);
  }
  if (status.ok()) status = file_->Flush();
  if (!status.ok()) {
    file_.reset();
    if (copy != nullptr) copy->resize(copied);
    return status;
  }
  CHECK(next_record == records.size());
  good_bytes_ = position;
  return Status::Ok();
}

Status LogWriter::Sync() {
  TOCSIN_RETURN_IF_ERROR(Open());
  return file_->Sync();
}

Status LogWriter::Close() {
  if (file_ == nullptr) return Status::Ok();
  const std::unique_ptr<WritableFile> file = std::move(file_);
  return file->Close();
}

}  // namespace tocsin::tsdb
