#include "alerting/rules/rule_file.h"

#include <algorithm>
#include <set>

#include "alerting/template/eval.h"
#include "alerting/template/go_format.h"
#include "base/yaml.h"
#include "model/labels.h"
#include "model/relabel.h"
#include "query/parser.h"

namespace tocsin::alerting {
namespace {

// Reads one file. The shape comes first (YAML, fields, types); when it is right, the meaning.
class FileReader {
 public:
  FileReader(const RuleFileOptions& options, RuleFileReport* report)
      : options_(options),
        scheme_(options.legacy_names ? model::NameScheme::kLegacy : model::NameScheme::kUtf8),
        report_(report) {}

  void Read(const YamlNode& root) {
    YamlMapReader file(root, "type rulefmt.RuleGroups", &errors_);
    for (const YamlNode& group : Items(file.Take("groups"))) ReadGroup(group);
    Finish(&file);
    if (errors_.empty()) Validate();
    report_->errors = errors_.messages();
  }

 private:
  // Where the parts of a rule stand in the file.
  struct RulePlace {
    YamlNode rule;
    YamlNode record;
    YamlNode alert;
    YamlNode expr;
    YamlNode labels;
    YamlNode annotations;
  };
  struct GroupPlace {
    YamlNode group;
    YamlNode labels;
    std::vector<RulePlace> rules;
  };

  // ---- shape

  std::vector<YamlNode> Items(const YamlNode& node) {
    if (!node.present() || node.is_null()) return {};
    if (!node.is_sequence())
      errors_.Add(node, "cannot unmarshal " + node.Describe() + " into a list");
    return node.items();
  }

  void Finish(YamlMapReader* reader) {
    if (!options_.ignore_unknown_fields) reader->Finish();
  }

  void ReadGroup(const YamlNode& node) {
    RuleGroupDefinition group;
    GroupPlace place;
    group.file = report_->path;
    YamlMapReader reader(node, "type rulefmt.RuleGroup", &errors_);
    reader.Read("name", &group.name);
    reader.ReadDuration("interval", &group.interval_ms);
    int64_t query_offset_ms = 0;
    if (reader.ReadDuration("query_offset", &query_offset_ms))
      group.query_offset_ms = query_offset_ms;
    reader.Read("limit", &group.limit);
    place.group = node;
    place.labels = ReadTexts(&reader, "labels", &group.labels);
    for (const YamlNode& rule : Items(reader.Take("rules"))) ReadRule(rule, &group, &place);
    Finish(&reader);
    report_->groups.push_back(std::move(group));
    places_.push_back(std::move(place));
  }

  void ReadRule(const YamlNode& node, RuleGroupDefinition* group, GroupPlace* group_place) {
    RuleDefinition rule;
    RulePlace place;
    std::string record, alert;
    YamlMapReader reader(node, "type rulefmt.Rule", &errors_);
    reader.Read("record", &record);
    reader.Read("alert", &alert);
    reader.Read("expr", &rule.expr);
    reader.ReadDuration("for", &rule.for_ms);
    reader.ReadDuration("keep_firing_for", &rule.keep_firing_for_ms);
    place.rule = node;
    place.record = node.Find("record");
    place.alert = node.Find("alert");
    place.expr = node.Find("expr");
    place.labels = ReadTexts(&reader, "labels", &rule.labels);
    place.annotations = ReadTexts(&reader, "annotations", &rule.annotations);
    Finish(&reader);
    rule.is_alert = !alert.empty();
    rule.name = rule.is_alert ? alert : record;
    const YamlNode& name = rule.is_alert ? place.alert : place.record;
    rule.line = name.line();
    rule.column = name.column();
    group->rules.push_back(std::move(rule));
    group_place->rules.push_back(std::move(place));
  }

  YamlNode ReadTexts(YamlMapReader* reader, std::string_view key, NamedTexts* out) {
    reader->Read(key, out);
    std::sort(out->begin(), out->end());
    return reader->node().Find(key);
  }

  // ---- meaning

  void Validate() {
    std::set<std::string> names;
    for (size_t g = 0; g < report_->groups.size(); ++g) {
      const RuleGroupDefinition& group = report_->groups[g];
      const YamlNode& node = places_[g].group;
      if (group.name.empty()) errors_.Add(node, "Groupname must not be empty");
      if (!names.insert(group.name).second) {
        errors_.Add(node, "groupname: \"" + group.name + "\" is repeated in the same file");
      }
      ValidateLabels(group.labels, places_[g].labels, "group " + tmpl::GoQuote(group.name) + ": ");
      for (size_t r = 0; r < group.rules.size(); ++r) {
        ValidateRule(group.rules[r], places_[g].rules[r],
                     "group " + tmpl::GoQuote(group.name) + ", rule " + std::to_string(r + 1) +
                         ", " + tmpl::GoQuote(group.rules[r].name) + ": ");
      }
    }
  }

