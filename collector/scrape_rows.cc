#include "collector/scrape_rows.h"

#include <algorithm>

#include "base/check.h"

namespace tocsin::collector {
namespace {

constexpr std::array<std::string_view, 8> kAutomaticNames = {
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    // With extra_scrape_metrics:
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes",
};
constexpr size_t kPlainAutomatic = 5;

// Scrapes may bring samples this much later than the window allows (TSDB.md §6.12).
constexpr int64_t kScrapeExtraLateMs = 15 * 60 * 1000;

}  // namespace

bool SlotSet::Has(uint16_t source, model::Slot slot) const {
  if (source >= bits_.size()) return false;
  const auto& words = bits_[source];
  return slot / 64 < words.size() && ((words[slot / 64] >> (slot % 64)) & 1) != 0;
}

bool SlotSet::Insert(uint16_t source, model::Slot slot) {
  if (source >= bits_.size()) bits_.resize(source + size_t{1});
  auto& words = bits_[source];
  if (slot / 64 >= words.size()) words.resize(std::max<size_t>(slot / 64 + 1, words.size() * 2));
  const uint64_t bit = uint64_t{1} << (slot % 64);
  const bool fresh = (words[slot / 64] & bit) == 0;
  words[slot / 64] |= bit;
  return fresh;
}

ScrapeRows::ScrapeRows(const ScrapeConfig& config, const Target& target, model::Appender* appender)
    : appender_(appender),
      origin_{model::OriginKind::kScrape, target.job + "/" + target.url},
      target_labels_(target.labels),
      scrape_timeout_ms_(target.scrape_timeout_ms),
      sample_limit_(config.sample_limit),
      automatic_count_(config.extra_scrape_metrics ? kAutomaticNames.size() : kPlainAutomatic) {
  automatic_.fill(model::kNoSlot);
}

Status ScrapeRows::Open() {
  if (sources_.empty()) {
    TOCSIN_ASSIGN_OR_RETURN_STATUS(auto writer, appender_->OpenSource(origin_, target_labels_));
    sources_.push_back({target_labels_, std::move(writer)});
  }
  for (size_t i = 0; i < automatic_count_; ++i) {
    if (automatic_[i] != model::kNoSlot) continue;
    const auto slot = sources_[0].writer->AddSlot(
        model::Labels::FromPairs({{model::kMetricName, kAutomaticNames[i]}}));
    if (!slot) return slot.error();
    automatic_[i] = *slot;
  }
  return Status::Ok();
}

Result<uint16_t> ScrapeRows::FindSource(const model::Labels& labels) {
  if (const auto it = derived_.find(labels); it != derived_.end()) return it->second;
  TOCSIN_ASSIGN_OR_RETURN(auto writer, appender_->OpenSource(origin_, labels));
  const auto index = static_cast<uint16_t>(sources_.size());
  sources_.push_back({labels, std::move(writer)});
  derived_.emplace(labels, index);
  return index;
}

LineState ScrapeRows::Resolve(const SeriesAddress& address, const Target& target) {
  LineState line;
  if (!address.kept) {
    line.flags = LineState::kDropped;
    return line;
  }
  model::Labels key = address.key;
  if (address.derived) {
    model::Labels source = address.source;
    if (derived_.size() >= kDerivedSourcesMax && !derived_.contains(source)) {
      model::LabelsBuilder series(key);
      for (const model::LabelView& label : source) series.Set(label.name, label.value);
      const model::Labels all = series.Build();
      source = UntouchedSource(target.labels, all);
      key = KeyWithout(all, source);
    }
    const auto found = FindSource(source);
    if (!found) {
      ++refused_series_;
      line.flags = LineState::kRefused;
      return line;
    }
    line.source = *found;
    line.flags = LineState::kDerived;
  }
  const auto slot = sources_[line.source].writer->AddSlot(key);
  if (slot) {
    line.slot = *slot;
  } else {
    ++refused_series_;
    line.flags |= LineState::kRefused;
  }
  return line;
}

std::optional<LineState> ScrapeRows::LineOf(const model::Labels& source, model::Slot slot) {
  LineState line;
  line.slot = slot;
  if (source == target_labels_) return line;
  if (derived_.size() >= kDerivedSourcesMax && !derived_.contains(source)) return std::nullopt;
  const auto found = FindSource(source);
  if (!found) return std::nullopt;
  line.source = *found;
  line.flags = LineState::kDerived;
  return line;
}

void ScrapeRows::Release(const LineState& line) {
  if (line.has_series() && !IsAutomatic(line)) {
    sources_[line.source].writer->ReleaseSlot(line.slot);
  }
}

void ScrapeRows::Start(model::Timestamp start_ms) {
  Drop();
  start_ms_ = start_ms;
  batch_ = appender_->NewBatch();
  batch_->BeginRow(*sources_[0].writer, start_ms, model::RowKind::kFull);
}

void ScrapeRows::Drop() {
  batch_.reset();
  pending_.clear();
  exemplars_.clear();
}

void ScrapeRows::Set(const LineState& line, double value, model::Timestamp own_ts_ms,
                     const model::Exemplar* exemplar) {
  if (line.source == 0) {
    batch_->Set(line.slot, value, own_ts_ms);
    if (exemplar != nullptr) batch_->AddExemplar(line.slot, *exemplar);
    return;
  }
  pending_.push_back({line.source, line.slot, own_ts_ms, value, kNone});
  if (exemplar != nullptr) {
    pending_.back().exemplar = exemplars_.size();
    exemplars_.push_back(*exemplar);
  }
}

void ScrapeRows::SetStale(const LineState& line) {
  Set(line, model::StaleMarker(), model::kRowTimestamp, nullptr);
}

bool ScrapeRows::IsAutomatic(const LineState& line) const {
  return line.source == 0 && std::find(automatic_.begin(), automatic_.begin() + automatic_count_,
                                       line.slot) != automatic_.begin() + automatic_count_;
}

void ScrapeRows::InsertAutomatic(SlotSet* set) const {
  for (size_t i = 0; i < automatic_count_; ++i) set->Insert(0, automatic_[i]);
}

void ScrapeRows::SetAutomatic(const ScrapeReport& report, const SlotSet& shadowed) {
  const std::array<double, kAutomaticMax> values = {
      report.up ? 1.0 : 0.0,
      report.duration_s,
      static_cast<double>(report.samples_scraped),
      static_cast<double>(report.samples_post_relabel),
      static_cast<double>(report.series_added),
      static_cast<double>(scrape_timeout_ms_) / 1000,
      static_cast<double>(sample_limit_),
      static_cast<double>(report.body_bytes)};
  for (size_t i = 0; i < automatic_count_; ++i) {
    if (!shadowed.Has(0, automatic_[i])) batch_->Set(automatic_[i], values[i]);
  }
}

model::CommitResult ScrapeRows::CommitRows() {
  std::stable_sort(
      pending_.begin(), pending_.end(),
      [](const PendingSample& a, const PendingSample& b) { return a.source < b.source; });
  uint16_t source = 0;
  for (const PendingSample& sample : pending_) {
    if (sample.source != source) {
      source = sample.source;
      batch_->BeginRow(*sources_[source].writer, start_ms_, model::RowKind::kFull);
    }
    batch_->Set(sample.slot, sample.value, sample.own_ts_ms);
    if (sample.exemplar != kNone) batch_->AddExemplar(sample.slot, exemplars_[sample.exemplar]);
  }
  model::CommitOptions options;
  options.extra_late_ms = kScrapeExtraLateMs;
  model::CommitResult result = batch_->Commit(options);
  Drop();
  return result;
}

model::CommitResult ScrapeRows::Commit(const ScrapeReport& report, const SlotSet& shadowed) {
  CHECK(batch_ != nullptr);
  SetAutomatic(report, shadowed);
  return CommitRows();
}

model::CommitResult ScrapeRows::CommitEnd() {
  CHECK(batch_ != nullptr);
  for (size_t i = 0; i < automatic_count_; ++i) batch_->Set(automatic_[i], model::StaleMarker());
  return CommitRows();
}

}  // namespace tocsin::collector
