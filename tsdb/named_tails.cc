#include "tsdb/named_tails.h"

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "tsdb/tail.h"

namespace tocsin::tsdb {
namespace {

constexpr uint32_t kMagic = 0x50545354;  // "TSTP"
constexpr uint8_t kVersion = 1;

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= kTailNameLengthMax &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_';
         });
}

}  // namespace

std::string EncodeTailPosition(const TailPosition& position) {
  std::string out;
  PutFixed32(out, kMagic);
  out.push_back(static_cast<char>(kVersion));
  PutFixed64(out, position.commit);
  PutVarint(out, position.shards.size());
  for (const std::vector<PagePosition>& pages : position.shards) {
    PutVarint(out, pages.size());
    for (const PagePosition& page : pages) {
      PutFixed64(out, page.incarnation);
      PutVarint(out, page.page);
      PutVarint(out, page.sequence);
    }
  }
  PutFixed32(out, Crc32c(out));
  return out;
}

Result<TailPosition> DecodeTailPosition(std::string_view bytes) {
  static constexpr size_t kHeadBytes = 4 + 1;
  static constexpr size_t kCrcBytes = 4;
  if (bytes.size() < kHeadBytes + kCrcBytes || LoadFixed<uint32_t>(bytes.data()) != kMagic)
    return Error(Code::kCorruption, "no tail's position");
  if (static_cast<uint8_t>(bytes[4]) > kVersion)
    return Error(Code::kUnimplemented, "a tail's position of a newer version");
  const std::string_view body = bytes.substr(0, bytes.size() - kCrcBytes);
  if (LoadFixed<uint32_t>(body.data() + body.size()) != Crc32c(body))
    return Error(Code::kCorruption, "a tail's position: wrong checksum");
  ByteReader reader(body.substr(kHeadBytes));
  TailPosition position;
  position.commit = reader.Fixed64();
  const uint64_t shards = reader.Varint();
  if (!reader.ok() || shards > kShardsMax)
    return Error(Code::kCorruption, "a tail's position: too many shards");
  position.shards.resize(static_cast<size_t>(shards));
  for (std::vector<PagePosition>& pages : position.shards) {
    const uint64_t count = reader.Varint();
    for (uint64_t i = 0; i < count && reader.ok(); ++i) {
      PagePosition page;
      page.incarnation = reader.Fixed64();
      page.page = reader.Varint32();
      page.sequence = reader.Varint32();
      if (page.page > kFollowedPageMax) return Error(Code::kCorruption, "a tail's position: page");
      pages.push_back(page);
    }
  }
  if (!reader.ok() || !reader.at_end())
    return Error(Code::kCorruption, "a tail's position: breaks off");
  return position;
}

// Writes its position as it is released.
class NamedTail final : public model::Tail {
 public:
  NamedTail(NamedTails& owner, std::string name, const TailPosition& position)
      : owner_(owner),
        name_(std::move(name)),
        tail_(owner.env_, owner.head_, position),
        saved_(position.commit),
        released_(position.commit) {}
  ~NamedTail() override {
    SaveIfDone();
    owner_.Closed(name_, saved_);
  }

  Result<model::TailProgress> Next(size_t max_samples, model::TailVisitor& visitor) override {
    if (IsDue()) SaveIfDone();
    return tail_.Next(max_samples, visitor);
  }
  uint64_t position() const override { return tail_.position(); }
  void Release(uint64_t position) override {
    released_ = std::max(released_, position);
    if (IsDue()) SaveIfDone();
  }

 private:
  int64_t NowMs() const { return owner_.env_.MonotonicNanos() / 1'000'000; }
  bool IsDue() const { return NowMs() >= next_save_ms_; }
  // What is known of the pages is as of what was given: there is nothing to be written while some
  // of it is not released. The log stays for what the file says.
  void SaveIfDone() {
    if (released_ < tail_.position() || released_ == saved_) return;
    next_save_ms_ = NowMs() + kTailSaveIntervalMs;
    const TailPosition position = tail_.Where();
    const Status status = owner_.Save(name_, position);
    if (!status.ok()) {
      LogWarn("tsdb", "a tail's position cannot be written", {{"tail", name_}, {"err", status}});
      return;
    }
    saved_ = position.commit;
    tail_.Release(saved_);
  }

  NamedTails& owner_;
  const std::string name_;
  DatabaseTail tail_;
  uint64_t saved_;
  uint64_t released_;
  int64_t next_save_ms_ = 0;
};

void NamedTails::Load() {
  auto names = env_.ListDir(directory_);
  if (!names) {
    if (names.error().code() != Code::kNotFound)
      LogWarn("tsdb", "positions of tails cannot be read", {{"err", names.error()}});
    return;
  }
  for (const std::string& name : *names) {
    if (!IsName(name)) continue;
    Result<TailPosition> position = TailPosition();
    auto bytes = env_.ReadFile(PathOf(name));
    position = bytes ? DecodeTailPosition(*bytes) : Error(bytes.error());
    if (!position) {
      quarantine_.Put(PathOf(name), position.error().message());
      continue;
    }
    MutexLock lock(mutex_);
    Known& known = tails_[name];
    known.kept = head_.tails().Add(position->commit);
    known.position = *std::move(position);
  }
}

Result<std::unique_ptr<model::Tail>> NamedTails::Open(std::string_view name) {
  if (!IsName(name)) return Error(Code::kInvalidArgument, "tail: no name: " + std::string(name));
  MutexLock lock(mutex_);
  const auto [it, fresh] = tails_.try_emplace(std::string(name));
  Known& known = it->second;
  if (known.open) return Error(Code::kUnavailable, "tail " + it->first + " is open");
  if (fresh) {
    known.position.commit = head_.commit_number();
    known.position.shards.resize(head_.shard_count());
    Status status = env_.CreateDirs(directory_);
    if (status.ok())
      status = env_.WriteFileAtomically(PathOf(it->first), EncodeTailPosition(known.position));
    if (!status.ok()) {
      tails_.erase(it);
      return Error(std::move(status));
    }
  }
  auto tail = std::make_unique<NamedTail>(*this, it->first, known.position);
  if (known.kept != nullptr) head_.tails().Remove(std::exchange(known.kept, nullptr));
  known.open = true;
  return tail;
}

Status NamedTails::Forget(std::string_view name) {
  MutexLock lock(mutex_);
  const auto found = tails_.find(name);
  if (found == tails_.end()) return Status(Code::kNotFound, "no tail " + std::string(name));
  if (found->second.open) return Status(Code::kUnavailable, "tail " + found->first + " is open");
  TOCSIN_RETURN_IF_ERROR(env_.Remove(PathOf(found->first)));
  if (found->second.kept != nullptr) head_.tails().Remove(found->second.kept);
  tails_.erase(found);
  return Status::Ok();
}

Status NamedTails::Save(const std::string& name, const TailPosition& position) {
  TOCSIN_RETURN_IF_ERROR(env_.WriteFileAtomically(PathOf(name), EncodeTailPosition(position)));
  MutexLock lock(mutex_);
  tails_[name].position = position;
  return Status::Ok();
}

void NamedTails::Closed(const std::string& name, uint64_t released) {
  MutexLock lock(mutex_);
  Known& known = tails_[name];
  known.open = false;
  known.kept = head_.tails().Add(released);
}

}  // namespace tocsin::tsdb
