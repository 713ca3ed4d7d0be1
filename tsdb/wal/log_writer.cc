#include "tsdb/wal/log_writer.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"

namespace tocsin::tsdb {

LogWriter::LogWriter(Env& env, std::string path, const LogFileHeader& header)
    : env_(env), path_(std::move(path)), header_(header) {}

// Cuts `records` into fragments at the file's current place. Every call starts at a record.
void LogWriter::Frame(std::string_view records) {
  out_.clear();
  uint64_t position = good_bytes_;
  size_t next_record = 0;  // offset in `records` of the first record not yet begun
  size_t done = 0;
  while (done < records.size()) {
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
    const size_t length = std::min(room - kLogFragmentHeaderBytes, records.size() - done);
    const size_t first = next_record - done;
    const size_t at = out_.size();
    PutFixed32(out_, 0);
    PutFixed16(out_, static_cast<uint16_t>(length));
    PutFixed16(out_, first < length ? static_cast<uint16_t>(first) : kNoRecord);
    out_.append(records.substr(done, length));
    SetFixed32(out_, at, Crc32c(std::string_view(out_).substr(at + 4)));
    position += kLogFragmentHeaderBytes + length;
    done += length;
    while (next_record < done) {
      ByteReader reader(records.substr(next_record));
      const uint64_t bytes = reader.Varint();
      next_record += reader.position() + static_cast<size_t>(bytes);
    }
  }
  CHECK(next_record == records.size());
}

Status LogWriter::Write(std::string_view records) {
  if (records.empty()) return Status::Ok();
  if (file_ == nullptr) {
    if (created_) TOCSIN_RETURN_IF_ERROR(env_.Truncate(path_, good_bytes_));
    auto file = env_.NewWritableFile(path_, created_ ? WriteMode::kAppend : WriteMode::kTruncate);
    if (!file) return std::move(file).error();
    file_ = *std::move(file);
    created_ = true;
  }
  Frame(records);
  Status status = file_->Append(out_);
  if (status.ok()) status = file_->Flush();
  if (!status.ok()) {
    file_.reset();
    return status;
  }
  good_bytes_ += out_.size();
  if (out_.capacity() > kLogBlockBytes * 32) std::string().swap(out_);
  return Status::Ok();
}

Status LogWriter::Close() {
  if (file_ == nullptr) return Status::Ok();
  const std::unique_ptr<WritableFile> file = std::move(file_);
  return file->Close();
}

}  // namespace tocsin::tsdb
