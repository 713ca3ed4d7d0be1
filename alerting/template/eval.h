// Template: a parsed template text that can be run any number of times.
//
//   auto t = Template::Parse("__alert_HighErrors", kAlertPrelude + text);
//   Result<std::string> out = t->Execute(AlertData(…), context);
//
// Errors read as Prometheus': "error parsing template N: template: N:1: …" and "error executing
// template N: template: N:1:57: executing "N" at <first>: error calling first: …".
// Bounds of one run: kMaxCallDepth, kMaxSteps, kMaxOutputBytes. Immutable, thread-safe.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "alerting/template/functions.h"
#include "alerting/template/parser.h"
#include "alerting/template/value.h"
#include "base/status.h"
#include "model/labels.h"

namespace tocsin::alerting::tmpl {

inline constexpr int kMaxCallDepth = 100;            // {{template}} inside {{template}}
inline constexpr int64_t kMaxSteps = 1'000'000;      // nodes evaluated
inline constexpr size_t kMaxOutputBytes = 1 << 20;   // of the finished text
inline constexpr size_t kMaxMadeBytes = 64 << 20;    // of all texts and lists that functions give
inline constexpr int64_t kMaxQueriesPerRun = 1'000;  // of `query`

class Template {
 public:
  // kInvalidArgument; the message is Go's own, "template: N:1: …" (what rule checks show).
  static Result<Template> Parse(std::string name, std::string text);

  // kExecution: "error executing template N: template: …".
  Result<std::string> Execute(const Value& data, const FunctionContext& context) const;

  const std::string& name() const { return tree_->name; }

 private:
  explicit Template(std::shared_ptr<const TemplateTree> tree) : tree_(std::move(tree)) {}

  std::shared_ptr<const TemplateTree> tree_;
};

// What alert texts are prefixed with, so that $labels and the others exist.
inline constexpr std::string_view kAlertPrelude =
    "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := "
    ".ExternalURL}}{{$value := .Value}}";

// The data of an alert's label and annotation templates.
Value AlertData(const Value& labels, const Value& external_labels, const std::string& external_url,
                Value value);

}  // namespace tocsin::alerting::tmpl
