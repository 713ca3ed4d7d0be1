// Rule files: the YAML of `rule_files`, read strictly, with the verdicts of `promtool check rules`.
//
//   RuleFileReport report = ParseRuleFile("rules/node.yml", text, options);
//   for (const std::string& e : report.errors) …   // "rules/node.yml: 7:15: group "g", rule 1, …"
//
// A report is good when `errors` is empty; `groups` is then complete. All errors of a file are
// found in one pass (YAML shape first: with a wrong shape nothing else is checked). Every error
// begins with the path, and names line:column where the place is known. Only the first YAML
// document counts; a second one is a warning.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "query/engine.h"

namespace tocsin::alerting {

// Name and text, sorted by name; a text may be a template.
using NamedTexts = std::vector<std::pair<std::string, std::string>>;

struct RuleDefinition {
  bool is_alert = false;
  std::string name;  // value of `alert` or `record`
  std::string expr;  // as written
  int64_t for_ms = 0;
  int64_t keep_firing_for_ms = 0;
  NamedTexts labels;       // the rule's own; the group's are in the group
  NamedTexts annotations;  // alerts only
  int line = 0;            // of the name's value, 1-based
  int column = 0;
};

struct RuleGroupDefinition {
  std::string name;
  std::string file;
  int64_t interval_ms = 0;                 // 0: global.evaluation_interval
  std::optional<int64_t> query_offset_ms;  // nothing: global.rule_query_offset
  int64_t limit = 0;                       // most alerts or series a rule may make; 0 = no limit
  NamedTexts labels;
  std::vector<RuleDefinition> rules;
};

struct RuleFileOptions {
  query::LanguageOptions language;
  bool ignore_unknown_fields = false;
  bool legacy_names = false;  // metric_name_validation_scheme: legacy
};

struct RuleFileReport {
  std::string path;
  std::vector<RuleGroupDefinition> groups;
  std::vector<std::string> errors;
  std::vector<std::string> warnings;

  bool ok() const { return errors.empty(); }
  size_t rule_count() const;
};

RuleFileReport ParseRuleFile(std::string path, std::string_view text,
                             const RuleFileOptions& options);

// Rules that promtool's default lint "duplicate-rules" names: same name and labels (group's
// and own), in the order of the file; one entry per rule that repeats an earlier one.
struct DuplicateRule {
  std::string name;
  NamedTexts labels;
};
std::vector<DuplicateRule> FindDuplicateRules(const std::vector<RuleGroupDefinition>& groups);

}  // namespace tocsin::alerting
