#include "collector/push/push_sender.h"

#include <algorithm>

#include "base/check.h"

namespace tocsin::collector {
namespace {

uint64_t RowKey(uint32_t group, model::Timestamp timestamp_ms) {
  // Groups are few and timestamps far from 2^40 days: this is exact in practice, and RowAt
  // compares.
  return (static_cast<uint64_t>(group) << 44) ^ static_cast<uint64_t>(timestamp_ms);
}

// Fine when sorted already, as most senders send them. False: a label set that cannot be a series.
bool Normalise(std::vector<model::LabelView>* labels) {
  const auto by_name = [](const model::LabelView& a, const model::LabelView& b) {
    return a.name < b.name;
  };
  if (!std::is_sorted(labels->begin(), labels->end(), by_name)) {
    std::sort(labels->begin(), labels->end(), by_name);
  }
  bool has_name = false;
  for (size_t i = 0; i < labels->size(); ++i) {
    const model::LabelView& label = (*labels)[i];
    if (i > 0 && (*labels)[i - 1].name == label.name) return false;
    if (label.name.empty() || !model::IsValidUtf8(label.name) || !model::IsValidUtf8(label.value)) {
      return false;
    }
    has_name = has_name || (label.name == model::kMetricName && !label.value.empty());
  }
  std::erase_if(*labels, [](const model::LabelView& label) { return label.value.empty(); });
  return has_name;
}

}  // namespace

PushSender::PushSender(Env* env, model::Appender* appender, const LabelHasher* hasher,
                       PushLimits* limits, std::string name)
    : env_(env),
      appender_(appender),
      hasher_(hasher),
      limits_(limits),
      name_(std::move(name)),
      now_s_(env->NowMs() / 1000),
      next_sweep_ms_(env->NowMs() + kSweepEveryMs) {
  // After a restart series go on where they were.
  appender_->VisitSources({model::OriginKind::kPush, name_},
                          [this](const model::Labels& labels) { split_.AddSource(labels); });
}

PushSender::~PushSender() {
  limits_->groups -= groups();
  limits_->known_series_bytes -= known_.MemoryBytes();
}

PushSender::SeriesRef PushSender::Find(const LabelHasher::Hash& hash) {
  SeriesRef ref;
  KnownEntry* const entry = known_.Find(hash);
  if (entry == nullptr) return ref;
  entry->last_seen_s = static_cast<uint32_t>(now_s_);
  ref.fate = entry->slot == model::kNoSlot ? Fate::kDropped : Fate::kStored;
  ref.group = entry->group;
  ref.slot = entry->slot;
  return ref;
}

Result<uint32_t> PushSender::OpenGroup(const model::Labels& labels) {
  if (limits_->groups.fetch_add(1) >= limits_->groups_max) {
    limits_->groups.fetch_sub(1);
    return Error(Code::kResourceExhausted, "too many push groups");
  }
  auto writer = appender_->OpenSource({model::OriginKind::kPush, name_}, labels);
  if (!writer) {
    limits_->groups.fetch_sub(1);
    return Error(writer.error());
  }
  uint32_t index = 0;
  if (free_groups_.empty()) {
    index = static_cast<uint32_t>(groups_.size());
    groups_.emplace_back();
  } else {
    index = free_groups_.back();
    free_groups_.pop_back();
    groups_[index] = Group();
  }
  groups_[index].writer = std::move(*writer);
  return index;
}

PushSender::SeriesRef PushSender::Resolve(std::string_view raw_labels,
                                          std::vector<model::LabelView> labels) {
  SeriesRef ref;
  if (!Normalise(&labels)) {
    ref.fate = Fate::kDropped;
    Remember(raw_labels, ref);
    return ref;
  }
  PushSplit::Source* const source = split_.SourceOf(labels, /*may_learn=*/!lesson_given_);
  if (source == nullptr) return ref;  // kUnknown
  ref.fate = Fate::kRefused;
  if (source->group == PushSplit::kNoGroup) {
    const auto opened = OpenGroup(source->labels);
    if (!opened) {
      split_.Close(model::Labels(source->labels));
      return ref;
    }
    source->group = *opened;
  }
  const auto slot = groups_[source->group].writer->AddSlot(PushSplit::KeyOf(labels, *source));
  if (!slot) return ref;
  ref = {Fate::kStored, source->group, *slot};
  auto& slots = groups_[source->group].slots;
  if (*slot >= slots.size()) slots.resize(*slot + size_t{1});
  slots[*slot].resolved_s = static_cast<uint32_t>(now_s_);
  groups_[ref.group].resolved_s = static_cast<uint32_t>(now_s_);
  Remember(raw_labels, ref);
  return ref;
}

void PushSender::BeginLesson() { split_.BeginLesson(); }

void PushSender::Teach(std::vector<model::LabelView> labels) {
  if (Normalise(&labels)) split_.Teach(labels);
}

void PushSender::EndLesson() {
  split_.EndLesson();
  lesson_given_ = true;
}

void PushSender::Remember(std::string_view raw_labels, const SeriesRef& ref) {
  if (raw_labels.empty()) return;
  const size_t before = known_.MemoryBytes();
  if (limits_->known_series_bytes + (known_.MemoryBytesAfterInsert() - before) >
      limits_->known_series_bytes_max) {
    // Half of the usual age; when that frees nothing the series is resolved anew each time.
    Sweep(kForgetAfterMs / 2000);
    if (known_.MemoryBytesAfterInsert() > before) return;
  }
  const size_t swept = known_.MemoryBytes();
  const LabelHasher::Hash hash = (*hasher_)(raw_labels);
  known_.Insert({hash.low, hash.high, ref.group, ref.slot, static_cast<uint32_t>(now_s_)});
  limits_->known_series_bytes += known_.MemoryBytes() - swept;
  if (ref.fate != Fate::kStored) return;
  ++groups_[ref.group].slots[ref.slot].references;
  ++groups_[ref.group].references;
}

void PushSender::SweepIfDue() {
  const int64_t now_ms = env_->NowMs();
  now_s_ = now_ms / 1000;
  if (now_ms < next_sweep_ms_) return;
  next_sweep_ms_ = now_ms + kSweepEveryMs;
  Sweep(kForgetAfterMs / 1000);
}

void PushSender::Sweep(int64_t older_than_s) {
  const size_t before = known_.MemoryBytes();
  known_.Sweep([&](const KnownEntry& entry) {
    if (now_s_ - static_cast<int64_t>(entry.last_seen_s) <= older_than_s) return false;
    if (entry.slot == model::kNoSlot) return true;
    Group& group = groups_[entry.group];
    SlotUse& use = group.slots[entry.slot];
    // Perhaps in the request in the making, under other raw bytes.
    if (now_s_ - static_cast<int64_t>(use.resolved_s) <= older_than_s) return false;
    if (--use.references == 0) group.writer->ReleaseSlot(entry.slot);
    --group.references;
    return true;
  });
  CloseIdleGroups(older_than_s);
  limits_->known_series_bytes += known_.MemoryBytes();
  limits_->known_series_bytes -= before;
}

// Targets come and go: a source that nobody holds leaves the head once its samples have.
void PushSender::CloseIdleGroups(int64_t older_than_s) {
  for (uint32_t index = 0; index < groups_.size(); ++index) {
    Group& group = groups_[index];
    const bool idle = group.references == 0 && group.last_row == kNone &&
                      now_s_ - static_cast<int64_t>(group.resolved_s) > older_than_s;
    if (group.writer == nullptr || !idle) continue;
    split_.Close(group.writer->source_labels());
    group = Group();
    free_groups_.push_back(index);
    limits_->groups.fetch_sub(1);
  }
}

void PushSender::Begin() {
  for (const Row& row : rows_) groups_[row.group].last_row = kNone;
  lesson_given_ = false;
  // One huge request must not keep its memory for ever.
  if (cells_.capacity() > kCellsKeptMax) cells_ = {};
  rows_.clear();
  row_index_.clear();
  cells_.clear();
  histograms_.clear();
  exemplars_.clear();
  SweepIfDue();
}

PushSender::Row& PushSender::RowAt(uint32_t group, model::Timestamp timestamp_ms) {
  Group& g = groups_[group];
  if (g.last_row != kNone && rows_[g.last_row].timestamp_ms == timestamp_ms) {
    return rows_[g.last_row];
  }
  uint64_t key = RowKey(group, timestamp_ms);
  while (true) {
    const auto [it, fresh] = row_index_.try_emplace(key, static_cast<uint32_t>(rows_.size()));
    if (fresh) rows_.push_back({group, timestamp_ms});
    Row& row = rows_[it->second];
    if (row.group == group && row.timestamp_ms == timestamp_ms) {
      g.last_row = it->second;
      return row;
    }
    ++key;
  }
}

void PushSender::AddCell(const SeriesRef& ref, model::Timestamp timestamp_ms, double value,
                         uint32_t histogram) {
  DCHECK(ref.fate == Fate::kStored);
  const auto index = static_cast<uint32_t>(cells_.size());
  cells_.push_back({value, ref.slot, kNone, histogram});
  Row& row = RowAt(ref.group, timestamp_ms);
  if (row.first == kNone) {
    row.first = index;
  } else {
    cells_[row.last].next = index;
  }
  row.last = index;
}

void PushSender::Add(const SeriesRef& ref, model::Timestamp timestamp_ms, double value) {
  AddCell(ref, timestamp_ms, value, kNone);
}

void PushSender::AddHistogram(const SeriesRef& ref, model::Timestamp timestamp_ms,
                              model::Histogram histogram) {
  histograms_.push_back(std::move(histogram));
  AddCell(ref, timestamp_ms, 0, static_cast<uint32_t>(histograms_.size() - 1));
}

void PushSender::AddExemplar(const SeriesRef& ref, model::Exemplar exemplar) {
  // Exemplars belong to a source, not to a row: any row of the group will do, or one of their own.
  const Group& group = groups_[ref.group];
  Row& row =
      group.last_row != kNone ? rows_[group.last_row] : RowAt(ref.group, exemplar.timestamp_ms);
  exemplars_.push_back({ref.slot, row.first_exemplar, std::move(exemplar)});
  row.first_exemplar = static_cast<uint32_t>(exemplars_.size() - 1);
}

void PushSender::EmitRow(const Row& row, model::AppendBatch* batch, uint64_t* duplicates) {
  Group& group = groups_[row.group];
  batch->BeginRow(*group.writer, row.timestamp_ms, model::RowKind::kPartial);
  ++row_serial_;
  for (uint32_t i = row.first; i != kNone; i = cells_[i].next) {
    const Cell& cell = cells_[i];
    SlotUse& use = group.slots[cell.slot];
    if (use.row == row_serial_) {
      ++*duplicates;
      continue;
    }
    use.row = row_serial_;
    if (cell.histogram == kNone) {
      batch->Set(cell.slot, cell.value);
    } else {
      batch->SetHistogram(cell.slot, histograms_[cell.histogram]);
    }
  }
  for (uint32_t i = row.first_exemplar; i != kNone; i = exemplars_[i].next) {
    batch->AddExemplar(exemplars_[i].slot, exemplars_[i].exemplar);
  }
}

model::CommitResult PushSender::Commit(const model::CommitOptions& options, uint64_t* duplicates) {
  // A series' samples must reach its slot in the order of time.
  std::vector<uint32_t> order(rows_.size());
  for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    const Row& x = rows_[a];
    const Row& y = rows_[b];
    return x.group != y.group ? x.group < y.group : x.timestamp_ms < y.timestamp_ms;
  });
  const auto batch = appender_->NewBatch();
  for (const uint32_t i : order) EmitRow(rows_[i], batch.get(), duplicates);
  model::CommitResult result = batch->Commit(options);
  Begin();
  return result;
}

}  // namespace tocsin::collector
