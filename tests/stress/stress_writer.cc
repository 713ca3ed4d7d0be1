#include "stress_writer.h"

#include <algorithm>
#include <utility>

namespace tocsin::stress {

using model::AppendOutcome;
using model::Durability;
using model::RowKind;

namespace {

// A row may be written this late: with kAhead below the hour that the store accepts.
constexpr int kLateRows = 150;
// The longest Universe::OwnLagMs, and less than the time between two rows.
constexpr int64_t kOwnLagMsMax = 10;
// No source is further ahead of the slowest.
constexpr int kAhead = 40;

WriteState StateOf(Durability durability) {
  switch (durability) {
    case Durability::kGrouped:
      return kVisible;  // 100 ms may be lost
    case Durability::kKernel:
      return kKernel;
    case Durability::kSynced:
      return kSynced;
  }
  return kTried;
}

}  // namespace

int Progress::lowest() const {
  int row = kRows;
  for (const auto& next : next_row_) row = std::min(row, next.load());
  return row;
}

int Progress::highest() const {
  int row = 0;
  for (const auto& next : next_row_) row = std::max(row, next.load());
  return row;
}

void ExpectedMark::Acknowledged(WriteState state, uint64_t number) {
  for (int s = kVisible; s <= state; ++s) acknowledged_[s] = number;
}

Status ExpectedMark::Compare(uint64_t found, WriteState least) const {
  if (found >= acknowledged_[least] && found <= tried_) return {};
  return Status(Code::kCorruption, "mark " + std::to_string(found) + ", acknowledged " +
                                       std::to_string(acknowledged_[least]) + ", tried " +
                                       std::to_string(tried_));
}

void ExpectedMark::Settle(uint64_t found) {
  for (int s = kVisible; s <= kKernel; ++s) acknowledged_[s] = found;
}

StressWriter::StressWriter(ExpectedState* expected, Progress* progress, StressCounts* counts,
                           tsdb::Database* database, int first_source, int last_source,
                           uint64_t seed)
    : expected_(expected),
      progress_(progress),
      counts_(counts),
      database_(database),
      random_(seed) {
  for (int id = first_source; id <= last_source; ++id) {
    Source source;
    source.id = id;
    source.slots.assign(kSlots, model::kNoSlot);
    sources_.push_back(std::move(source));
  }
}

Status StressWriter::Step(bool may_fail) {
  if (progress_->lowest() >= kRows) return Status(Code::kResourceExhausted, "all rows are written");
  if (Random(200) == 0) return DeleteRange(may_fail);
  return WriteBatch(may_fail);
}

bool StressWriter::MayWrite(const Unit& unit) const {
  return (expected_->Get(unit) & (kDeleteTried | kDeleted)) == 0;
}

std::vector<Unit> StressWriter::Choose(const Source& source) {
  const int next = progress_->next_row(source.id);
  const bool scrape = Universe::IsScrape(source.id);
  const int parts = scrape ? 1 : kParts;
  std::vector<Unit> units;
  int row = next;
  const uint64_t kind = Random(20);
  if (kind < 3 && next > 0) {  // late, or again
    row = next - 1 - static_cast<int>(Random(static_cast<uint64_t>(std::min(next, kLateRows))));
  } else {
    if (next >= kRows || next > progress_->lowest() + kAhead) return {};
    progress_->set_next_row(source.id, next + 1);
    if (kind < 5) return {};  // left for later
  }
  for (int part = 0; part < parts; ++part) {
    if (parts > 1 && Random(3) == 0) continue;
    const Unit unit{source.id, row, part};
    if (MayWrite(unit)) units.push_back(unit);
  }
  return units;
}

bool StressWriter::OpenSource(Source* source) {
  if (source->writer != nullptr) return true;
  const auto kind =
      Universe::IsScrape(source->id) ? model::OriginKind::kScrape : model::OriginKind::kPush;
  auto opened = database_->OpenSource({kind, "s" + std::to_string(source->id)},
                                      expected_->universe().SourceLabels(source->id));
  if (!opened) return false;
  source->writer = *std::move(opened);
  std::fill(source->slots.begin(), source->slots.end(), model::kNoSlot);
  return true;
}

bool StressWriter::Stage(model::AppendBatch* batch, Source* source, const Unit& unit) {
  const Universe& universe = expected_->universe();
  for (int slot = 0; slot < kSlots; ++slot) {
    auto& open = source->slots[static_cast<size_t>(slot)];
    if (open != model::kNoSlot || !universe.Holds(unit, slot)) continue;
    const auto added = source->writer->AddSlot(universe.Key(slot));
    if (!added) return false;
    open = *added;
  }
  batch->BeginRow(*source->writer, universe.TimestampOf(unit.source, unit.row),
                  Universe::IsScrape(unit.source) ? RowKind::kFull : RowKind::kPartial);
  for (int slot = 0; slot < kSlots; ++slot) {
    if (!universe.Holds(unit, slot)) continue;
    const model::Slot at = source->slots[static_cast<size_t>(slot)];
    const model::Timestamp own = Universe::OwnLagMs(slot) == 0
                                     ? model::kRowTimestamp
                                     : universe.SampleTimestampOf(unit.source, unit.row, slot);
    if (Universe::IsHistogram(slot, unit.row)) {
      batch->SetHistogram(at, universe.HistogramOf(unit.source, unit.row, slot), own);
    } else {
      batch->Set(at, universe.Value(unit.source, unit.row, slot), own);
    }
    const model::Timestamp start = universe.StartOf(unit.source, unit.row, slot);
    if (start != 0) batch->SetStartTimestamp(at, start);
    if (const auto exemplar = universe.ExemplarOf(unit.source, unit.row, slot)) {
      batch->AddExemplar(at, *exemplar);
    }
  }
  return true;
}

Status StressWriter::WriteBatch(bool may_fail) {
  const auto batch = database_->NewBatch();
  std::vector<Unit> units;
  for (Source& source : sources_) {
    if (sources_.size() > 1 && Random(4) == 0) continue;
    for (const Unit& unit : Choose(source)) {
      if (!OpenSource(&source) || !Stage(batch.get(), &source, unit)) {
        if (may_fail) return {};
        return Status(Code::kIo, "a source or slot cannot be opened");
      }
      units.push_back(unit);
    }
  }
  if (units.empty()) return {};
  std::vector<Unit> fresh;  // that the store will not take for duplicates
  for (const Unit& unit : units) {
    const uint8_t byte = expected_->Get(unit) & kWriteMask;
    if (byte == kNever) fresh.push_back(unit);
    counts_->repeated_units += byte != kNever ? 1 : 0;
    counts_->late_units += unit.row + 1 < progress_->next_row(unit.source) ? 1 : 0;
    expected_->Raise(unit, kTried);
  }
  model::CommitOptions options;
  options.durability = static_cast<Durability>(Random(3));
  options.all_or_nothing = Random(2) == 0;
  model::Mark mark{mark_key_, ""};
  if (mark_ != nullptr) {
    mark_->Tried(mark_->tried() + 1);
    mark.bytes = std::to_string(mark_->tried());
    options.marks = {&mark, 1};
  }
  const auto result = batch->Commit(options);
  if (!result.status.ok()) {
    ++counts_->failed_batches;
    return may_fail ? Status() : result.status;
  }
  for (const auto& refusal : result.refusals) {
    if (refusal.outcome == AppendOutcome::kDuplicate) continue;
    const Unit& unit = units[refusal.row];
    if (may_fail && refusal.outcome == AppendOutcome::kStorageFull) return {};
    return Status(Code::kCorruption,
                  "refused as " + std::string(AppendOutcomeName(refusal.outcome)) + ": source " +
                      std::to_string(unit.source) + " row " + std::to_string(unit.row) + ", next " +
                      std::to_string(progress_->next_row(unit.source)));
  }
  for (const Unit& unit : units) expected_->Raise(unit, StateOf(options.durability));
  if (mark_ != nullptr) mark_->Acknowledged(StateOf(options.durability), mark_->tried());
  if (acknowledged_ != nullptr) {
    acknowledged_->insert(acknowledged_->end(), fresh.begin(), fresh.end());
  }
  ++counts_->batches;
  counts_->samples += result.samples_committed;
  // Sometimes a client comes back as a new one, sometimes a series ends.
  Source& source = sources_[Random(sources_.size())];
  if (Random(50) == 0) source.writer.reset();
  if (source.writer != nullptr && Random(20) == 0) {
    auto& slot = source.slots[Random(kSlots)];
    if (slot != model::kNoSlot) source.writer->ReleaseSlot(slot);
    slot = model::kNoSlot;
  }
  return {};
}

Status StressWriter::DeleteRange(bool may_fail) {
  const Source& source = sources_[Random(sources_.size())];
  const int next = progress_->next_row(source.id);
  if (next == 0) return {};
  const int first = static_cast<int>(Random(static_cast<uint64_t>(next)));
  const int last = first + static_cast<int>(Random(60));
  std::vector<Unit> units;
  for (int row = first; row <= std::min(last, kRows - 1); ++row) {
    for (int part = 0; part < kParts; ++part) {
      const Unit unit{source.id, row, part};
      // What was never written may still come, and then it stays.
      if ((expected_->Get(unit) & kWriteMask) != kNever) units.push_back(unit);
    }
  }
  for (const Unit& unit : units) expected_->Flag(unit, kDeleteTried);
  const Universe& universe = expected_->universe();
  const auto matcher = model::Matcher::Equal("source", "s" + std::to_string(source.id));
  const model::TimeRange range{universe.TimestampOf(source.id, first) - kOwnLagMsMax,
                               universe.TimestampOf(source.id, std::min(last, kRows - 1))};
  const Status status = database_->DeleteSeries({{matcher}}, range);
  if (!status.ok()) return may_fail ? Status() : status;
  for (const Unit& unit : units) expected_->Flag(unit, kDeleted);
  ++counts_->deletes;
  return {};
}

}  // namespace tocsin::stress
