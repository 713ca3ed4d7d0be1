#include "tsdb/prometheus/wal_reader.h"

#include <snappy.h>
#include <zstd.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "base/crc32c.h"
#include "base/number.h"
#include "tsdb/prometheus/big_endian.h"

namespace tocsin::tsdb {
namespace {

constexpr size_t kFragmentHeaderBytes = 7;
constexpr uint8_t kTypeMask = 7;
constexpr uint8_t kSnappy = 8;
constexpr uint8_t kZstd = 16;
constexpr std::string_view kCheckpointPrefix = "checkpoint.";

enum FragmentType : uint8_t { kPageEnd = 0, kWhole = 1, kFirst = 2, kMiddle = 3, kLast = 4 };

bool DecompressZstd(std::string_view bytes, std::string* out) {
  const std::unique_ptr<ZSTD_DStream, size_t (*)(ZSTD_DStream*)> stream(ZSTD_createDStream(),
                                                                        ZSTD_freeDStream);
  if (stream == nullptr) return false;
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  size_t written = 0;
  out->resize(std::max(out->capacity(), 4 * bytes.size() + 1024));
  while (true) {
    ZSTD_outBuffer part{out->data(), out->size(), written};
    const size_t left = ZSTD_decompressStream(stream.get(), &part, &in);
    if (ZSTD_isError(left) != 0) return false;
    const bool stuck = part.pos == written && part.pos < part.size;
    written = part.pos;
    if (left == 0) break;
    if (stuck) return false;  // the frame ends early
    if (written < out->size()) continue;
    if (out->size() >= kPrometheusRecordBytesMax) return false;
    out->resize(2 * out->size());
  }
  out->resize(written);
  return in.pos == in.size;
}

bool Decompress(uint8_t compression, const std::string& bytes, std::string* out) {
  if (compression == kSnappy) {
    size_t length = 0;
    if (!snappy::GetUncompressedLength(bytes.data(), bytes.size(), &length) ||
        length > kPrometheusRecordBytesMax) {
      return false;
    }
    return snappy::Uncompress(bytes.data(), bytes.size(), out);
  }
  return DecompressZstd(bytes, out);
}

// Puts the fragments of one segment together.
class SegmentAssembler {
 public:
  SegmentAssembler(std::string_view bytes, const std::string& name,
                   const std::function<void(std::string_view)>& visit, PrometheusLogStats* stats)
      : bytes_(bytes), name_(name), visit_(visit), stats_(*stats) {}

  void Run() {
    for (size_t page = 0; page < bytes_.size(); page += kPrometheusPageBytes) {
      const size_t end = std::min(page + kPrometheusPageBytes, bytes_.size());
      size_t at = page;
      while (at < end && ReadFragment(&at, end)) {
      }
    }
    if (assembling_) ++stats_.torn_tails;
  }

 private:
  // False when the rest of the page is to be skipped.
  bool ReadFragment(size_t* at, size_t page_end) {
    const auto header = static_cast<uint8_t>(bytes_[*at]);
    if ((header & kTypeMask) == kPageEnd) {
      const std::string_view rest = bytes_.substr(*at, page_end - *at);
      if (rest.find_first_not_of('\0') != std::string_view::npos)
        Damage(*at, "bytes behind a page");
      return false;
    }
    if (page_end - *at < kFragmentHeaderBytes) return CutOff(*at, page_end);
    ByteReader in(bytes_.substr(*at + 1, page_end - *at - 1));
    const uint16_t length = ReadBig16(in);
    const uint32_t crc = ReadBig32(in);
    const std::string_view data = in.Bytes(length);
    if (!in.ok()) return CutOff(*at, page_end);
    if (Crc32c(data) != crc) {
      Damage(*at, "fragment with a wrong checksum");
      return false;
    }
    Add(header, data, *at);
    *at += kFragmentHeaderBytes + length;
    return true;
  }

