// AlertGroup: the alerts of one route that share their group labels, and when they are next told.
//
// The first round comes group_wait after the first alert, so that more may gather; at once when
// that alert has been firing for longer (a restart). Later rounds follow each group_interval. A
// group without alerts is gone.
// One thread at a time (the notifier's lock).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "alerting/notify/alert.h"
#include "alerting/route/route.h"

namespace tocsin::alerting {

class AlertGroup {
 public:
  // `route` outlives the group.
  AlertGroup(const Route* route, model::Labels labels, const Alert& first, model::Timestamp now_ms);

  const Route& route() const { return *route_; }
  const model::Labels& labels() const { return labels_; }
  const std::string& key() const { return key_; }
  model::Timestamp next_flush_ms() const { return next_flush_ms_; }
  bool empty() const { return alerts_.empty(); }

  void Insert(const Alert& alert);

  // Starts a round: the alerts as of now, firing ones with ends_at_ms 0, and the next round set.
  std::vector<Alert> BeginRound(model::Timestamp now_ms);
  // Ends it: resolved alerts of the round that did not change meanwhile leave the group.
  void EndRound(const std::vector<Alert>& told);
  // The clock was set back: no round may be further away than an interval.
  void CheckClock(model::Timestamp now_ms);

 private:
  const Route* const route_;
  const model::Labels labels_;
  const std::string key_;
  model::Timestamp next_flush_ms_;
  std::map<uint64_t, Alert> alerts_;  // by fingerprint
};

}  // namespace tocsin::alerting
