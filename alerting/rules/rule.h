// Rule: one recording or alerting rule, ready to be evaluated: its expression printed back from the
// parsed form, its label and annotation templates parsed once.
//
// Evaluate gives the samples that the rule makes: a recording rule its result under its own name
// and labels; an alerting rule ALERTS and ALERTS_FOR_STATE of every pending or firing alert, after
// moving its alerts.
// Thread contract: evaluated by one thread at a time; View and the alerts may be read by others
// meanwhile (mu_).
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "alerting/rules/alert_journal.h"
#include "alerting/rules/alert_state.h"
#include "alerting/rules/rule_file.h"
#include "alerting/rules/rule_view.h"
#include "alerting/template/eval.h"
#include "base/mutex.h"
#include "base/status.h"
#include "query/language_options.h"
#include "query/value.h"

namespace tocsin::alerting {

// Evaluates an instant query in the rules' lane. `cancel` stops it.
using RuleQuery = std::function<Result<query::QueryResult>(
    const std::string& expr, model::Timestamp time_ms, const std::atomic<bool>* cancel)>;

struct RuleSample {
  model::Labels labels;  // with the metric name
  double value = 0;
  query::HistogramPtr histogram;  // instead of value when set
};

// What all rules share.
struct RuleEnvironment {
  model::Labels external_labels;
  std::string external_url;  // without a trailing slash
  query::LanguageOptions language;
  friend bool operator==(const RuleEnvironment&, const RuleEnvironment&) = default;
};

class Rule {
 public:
  // kInvalidArgument: expression or template does not parse (a checked file never gives that).
  static Result<std::unique_ptr<Rule>> Create(const RuleGroupDefinition& group,
                                              const RuleDefinition& definition, int ordinal,
                                              std::shared_ptr<const RuleEnvironment> environment);

  const RuleIdentity& identity() const { return identity_; }
  bool is_alert() const { return definition_.is_alert; }
  const std::string& query() const { return query_; }
  const RuleEnvironment& environment() const { return *environment_; }

  struct Evaluation {
    Status status;  // kExecution or the engine's errors
    std::vector<RuleSample> samples;
    AlertChanges changes;  // alerting rules only
  };
  // `now_ms` is the group's tick, the query looks at now - query_offset. When it fails, alerts stay
  // as they are, but for those over the limit, which are all dropped.
  Evaluation Evaluate(model::Timestamp now_ms, int64_t query_offset_ms, int64_t limit,
                      const RuleQuery& query, const std::atomic<bool>* cancel) EXCLUDES(mu_);

  // Runs `visit` on the alert table under the lock.
  template <typename Visit>
  auto WithAlerts(Visit visit) EXCLUDES(mu_) {
    MutexLock lock(mu_);
    return visit(alerts_);
  }
  // Restored alerts that are not seen stay until then.
  void SetGrace(model::Timestamp until_ms) EXCLUDES(mu_);

  void SetOutcome(const Status& status, double seconds, model::Timestamp at_ms) EXCLUDES(mu_);
  RuleView View() const EXCLUDES(mu_);
  // Where "see this expression" leads: the alerts' generatorURL.
  std::string GeneratorUrl() const;

 private:
  struct NamedTemplate {
    std::string name;
    tmpl::Template text;
  };

  Rule(const RuleDefinition& definition, std::shared_ptr<const RuleEnvironment> environment)
      : definition_(definition), environment_(std::move(environment)) {}

  Status Run(model::Timestamp now_ms, int64_t query_offset_ms, int64_t limit,
             const RuleQuery& query, const std::atomic<bool>* cancel, Evaluation* evaluation)
      EXCLUDES(mu_);
  Result<std::vector<RuleSample>> Record(const query::Vector& result, int64_t limit) const;
  Result<std::vector<AlertEntry>> ExpandAlerts(const query::Vector& result, model::Timestamp now_ms,
                                               const RuleQuery& query,
                                               const std::atomic<bool>* cancel) const;
  std::string Expand(const tmpl::Template& text, const tmpl::Value& data,
                     const tmpl::FunctionContext& context) const;

  // Fixed after Create.
  const RuleDefinition definition_;
  const std::shared_ptr<const RuleEnvironment> environment_;
  RuleIdentity identity_;
  std::string query_;
  std::vector<NamedTemplate> label_templates_;
  std::vector<NamedTemplate> annotation_templates_;
  tmpl::Value external_labels_;

  mutable Mutex mu_;
  AlertTable alerts_ GUARDED_BY(mu_);
  model::Timestamp grace_until_ms_ GUARDED_BY(mu_) = 0;
  RuleHealth health_ GUARDED_BY(mu_) = RuleHealth::kUnknown;
  std::string last_error_ GUARDED_BY(mu_);
  double evaluation_seconds_ GUARDED_BY(mu_) = 0;
  model::Timestamp last_evaluation_ms_ GUARDED_BY(mu_) = 0;
};

// ALERTS and ALERTS_FOR_STATE of what is pending or firing.
std::vector<RuleSample> AlertSamples(const AlertTable& alerts);

// An instant vector from a query's answer; a scalar is one sample without labels. kExecution: a
// string or a matrix.
Result<query::Vector> ToVector(query::QueryResult result);

}  // namespace tocsin::alerting
