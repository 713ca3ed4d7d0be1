#include "query/testing/script_runner.h"

#include <algorithm>
#include <array>

#include "query/ast.h"
#include "query/function_signatures.h"
#include "query/parser.h"
#include "query/printer.h"
#include "query/testing/result_check.h"

namespace tocsin::query {
namespace {

constexpr int64_t kMinuteMs = 60'000;

// What these give depends on the time of evaluation, whatever @ says.
constexpr std::array<std::string_view, 15> kTimeFunctions = {
    "day_of_month", "day_of_week", "day_of_year", "days_in_month",  "end",
    "hour",         "minute",      "month",       "predict_linear", "range",
    "start",        "step",        "time",        "timestamp",      "year"};

bool CallsTimeFunction(const Expr& expr) {
  bool found = false;
  const Status walked = Inspect(expr, [&found](const Expr& node, const std::vector<const Expr*>&) {
    const auto* call = As<Call>(node);
    found = found || (call != nullptr && std::ranges::find(kTimeFunctions, call->function->name) !=
                                             kTimeFunctions.end());
  });
  return found || !walked.ok();
}

void PinTime(TimeModifiers* time, model::Timestamp at_ms) {
  if (time->at_ms) return;
  time->at_ms = at_ms;
  time->at_boundary = AtBoundary::kNone;  // start() and end() of an instant query are its time
}

// Adds @ at_ms to every selector and subquery without one; selectors inside a subquery then follow
// it.
void PinSelectors(Expr* expr, model::Timestamp at_ms) {
  if (auto* selector = As<VectorSelector>(*expr)) {
    PinTime(&selector->time, at_ms);
  } else if (auto* matrix = As<MatrixSelector>(*expr)) {
    PinTime(&matrix->selector->time, at_ms);
  } else if (auto* subquery = As<Subquery>(*expr)) {
    PinTime(&subquery->time, at_ms);
  } else if (auto* call = As<Call>(*expr)) {
    for (const ExprPtr& arg : call->args) PinSelectors(arg.get(), at_ms);
  } else if (auto* aggregate = As<Aggregate>(*expr)) {
    PinSelectors(aggregate->expr.get(), at_ms);
    if (aggregate->param != nullptr) PinSelectors(aggregate->param.get(), at_ms);
  } else if (auto* binary = As<Binary>(*expr)) {
    PinSelectors(binary->lhs.get(), at_ms);
    PinSelectors(binary->rhs.get(), at_ms);
  } else if (auto* unary = As<Unary>(*expr)) {
    PinSelectors(unary->expr.get(), at_ms);
  } else if (auto* paren = As<Paren>(*expr)) {
    PinSelectors(paren->expr.get(), at_ms);
  }
}

struct InstantRun {
  std::string query;
  model::Timestamp time_ms;
};

// The query as written, and pinned at other times.
Result<std::vector<InstantRun>> WaysToRun(const EvalCommand& eval, bool all_ways) {
  std::vector<InstantRun> runs = {{eval.query, eval.time_ms}};
  if (!all_ways) return runs;
  TOCSIN_ASSIGN_OR_RETURN(const ExprPtr expr, ParseExpr(eval.query, LanguageOptions::All()));
  if (CallsTimeFunction(*expr)) return runs;
  const model::Timestamp t = eval.time_ms;
  PinSelectors(expr.get(), t);
  const std::string pinned = Print(*expr);
  const std::vector<model::Timestamp> times =
      t == 0 ? std::vector<model::Timestamp>{-1000, 0, 1000}
             : std::vector<model::Timestamp>{-10 * t, 0, t / 5, t, 10 * t};
  for (const model::Timestamp time : times) runs.push_back({pinned, time});
  return runs;
}

// start(), end(), range() and step() mean something else in a range query.
bool DependsOnRange(std::string_view query) {
  for (const std::string_view call : {"start()", "end()", "range()", "step()"}) {
    if (query.find(call) != std::string_view::npos) return true;
  }
  return false;
}

// The points of a range query's result at one time, as the instant query of that time.
Value MiddleStep(const Matrix& matrix, model::Timestamp time_ms, bool scalar) {
  Vector vector;
  for (const Series& series : matrix) {
    for (const FloatPoint& point : series.floats) {
      if (point.timestamp_ms == time_ms) {
        vector.push_back({series.metric, time_ms, point.value, nullptr});
      }
    }
    for (const HistogramPoint& point : series.histograms) {
      if (point.timestamp_ms == time_ms) {
        vector.push_back({series.metric, time_ms, 0, point.histogram});
      }
    }
  }
  if (scalar && vector.size() == 1 && vector[0].metric.empty()) {
    return Scalar{time_ms, vector[0].value};
  }
  return vector;
}

class ScriptRunner {
 public:
  ScriptRunner(const ScriptOptions& options, Engine* engine, ScriptStorage* storage)
      : options_(options), engine_(*engine), storage_(*storage) {}

