#include "alerting/rules/rule_view.h"

#include <openssl/evp.h>

#include <algorithm>

namespace tocsin::alerting {
namespace {

// Hex SHA-256 of "file;group": opaque to clients, stable across restarts.
std::string GroupToken(const RuleGroupView& group) {
  const std::string text = group.file + ";" + group.name;
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha256(), nullptr) != 1) return "";
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) {
    hex += "0123456789abcdef"[digest[i] >> 4];
    hex += "0123456789abcdef"[digest[i] & 15];
  }
  return hex;
}

bool Accepts(const std::vector<std::string>& wanted, const std::string& have) {
  return wanted.empty() || std::find(wanted.begin(), wanted.end(), have) != wanted.end();
}

bool Accepts(const RuleFilter& filter, const RuleView& rule) {
  if (rule.is_alert ? !filter.alerts : !filter.records) return false;
  if (!Accepts(filter.rule_names, rule.name)) return false;
  if (filter.matcher_sets.empty()) return true;
  return std::any_of(filter.matcher_sets.begin(), filter.matcher_sets.end(),
                     [&](const auto& set) { return model::MatchesAll(set, rule.labels); });
}

}  // namespace

std::string_view AlertStateName(AlertState state) {
  switch (state) {
    case AlertState::kInactive:
      return "inactive";
    case AlertState::kPending:
      return "pending";
    case AlertState::kFiring:
      return "firing";
  }
  return "inactive";
}

std::string_view RuleHealthName(RuleHealth health) {
  switch (health) {
    case RuleHealth::kUnknown:
      return "unknown";
    case RuleHealth::kOk:
      return "ok";
    case RuleHealth::kError:
      return "err";
  }
  return "unknown";
}

Result<RuleGroupPage> SelectRuleGroups(std::vector<RuleGroupView> groups,
                                       const RuleFilter& filter) {
  size_t first = 0;
  if (!filter.next_token.empty()) {
    while (first < groups.size() && GroupToken(groups[first]) != filter.next_token) ++first;
    if (first == groups.size()) {
      return Error(Code::kInvalidArgument, "invalid group_next_token '" + filter.next_token +
                                               "'. were rule groups changed?");
    }
  }
  RuleGroupPage page;
  for (size_t i = first; i < groups.size(); ++i) {
    RuleGroupView& group = groups[i];
    if (!Accepts(filter.group_names, group.name) || !Accepts(filter.files, group.file)) continue;
    std::erase_if(group.rules, [&](const RuleView& rule) { return !Accepts(filter, rule); });
    if (group.rules.empty()) continue;
    if (filter.group_limit > 0 && page.groups.size() == filter.group_limit) {
      page.next_token = GroupToken(group);
      break;
    }
    if (filter.exclude_alerts) {
      for (RuleView& rule : group.rules) rule.alerts.clear();
    }
    page.groups.push_back(std::move(group));
  }
  return page;
}

}  // namespace tocsin::alerting
