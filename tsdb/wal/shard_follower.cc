#include "tsdb/wal/shard_follower.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "base/bytes.h"
#include "tsdb/codec/histograms.h"

namespace tocsin::tsdb {
namespace {

uint64_t SamplesInRow(const Page& page) {
  uint64_t live = 0;
  for (const uint64_t word : page.states.live) live += static_cast<uint64_t>(std::popcount(word));
  return live == 0 ? page.slots() : live;
}

}  // namespace

std::vector<PagePosition> ShardFollower::Pages() const {
  std::vector<PagePosition> pages;
  for (const auto& [incarnation, source] : sources_) {
    for (const auto& page : source->pages) {
      if (page->known) pages.push_back({incarnation, page->page.number, page->page.sequence});
    }
  }
  return pages;
}

void ShardFollower::Expect(const std::vector<PagePosition>& pages) {
  for (const PagePosition& position : pages) {
    auto& source = sources_[position.incarnation];
    if (source == nullptr) source = std::make_unique<FollowedSource>();
    while (source->pages.size() <= position.page) {
      source->pages.push_back(
          std::make_unique<FollowedPage>(kNoId, static_cast<uint32_t>(source->pages.size())));
    }
    FollowedPage& page = *source->pages[position.page];
    page.page.sequence = position.sequence;
    page.known = true;
  }
}

// ----------------------------------------------------------------------------------------------------------
// files

void ShardFollower::Refresh(LogView view) {
  view_ = std::move(view);
  ReopenIfRewritten();
  for (const LogFileInfo& file : view_.files) {
    if (file.number == number_ && reader_ != nullptr) reader_->Extend(file.bytes);
  }
}

// The log replaced the file by a copy whose end is on the disk for sure.
void ShardFollower::ReopenIfRewritten() {
  for (const LogFileInfo& file : view_.files) {
    if (file.number != number_ || reader_ == nullptr || file.rewrites == rewrites_) continue;
    auto opened = env_.NewRandomAccessFile(file.path);
    if (!opened) {
      status_ = std::move(opened).error();
      return;
    }
    reader_->SwitchFile(**opened);
    file_ = *std::move(opened);
    rewrites_ = file.rewrites;
  }
}

bool ShardFollower::OpenNextFile() {
  for (const LogFileInfo& file : view_.files) {
    // At first: the file that has the first batch behind the position, or may have it.
    const bool passed = number_ == 0 ? file.last_commit != 0 && file.last_commit <= position_ &&
                                           &file != &view_.files.back()
                                     : file.number <= number_;
    if (passed) continue;
    auto opened = env_.NewRandomAccessFile(file.path);
    if (!opened) {
      if (opened.error().code() == Code::kNotFound) continue;  // dropped just now
      status_ = std::move(opened).error();
      return false;
    }
    file_ = *std::move(opened);
    reader_ = std::make_unique<LogReader>(*file_, file.bytes);
    number_ = file.number;
    rewrites_ = file.rewrites;
    staged_.clear();
    bytes_.clear();
    poisoned_ = false;
    if (!reader_->header()) continue;
    base_ms_ = reader_->header()->base_ms;
    keys_.clear();
    if (reader_->header()->epoch != epoch_) ids_.clear();
    epoch_ = reader_->header()->epoch;
    return true;
  }
  return false;
}

std::optional<uint64_t> ShardFollower::Peek() {
  if (!status_.ok()) return std::nullopt;
  while (!batch_) {
    std::string_view record;
    bool after_damage = false;
    if (reader_ == nullptr || !reader_->Next(&record, &after_damage)) {
      if (!OpenNextFile()) return std::nullopt;
      continue;
    }
    poisoned_ = poisoned_ || after_damage;
    Apply(record);
  }
  return batch_;
}

// ----------------------------------------------------------------------------------------------------------
// records

void ShardFollower::Apply(std::string_view record) {
  const auto type = static_cast<RecordType>(record.front());
  const std::string_view payload = record.substr(1);
  switch (type) {
    case RecordType::kSource:
      if (auto source = ReadSourceRecord(payload)) {
        auto& known = sources_[source->incarnation];
        if (known == nullptr) known = std::make_unique<FollowedSource>();
        known->labels = std::move(source->labels);
        known->file_number = number_;
        ids_[source->id] = known.get();
      }
      break;
    case RecordType::kKey:
      if (auto key = ReadKeyRecord(payload))
        keys_[key->id] = std::make_shared<const model::Labels>(std::move(key->labels));
      break;
    case RecordType::kLayout:
      if (auto layout = ReadLayoutRecord(payload)) ApplyLayout(*layout);
      break;
    case RecordType::kState:
    case RecordType::kFrame:
    case RecordType::kExemplar:
      Stage(type, payload);
      break;
    case RecordType::kCommit:
      if (auto commit = ReadCommitRecord(payload)) {
        if (commit->shards == 0) {
          FinishCheckpoint();
        } else if (commit->commit > last_batch_) {  // else marks, repeated where a file begins
          last_batch_ = commit->commit;
          batch_ = commit->commit;
        }
      }
      break;
    default:
      break;
  }
}

void ShardFollower::ApplyLayout(const LoggedLayout& layout) {
  const auto source = ids_.find(layout.source);
  if (source == ids_.end()) return;
  auto& pages = source->second->pages;
  while (pages.size() <= layout.page) {
    pages.push_back(
        std::make_unique<FollowedPage>(layout.source, static_cast<uint32_t>(pages.size())));
  }
  FollowedPage& page = *pages[layout.page];
  const size_t end = layout.first_slot + layout.keys.size();
  if (page.keys.size() < end) {
    page.keys.resize(end);
    page.series.resize(end, 0);
    page.page.Resize(std::max(page.page.slots(), static_cast<uint32_t>(end)));
  }
  for (size_t i = 0; i < layout.keys.size(); ++i) {
    const size_t slot = layout.first_slot + i;
    const auto key = keys_.find(layout.keys[i]);
    std::shared_ptr<const model::Labels> labels = key == keys_.end() ? nullptr : key->second;
    const bool same =
        labels != nullptr && page.keys[slot] != nullptr && *labels == *page.keys[slot];
    if (!same) page.series[slot] = next_series_++;
    page.keys[slot] = std::move(labels);
  }
}

void ShardFollower::Stage(RecordType type, std::string_view payload) {
  Staged staged{type, nullptr, 0, 0, 0, bytes_.size(), 0};
  std::string_view bytes = payload;
  SourceId id = 0;
  if (type == RecordType::kFrame) {
    const auto frame = ReadFrameRecord(payload, base_ms_);
    if (!frame) return;
    id = frame->source;
    staged.page = frame->page;
    staged.sequence = frame->sequence;
    staged.row_ms = frame->row_ms;
    bytes = frame->body;
  } else if (type == RecordType::kState) {
    const auto head = ReadStateRecordHead(payload);
    if (!head) return;
    id = head->source;
    staged.page = head->page;
  } else {
    const auto exemplar = ReadExemplarRecord(payload);
    if (!exemplar) return;
    id = exemplar->source;
    staged.page = exemplar->slot / kFrameSlotsMax;
  }
  const auto source = ids_.find(id);
  staged.source = source == ids_.end() ? nullptr : source->second;
  staged.size = bytes.size();
  bytes_.append(bytes);
  staged_.push_back(staged);
}

ShardFollower::FollowedPage* ShardFollower::PageOf(const Staged& staged) const {
  if (staged.source == nullptr || staged.page >= staged.source->pages.size()) return nullptr;
  return staged.source->pages[staged.page].get();
}

uint64_t ShardFollower::SamplesInFrame(const FrameView& view, const Page& page) {
  if (view.kind == FrameKind::kFull) return SamplesInRow(page);
  return view.kind == FrameKind::kCover ? view.slots : view.items;
}

// A row may come in many frames, of a few series each: lost ones are as long as those that were
// read, as long as whole rows where none was.
void ShardFollower::CountLost(uint64_t frames, const FollowedPage& page) {
  ++gaps_;
  lost_samples_ += page.frames == 0
                       ? frames * SamplesInRow(page.page)
                       : static_cast<uint64_t>(std::llround(static_cast<double>(frames) *
                                                            static_cast<double>(page.samples) /
                                                            static_cast<double>(page.frames)));
}

void ShardFollower::ApplyState(const Staged& staged) {
  FollowedPage* page = PageOf(staged);
  if (page == nullptr) return;
  const uint32_t before = page->page.sequence;
  page->page.broken = !ApplyStateRecord(BytesOf(staged), base_ms_, &page->page).ok();
  // Only what frames are coded against is wanted here.
  page->page.last_ms = {};
  page->page.histogram_hashes = {};
  if (page->known && page->page.sequence > before) CountLost(page->page.sequence - before, *page);
  page->known = true;
}

void ShardFollower::FinishCheckpoint() {
  for (const Staged& staged : staged_) {
    if (staged.type == RecordType::kState) ApplyState(staged);
  }
  staged_.clear();
  std::string().swap(bytes_);
  poisoned_ = false;
  // Everything alive was named.
  std::erase_if(sources_, [&](const auto& entry) {
    if (entry.second->file_number == number_) return false;
    std::erase_if(ids_, [&](const auto& id) { return id.second == entry.second.get(); });
    return true;
  });
}

// ----------------------------------------------------------------------------------------------------------
// samples

void ShardFollower::Take(model::TailVisitor& visitor, model::TailProgress* progress) {
  samples_ = 0;
  const bool wanted = *batch_ > position_;
  bytes_.append(kFrameSlack, '\0');
  for (const Staged& staged : staged_) {
    if (staged.type == RecordType::kState) {
      ApplyState(staged);
    } else if (staged.type == RecordType::kFrame) {
      GiveFrame(staged, wanted ? &visitor : nullptr);
    } else if (wanted) {
      GiveExemplar(staged, visitor);
    }
  }
  staged_.clear();
  bytes_.clear();
  poisoned_ = false;
  batch_.reset();
  progress->samples += samples_;
}

void ShardFollower::TakeLosses(model::TailProgress* progress) {
  progress->gaps += std::exchange(gaps_, 0);
  progress->lost_samples += std::exchange(lost_samples_, 0);
}

void ShardFollower::GiveFrame(const Staged& staged, model::TailVisitor* visitor) {
  FollowedPage* page = PageOf(staged);
  const auto view = FrameView::Parse(BytesOf(staged));
  if (page == nullptr || !page->known) {
    if (visitor == nullptr) return;  // given before
    ++gaps_;
    if (view) lost_samples_ += view->kind == FrameKind::kPartial ? view->items : view->slots;
    return;
  }
  Page& state = page->page;
  if (staged.sequence <= state.sequence) return;  // known already
  if (poisoned_ || state.broken || staged.sequence != state.sequence + 1 || !view) {
    // The next state record counts what is missing from here on.
    state.broken = true;
    return;
  }
  ApplyFrame(*view, &state.states);
  state.Resize(std::max(state.slots(), view->slots));
  ++state.sequence;
  ++page->frames;
  page->samples += SamplesInFrame(*view, state);
  if (visitor != nullptr) GiveItems(*view, staged, *page, *visitor);
}

void ShardFollower::GiveItems(const FrameView& view, const Staged& staged, FollowedPage& page,
                              model::TailVisitor& visitor) {
  const SlotStates& states = page.page.states;
  std::vector<SectionEntry> own;
  std::vector<SectionEntry> starts;
  ReadSection(view.own, &own);
  ReadSection(view.starts, &starts);
  size_t next_own = 0;
  size_t next_start = 0;
  model::TailRow row;
  row.commit_number = *batch_;
  row.source_labels = &staged.source->labels;
  const auto give = [&](uint32_t slot) {
    if (slot >= page.keys.size() || page.keys[slot] == nullptr) return;
    row.series = page.series[slot];
    row.key_labels = page.keys[slot].get();
    visitor.Row(row);
    ++samples_;
  };
  const bool late = view.kind == FrameKind::kLate;
  const bool full = view.kind == FrameKind::kFull;
  uint64_t mentioned[kFrameSlotsMax / 64] = {};
  model::Histogram histogram;
  ForEachItem(view, [&](uint32_t item, uint32_t slot, FrameCode code, const char* payload) {
    mentioned[slot / 64] |= uint64_t{1} << (slot % 64);
    const bool has_own = next_own < own.size() && own[next_own].item == item;
    row.timestamp_ms = staged.row_ms + (has_own ? own[next_own++].value : 0);
    int64_t start = late ? 0 : states.start_ms(slot);
    if (next_start < starts.size() && starts[next_start].item == item)
      start = starts[next_start++].value;
    row.start_timestamp_ms = start;
    row.histogram = nullptr;
    if (full && code == FrameCode::kAbsent) return;
    if (code == FrameCode::kStale) {
      row.value = std::bit_cast<double>(model::kStaleBits);
    } else if (code == FrameCode::kHistogram) {
      ByteReader reader(HistogramPayload(payload));
      if (!DecodeHistogram(&reader, &histogram)) {
        ++gaps_;
        ++lost_samples_;
        return;
      }
      row.value = 0;
      row.histogram = &histogram;
    } else if (late) {
      int exponent = 0;
      row.value = std::bit_cast<double>(DecodeValue(code, payload, 0, &exponent));
    } else {
      row.value = std::bit_cast<double>(states.bits[slot]);
    }
    give(slot);
  });
  if (!full && view.kind != FrameKind::kCover) return;
  // Those that have their last value again.
  row.timestamp_ms = staged.row_ms;
  row.histogram = nullptr;
  for (uint32_t slot = 0; slot < view.slots; ++slot) {
    if (((mentioned[slot / 64] >> (slot % 64)) & 1) != 0 || (full && !states.is_live(slot)))
      continue;
    row.value = std::bit_cast<double>(states.bits[slot]);
    row.start_timestamp_ms = states.start_ms(slot);
    give(slot);
  }
}

void ShardFollower::GiveExemplar(const Staged& staged, model::TailVisitor& visitor) {
  const FollowedPage* page = PageOf(staged);
  const auto logged = ReadExemplarRecord(BytesOf(staged));
  if (page == nullptr || !logged) return;
  const uint32_t slot = logged->slot % kFrameSlotsMax;
  if (slot >= page->keys.size() || page->keys[slot] == nullptr) return;
  visitor.Exemplar({*batch_, page->series[slot], &staged.source->labels, page->keys[slot].get(),
                    &logged->exemplar});
}

}  // namespace tocsin::tsdb
