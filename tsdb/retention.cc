#include "tsdb/retention.h"

#include <algorithm>
#include <limits>
#include <set>
#include <unordered_map>

#include "base/log.h"

namespace tocsin::tsdb {
namespace {

int64_t MonotonicMs(Env& env) { return env.MonotonicNanos() / 1'000'000; }

bool HasSamples(const SegmentMeta& meta) { return meta.range.min_ms <= meta.range.max_ms; }

model::Timestamp NewestSealed(const Version& version) {
  model::Timestamp newest = model::kMinTimestamp;
  for (const Version::Segment& segment : version.segments) {
    if (HasSamples(segment->meta())) newest = std::max(newest, segment->meta().range.max_ms);
  }
  return newest;
}

std::string_view LabelOf(const ColumnFilter::Column& column, const std::string& name) {
  const std::string_view own = column.key_labels.Get(name);
  return own.empty() ? column.source_labels.Get(name) : own;
}

// The first rule whose matchers all accept the column; rules.size() when none does.
size_t ClassOf(const std::vector<RetentionRule>& rules, const ColumnFilter::Column& column) {
  const auto accepts = [&](const RetentionRule& rule) {
    return std::all_of(rule.matchers.begin(), rule.matchers.end(), [&](const model::Matcher& m) {
      return m.Matches(LabelOf(column, m.name()));
    });
  };
  return static_cast<size_t>(std::find_if(rules.begin(), rules.end(), accepts) - rules.begin());
}

std::string RulesText(const std::vector<RetentionRule>& rules) {
  std::string text;
  for (const RetentionRule& rule : rules) {
    for (const model::Matcher& matcher : rule.matchers) text += matcher.ToString() + ",";
    text += ';';
  }
  return text;
}

// For RuleFilter; empty when nothing is past its time.
std::vector<bool> ExpiredAt(const StoragePolicy& policy, model::Timestamp reference,
                            model::Timestamp max_ms) {
  std::vector<bool> expired;
  const auto add = [&](int64_t retention_ms) {
    // A store without rows has no reference: kMinTimestamp.
    expired.push_back(retention_ms > 0 && reference >= -kTimestampMax &&
                      max_ms < reference - retention_ms);
  };
  for (const RetentionRule& rule : policy.retention_rules) add(rule.retention_ms);
  add(policy.retention_ms);
  const bool any = std::find(expired.begin(), expired.end(), true) != expired.end();
  return any ? expired : std::vector<bool>();
}

uint64_t LowerOf(uint64_t bytes, double disk_share, uint64_t disk_bytes) {
  if (disk_share <= 0) return bytes;
  const auto part = static_cast<uint64_t>(disk_share * static_cast<double>(disk_bytes));
  return bytes == 0 ? part : std::min(bytes, part);
}

}  // namespace

RuleFilter::RuleFilter(const std::vector<RetentionRule>& rules, std::vector<bool> expired)
    : rules_(rules), expired_(std::move(expired)) {}

void RuleFilter::AddDropped(const Column& column, std::vector<model::TimeRange>* dropped) {
  if (expired_[ClassOf(rules_, column)]) dropped->push_back(model::TimeRange());
}

// ----------------------------------------------------------------------------------------------------------
// the world

void Retention::Watch(const StoragePolicy& policy) {
  WatchClock();
  WatchDisk(policy);
}

void Retention::WatchClock() {
  const int64_t wall = env_.NowMs();
  const int64_t monotonic = MonotonicMs(env_);
  int64_t drift = (wall - last_wall_ms_) - (monotonic - last_monotonic_ms_);
  if (last_wall_ms_ == 0) {
    // A machine that started with a wrong clock looks like one that was off for long.
    const model::Timestamp newest = NewestSealed(*store_.Current());
    drift = newest == model::kMinTimestamp ? 0 : wall - newest;
  }
  if (std::abs(drift) > kClockJumpMs) {
    no_delete_before_ms_ = monotonic + kClockJumpPauseMs;
    LogWarn("tsdb", "the clock jumped, or the server was off; deleting old segments waits an hour",
            {{"ms", drift}});
  }
  last_wall_ms_ = wall;
  last_monotonic_ms_ = monotonic;
}

void Retention::WatchDisk(const StoragePolicy& policy) {
  const auto disk = env_.DiskSize(dir_);
  const auto free = env_.FreeSpace(dir_);
  // Who cannot look keeps to the limits that need no look.
  budget_.SetCap(disk ? LowerOf(policy.retention_bytes, policy.retention_disk_share, *disk)
                      : policy.retention_bytes);
  const uint64_t floor =
      disk ? LowerOf(policy.free_space_floor_bytes, policy.free_space_floor_disk_share, *disk)
           : policy.free_space_floor_bytes;
  const bool below = free.has_value() && *free < floor;
  free_bytes_ = !free ? UINT64_MAX : below ? 0 : *free - floor;
  budget_.SetBelowFloor(below);
  if (below && !warned_below_floor_)
    LogError("tsdb", "free disk space is below the floor: samples are refused",
             {{"free_bytes", *free}, {"floor_bytes", floor}});
  if (!below && warned_below_floor_)
    LogInfo("tsdb", "free disk space is above the floor again: samples are accepted");
  warned_below_floor_ = below;
}

// ----------------------------------------------------------------------------------------------------------
// by time

model::Timestamp Retention::Reference() const {
  return std::min(env_.NowMs(), NewestSealed(*store_.Current()));
}

std::vector<bool> Retention::Expired(const StoragePolicy& policy, model::Timestamp max_ms) const {
  return ExpiredAt(policy, Reference(), max_ms);
}

Status Retention::Delete(std::span<const Version::Segment> segments,
                         std::atomic<uint64_t>* counter) {
  counter->fetch_add(segments.size(), std::memory_order_relaxed);
  return store_.Remove(segments);
}

Status Retention::DropExpired(const StoragePolicy& policy, const Held& held) {
  if (MonotonicMs(env_) < no_delete_before_ms_) return Status::Ok();
  const model::Timestamp reference = Reference();
  std::vector<Version::Segment> gone;
  for (const auto pinned = store_.Current(); const Version::Segment& segment : pinned->segments) {
    if (!HasSamples(segment->meta())) continue;
    const std::vector<bool> expired = ExpiredAt(policy, reference, segment->meta().range.max_ms);
    if (expired.empty() || held(segment->meta())) continue;
    if (std::find(expired.begin(), expired.end(), false) == expired.end()) {
      gone.push_back(segment);
    } else if (const auto* columns = ClassColumns(policy, segment)) {
      uint64_t kept = 0;
      for (size_t i = 0; i < expired.size(); ++i) kept += expired[i] ? 0 : (*columns)[i];
      if (kept == 0) gone.push_back(segment);
    }
  }
  return Delete(gone, &counters_.time_deletions);
}

// ----------------------------------------------------------------------------------------------------------
// by matchers

const std::vector<uint64_t>* Retention::ClassColumns(const StoragePolicy& policy,
                                                     const Version::Segment& segment) {
  if (std::string text = RulesText(policy.retention_rules); text != classes_for_) {
    classes_.clear();
    classes_for_ = std::move(text);
  }
  const auto [entry, fresh] = classes_.try_emplace(segment->meta().id);
  if (!fresh) return entry->second.empty() ? nullptr : &entry->second;
  std::vector<uint64_t> counts(policy.retention_rules.size() + 1, 0);
  std::set<std::pair<uint32_t, uint32_t>> decided;
  for (size_t i = 0; i < policy.retention_rules.size(); ++i) {
    const auto columns = segment->Select(policy.retention_rules[i].matchers, model::TimeRange());
    if (!columns) {  // served as far as it is sound, and not rewritten
      LogWarn("tsdb", "retention rules leave a damaged segment alone",
              {{"file", segment->path()}, {"err", columns.error()}});
      return nullptr;
    }
    for (const ColumnRef& column : *columns) {
      if (decided.emplace(column.source, column.key).second) ++counts[i];
    }
  }
  counts.back() = segment->meta().column_count - decided.size();
  entry->second = std::move(counts);
  return &entry->second;
}

std::vector<Retention::Rewrite> Retention::DueRewrites(const StoragePolicy& policy) {
  std::vector<Rewrite> due;
  if (policy.retention_rules.empty() || MonotonicMs(env_) < no_delete_before_ms_) return due;
  const model::Timestamp reference = Reference();
  const std::shared_ptr<const Version> version = store_.Current();
  std::set<SegmentId> alive;
  for (const Version::Segment& segment : version->segments) {
    alive.insert(segment->meta().id);
    if (!HasSamples(segment->meta())) continue;
    std::vector<bool> expired = ExpiredAt(policy, reference, segment->meta().range.max_ms);
    if (expired.empty()) continue;
    const std::vector<uint64_t>* columns = ClassColumns(policy, segment);
    if (columns == nullptr) continue;
    uint64_t gone = 0;
    for (size_t i = 0; i < expired.size(); ++i) gone += expired[i] ? (*columns)[i] : 0;
    // What nothing is left of is deleted by DropExpired.
    if (gone > 0 && gone < segment->meta().column_count)
      due.push_back({segment, std::move(expired)});
  }
  std::erase_if(classes_, [&](const auto& entry) { return !alive.contains(entry.first); });
  return due;
}

// ----------------------------------------------------------------------------------------------------------
// by size

bool Retention::HasRoomToRewrite(uint64_t bytes) const {
  // Else room for one rewrite would be made by deleting a good part of everything.
  constexpr uint64_t kCapDivisor = 4;
  return bytes <= free_bytes_ && (budget_.cap() == 0 || bytes <= budget_.cap() / kCapDivisor);
}

Status Retention::MakeRoom(uint64_t bytes, model::Timestamp before_ms, const Held& held) {
  if (budget_.cap() == 0) return Status::Ok();
  const auto enough = [&] { return bytes <= budget_.left() && budget_.excess() == 0; };
  if (enough()) return Status::Ok();
  std::vector<Version::Segment> oldest;
  uint64_t deletable = 0;
  for (const auto pinned = store_.Current(); const Version::Segment& segment : pinned->segments) {
    const SegmentMeta& meta = segment->meta();
    if (!HasSamples(meta) || meta.range.max_ms >= before_ms || held(meta)) continue;
    oldest.push_back(segment);
    deletable += meta.file_bytes;
  }
  // Nothing is given up for what has no room even then.
  if (bytes > 0 && budget_.left() + deletable < bytes) return Status::Ok();
  std::sort(oldest.begin(), oldest.end(), [](const auto& a, const auto& b) {
    return a->meta().range.max_ms < b->meta().range.max_ms;
  });
  for (const Version::Segment& segment : oldest) {
    if (enough()) break;
    TOCSIN_RETURN_IF_ERROR(Delete({&segment, 1}, &counters_.size_deletions));
  }
  const bool refusing = budget_.refuses() && !budget_.below_floor();
  if (refusing && !warned_refusing_)
    LogError("tsdb",
             "the retention size is reached and nothing can be deleted: samples are refused",
             {{"used_bytes", budget_.used()}, {"cap_bytes", budget_.cap()}});
  warned_refusing_ = refusing;
  return Status::Ok();
}

}  // namespace tocsin::tsdb
