#include "tsdb/head/head.h"

#include <algorithm>
#include <limits>
#include <set>

#include "base/check.h"
#include "base/log.h"
#include "tsdb/head/batch.h"
#include "tsdb/wal/records.h"

namespace tocsin::tsdb {
namespace {

bool SharesLabelName(const model::Labels& a, const model::Labels& b, std::string_view* name) {
  for (const model::LabelView& label : b) {
    if (a.Has(label.name)) {
      *name = label.name;
      return true;
    }
  }
  return false;
}

}  // namespace

Head::Head(Env& env, HeadOptions options)
    : env_(env),
      options_(std::move(options)),
      index_(options_.fingerprint_seed),
      sources_(epochs_),
      exemplars_(options_.exemplars_max) {
  for (uint32_t i = 0; i < options_.shards; ++i) {
    shards_.push_back(std::make_unique<Shard>(i, env_, options_));
    shards_.back()->log.FollowCommits(&commit_number_);
  }
}

Head::~Head() {
  for (const auto& shard : shards_) {
    MutexLock lock(shard->mutex);
    for (Source* source : shard->sources) delete source;
  }
}

// ----------------------------------------------------------------------------------------------------------
// sources and slots

uint32_t Head::ShardOf(const model::Origin& origin, const model::Labels& labels) const {
  const Fingerprint fingerprint = FingerprintOf(labels, options_.fingerprint_seed);
  const uint64_t hash = fingerprint.low ^ OriginHash(origin, options_.fingerprint_seed);
  return static_cast<uint32_t>((hash >> 32) & (shards_.size() - 1));
}

Source& Head::AddSource(SourceId id, const model::Origin& origin, const model::Labels& labels,
                        uint64_t incarnation) {
  auto* source = new Source(id, origin, labels, ShardOf(origin, labels), incarnation);
  CHECK(sources_.next_id() == id);
  sources_.Append(source);
  Shard& shard = *shards_[source->shard];
  MutexLock lock(shard.mutex);
  shard.sources.push_back(source);
  return *source;
}

namespace {

Status NoIdsLeft() {
  return Status(Code::kResourceExhausted,
                "no series can be added: this process has given out all its ids; a restart begins "
                "anew");
}

}  // namespace

Result<std::unique_ptr<model::SourceWriter>> Head::OpenSource(const model::Origin& origin,
                                                              const model::Labels& labels) {
  if (index_.ids_used_up()) return Error(NoIdsLeft());
  Source* source = nullptr;
  MutexLock lock(sources_mutex_);  // also keeps RemoveIdleSources away until the handle counts
  bool added = false;
  const SourceId id = index_.AddSource(origin, labels, &added);
  source = added ? &AddSource(id, origin, labels, env_.RandomUint64()) : sources_.Get(id);
  CHECK(source != nullptr);
  MutexLock shard_lock(shards_[source->shard]->mutex);
  ++source->handles;
  return std::make_unique<HeadSourceWriter>(*this, *source);
}

void Head::CloseWriter(Source& source) {
  MutexLock lock(shards_[source.shard]->mutex);
  CHECK(source.handles > 0);
  --source.handles;
}

Result<model::Slot> Head::AddSlot(Source& source, const model::Labels& key) {
  if (index_.ids_used_up()) return Error(NoIdsLeft());
  std::string_view shared;
  if (SharesLabelName(source.labels, key, &shared)) {
    return Error(Code::kInvalidArgument,
                 "label " + std::string(shared) + " is in the source and in the key");
  }
  if (key.empty() && source.labels.empty())
    return Error(Code::kInvalidArgument, "series without labels");
  Shard& shard = *shards_[source.shard];
  MutexLock lock(shard.mutex);
  const KeyId key_id = index_.AddKey(key);
  model::Slot slot = index_.FindSlot(source.id, key_id);
  if (slot != model::kNoSlot) {
    Page& page = source.writable_page(slot / kFrameSlotsMax);
    const uint32_t at = slot % kFrameSlotsMax;
    page.released_slots.erase(at);
    if (!page.unclaimed.empty()) page.unclaimed[at / 64] &= ~(uint64_t{1} << (at % 64));
    return slot;
  }
  const bool source_full =
      options_.source_series_limit != 0 && source.live_slots >= options_.source_series_limit;
  if (source_full ||
      (options_.series_limit != 0 && index_.series_count() >= options_.series_limit)) {
    counters_.series_refused.fetch_add(1, std::memory_order_relaxed);
    return Error(Code::kResourceExhausted,
                 source_full ? "source " + source.labels.ToString() + ": over " +
                                   std::to_string(options_.source_series_limit) + " series"
                             : "over " + std::to_string(options_.series_limit) + " series");
  }
  ++source.live_slots;
  if (!source.free_slots.empty()) {
    slot = source.free_slots.back();
    source.free_slots.pop_back();
    index_.ReplaceSlot(source.id, slot, key_id);
    source.writable_page(slot / kFrameSlotsMax).relabelled.push_back(slot % kFrameSlotsMax);
    return slot;
  }
  slot = index_.AddSlot(source.id, key_id);
  source.AddPage(slot / kFrameSlotsMax).Resize(slot % kFrameSlotsMax + 1);
  return slot;
}

void Head::ReleaseSlot(Source& source, model::Slot slot) {
  MutexLock lock(shards_[source.shard]->mutex);
  if (slot / kFrameSlotsMax >= source.page_count()) return;
  Page& page = source.writable_page(slot / kFrameSlotsMax);
  const uint32_t at = slot % kFrameSlotsMax;
  if (at < page.slots()) page.released_slots.try_emplace(at);
}

size_t Head::RecycleSlots() {
  // Series that were gone by the last restart have no writer that could release them.
  static constexpr int64_t kUnclaimedMs = 60 * 60 * 1000;
  const bool release_unclaimed = env_.NowMs() - opened_ms_ >= kUnclaimedMs;
  size_t recycled = 0;
  for (const auto& shard : shards_) {
    const uint32_t oldest_log = shard->log.enabled() ? shard->log.oldest_number() : UINT32_MAX;
    MutexLock lock(shard->mutex);
    for (Source* source : shard->sources) {
      const bool has_exemplars = exemplars_.Has(source->id);
      // Nobody claims these, and their exemplars stay.
      if (has_exemplars && source->origin == ImportOrigin()) continue;
      std::set<model::Slot> freed;
      for (uint32_t p = 0; p < source->page_count(); ++p) {
        Page& page = source->writable_page(p);
        const Run* run = page.first_run();
        if (release_unclaimed && !page.unclaimed.empty()) {
          for (uint32_t at = 0; at < 64 * page.unclaimed.size(); ++at) {
            if (((page.unclaimed[at / 64] >> (at % 64)) & 1) != 0)
              page.released_slots.try_emplace(at);
          }
          page.unclaimed = {};
        }
        for (auto it = page.released_slots.begin(); it != page.released_slots.end();) {
          Page::Released& released = it->second;
          const uint32_t at = it->first;
          if (page.states.is_live(at)) {
            released.dead = false;
          } else if (!released.dead) {
            released = {page.sequence, shard->log.file_number(), true};
          } else if ((run == nullptr || released.sequence < run->first_sequence) &&
                     released.log_number < oldest_log) {
            const model::Slot slot = page.number * kFrameSlotsMax + at;
            index_.ReplaceSlot(source->id, slot, kNoId);
            page.ForgetHistory(at);
            page.relabelled.push_back(at);
            source->free_slots.push_back(slot);
            freed.insert(slot);
            --source->live_slots;
            ++recycled;
            it = page.released_slots.erase(it);
            continue;
          }
          ++it;
        }
      }
      // Before another key gets the slot: they would be taken for its exemplars.
      if (has_exemplars && !freed.empty()) {
        exemplars_.Remove(
            [source, &freed](SourceId id, model::Slot slot, const model::Exemplar&, uint64_t) {
              return id == source->id && freed.contains(slot);
            });
      }
    }
  }
  if (recycled > 0) index_.Sweep();
  return recycled;
}

// ----------------------------------------------------------------------------------------------------------
// the log's dictionary

void Head::LogDictionary(Shard& shard, Source& source, Page& page) {
  if (!shard.log.enabled()) return;
  std::string& out = shard.log.buffer();
  if (!source.logged) {
    PutSourceRecord(out, source.id, source.incarnation, source.origin, source.labels);
    source.logged = true;
  }
  const uint32_t slots = page.slots();
  if (page.slots_logged < slots || !page.relabelled.empty()) {
    const HeadIndex::Pin pin = index_.NewPin();
    const auto put = [&](uint32_t begin, uint32_t end) NO_THREAD_SAFETY_ANALYSIS {
      std::vector<KeyId> keys;
      for (uint32_t at = begin; at < end; ++at) {
        const KeyId key = pin.KeyAt(source.id, page.number * kFrameSlotsMax + at);
        keys.push_back(key);
        if (key == kNoId) continue;
        if (shard.keys_logged.Add(key)) PutKeyRecord(out, key, pin.KeyLabels(key));
      }
      PutLayoutRecord(out, source.id, page.number, begin, keys);
    };
    for (const uint32_t at : page.relabelled) {
      if (at < page.slots_logged) put(at, at + 1);
    }
    page.relabelled.clear();
    if (page.slots_logged < slots) put(page.slots_logged, slots);
    page.slots_logged = slots;
  }
  if (page.log_number != shard.log.file_number()) {
    PutStateRecord(out, page, shard.log.base_ms());
    page.log_number = shard.log.file_number();
  }
}

// Again under their own numbers, ascending: whether they count depends on what the other logs have.
void Head::LogMarks(Shard& shard) {
  std::map<std::pair<uint64_t, uint64_t>,
           std::vector<const std::pair<const std::string, CommittedMark>*>>
      batches;
  for (const auto& mark : shard.marks)
    batches[{mark.second.commit, mark.second.shards}].push_back(&mark);
  for (const auto& [batch, marks] : batches) {
    for (const auto* mark : marks)
      PutMarkRecord(shard.log.buffer(), mark->first, mark->second.bytes);
    PutCommitRecord(shard.log.buffer(), batch.first, batch.second);
  }
}

void Head::StartLogFile(Shard& shard) {
  shard.log.StartFile(env_.NowMs());
  LogMarks(shard);
  shard.keys_logged.Clear();
  for (Source* source : shard.sources) {
    source->logged = false;
    for (uint32_t i = 0; i < source->page_count(); ++i) {
      Page& page = source->writable_page(i);
      page.slots_logged = 0;
      LogDictionary(shard, *source, page);
    }
  }
  // Every file knows the exemplars: there is a bound to them, and the older file will be dropped.
  exemplars_.ForEach([&](SourceId id, model::Slot slot, const model::Exemplar& exemplar, uint64_t)
                         NO_THREAD_SAFETY_ANALYSIS {
                           const Source* source = sources_.Get(id);
                           if (source != nullptr && source->shard == shard.number)
                             PutExemplarRecord(shard.log.buffer(), id, slot, exemplar);
                         });
  // Closes the checkpoint, and tells the shard's highest commit number.
  PutCommitRecord(shard.log.buffer(), commit_number(), 0);
  shard.log.Appended();
}

Status Head::StartLogs() {
  opened_ms_ = env_.NowMs();
  Status first;
  for (const auto& shard : shards_) {
    {
      MutexLock lock(shard->mutex);
      StartLogFile(*shard);
    }
    Status status = shard->log.FlushAll();
    if (first.ok()) first = std::move(status);
  }
  return first;
}

Status Head::RotateLogs(const std::function<bool(const WindowUse&)>& covered) {
  for (const auto& shard : shards_) {
    {
      MutexLock lock(shard->mutex);
      const std::vector<WindowUse>& uses = shard->log.file_uses();
      if (!uses.empty() && (covered == nullptr || std::all_of(uses.begin(), uses.end(), covered)))
        StartLogFile(*shard);
    }
    TOCSIN_RETURN_IF_ERROR(shard->log.SyncAll());
  }
  return Status::Ok();
}

Status Head::FlushLogs(bool sync) {
  Status first;
  for (const auto& shard : shards_) {
    Status status = sync ? shard->log.SyncAll() : shard->log.FlushAll();
    if (first.ok()) first = std::move(status);
  }
  return first;
}

// ----------------------------------------------------------------------------------------------------------
// replay

Source& Head::ReplaySource(const model::Origin& origin, const model::Labels& labels,
                           uint64_t incarnation, bool in_use, bool* added) {
  MutexLock lock(sources_mutex_);
  SourceId id = index_.AddSource(origin, labels, added);
  if (*added) return AddSource(id, origin, labels, incarnation);
  Source* known = sources_.Get(id);
  if (known->incarnation == incarnation) return *known;
  Shard& shard = *shards_[known->shard];
  if (!in_use) {
    MutexLock shard_lock(shard.mutex);
    if (!known->has_runs()) {
      std::erase(shard.sources, known);
      RemoveSource(known);
      known = nullptr;
    }
  }
  if (known == nullptr) {
    id = index_.AddSource(origin, labels, added);
    return AddSource(id, origin, labels, incarnation);
  }
  // The other one still has samples that no segment holds: this one gets an address of its own.
  // Queries join them by labels.
  model::Origin other = origin;
  other.id += "#" + std::to_string(incarnation);
  id = index_.AddSource(other, labels, added);
  if (!*added) return *sources_.Get(id);
  auto* source = new Source(id, other, labels, known->shard, incarnation);
  CHECK(sources_.Append(source) == id);
  MutexLock shard_lock(shard.mutex);
  shard.sources.push_back(source);
  return *source;
}

Page& Head::ReplayLayout(Source& source, uint32_t page_number, uint32_t first_slot,
                         const std::vector<KeyId>& keys) {
  const uint32_t base = page_number * kFrameSlotsMax;
  uint32_t known = index_.NewPin().slot_count(source.id);
  const auto usable = [&](KeyId key) {
    // A key that has a slot already cannot be told from damage: the slot stays without one.
    return key != kNoId && key != kUnknownKey && index_.FindSlot(source.id, key) == model::kNoSlot;
  };
  const auto add = [&](KeyId key) {
    if (usable(key)) {
      known = index_.AddSlot(source.id, key) + 1;
      ++source.live_slots;
    } else {
      const KeyId filler = index_.AddKey(model::Labels::FromPairs({{"__slot__", "unknown"}}));
      const model::Slot slot = index_.AddSlot(source.id, filler);
      index_.ReplaceSlot(source.id, slot, kNoId);
      known = slot + 1;
    }
    source.AddPage((known - 1) / kFrameSlotsMax).Resize((known - 1) % kFrameSlotsMax + 1);
  };
  // Slots whose record was lost come before: they get no key.
  while (known < base + first_slot) add(kNoId);
  for (uint32_t i = 0; i < keys.size(); ++i) {
    const model::Slot slot = base + first_slot + i;
    if (slot >= known) {
      add(keys[i]);
      continue;
    }
    // The slot was given another key: its older samples are in segments by then.
    const KeyId old = index_.NewPin().KeyAt(source.id, slot);
    if (keys[i] == old || keys[i] == kUnknownKey || (keys[i] != kNoId && !usable(keys[i])))
      continue;
    index_.ReplaceSlot(source.id, slot, keys[i]);
    source.writable_page(page_number).ForgetHistory(slot % kFrameSlotsMax);
    if (old != kNoId) --source.live_slots;
    if (keys[i] != kNoId) ++source.live_slots;
  }
  return source.AddPage(page_number);
}

void Head::SetMark(const std::string& key, CommittedMark mark) {
  MutexLock lock(marks_mutex_);
  CommittedMark& known = marks_[key];
  if (mark.commit >= known.commit) known = std::move(mark);
}

void Head::ReplayMark(uint32_t number, const std::string& key, CommittedMark mark) {
  if (number < shards_.size()) {
    Shard& shard = *shards_[number];
    MutexLock lock(shard.mutex);
    CommittedMark& known = shard.marks[key];
    if (mark.commit >= known.commit) known = mark;
  }
  SetMark(key, std::move(mark));
}

void Head::ReplayExemplar(Source& source, model::Slot slot, const model::Exemplar& exemplar,
                          uint64_t commit) {
  exemplars_.Add(source.id, slot, exemplar, commit);
}

void Head::RaiseCommitNumber(uint64_t commit) {
  uint64_t seen = commit_number_.load(std::memory_order_relaxed);
  while (seen < commit && !commit_number_.compare_exchange_weak(seen, commit)) {
  }
}

std::vector<std::pair<std::string, std::string>> Head::Marks(uint64_t* commit) {
  MutexLock lock(publish_mutex_);
  *commit = commit_number();
  MutexLock marks_lock(marks_mutex_);
  std::vector<std::pair<std::string, std::string>> marks;
  for (const auto& [key, mark] : marks_) marks.emplace_back(key, mark.bytes);
  return marks;
}

uint64_t Head::ReserveCommitNumber() {
  MutexLock lock(publish_mutex_);
  const uint64_t commit = commit_number_.load(std::memory_order_relaxed) + 1;
  commit_number_.store(commit, std::memory_order_release);
  return commit;
}

// Half hours since the epoch; no range is too long.
struct Head::ChangeWindows {
  explicit ChangeWindows(model::TimeRange range) {
    if (range.min_ms > range.max_ms) return;
    const auto window = [](model::Timestamp t) {
      return static_cast<uint64_t>(t / kWindowMs - (t % kWindowMs < 0 ? 1 : 0));
    };
    first = window(range.min_ms);
    count = std::min<uint64_t>(window(range.max_ms) - first, kChangeCounters - 1) + 1;
  }
  size_t place(uint64_t i) const { return (first + i) % kChangeCounters; }
  uint64_t first = 0;
  uint64_t count = 0;
};

void Head::NoteChange(model::TimeRange range) {
  const ChangeWindows windows(range);
  for (uint64_t i = 0; i < windows.count; ++i)
    changes_[windows.place(i)].fetch_add(1, std::memory_order_release);
}

void Head::RaiseNewest(model::Timestamp t) {
  model::Timestamp seen = newest_ms_.load(std::memory_order_relaxed);
  while (seen < t && !newest_ms_.compare_exchange_weak(seen, t, std::memory_order_relaxed)) {
  }
}

void Head::ForgetLastValues(const std::vector<model::MatcherSet>& matcher_sets,
                            model::TimeRange range) {
  const EpochDomain::Pin sources_stay = NewPin();
  const HeadIndex::Pin pin = index_.NewPin();
  for (const model::MatcherSet& set : matcher_sets) {
    const auto selection = pin.Select(set);
    CHECK(selection.has_value());  // the caller counted the matchers
    for (const HeadSelection::Entry& entry : selection->entries) {
      Source* source = sources_.Get(entry.source);
      if (source == nullptr) continue;
      MutexLock lock(shards_[source->shard]->mutex);
      for (const SlotKey& place : selection->lists[entry.list]) {
        const model::Slot slot = entry.slot_base + place.slot;
        if (slot / kFrameSlotsMax >= source->page_count()) break;
        Page& page = source->writable_page(slot / kFrameSlotsMax);
        if (const uint32_t at = slot % kFrameSlotsMax; at < page.slots())
          page.ForgetLastValue(at, range);
      }
    }
  }
}

namespace {

// How far behind the newest row a row is nothing special: rows have the time at which they were
// due, and come in after a scrape of up to ten seconds, or from a sender that collects for a while.
constexpr int64_t kSettleMs = 60 * 1000;

}  // namespace

void Head::RaiseSettled(model::Timestamp now_ms) {
  // A row that is ahead of its time settles nothing.
  const model::Timestamp reached = std::min(newest_ms_.load(std::memory_order_relaxed), now_ms);
  if (reached < model::kMinTimestamp + kSettleMs) return;
  model::Timestamp seen = settled_ms_.load(std::memory_order_relaxed);
  while (seen < reached - kSettleMs &&
         !settled_ms_.compare_exchange_weak(seen, reached - kSettleMs)) {
  }
}

model::Timestamp Head::SettledUntil() const {
  const model::Timestamp settled = settled_ms_.load(std::memory_order_seq_cst);
  // Who publishes a row looks at settled_ms_ behind a fence too (HeadBatch::Publish): either it
  // sees this value and tells of an old row, or who reads on from here sees the row.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return settled;
}

void Head::FinishRestore() {
  const HeadIndex::Pin pin = index_.NewPin();
  size_t bytes = 0;
  for (const auto& shard : shards_) {
    MutexLock lock(shard->mutex);
    for (Source* source : shard->sources) {
      for (uint32_t i = 0; i < source->page_count(); ++i) {
        Page& page = source->writable_page(i);
        page.broken = false;
        page.RequireRun();
        RaiseNewest(page.newest_ms());
        for (uint32_t at = 0; at < page.slots(); ++at) {
          const model::Slot slot = i * kFrameSlotsMax + at;
          if (pin.KeyAt(source->id, slot) != kNoId) {
            page.unclaimed.resize(page.states.live.size(), 0);
            page.unclaimed[at / 64] |= uint64_t{1} << (at % 64);
          } else if (!page.states.is_live(at) && !page.History(at).any) {
            source->free_slots.push_back(slot);
          }
        }
        bytes += page.run_bytes();
      }
    }
  }
  run_bytes_.store(bytes, std::memory_order_relaxed);
}

void Head::TakeOlderRuns(Page& older, Page* live) {
  const size_t before = live->run_bytes();
  live->TakeOlderRuns(&older);
  AccountRuns(before, live->run_bytes());
}

// ----------------------------------------------------------------------------------------------------------
// sealing

std::vector<WindowUse> Head::OpenWindows(const std::function<bool(const WindowUse&)>& covered) {
  std::vector<WindowUse> windows;
  for (const auto& shard : shards_) {
    MutexLock lock(shard->mutex);
    for (Source* source : shard->sources) {
      for (uint32_t i = 0; i < source->page_count(); ++i) {
        Run* run = source->writable_page(i).first_run_for_writer();
        for (; run != nullptr; run = run->next.load(std::memory_order_relaxed)) {
          for (const WindowUse& use : run->uses) {
            if (!covered(use)) RaiseWindowUse(&windows, use.window_ms, use.commit);
          }
        }
      }
    }
  }
  std::sort(windows.begin(), windows.end(),
            [](const WindowUse& a, const WindowUse& b) { return a.window_ms < b.window_ms; });
  return windows;
}

size_t Head::RetireRuns(const std::function<bool(const WindowUse&)>& covered) {
  size_t retired = 0;
  MutexLock lock(sources_mutex_);
  for (const auto& shard : shards_) {
    MutexLock shard_lock(shard->mutex);
    for (Source* source : shard->sources) {
      for (uint32_t i = 0; i < source->page_count(); ++i) {
        Page& page = source->writable_page(i);
        const size_t before = page.run_bytes();
        while (Run* run = page.first_run_for_writer()) {
          if (run->uses.empty() && run->frames > 0) break;  // a batch is being published
          if (!std::all_of(run->uses.begin(), run->uses.end(), covered)) break;
          const size_t bytes = run->bytes;
          epochs_.RetireDelete(page.UnlinkFirstRun(), bytes);
          ++retired;
        }
        AccountRuns(before, page.run_bytes());
      }
    }
  }
  epochs_.Collect();
  return retired;
}

void Head::RemoveSource(Source* source) {
  index_.RemoveSource(source->id);
  sources_.Erase(source->id);
  epochs_.RetireDelete(source);
}

size_t Head::RemoveIdleSources(int64_t idle_ms) {
  const int64_t now = env_.NowMs();
  size_t removed = 0;
  MutexLock lock(sources_mutex_);
  for (const auto& shard : shards_) {
    MutexLock shard_lock(shard->mutex);
    std::vector<Source*> kept;
    for (Source* source : shard->sources) {
      const bool used = source->handles > 0 || source->has_runs();
      if (used || source->idle_since_ms == 0) source->idle_since_ms = used ? 0 : now;
      if (used || now - source->idle_since_ms < idle_ms) {
        kept.push_back(source);
        continue;
      }
      if (source->origin == ImportOrigin() && exemplars_.Has(source->id)) {
        kept.push_back(source);
        continue;
      }
      RemoveSource(source);
      ++removed;
    }
    shard->sources = std::move(kept);
  }
  if (removed > 0) {
    epochs_.Collect();
    index_.Sweep();
  }
  return removed;
}

size_t Head::run_count() const {
  size_t count = 0;
  for (const auto& shard : shards_) {
    MutexLock lock(shard->mutex);
    for (Source* source : shard->sources) {
      for (uint32_t i = 0; i < source->page_count(); ++i)
        count += source->writable_page(i).run_count();
    }
  }
  return count;
}

model::TimeRange Head::Span() const {
  model::TimeRange span{model::kMaxTimestamp, model::kMinTimestamp};
  for (const auto& shard : shards_) {
    MutexLock lock(shard->mutex);
    for (Source* source : shard->sources) {
      for (uint32_t i = 0; i < source->page_count(); ++i) {
        const Run* run = source->writable_page(i).first_run();
        for (; run != nullptr; run = run->next.load(std::memory_order_relaxed)) {
          span.min_ms = std::min(span.min_ms, run->min_ms.load(std::memory_order_relaxed));
          span.max_ms = std::max(span.max_ms, run->max_ms.load(std::memory_order_relaxed));
        }
      }
    }
  }
  return span;
}

uint64_t Head::ChangeNumber(model::TimeRange range) const {
  const ChangeWindows windows(range);
  uint64_t sum = 0;
  for (uint64_t i = 0; i < windows.count; ++i)
    sum += changes_[windows.place(i)].load(std::memory_order_acquire);
  return sum;
}

bool Head::FindMark(std::string_view key, std::string* bytes) const {
  MutexLock lock(marks_mutex_);
  const auto found = marks_.find(std::string(key));
  if (found == marks_.end()) return false;
  *bytes = found->second.bytes;
  return true;
}

void Head::ReadNewest(const Source& source, const Page& page, const HeadView& view,
                      std::span<const uint32_t> slots, NewestSample* newest) const {
  MutexLock lock(shards_[source.shard]->mutex);
  FindNewestSamples(page, view, slots, newest);
}

}  // namespace tocsin::tsdb
