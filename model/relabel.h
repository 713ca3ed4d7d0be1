// Relabelling: rules that rewrite, keep or drop a label set before it is used. One list of rules
// runs in order; a rule sees what the ones before it left. Semantics and messages are Prometheus'
// (https://prometheus.io/docs/prometheus/latest/configuration/configuration/#relabel_config).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/labels.h"

namespace tocsin::model {

enum class RelabelAction : uint8_t {
  kReplace,
  kKeep,
  kDrop,
  kKeepEqual,
  kDropEqual,
  kHashMod,
  kLabelMap,
  kLabelDrop,
  kLabelKeep,
  kLowercase,
  kUppercase,
};

std::string_view RelabelActionName(RelabelAction action);  // "replace", "keepequal", …
// Any case is accepted ("Replace"), as in configuration files.
std::optional<RelabelAction> ParseRelabelAction(std::string_view name);

// What names a label or metric may have: any UTF-8, or only [a-zA-Z_][a-zA-Z0-9_]*.
enum class NameScheme : uint8_t { kUtf8, kLegacy };
bool IsValidLabelName(std::string_view name, NameScheme scheme);
bool IsValidMetricName(std::string_view name, NameScheme scheme);

// As in the file, defaults filled in.
struct RelabelConfig {
  std::vector<std::string> source_labels;
  std::string separator = ";";
  std::string regex = "(.*)";
  uint64_t modulus = 0;
  std::string target_label;
  std::string replacement = "$1";
  RelabelAction action = RelabelAction::kReplace;
  friend bool operator==(const RelabelConfig&, const RelabelConfig&) = default;
};

// A checked and compiled rule. Copies share the compiled form. Thread-safe to use.
class RelabelRule {
 public:
  // kInvalidArgument with Prometheus' sentence when fields are missing, invalid or contradict the
  // action.
  static Result<RelabelRule> Create(RelabelConfig config, NameScheme scheme = NameScheme::kUtf8);

  // False: the label set is dropped (what `labels` then holds is of no interest).
  bool Apply(LabelsBuilder* labels) const;
  const RelabelConfig& config() const { return config_; }

  friend bool operator==(const RelabelRule& a, const RelabelRule& b) {
    return a.config_ == b.config_ && a.scheme_ == b.scheme_;
  }

 private:
  struct Compiled;
  RelabelRule() = default;

  RelabelConfig config_;
  NameScheme scheme_ = NameScheme::kUtf8;
  std::shared_ptr<const Compiled> compiled_;
};

// Runs the rules in order; false as soon as one drops the set.
bool ApplyRelabelRules(const std::vector<RelabelRule>& rules, LabelsBuilder* labels);

}  // namespace tocsin::model
