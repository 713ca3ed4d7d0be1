// RuleSeries: what one rule writes into storage: its source, a slot for each series, and which
// series it wrote the last time, so that one that is gone gets its staleness marker.
// One thread at a time (the one that evaluates the rule).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "alerting/rules/rule.h"
#include "base/status.h"
#include "model/storage.h"

namespace tocsin::alerting {

class RuleSeries {
 public:
  // `origin_id` names the rule: "file;group;rule;ordinal".
  RuleSeries(model::Appender& appender, std::string origin_id)
      : appender_(&appender), origin_id_(std::move(origin_id)) {}

  // One batch: the samples at `time_ms`, and staleness markers for series of the last call that are
  // not among them. An error says what was refused; what was not refused is written.
  Status Write(const std::vector<RuleSample>& samples, model::Timestamp time_ms);

  // Series that were written before the last restart, as far as anybody knows.
  void Remember(const std::vector<RuleSample>& samples);
  void Remember(const std::vector<model::Labels>& series);
  // The series that it makes, which it forgets: another RuleSeries goes on with them.
  std::vector<model::Labels> TakeLabels();
  // The rule is gone: staleness markers for all series that `still_made` does not claim.
  Status End(model::Timestamp time_ms, const std::function<bool(const model::Labels&)>& still_made);
  bool Makes(const model::Labels& labels) const { return last_.contains(labels); }
  bool empty() const { return last_.empty(); }

 private:
  Status Open();
  // `ended` are the slots that got a staleness marker.
  Status Commit(model::AppendBatch* batch, const std::vector<model::Slot>& ended);

  model::Appender* appender_;
  std::string origin_id_;
  std::unique_ptr<model::SourceWriter> writer_;  // null until the first write
  std::unordered_map<model::Labels, model::Slot, model::LabelsHash> last_;
};

}  // namespace tocsin::alerting