  void Add(uint8_t header, std::string_view data, size_t at) {
    const uint8_t type = header & kTypeMask;
    const uint8_t compression = header & (kSnappy | kZstd);
    const bool begins = type == kWhole || type == kFirst;
    if (begins == assembling_) {
      Damage(at, begins ? "record without an end" : "record without a beginning");
      if (!begins) return;
    }
    if (begins) {
      record_.clear();
      compression_ = compression;
    }
    if (compression != compression_ || type > kLast ||
        record_.size() + data.size() > kPrometheusRecordBytesMax) {
      return Damage(at, "fragments that do not fit together");
    }
    record_.append(data);
    assembling_ = type == kFirst || type == kMiddle;
    if (!assembling_) Finish(at);
  }

  void Finish(size_t at) {
    const std::string* record = &record_;
    if (compression_ != 0) {
      if (!Decompress(compression_, record_, &plain_)) {
        return Damage(at, "record cannot be decompressed");
      }
      record = &plain_;
    }
    ++stats_.records;
    visit_(*record);
  }

  // The segment ends within a fragment: a torn tail; within a page that others follow: damage.
  bool CutOff(size_t at, size_t page_end) {
    if (page_end == bytes_.size()) {
      assembling_ = false;
      ++stats_.torn_tails;
    } else {
      Damage(at, "fragment longer than its page");
    }
    return false;
  }

  void Damage(size_t at, std::string_view what) {
    assembling_ = false;
    ++stats_.damaged_places;
    if (stats_.first_damage.empty())
      stats_.first_damage = name_ + ": " + std::string(what) + " at offset " + std::to_string(at);
  }

  const std::string_view bytes_;
  const std::string& name_;
  const std::function<void(std::string_view)>& visit_;
  PrometheusLogStats& stats_;
  bool assembling_ = false;
  uint8_t compression_ = 0;
  std::string record_;
  std::string plain_;
};

std::optional<uint64_t> SegmentNumber(std::string_view name) {
  if (name.empty() || name.find_first_not_of("0123456789") != std::string_view::npos)
    return std::nullopt;
  return ParseUint64(name);
}

Result<std::vector<std::pair<uint64_t, std::string>>> SegmentsOf(Env& env,
                                                                 const std::string& directory) {
  TOCSIN_ASSIGN_OR_RETURN(const std::vector<std::string> names, env.ListDir(directory));
  std::vector<std::pair<uint64_t, std::string>> segments;
  for (const std::string& name : names) {
    if (const auto number = SegmentNumber(name))
      segments.emplace_back(*number, JoinPath(directory, name));
  }
  std::sort(segments.begin(), segments.end());
  return segments;
}

}  // namespace

void ReadPrometheusSegment(std::string_view bytes, const std::string& name,
                           const std::function<void(std::string_view record)>& visit,
                           PrometheusLogStats* stats) {
  ++stats->segments;
  SegmentAssembler(bytes, name, visit, stats).Run();
}

Result<std::vector<std::string>> ListPrometheusLog(Env& env, const std::string& directory) {
  const auto names = env.ListDir(directory);
  if (!names) {
    if (names.error().code() == Code::kNotFound) return std::vector<std::string>();
    return Error(names.error());
  }
  std::optional<uint64_t> checkpoint;
  std::string checkpoint_name;
  for (const std::string& name : *names) {
    if (!name.starts_with(kCheckpointPrefix)) continue;
    const auto number = SegmentNumber(std::string_view(name).substr(kCheckpointPrefix.size()));
    if (!number || (checkpoint && *number <= *checkpoint)) continue;
    checkpoint = number;
    checkpoint_name = name;
  }
  std::vector<std::string> paths;
  if (checkpoint) {
    TOCSIN_ASSIGN_OR_RETURN(const auto segments,
                            SegmentsOf(env, JoinPath(directory, checkpoint_name)));
    for (const auto& [number, path] : segments) paths.push_back(path);
  }
  TOCSIN_ASSIGN_OR_RETURN(const auto segments, SegmentsOf(env, directory));
  for (const auto& [number, path] : segments) {
    if (!checkpoint || number > *checkpoint) paths.push_back(path);
  }
  return paths;
}

}  // namespace tocsin::tsdb
