#include "alerting/route/route.h"

#include "alerting/route/matcher_text.h"
#include "alerting/template/go_format.h"

namespace tocsin::alerting {

Route::Route(const RouteConfig& config, RouteOptions inherited, const std::string& parent_key)
    : options_(std::move(inherited)),
      key_(parent_key + (parent_key.empty() ? "" : "/") + MatchersText(config.matchers)),
      matchers_(config.matchers),
      continue_matching_(config.continue_matching) {
  if (!config.receiver.empty()) options_.receiver = config.receiver;
  if (config.group_by_given) {
    options_.group_by = {config.group_by.begin(), config.group_by.end()};
    options_.group_by_all = config.group_by_all;
  }
  options_.group_wait_ms = config.group_wait_ms.value_or(options_.group_wait_ms);
  options_.group_interval_ms = config.group_interval_ms.value_or(options_.group_interval_ms);
  options_.repeat_interval_ms = config.repeat_interval_ms.value_or(options_.repeat_interval_ms);
  options_.mute_time_intervals = config.mute_time_intervals;
  options_.active_time_intervals = config.active_time_intervals;
  for (const auto& label : config.labels) {
    std::erase_if(options_.labels, [&](const auto& have) { return have.first == label.first; });
    options_.labels.push_back(label);
  }
  for (const RouteConfig& child : config.routes) {
    children_.push_back(std::unique_ptr<Route>(new Route(child, options_, key_)));
  }
}

std::vector<const Route*> Route::Match(const model::Labels& labels) const {
  std::vector<const Route*> found;
  Collect(labels, &found);
  return found;
}

bool Route::Collect(const model::Labels& labels, std::vector<const Route*>* found) const {
  if (!model::MatchesAll(matchers_, labels)) return false;
  const size_t before = found->size();
  for (const auto& child : children_) {
    if (child->Collect(labels, found) && !child->continue_matching_) break;
  }
  if (found->size() == before) found->push_back(this);
  return true;
}

model::Labels Route::GroupLabels(const model::Labels& labels) const {
  if (options_.group_by_all) return labels;
  std::vector<model::LabelView> kept;
  for (const model::LabelView& label : labels) {
    if (options_.group_by.contains(label.name)) kept.push_back(label);
  }
  return model::Labels::FromSorted(kept.data(), kept.size());
}

std::string GroupKey(const Route& route, const model::Labels& group_labels) {
  std::string key = route.key() + ":{";
  bool first = true;
  for (const model::LabelView& label : group_labels) {
    if (!first) key += ", ";
    first = false;
    key +=
        model::IsLegacyLabelName(label.name) ? std::string(label.name) : tmpl::GoQuote(label.name);
    key += "=" + tmpl::GoQuote(label.value);
  }
  return key + "}";
}

}  // namespace tocsin::alerting
