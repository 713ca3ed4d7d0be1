#include "tsdb/head/shard_replay.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <utility>

#include "base/bytes.h"
#include "base/log.h"
#include "base/mutex.h"

namespace tocsin::tsdb {

void KeyIdMap::Set(KeyId from, KeyId to) {
  auto& part = parts_[from / kPart];
  if (part == nullptr) {
    part = std::make_unique<std::array<KeyId, kPart>>();
    part->fill(Head::kUnknownKey);
  }
  (*part)[from % kPart] = to;
}

KeyId KeyIdMap::Get(KeyId from) const {
  const auto found = parts_.find(from / kPart);
  return found == parts_.end() ? Head::kUnknownKey : (*found->second)[from % kPart];
}

namespace {

// How much of a file was on the disk for sure: what its last sync record says. UINT64_MAX: there is
// none, so nobody can tell.
uint64_t SyncedBytes(const RandomAccessFile& bytes, const LogFileInfo& file) {
  LogReader reader(bytes, file.bytes);
  std::string_view record;
  bool after_damage = false;
  uint64_t synced = 0;
  while (reader.Next(&record, &after_damage)) {
    if (static_cast<RecordType>(record.front()) != RecordType::kSync) continue;
    const auto sync = ReadSyncRecord(record.substr(1));
    if (sync && sync->number == file.number) synced = std::max(synced, sync->bytes);
  }
  return synced == 0 ? UINT64_MAX : synced;
}

}  // namespace

bool ShardReplay::ReplayFile(const RandomAccessFile& bytes, Place place, LogFileInfo* file) {
  torn_at_.reset();
  damaged_at_.reset();
  LogReader reader(bytes, file->bytes);
  if (!reader.header()) return true;
  base_ms_ = reader.header()->base_ms;
  if (reader.header()->epoch != epoch_) {
    epoch_ = reader.header()->epoch;
    sources_.clear();
    keys_.Clear();
  }
  DropPending();
  poisoned_ = false;
  std::optional<uint64_t> synced;
  if (place == Place::kBeforeWhole) synced = file->bytes;
  const auto was_synced = [&] {
    if (!synced) synced = SyncedBytes(bytes, *file);
    return reader.damage_offset() < *synced;
  };
  std::string_view record;
  bool after_damage = false;
  bool sound = true;
  bool torn = false;
  uint64_t damaged_places = 0;
  const uint64_t samples_before = result_.samples;
  const uint64_t lost_before = result_.lost_samples;
  while (reader.Next(&record, &after_damage)) {
    // Behind what was synced anything may be missing: the log ends at the first hole.
    torn = after_damage && !was_synced();
    if (torn) break;
    damaged_places = reader.damaged_places();
    if (after_damage) poisoned_ = true;
    const Status status = Apply(record, file);
    if (status.ok()) continue;
    if (!damaged_at_) damaged_at_ = reader.position();
    // Bytes with a good checksum that make no sense: counted as damage, like lost ones.
    sound = false;
    ++result_.damaged_places;
    poisoned_ = true;
  }
  if (!torn) damaged_places = reader.damaged_places();
  if (reader.torn_tail()) {
    if (!synced) synced = SyncedBytes(bytes, *file);
    torn = *synced == UINT64_MAX || !was_synced();
    damaged_places += torn ? 0 : 1;
  }
  DropPending();
  result_.damaged_places += damaged_places;
  if (!damaged_at_ || reader.first_damage().value_or(UINT64_MAX) < *damaged_at_)
    damaged_at_ = reader.first_damage();
  if (torn) {
    ++result_.torn_tails;
    torn_at_ = reader.damage_offset();
    // Files behind this one have states that tell.
    if (after_damage && place == Place::kNewest) CountBehindEnd(reader, record);
  }
  if (place == Place::kNewest && reader.lost_end_bytes() > 0) {
    // Nothing behind tells what was there: as many as bytes before it had.
    const uint64_t samples = result_.samples - samples_before;
    const uint64_t read = std::max<uint64_t>(file->bytes - reader.lost_end_bytes(), 1);
    const uint64_t lost =
        std::max<uint64_t>(samples * reader.lost_end_bytes() / read, torn ? 0 : 1);
    result_.lost_frames += lost > 0 ? 1 : 0;
    result_.lost_samples += lost;
  }
  if (torn) {
    LogInfo("tsdb", "log file ends within a write; what was being written is cut",
            {{"file", file->path},
             {"at", *torn_at_},
             {"bytes", file->bytes},
             {"lost_samples", result_.lost_samples - lost_before}});
  }
  first_file_ = false;
  if (!reader.status().ok()) LogWarn("tsdb", "log file: read fails", {{"err", reader.status()}});
  return sound && damaged_places == 0;
}

void ShardReplay::DropPending() {
  pending_.clear();
  bytes_.clear();
  // A checkpoint's states are much longer than any batch.
  static constexpr size_t kKeptBytesMax = 1 << 20;
  if (bytes_.capacity() > kKeptBytesMax) std::string().swap(bytes_);
}

Status ShardReplay::Apply(std::string_view record, LogFileInfo* file) {
  const auto type = static_cast<RecordType>(record.front());
  const std::string_view payload = record.substr(1);
  switch (type) {
    case RecordType::kSource:
      return ApplySource(payload);
    case RecordType::kKey: {
      auto key = ReadKeyRecord(payload);
      if (!key) return std::move(key).error();
      keys_.Set(key->id, head_.ReplayKey(key->labels));
      return Status::Ok();
    }
    case RecordType::kLayout:
      return ApplyLayout(payload);
    case RecordType::kSync:
    case RecordType::kPacked:
    case RecordType::kPackedSmall:
      return Status::Ok();
    case RecordType::kState:
    case RecordType::kFrame:
    case RecordType::kMark:
    case RecordType::kExemplar:
      return Stage(type, payload);
    case RecordType::kCommit: {
      auto commit = ReadCommitRecord(payload);
      if (!commit) return std::move(commit).error();
      Commit(*commit, file);
      return Status::Ok();
    }
  }
  return Status(Code::kCorruption, "unknown record type");
}

Status ShardReplay::ApplySource(std::string_view payload) {
  auto source = ReadSourceRecord(payload);
  if (!source) return std::move(source).error();
  bool added = false;
  Source& ours = head_.ReplaySource(source->origin, source->labels, source->incarnation,
                                    /*in_use=*/older_, &added);
  sources_[source->id] = &ours;
  if (older_ && added) returned_.insert(&ours);
  return Status::Ok();
}

Status ShardReplay::ApplyLayout(std::string_view payload) {
  auto layout = ReadLayoutRecord(payload);
  if (!layout) return std::move(layout).error();
  Source* source = Find(layout->source);
  if (source == nullptr) return Status::Ok();  // its record was lost; frames are counted
  if (!older_ || returned_.contains(source)) {
    for (KeyId& key : layout->keys) {
      if (key != kNoId) key = keys_.Get(key);
    }
    MutexLock lock(head_.shard(source->shard).mutex);
    head_.ReplayLayout(*source, layout->page, layout->first_slot, layout->keys);
  }
  if (older_) {
    // Slots stand for what the head, which read the newest file, says: a slot gets another key only
    // when no file has samples of the one before.
    auto& pages = pages_[source];
    while (pages.size() <= layout->page)
      pages.push_back(std::make_unique<Page>(source->id, static_cast<uint32_t>(pages.size())));
    Page& page = *pages[layout->page];
    const auto slots = static_cast<uint32_t>(layout->first_slot + layout->keys.size());
    if (page.slots() < slots) page.Resize(slots);
  }
  return Status::Ok();
}

Status ShardReplay::Stage(RecordType type, std::string_view payload) {
  Pending pending{type, nullptr, 0, 0, 0, bytes_.size(), 0};
  std::string_view bytes = payload;
  if (type == RecordType::kFrame) {
    auto frame = ReadFrameRecord(payload, base_ms_);
    if (!frame) return std::move(frame).error();
    pending.source = Find(frame->source);
    pending.page = frame->page;
    pending.sequence = frame->sequence;
    pending.row_ms = frame->row_ms;
    bytes = frame->body;
  } else if (type == RecordType::kState) {
    auto head = ReadStateRecordHead(payload);
    if (!head) return std::move(head).error();
    pending.source = Find(head->source);
    pending.page = head->page;
  } else if (type == RecordType::kExemplar) {
    auto exemplar = ReadExemplarRecord(payload);
    if (!exemplar) return std::move(exemplar).error();
    pending.source = Find(exemplar->source);
  }
  pending.size = bytes.size();
  bytes_.append(bytes);
  pending_.push_back(pending);
  return Status::Ok();
}

void ShardReplay::Commit(const LoggedCommit& commit, LogFileInfo* file) {
  // A batch of several shards may be incomplete: another shard's part never reached its log, and
  // the batch was not acknowledged. Its rows here stay nevertheless. Frames and state records that
  // were written, and acknowledged, after it build on them; without them, they would be lost too.
  // Whoever sends it again completes it. Its marks would claim rows that are not there: they wait
  // until all shards are read.
  bytes_.append(kFrameSlack, '\0');
  for (const Pending& pending : pending_) {
    switch (pending.type) {
      case RecordType::kFrame:
        if (!poisoned_) {
          ApplyFrame(pending, commit.commit, file);
          break;
        }
        Lose(pending, PageOf(pending));  // a part of its batch is gone
        break;
      case RecordType::kState:
        ApplyState(pending);
        break;
      case RecordType::kMark:
        if (older_) break;  // the newest checkpoint has them all
        if (auto mark = ReadMarkRecord(BytesOf(pending)))
          marks_.push_back(
              {std::string(mark->key), std::string(mark->bytes), commit.commit, commit.shards});
        break;
      default:
        if (older_ || pending.source == nullptr) break;
        if (commit.shards == 0 && !first_file_) break;  // a checkpoint's: read where they were new
        if (auto exemplar = ReadExemplarRecord(BytesOf(pending)))
          head_.ReplayExemplar(*pending.source, exemplar->slot, exemplar->exemplar, commit.commit);
    }
  }
  DropPending();
  poisoned_ = false;
  last_commit_ = std::max(last_commit_, commit.commit);
  file->last_commit = std::max(file->last_commit, commit.commit);
}

Page* ShardReplay::PageOf(const Pending& pending) {
  if (pending.source == nullptr) return nullptr;
  if (!older_) {
    return pending.page < pending.source->page_count()
               ? &pending.source->writable_page(pending.page)
               : nullptr;
  }
  const auto found = pages_.find(pending.source);
  return found != pages_.end() && pending.page < found->second.size()
             ? found->second[pending.page].get()
             : nullptr;
}

void ShardReplay::ApplyState(const Pending& pending) {
  Page* page = PageOf(pending);
  if (page == nullptr) return;
  const bool was_broken = page->broken;
  const uint32_t before = page->sequence;
  const bool may_be_first = before == 0 && first_file_;
  const auto last_ms = may_be_first ? std::vector<model::Timestamp>() : page->LastTimestamps();
  const model::Timestamp last_full_ms = page->last_full_ms;
  page->broken = !ApplyStateRecord(BytesOf(pending), base_ms_, page).ok();
  if (page->restored_sequence == UINT32_MAX) page->restored_sequence = page->sequence;
  if (page->broken || may_be_first) return;
  // The state counts frames that never came: a file before, or its end, is gone, although each file
  // begins with the states of all that is alive; or frames that were lost. Their samples are not
  // stored, so a copy that is sent again must not be taken for a duplicate.
  if (page->sequence > before) {
    CountMissing(page->sequence - before, *page);
  } else if (!was_broken) {
    return;
  }
  page->RewindHistory(last_ms, last_full_ms);
}

void ShardReplay::ApplyFrame(const Pending& pending, uint64_t commit, LogFileInfo* file) {
  Page* page = PageOf(pending);
  if (page == nullptr || page->broken) return Lose(pending, page);
  if (pending.sequence <= page->sequence) return;  // known already
  if (pending.sequence != page->sequence + 1) return Lose(pending, page);
  const auto sealed = [&](model::Timestamp window_ms) {
    return sealed_.CoversWindow(window_ms, commit);
  };
  const Status status = page->Replay(BytesOf(pending), pending.row_ms, commit, sealed,
                                     /*rows_only=*/older_, &file->uses, &result_.samples);
  if (!status.ok()) return Lose(pending, page);
  ++result_.rows;
  head_.RaiseNewest(pending.row_ms);
}

namespace {

// How many samples a row of the page has, as far as anybody can tell.
uint64_t SamplesInRow(const Page& page) {
  uint64_t live = 0;
  for (const uint64_t word : page.states.live) live += static_cast<uint64_t>(std::popcount(word));
  return live == 0 ? page.slots() : live;
}

}  // namespace

void ShardReplay::Lose(const Pending& pending, Page* page) {
  // Of a page without any state or frame so far nobody can tell what is missing before this one.
  if (page != nullptr && (page->sequence != 0 || !first_file_)) {
    if (pending.sequence <= page->sequence) return;  // known already
    CountMissing(pending.sequence - page->sequence - 1, *page);
    page->sequence = pending.sequence;
  }
  if (page != nullptr) page->broken = true;
  CountFrame(pending, page);
}

void ShardReplay::CountBehindEnd(LogReader& reader, std::string_view first_record) {
  std::unordered_map<Page*, uint32_t> newest;
  std::string_view record = first_record;
  bool after_damage = false;
  do {
    if (static_cast<RecordType>(record.front()) != RecordType::kFrame) continue;
    if (!Stage(RecordType::kFrame, record.substr(1)).ok()) continue;
    const Pending& pending = pending_.back();
    if (Page* page = PageOf(pending)) {
      uint32_t& sequence = newest.try_emplace(page, page->sequence).first->second;
      sequence = std::max(sequence, pending.sequence);
    } else {
      CountFrame(pending, nullptr);
    }
    DropPending();
  } while (reader.Next(&record, &after_damage));
  for (const auto& [page, sequence] : newest) {
    if (sequence > page->sequence) CountMissing(sequence - page->sequence, *page);
  }
}

void ShardReplay::CountFrame(const Pending& pending, const Page* page) {
  ++result_.lost_frames;
  const auto view = FrameView::Parse(BytesOf(pending));
  if (!view) return;
  uint64_t samples = view->items;
  if (view->kind == FrameKind::kCover) samples = view->slots;
  if (view->kind == FrameKind::kFull && page != nullptr) samples = SamplesInRow(*page);
  result_.lost_samples += samples;
}

void ShardReplay::CountMissing(uint64_t frames, const Page& page) {
  result_.lost_frames += frames;
  result_.lost_samples += frames * SamplesInRow(page);
}

void ShardReplay::TakeOlder() {
  for (auto& [source, pages] : pages_) {
    MutexLock lock(head_.shard(source->shard).mutex);
    for (const auto& page : pages) {
      if (page->number >= source->page_count()) continue;  // nothing alive is in it
      Page& live = source->writable_page(page->number);
      // Without any state or frame read there is nothing to count from.
      if (page->sequence != 0 && live.restored_sequence != UINT32_MAX &&
          live.restored_sequence > page->sequence)
        CountMissing(live.restored_sequence - page->sequence, live);
      head_.TakeOlderRuns(*page, &live);
    }
  }
  pages_.clear();
}

}  // namespace tocsin::tsdb
