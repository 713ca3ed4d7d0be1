#include "alerting/rules/rule_series.h"

#include <algorithm>
#include <map>

namespace tocsin::alerting {

using model::AppendOutcome;
using model::kNoSlot;
using model::Labels;
using model::LabelsHash;
using model::Slot;

Status RuleSeries::Open() {
  if (writer_) return Status::Ok();
  TOCSIN_ASSIGN_OR_RETURN_STATUS(
      writer_, appender_->OpenSource({model::OriginKind::kRule, origin_id_}, Labels()));
  return Status::Ok();
}

void RuleSeries::Remember(const std::vector<RuleSample>& samples) {
  for (const RuleSample& sample : samples) last_.try_emplace(sample.labels, kNoSlot);
}

void RuleSeries::Remember(const std::vector<Labels>& series) {
  for (const Labels& labels : series) last_.try_emplace(labels, kNoSlot);
}

std::vector<Labels> RuleSeries::TakeLabels() {
  std::vector<Labels> series;
  for (const auto& [labels, slot] : last_) series.push_back(labels);
  last_.clear();
  return series;
}

Status RuleSeries::Write(const std::vector<RuleSample>& samples, model::Timestamp time_ms) {
  if (samples.empty() && last_.empty()) return Status::Ok();
  TOCSIN_RETURN_IF_ERROR(Open());
  Status refused;
  const auto batch = appender_->NewBatch();
  batch->BeginRow(*writer_, time_ms, model::RowKind::kPartial);
  std::unordered_map<Labels, Slot, LabelsHash> written;
  for (const RuleSample& sample : samples) {
    const auto known = last_.find(sample.labels);
    Slot slot = known == last_.end() ? kNoSlot : known->second;
    if (slot == kNoSlot) {
      auto added = writer_->AddSlot(sample.labels);
      if (!added) {
        refused = added.error();
        continue;
      }
      slot = *added;
    }
    if (sample.histogram) {
      batch->SetHistogram(slot, *sample.histogram);
    } else {
      batch->Set(slot, sample.value);
    }
    written.emplace(sample.labels, slot);
  }
  std::vector<Slot> ended;
  for (auto& [labels, slot] : last_) {
    if (written.contains(labels)) continue;
    if (slot == kNoSlot) {
      auto added = writer_->AddSlot(labels);
      if (!added) continue;  // over a limit: a series that cannot be marked goes stale by age
      slot = *added;
    }
    batch->Set(slot, model::StaleMarker());
    ended.push_back(slot);
  }
  TOCSIN_RETURN_IF_ERROR(Commit(batch.get(), ended));
  last_ = std::move(written);
  return refused;
}

Status RuleSeries::Commit(model::AppendBatch* batch, const std::vector<Slot>& ended) {
  const model::CommitResult result = batch->Commit({});
  TOCSIN_RETURN_IF_ERROR(result.status.Annotate("rule samples not written"));
  for (const Slot slot : ended) writer_->ReleaseSlot(slot);
  std::map<AppendOutcome, size_t> reasons;
  for (const model::Refusal& refusal : result.refusals) {
    const bool marker = std::find(ended.begin(), ended.end(), refusal.slot) != ended.end();
    if (refusal.outcome != AppendOutcome::kDuplicate && !marker) ++reasons[refusal.outcome];
  }
  if (reasons.empty()) return Status::Ok();
  std::string message = "rule results discarded:";
  for (const auto& [outcome, count] : reasons) {
    message += " " + std::to_string(count) + " " + std::string(AppendOutcomeName(outcome));
  }
  return Status(Code::kExecution, message);
}

Status RuleSeries::End(model::Timestamp time_ms,
                       const std::function<bool(const Labels&)>& still_made) {
  std::erase_if(last_, [&](const auto& series) { return still_made(series.first); });
  return Write({}, time_ms);
}

}  // namespace tocsin::alerting
