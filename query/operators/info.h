// InfoOperator: info(v, {data labels}). Adds to each series the labels of the info series (by
// default target_info) that share its identifying labels, job and instance. Which info series is
// there may change from step to step, and with it the labels of the result.
#pragma once

#include <optional>
#include <vector>

#include "query/operators/operator.h"
#include "query/operators/selector.h"

namespace tocsin::query {

class InfoOperator final : public MaterialisedOperator {
 public:
  // `matchers` as written; they need not name a metric. `shift`: the base's, so that both are
  // looked up as of the same time.
  InfoOperator(QueryContext* context, const Grid& grid, OperatorPtr base,
               model::MatcherSet matchers, TimeShift shift);
  Status Open() override;

 private:
  struct InfoSeries {
    model::Labels labels;
    std::string name;
    uint32_t row;
  };
  using Chosen = std::vector<uint32_t>;  // indices into infos_, at most one a metric name

  bool IsInfoSeries(const model::Labels& labels) const;
  Status ReadInfos();
  Status Choose(const std::vector<uint32_t>& candidates, size_t t, Chosen* chosen) const;
  Result<model::Labels> Enrich(const model::Labels& base, const Chosen& chosen) const;

  const OperatorPtr base_;
  const model::MatcherSet asked_;
  const TimeShift shift_;
  model::MatcherSet selected_;            // asked_, with a metric name
  std::vector<std::string> data_labels_;  // the only ones to add; empty: all
  bool needs_info_ = false;               // a data label must not be empty

  std::vector<InfoSeries> infos_;
  Batch info_times_;  // sample times in seconds
};

}  // namespace tocsin::query
