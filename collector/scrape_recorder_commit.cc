// The end of a scrape: staleness, the automatic series, adopting or abandoning the new page.
#include <algorithm>

#include "collector/scrape_recorder.h"

namespace tocsin::collector {

ScrapeReport ScrapeRecorder::MakeReport(bool up, double duration_s, int64_t body_bytes) const {
  ScrapeReport report;
  report.up = up;
  report.duration_s = duration_s;
  report.samples_scraped = scraped_;
  report.samples_post_relabel = kept_;
  report.series_added = added_;
  report.body_bytes = body_bytes;
  return report;
}

RecordOutcome ScrapeRecorder::Summarise(const model::CommitResult& result) const {
  RecordOutcome outcome;
  outcome.status = result.status;
  outcome.samples_committed = result.samples_committed;
  outcome.duplicates = duplicates_;
  outcome.over_limit = refused_;
  outcome.repeated_in_page = duplicates_;
  outcome.refused_series = refused_;
  for (const model::Refusal& refusal : result.refusals) {
    switch (refusal.outcome) {
      case model::AppendOutcome::kOk:
        break;
      case model::AppendOutcome::kDuplicate:
      case model::AppendOutcome::kDuplicateTimestamp:
        ++outcome.duplicates;
        break;
      case model::AppendOutcome::kOutOfOrder:
        ++outcome.out_of_order;
        break;
      case model::AppendOutcome::kTooOld:
        ++outcome.too_old;
        break;
      case model::AppendOutcome::kTooFarInFuture:
        ++outcome.too_far_in_future;
        break;
      case model::AppendOutcome::kOverLimit:
      case model::AppendOutcome::kStorageFull:
        ++outcome.over_limit;
        break;
    }
  }
  return outcome;
}

// Series of the last page that this one does not have.
void ScrapeRecorder::MarkVanished(std::vector<LineState>* vanished) {
  for (const LineState& line : states_) {
    if (!line.has_series() || rows_.IsAutomatic(line)) continue;
    if (!claimed_.Insert(line.source, line.slot)) continue;
    if (live_ && (line.flags & LineState::kOwnTimestamp) == 0) rows_.SetStale(line);
    vanished->push_back(line);
  }
}

// What a predecessor left and this page does not have either.
void ScrapeRecorder::MarkInherited(std::vector<LineState>* vanished) {
  for (const Inherited& series : inherited_) {
    const auto line = rows_.LineOf(series.source, series.slot);
    if (!line || rows_.IsAutomatic(*line)) continue;
    if (!claimed_.Insert(line->source, line->slot)) continue;
    if (series.tracked) rows_.SetStale(*line);
    vanished->push_back(*line);
  }
  inherited_ = {};
}

std::vector<ScrapeRecorder::Inherited> ScrapeRecorder::TakeSeries() {
  Abandon();
  std::vector<Inherited> series = std::move(inherited_);
  for (const LineState& line : states_) {
    if (!line.has_series()) continue;
    const bool tracked = live_ && (line.flags & LineState::kOwnTimestamp) == 0;
    series.push_back({rows_.SourceLabels(line), line.slot, tracked});
  }
  states_.clear();
  shape_ = nullptr;
  return series;
}

// Lines that lead to one slot, and lines that are named like an automatic series.
void ScrapeRecorder::MarkShared() {
  SlotSet seen;
  SlotSet twice;
  rows_.InsertAutomatic(&seen);
  for (LineState& line : new_states_) {
    if (line.has_series() && !seen.Insert(line.source, line.slot)) {
      twice.Insert(line.source, line.slot);
    }
  }
  for (LineState& line : new_states_) {
    line.flags &= static_cast<uint8_t>(~LineState::kShared);
    if (line.has_series() && twice.Has(line.source, line.slot)) line.flags |= LineState::kShared;
  }
}

RecordOutcome ScrapeRecorder::Commit(double duration_s, int64_t body_bytes) {
  const bool short_page = !changed_ && next_line_ < shape_->lines.size();
  if (short_page) LeaveShape();
  std::vector<LineState> vanished;
  if (changed_) {
    MarkVanished(&vanished);
    MarkInherited(&vanished);
  }
  const model::CommitResult result =
      rows_.Commit(MakeReport(true, duration_s, body_bytes), claimed_);
  RecordOutcome outcome = Summarise(result);
  if (!changed_) {
    claimed_.Clear();
    live_ = live_ || result.status.ok();
    return outcome;
  }
  // Even when the commit failed: the slots are open, and the next page will look like this one.
  for (const LineState& line : vanished) rows_.Release(line);
  MarkShared();
  new_shape_.ends_with_eof = ended_;
  states_ = std::move(new_states_);
  states_.shrink_to_fit();
  line_index_.clear();
  shape_ = shapes_->Intern(std::move(new_shape_));
  new_shape_ = PageShape();
  new_states_ = {};
  fresh_ = {};
  claimed_.Clear();
  own_times_.clear();
  changed_ = false;
  live_ = result.status.ok();
  return outcome;
}

// Slots that only the refused page asked for are given back.
void ScrapeRecorder::Abandon() {
  if (changed_) {
    SlotSet known;
    for (const LineState& line : states_) {
      if (line.has_series()) known.Insert(line.source, line.slot);
    }
    for (const LineState& line : fresh_) {
      if (known.Insert(line.source, line.slot)) rows_.Release(line);
    }
  }
  changed_ = false;
  new_shape_ = PageShape();
  new_states_ = {};
  fresh_ = {};
  line_index_.clear();
  claimed_.Clear();
  own_times_.clear();
  rows_.Drop();
}

void ScrapeRecorder::StaleAll() {
  SlotSet marked;
  rows_.InsertAutomatic(&marked);
  for (const LineState& line : states_) {
    if (!line.has_series() || (line.flags & LineState::kOwnTimestamp) != 0) continue;
    if (marked.Insert(line.source, line.slot)) rows_.SetStale(line);
  }
}

// The first scrape after taking over failed: markers now; their slots stay until a page is read.
void ScrapeRecorder::StaleInherited() {
  SlotSet marked;
  rows_.InsertAutomatic(&marked);
  for (Inherited& series : inherited_) {
    const auto line = rows_.LineOf(series.source, series.slot);
    if (series.tracked && line && marked.Insert(line->source, line->slot)) rows_.SetStale(*line);
    series.tracked = false;
  }
}

RecordOutcome ScrapeRecorder::Fail(model::Timestamp start_ms, double duration_s,
                                   int64_t body_bytes) {
  const bool begun = rows_.started();
  Abandon();
  if (!begun) scraped_ = kept_ = added_ = duplicates_ = refused_ = 0;
  if (Status status = rows_.Open(); !status.ok()) return {.status = std::move(status)};
  rows_.Start(start_ms);
  if (live_) StaleAll();
  StaleInherited();
  const model::CommitResult result =
      rows_.Commit(MakeReport(false, duration_s, body_bytes), SlotSet());
  if (result.status.ok()) live_ = false;
  RecordOutcome outcome = Summarise(result);
  outcome.repeated_in_page = outcome.refused_series = 0;
  if (begun) outcome.refused_with_page = kept_;
  return outcome;
}

void ScrapeRecorder::End(model::Timestamp now_ms) {
  Abandon();
  if (!rows_.Open().ok()) return;
  rows_.Start(now_ms);
  if (live_) StaleAll();
  StaleInherited();
  (void)rows_.CommitEnd();
  live_ = false;
}

}  // namespace tocsin::collector
