#include "collector/metadata_store.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/log.h"

namespace tocsin::collector {
namespace {

using model::Metadata;
using model::MetricType;

constexpr std::string_view kPrefix = "metadata/";
constexpr uint8_t kVersion = 1;
constexpr int64_t kHourMs = 3'600'000;
constexpr int64_t kDayMs = 24 * kHourMs;
constexpr int64_t kMakeRoomEveryMs = 60'000;  // a look at everything
constexpr size_t kFamiliesPerVisit = 256;     // copied under the lock at a time

std::string KeyOf(std::string_view family) { return std::string(kPrefix).append(family); }

std::string Encode(const Metadata& metadata, int64_t seen_ms) {
  std::string out;
  PutFixed8(out, kVersion);
  PutFixed8(out, static_cast<uint8_t>(metadata.type));
  PutVarint(out, static_cast<uint64_t>(std::max<int64_t>(seen_ms, 0)));
  PutString(out, metadata.unit);
  PutString(out, metadata.help);
  return out;
}

struct Decoded {
  Metadata metadata;
  int64_t seen_ms = 0;
};

std::optional<Decoded> Decode(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.Fixed8() != kVersion) return std::nullopt;
  const uint8_t type = in.Fixed8();
  const uint64_t seen_ms = in.Varint();
  Decoded decoded;
  decoded.metadata.unit = in.String();
  decoded.metadata.help = in.String();
  if (!in.ok() || type > static_cast<uint8_t>(MetricType::kStateset) || seen_ms > INT64_MAX)
    return std::nullopt;
  decoded.metadata.type = static_cast<MetricType>(type);
  decoded.seen_ms = static_cast<int64_t>(seen_ms);
  return decoded;
}

// Never within a character of UTF-8.
std::string_view Cut(std::string_view text, size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  size_t end = bytes_max;
  while (end > 0 && (static_cast<uint8_t>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

// Series that a family has under its name and something more.
struct SuffixOfType {
  std::string_view suffix;
  MetricType family;
  MetricType series;
};
constexpr SuffixOfType kSuffixes[] = {
    {"_total", MetricType::kCounter, MetricType::kCounter},
    {"_created", MetricType::kCounter, MetricType::kGauge},
    {"_bucket", MetricType::kHistogram, MetricType::kHistogram},
    {"_count", MetricType::kHistogram, MetricType::kHistogram},
    {"_sum", MetricType::kHistogram, MetricType::kHistogram},
    {"_created", MetricType::kHistogram, MetricType::kGauge},
    {"_count", MetricType::kSummary, MetricType::kSummary},
    {"_sum", MetricType::kSummary, MetricType::kSummary},
    {"_created", MetricType::kSummary, MetricType::kGauge},
    {"_bucket", MetricType::kGaugeHistogram, MetricType::kGaugeHistogram},
    {"_gcount", MetricType::kGaugeHistogram, MetricType::kGaugeHistogram},
    {"_gsum", MetricType::kGaugeHistogram, MetricType::kGaugeHistogram},
    {"_info", MetricType::kInfo, MetricType::kInfo},
};

}  // namespace

size_t MetadataStore::BytesOf(std::string_view family, const Metadata& metadata) {
  return family.size() + metadata.unit.size() + metadata.help.size();
}

Status MetadataStore::Load(StateStore* state) {
  state_ = state;
  size_t unreadable = 0;
  MutexLock lock(mu_);
  const Status status =
      state->ForEach(kPrefix, [&](std::string_view key, std::string_view value) REQUIRES(mu_) {
        const std::string_view family = key.substr(kPrefix.size());
        std::optional<Decoded> decoded = Decode(value);
        if (!decoded) {
          ++unreadable;
          return true;
        }
        const size_t bytes = BytesOf(family, decoded->metadata);
        // Written under wider bounds.
        if (entries_.size() >= options_.families_max || bytes_ + bytes > options_.bytes_max) {
          changed_.emplace(family);
          return true;
        }
        const auto [it, is_new] = entries_.try_emplace(
            std::string(family),
            Entry{std::move(decoded->metadata), decoded->seen_ms, decoded->seen_ms});
        if (is_new) bytes_ += bytes;
        return true;
      });
  if (unreadable > 0)
    LogWarn("metadata", "entries that cannot be read are passed over", {{"count", unreadable}});
  return status;
}

void MetadataStore::Start(std::function<void(bool all)> collect) {
  collect_ = std::move(collect);
  thread_ = Thread("metadata", [this] { Run(); });
}

void MetadataStore::Stop() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
    stop_.NotifyAll();
  }
  if (thread_.joinable()) thread_.Join();
}

void MetadataStore::Run() {
  constexpr int64_t kNanosPerMs = 1'000'000;
  int64_t all_ms = env_.MonotonicNanos() / kNanosPerMs;
  bool failing = false;
  for (bool last = false; !last;) {
    {
      MutexLock lock(mu_);
      if (!stopping_) stop_.WaitFor(mu_, std::chrono::milliseconds(kRoundMs));
      last = stopping_;
    }
    const int64_t now_ms = env_.MonotonicNanos() / kNanosPerMs;
    const bool all = now_ms - all_ms >= kHourMs;
    if (all) all_ms = now_ms;
    collect_(all);
    if (all) Expire();
    const Status status = Flush();
    if (!status.ok() && !failing) LogError("metadata", "cannot be stored", {{"err", status}});
    if (status.ok() && failing) LogInfo("metadata", "is stored again");
    failing = !status.ok();
  }
}

void MetadataStore::Note(std::string_view family, const Metadata& metadata) {
  if (family.empty() || family.size() > options_.name_bytes_max ||
      metadata.unit.size() > options_.name_bytes_max)
    return;
  const std::string_view help = Cut(metadata.help, options_.help_bytes_max);
  const int64_t now_ms = env_.NowMs();
  MutexLock lock(mu_);
  auto it = entries_.find(family);
  if (it != entries_.end()) {
    Entry& entry = it->second;
    entry.seen_ms = now_ms;
    const bool same = entry.metadata.type == metadata.type &&
                      entry.metadata.unit == metadata.unit && entry.metadata.help == help;
    if (same) {
      // The day is enough to know what has not been seen for a month. Clocks step back, too.
      if (std::abs(now_ms - entry.stored_seen_ms) >= kDayMs) changed_.emplace(family);
      return;
    }
  }
  Metadata kept{metadata.type, metadata.unit, std::string(help)};
  const size_t bytes = BytesOf(family, kept);
  if (it != entries_.end()) {
    const size_t before = BytesOf(family, it->second.metadata);
    if (bytes_ - before + bytes > options_.bytes_max) return;
    bytes_ += bytes - before;
    it->second.metadata = std::move(kept);
  } else {
    if (!MakeRoom(bytes)) return;
    bytes_ += bytes;
    entries_.emplace(family, Entry{std::move(kept), now_ms, now_ms});
  }
  changed_.emplace(family);
}

void MetadataStore::Forget(Entries::iterator it) {
  bytes_ -= BytesOf(it->first, it->second.metadata);
  changed_.insert(it->first);
  entries_.erase(it);
}

// A sixteenth of what is kept goes at a time, so that this is not done for each new family.
bool MetadataStore::MakeRoom(size_t bytes) {
  const auto fits = [&]() REQUIRES(mu_) {
    return entries_.size() < options_.families_max && bytes_ + bytes <= options_.bytes_max;
  };
  if (fits()) return true;
  const int64_t monotonic_ms = env_.MonotonicNanos() / 1'000'000;
  if (room_made_ms_ != INT64_MIN && monotonic_ms - room_made_ms_ < kMakeRoomEveryMs) return false;
  room_made_ms_ = monotonic_ms;
  const int64_t alive_ms = env_.NowMs() - kAliveMs;
  std::vector<Entries::iterator> old;
  for (auto it = entries_.begin(); it != entries_.end(); ++it) {
    if (it->second.seen_ms < alive_ms) old.push_back(it);
  }
  std::sort(old.begin(), old.end(),
            [](auto a, auto b) { return a->second.seen_ms < b->second.seen_ms; });
  const size_t families = entries_.size() - entries_.size() / 16;
  const size_t enough = options_.bytes_max - options_.bytes_max / 16;
  for (const auto it : old) {
    if (fits() && entries_.size() <= families && bytes_ <= enough) break;
    Forget(it);
  }
  return fits();
}

void MetadataStore::Expire() {
  const int64_t oldest_ms = env_.NowMs() - options_.keep_ms;
  MutexLock lock(mu_);
  for (auto it = entries_.begin(); it != entries_.end();) {
    const auto one = it++;
    if (one->second.seen_ms < oldest_ms) Forget(one);
  }
}

Status MetadataStore::Flush() {
  std::vector<std::string> written;
  while (true) {
    written.clear();
    StateBatch batch;
    {
      MutexLock lock(mu_);
      if (state_ == nullptr) return Status::Ok();
      while (!changed_.empty() && written.size() < kFamiliesPerBatch) {
        std::string family = std::move(changed_.extract(changed_.begin()).value());
        const auto it = entries_.find(family);
        if (it == entries_.end()) {
          batch.Delete(KeyOf(family));
        } else {
          it->second.stored_seen_ms = it->second.seen_ms;
          batch.Put(KeyOf(family), Encode(it->second.metadata, it->second.seen_ms));
        }
        written.push_back(std::move(family));
      }
    }
    if (batch.empty()) return Status::Ok();
    const Status status = state_->Write(batch);
    if (!status.ok()) {
      MutexLock lock(mu_);
      for (std::string& family : written) changed_.insert(std::move(family));
      return status;
    }
  }
}

void MetadataStore::Visit(
    std::string_view family,
    const std::function<bool(const std::string&, const Metadata&)>& visit) const {
  std::vector<std::pair<std::string, Metadata>> some;
  if (!family.empty()) {
    {
      MutexLock lock(mu_);
      const auto it = entries_.find(family);
      if (it != entries_.end()) some.emplace_back(it->first, it->second.metadata);
    }
    for (const auto& [name, metadata] : some) visit(name, metadata);
    return;
  }
  std::string from;
  do {
    some.clear();
    {
      MutexLock lock(mu_);
      for (auto it = entries_.upper_bound(from);
           it != entries_.end() && some.size() < kFamiliesPerVisit; ++it)
        some.emplace_back(it->first, it->second.metadata);
    }
    for (const auto& [name, metadata] : some) {
      if (!visit(name, metadata)) return;
    }
    if (!some.empty()) from = some.back().first;
  } while (some.size() == kFamiliesPerVisit);
}

MetricType MetadataStore::TypeOf(std::string_view metric_name) const {
  MutexLock lock(mu_);
  if (const auto it = entries_.find(metric_name); it != entries_.end())
    return it->second.metadata.type;
  for (const SuffixOfType& one : kSuffixes) {
    if (!metric_name.ends_with(one.suffix)) continue;
    const auto it = entries_.find(metric_name.substr(0, metric_name.size() - one.suffix.size()));
    if (it != entries_.end() && it->second.metadata.type == one.family) return one.series;
  }
  return MetricType::kUnknown;
}

size_t MetadataStore::families() const {
  MutexLock lock(mu_);
  return entries_.size();
}

}  // namespace tocsin::collector
