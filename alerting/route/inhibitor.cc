#include "alerting/route/inhibitor.h"

namespace tocsin::alerting {
namespace {

// An absent label counts as an empty one.
std::string EqualKey(const InhibitRuleConfig& rule, const model::Labels& labels) {
  std::string key;
  for (const std::string& name : rule.equal) {
    key += labels.Get(name);
    key += '\xff';
  }
  return key;
}

}  // namespace

Inhibitor::Inhibitor(const std::vector<InhibitRuleConfig>& rules,
                     std::span<const Alert* const> firing) {
  for (const InhibitRuleConfig& config : rules) {
    Rule rule{&config, {}};
    for (const Alert* alert : firing) {
      if (!model::MatchesAll(config.source_matchers, alert->labels)) continue;
      Sources& sources = rule.sources[EqualKey(config, alert->labels)];
      sources.any = true;
      if (!model::MatchesAll(config.target_matchers, alert->labels)) sources.one_sided = true;
    }
    if (!rule.sources.empty()) rules_.push_back(std::move(rule));
  }
}

bool Inhibitor::IsInhibited(const model::Labels& labels) const {
  for (const Rule& rule : rules_) {
    if (!model::MatchesAll(rule.config->target_matchers, labels)) continue;
    const auto it = rule.sources.find(EqualKey(*rule.config, labels));
    if (it == rule.sources.end()) continue;
    const bool is_source = model::MatchesAll(rule.config->source_matchers, labels);
    if (is_source ? it->second.one_sided : it->second.any) return true;
  }
  return false;
}

}  // namespace tocsin::alerting