  void ValidateRule(const RuleDefinition& rule, const RulePlace& place, const std::string& who) {
    const std::string record = place.record.AsString().value_or("");
    const bool is_record = !record.empty();
    if (is_record && rule.is_alert) {
      errors_.Add(place.record, who + "only one of 'record' and 'alert' must be set");
    }
    if (!is_record && !rule.is_alert) {
      errors_.Add(place.rule, who + "one of 'record' or 'alert' must be set");
    }
    ValidateExpression(rule, place, who);
    if (is_record) ValidateRecord(rule, record, place, who);
    ValidateLabels(rule.labels, place.labels, who);
    for (const auto& [name, text] : rule.annotations) {
      if (!model::IsValidLabelName(name, scheme_)) {
        errors_.Add(Entry(place.annotations, name), who + "invalid annotation name: " + name);
      }
    }
    if (!rule.is_alert) return;
    ValidateTemplates(rule, rule.labels, place.labels, who + "label ");
    ValidateTemplates(rule, rule.annotations, place.annotations, who + "annotation ");
  }

  void ValidateExpression(const RuleDefinition& rule, const RulePlace& place,
                          const std::string& who) {
    const YamlNode& at = place.expr.present() ? place.expr : place.rule;
    if (rule.expr.empty()) {
      errors_.Add(at, who + "field 'expr' must be set in rule");
      return;
    }
    const auto expr = query::ParseExpr(rule.expr, options_.language);
    if (!expr) errors_.Add(at, who + "could not parse expression: " + expr.error().message());
  }

  void ValidateRecord(const RuleDefinition& rule, const std::string& record, const RulePlace& place,
                      const std::string& who) {
    const auto refuse = [&](const std::string& field) {
      errors_.Add(place.record, who + "invalid field '" + field + "' in recording rule");
    };
    if (!rule.annotations.empty()) refuse("annotations");
    if (rule.for_ms != 0) refuse("for");
    if (rule.keep_firing_for_ms != 0) refuse("keep_firing_for");
    if (!model::IsValidMetricName(record, scheme_)) {
      errors_.Add(place.record, who + "invalid recording rule name: " + record);
    }
    if (record.find_first_of("{}") != std::string::npos) {
      errors_.Add(
          place.record,
          who + "braces present in the recording rule name; should it be in expr?: " + record);
    }
  }

  void ValidateLabels(const NamedTexts& labels, const YamlNode& node, const std::string& who) {
    for (const auto& [name, value] : labels) {
      if (!model::IsValidLabelName(name, scheme_) || name == model::kMetricName) {
        errors_.Add(Entry(node, name), who + "invalid label name: " + name);
      }
      if (!model::IsValidUtf8(value)) {
        errors_.Add(Entry(node, name), who + "invalid label value: " + value);
      }
    }
  }

  void ValidateTemplates(const RuleDefinition& rule, const NamedTexts& texts, const YamlNode& node,
                         const std::string& who) {
    for (const auto& [name, text] : texts) {
      const auto parsed =
          tmpl::Template::Parse("__alert_" + rule.name, std::string(tmpl::kAlertPrelude) + text);
      if (parsed) continue;
      errors_.Add(Entry(node, name), who + tmpl::GoQuote(name) + ": " + parsed.error().message());
    }
  }

  static YamlNode Entry(const YamlNode& map, const std::string& key) {
    const YamlNode value = map.Find(key);
    return value.present() ? value : map;
  }

  const RuleFileOptions& options_;
  const model::NameScheme scheme_;
  RuleFileReport* const report_;
  YamlErrors errors_;
  std::vector<GroupPlace> places_;  // one for each group of the report
};

// Group's labels and the rule's over them.
NamedTexts MergedLabels(const NamedTexts& group, const NamedTexts& rule) {
  NamedTexts merged = rule;
  for (const auto& label : group) {
    const bool own = std::any_of(rule.begin(), rule.end(),
                                 [&](const auto& mine) { return mine.first == label.first; });
    if (!own) merged.push_back(label);
  }
  std::sort(merged.begin(), merged.end());
  return merged;
}

}  // namespace

size_t RuleFileReport::rule_count() const {
  size_t count = 0;
  for (const RuleGroupDefinition& group : groups) count += group.rules.size();
  return count;
}

RuleFileReport ParseRuleFile(std::string path, std::string_view text,
                             const RuleFileOptions& options) {
  RuleFileReport report;
  report.path = path;
  auto document = ParseYaml(text, std::move(path));
  if (!document) {
    report.errors.push_back(document.error().message());
    return report;
  }
  if (document->more_documents) {
    report.warnings.push_back(report.path +
                              ": file holds more than one YAML document, only the first is used");
  }
  FileReader(options, &report).Read(document->root);
  return report;
}

std::vector<DuplicateRule> FindDuplicateRules(const std::vector<RuleGroupDefinition>& groups) {
  std::set<std::pair<std::string, NamedTexts>> seen;
  std::vector<DuplicateRule> duplicates;
  for (const RuleGroupDefinition& group : groups) {
    for (const RuleDefinition& rule : group.rules) {
      NamedTexts labels = MergedLabels(group.labels, rule.labels);
      if (!seen.emplace(rule.name, labels).second) {
        duplicates.push_back({rule.name, std::move(labels)});
      }
    }
  }
  return duplicates;
}

}  // namespace tocsin::alerting
