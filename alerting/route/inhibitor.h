// Inhibitor: an alert that matches a rule's target is held back while another one that matches its
// source is firing with the same values of the `equal` labels. An alert that matches both sides is
// not held back by one that also does, so that a rule never mutes everything with itself.
// Immutable once built; made anew from the firing alerts before a round of notifications.
#pragma once

#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "alerting/config.h"
#include "alerting/notify/alert.h"

namespace tocsin::alerting {

class Inhibitor {
 public:
  // `rules` outlive it.
  Inhibitor(const std::vector<InhibitRuleConfig>& rules, std::span<const Alert* const> firing);

  bool IsInhibited(const model::Labels& labels) const;

 private:
  struct Sources {
    bool one_sided = false;  // some source that is no target itself
    bool any = false;
  };
  struct Rule {
    const InhibitRuleConfig* config;
    std::unordered_map<std::string, Sources> sources;  // by the values of the equal labels
  };

  std::vector<Rule> rules_;
};

}  // namespace tocsin::alerting
