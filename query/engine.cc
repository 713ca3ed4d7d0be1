#include "query/engine.h"

#include <fmt/format.h>

#include <chrono>
#include <new>
#include <optional>
#include <thread>

#include "query/context.h"
#include "query/duration_expr.h"
#include "query/parser.h"
#include "query/planner.h"
#include "query/result.h"
#include "query/worker_pool.h"

namespace tocsin::query {

namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The thread that asks works too.
int HelperThreads(const EngineOptions& options) {
  const int wanted =
      options.threads > 0 ? options.threads : static_cast<int>(std::thread::hardware_concurrency());
  return std::max(wanted, 1) - 1;
}

}  // namespace

struct Engine::Impl {
  explicit Impl(const EngineOptions& engine_options)
      : options(engine_options),
        memory("query memory", static_cast<uint64_t>(engine_options.memory_budget_bytes)),
        pool(HelperThreads(engine_options)) {}

  Result<QueryResult> Run(const model::Queryable& store, std::string_view query, const Grid& grid,
                          model::Timestamp end_ms, bool instant, const QueryOptions& query_options);

  const EngineOptions options;
  Budget memory;
  WorkerPool pool;
};

Engine::Engine(const EngineOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Engine::~Engine() = default;
const EngineOptions& Engine::options() const { return impl_->options; }

namespace {

Result<Value> Evaluate(const Expr& expr, QueryContext* context) {
  const Grid& grid = context->grid;
  Planner planner(context);
  const ValueType type = TypeOf(expr);
  if (type == ValueType::kString) {
    const auto* literal = As<StringLiteral>(Unparen(expr));
    if (literal == nullptr) return Error(Code::kInternal, "string that is no literal");
    return Value(String{grid.start_ms, literal->value});
  }
  if (type == ValueType::kMatrix) {
    TOCSIN_ASSIGN_OR_RETURN(RangeSourcePtr source, planner.PlanRange(expr, grid, ""));
    TOCSIN_ASSIGN_OR_RETURN(Matrix matrix, CollectRange(context, source.get()));
    return Value(std::move(matrix));
  }
  TOCSIN_ASSIGN_OR_RETURN(OperatorPtr op, planner.Plan(expr, grid));
  if (!context->is_instant) {
    TOCSIN_ASSIGN_OR_RETURN(Matrix matrix, CollectMatrix(op.get()));
    return Value(std::move(matrix));
  }
  if (type == ValueType::kScalar) {
    TOCSIN_ASSIGN_OR_RETURN(Scalar scalar, CollectScalar(op.get()));
    return Value(scalar);
  }
  TOCSIN_ASSIGN_OR_RETURN(Vector vector, CollectVector(op.get()));
  return Value(std::move(vector));
}

}  // namespace

Result<QueryResult> Engine::Impl::Run(const model::Queryable& store, std::string_view query,
                                      const Grid& grid, model::Timestamp end_ms, bool instant,
                                      const QueryOptions& query_options) {
  const Clock::time_point begun = Clock::now();
  QueryContext context(options, query_options, query, grid, end_ms, instant, &memory, &pool);
  TOCSIN_ASSIGN_OR_RETURN(ExprPtr expr, ParseExpr(query, options.language));
  const ValueType type = TypeOf(*expr);
  if (!instant && type != ValueType::kScalar && type != ValueType::kVector) {
    return Error(Code::kInvalidArgument,
                 fmt::format("invalid expression type \"{}\" for range query, must be Scalar or "
                             "instant Vector",
                             ValueTypeText(type)));
  }
  const DurationContext durations{instant ? 0 : grid.step_ms, instant ? 0 : end_ms - grid.start_ms};
  TOCSIN_TRY(ResolveDurations(expr.get(), durations));
  TOCSIN_TRY(context.CheckRunning());
  TOCSIN_TRY(context.ReserveSteps(grid.count));
  context.snapshot = store.Pin();

  QueryResult result;
  result.stats.prepare_seconds = SecondsSince(begun);
  const Clock::time_point prepared = Clock::now();
  try {
    TOCSIN_ASSIGN_OR_RETURN(result.value, Evaluate(*expr, &context));
  } catch (const std::bad_alloc&) {
    return Error(Code::kResourceExhausted, "out of memory");
  }
  result.annotations = context.annotations.Take();
  result.stats.inner_eval_seconds = SecondsSince(prepared);
  result.stats.exec_total_seconds = SecondsSince(begun);
  result.stats.total_queryable_samples = context.queryable_samples.load();
  result.stats.samples_read = context.samples_read.load();
  for (size_t t = 0; t < context.samples_per_step.size(); ++t) {
    result.stats.samples_per_step.push_back({grid.at(t), context.samples_per_step[t].load()});
  }
  result.stats.peak_samples = context.samples.peak();
  result.stats.peak_bytes = static_cast<int64_t>(context.memory.peak());
  return result;
}

Result<QueryResult> Engine::Instant(const model::Queryable& store, std::string_view query,
                                    model::Timestamp time_ms, const QueryOptions& options) {
  return impl_->Run(store, query, Grid{time_ms, 1, 1}, time_ms, true, options);
}

Result<QueryResult> Engine::Range(const model::Queryable& store, std::string_view query,
                                  model::Timestamp start_ms, model::Timestamp end_ms,
                                  int64_t step_ms, const QueryOptions& options) {
  if (step_ms <= 0) {
    return Error(Code::kInvalidArgument,
                 "zero or negative query resolution step widths are not accepted. Try a positive "
                 "integer");
  }
  if (end_ms < start_ms) {
    return Error(Code::kInvalidArgument, "end timestamp must not be before start time");
  }
  const Grid grid{start_ms, step_ms, static_cast<size_t>((end_ms - start_ms) / step_ms) + 1};
  return impl_->Run(store, query, grid, end_ms, false, options);
}

}  // namespace tocsin::query