  ScriptResult Run(std::string_view text);

 private:
  Status RunLoad(const LoadCommand& load);
  Status RunEval(const EvalCommand& eval);
  Status RunRange(const EvalCommand& eval);
  Status RunInstant(const EvalCommand& eval, const InstantRun& run);
  Status RunInstantAsRange(const EvalCommand& eval, const InstantRun& run, bool scalar);
  // Failure and annotations; sets *done when nothing else is to be checked.
  Status CheckOutcome(const EvalCommand& eval, const Result<QueryResult>& result, bool* done);

  const ScriptOptions options_;
  Engine& engine_;
  ScriptStorage& storage_;
};

ScriptResult ScriptRunner::Run(std::string_view text) {
  ScriptResult result;
  const Result<TestScript> script = ParseTestScript(text);
  if (!script) {
    result.failures.push_back({0, "", script.error().message()});
    return result;
  }
  Status status = storage_.Clear();
  int line = 0;
  for (const ScriptCommand& command : script->commands) {
    if (const auto* eval = std::get_if<EvalCommand>(&command)) {
      if (Status outcome = RunEval(*eval); outcome.ok()) {
        ++result.passed;
      } else {
        result.failures.push_back({eval->line, eval->query, outcome.message()});
      }
      continue;
    }
    const auto* load = std::get_if<LoadCommand>(&command);
    line = load != nullptr ? load->line : std::get<ClearCommand>(command).line;
    if (status.ok()) status = load != nullptr ? RunLoad(*load) : storage_.Clear();
    if (!status.ok()) break;
  }
  if (!status.ok()) result.failures.push_back({line, "", status.message()});
  return result;
}

Status ScriptRunner::RunLoad(const LoadCommand& load) {
  std::vector<ScriptSample> samples;
  for (const LoadSeries& series : load.series) {
    for (const LoadSample& sample : series.samples) {
      samples.push_back({&series.metric, sample.timestamp_ms, sample.value.value,
                         sample.value.histogram.get(), sample.start_ms});
    }
  }
  std::stable_sort(
      samples.begin(), samples.end(),
      [](const ScriptSample& a, const ScriptSample& b) { return a.timestamp_ms < b.timestamp_ms; });
  if (!options_.seal_halfway || samples.empty()) return storage_.Append(samples);
  const model::Timestamp middle =
      samples.front().timestamp_ms +
      (samples.back().timestamp_ms - samples.front().timestamp_ms + 1) / 2;
  const auto cut = std::partition_point(
      samples.begin(), samples.end(),
      [middle](const ScriptSample& sample) { return sample.timestamp_ms < middle; });
  const size_t first_half = static_cast<size_t>(cut - samples.begin());
  const std::span<const ScriptSample> all(samples);
  TOCSIN_RETURN_IF_ERROR(storage_.Append(all.first(first_half)));
  TOCSIN_RETURN_IF_ERROR(storage_.Seal());
  return storage_.Append(all.subspan(first_half));
}

Status ScriptRunner::RunEval(const EvalCommand& eval) {
  if (eval.is_range) return RunRange(eval);
  const Result<std::vector<InstantRun>> runs = WaysToRun(eval, options_.all_ways);
  if (!runs) return runs.error();
  for (const InstantRun& run : *runs) {
    TOCSIN_RETURN_IF_ERROR(RunInstant(eval, run).Annotate(
        run.query == eval.query ? "as written"
                                : run.query + " at " + std::to_string(run.time_ms) + " ms"));
  }
  return Status::Ok();
}

Status ScriptRunner::CheckOutcome(const EvalCommand& eval, const Result<QueryResult>& result,
                                  bool* done) {
  *done = true;
  if (!result) {
    return eval.failure ? CheckFailure(eval, result.error())
                        : Status(Code::kInternal, "the query failed: " + result.error().message());
  }
  if (eval.failure) return Status(Code::kInternal, "expected a failure, but there was none");
  *done = false;
  return CheckAnnotations(eval, result->annotations);
}

Status ScriptRunner::RunRange(const EvalCommand& eval) {
  const Result<QueryResult> result =
      engine_.Range(storage_.queryable(), eval.query, eval.start_ms, eval.end_ms, eval.step_ms, {});
  bool done = false;
  TOCSIN_RETURN_IF_ERROR(CheckOutcome(eval, result, &done));
  return done ? Status::Ok() : CheckValue(eval, result->value);
}

Status ScriptRunner::RunInstant(const EvalCommand& eval, const InstantRun& run) {
  const Result<QueryResult> result =
      engine_.Instant(storage_.queryable(), run.query, run.time_ms, {});
  bool done = false;
  TOCSIN_RETURN_IF_ERROR(CheckOutcome(eval, result, &done));
  if (done) return Status::Ok();
  TOCSIN_RETURN_IF_ERROR(CheckValue(eval, result->value));
  const bool as_range = options_.all_ways && !eval.expects_range_vector && !eval.expected_string &&
                        !eval.ordered && !DependsOnRange(run.query);
  if (!as_range) return Status::Ok();
  const bool scalar = std::holds_alternative<Scalar>(result->value);
  return RunInstantAsRange(eval, run, scalar).Annotate("as a range query");
}

Status ScriptRunner::RunInstantAsRange(const EvalCommand& eval, const InstantRun& run,
                                       bool scalar) {
  const Result<QueryResult> result =
      engine_.Range(storage_.queryable(), run.query, run.time_ms - kMinuteMs,
                    run.time_ms + kMinuteMs, kMinuteMs, {});
  if (!result) {
    return Status(Code::kInternal, "the query failed: " + result.error().message());
  }
  const auto* matrix = std::get_if<Matrix>(&result->value);
  if (matrix == nullptr) return Status(Code::kInternal, "the result is not a matrix");
  TOCSIN_RETURN_IF_ERROR(CheckSorted(*matrix));
  return CheckValue(eval, MiddleStep(*matrix, run.time_ms, scalar));
}

}  // namespace

EngineOptions ScriptEngineOptions() {
  EngineOptions options;
  options.language = LanguageOptions::All();
  options.max_samples = 10'000;
  options.timeout_ms = 100'000;
  return options;
}

ScriptResult RunTestScript(std::string_view text, const ScriptOptions& options, Engine* engine,
                           ScriptStorage* storage) {
  return ScriptRunner(options, engine, storage).Run(text);
}

std::string DescribeScriptResult(std::string_view name, const ScriptResult& result) {
  std::string text = std::string(name) + ": " + std::to_string(result.passed) + " passed, " +
                     std::to_string(result.failures.size()) + " failed\n";
  for (const ScriptFailure& failure : result.failures) {
    text += "  ";
    if (failure.line > 0) text += "line " + std::to_string(failure.line) + ": ";
    if (!failure.query.empty()) text += failure.query + "\n    ";
    text += failure.message + "\n";
  }
  return text;
}

}  // namespace tocsin::query
