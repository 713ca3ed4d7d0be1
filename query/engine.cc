#include "query/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <new>
#include <thread>

#include "query/context.h"
#include "query/deep_stack.h"
#include "query/duration_expr.h"
#include "query/parser.h"
#include "query/planner.h"
#include "query/profile.h"
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

double ThreadCpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

// What rules leave to users of the memory, and a user's query to the others.
constexpr uint64_t kUserEighths = 7;
constexpr uint64_t kQueriesAtLeast = 2;

struct LaneBudgets {
  explicit LaneBudgets(int64_t limit)
      : all("query memory", static_cast<uint64_t>(limit)),
        users("memory of users' queries", static_cast<uint64_t>(limit) / 8 * kUserEighths, &all) {}
  Budget* Of(QueryLane lane) { return lane == QueryLane::kRules ? &all : &users; }
  uint64_t QueryMax(QueryLane lane) const {
    return lane == QueryLane::kRules ? Budget::kUnlimited : users.limit() / kQueriesAtLeast;
  }

  Budget all;
  Budget users;
};

// What a result is charged with; keeps the budgets alive.
struct ResultMemory {
  std::shared_ptr<LaneBudgets> budgets;
  MemoryCharge charge;
};

}  // namespace

struct Engine::Impl {
  explicit Impl(const EngineOptions& engine_options)
      : options(engine_options),
        memory(std::make_shared<LaneBudgets>(options.memory_budget_bytes)),
        pool("query", HelperThreads(engine_options), kUserQueryNice),
        rules_pool("query-rules", std::min(HelperThreads(engine_options), 1), 0) {}

  Result<QueryResult> Run(const model::Queryable& store, std::string_view query, const Grid& grid,
                          model::Timestamp end_ms, bool instant, const QueryOptions& query_options);
  // On a stack that is deep enough for the expression.
  Result<QueryResult> Execute(const model::Queryable& store, std::string_view query, Expr* expr,
                              const Grid& grid, model::Timestamp end_ms, bool instant,
                              const QueryOptions& query_options);

  const EngineOptions options;
  const std::shared_ptr<LaneBudgets> memory;
  WorkerPool pool;
  WorkerPool rules_pool;
  WorkerPool no_helpers{"query", 0, 0};  // for what needs a deep stack
};

Engine::Engine(const EngineOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Engine::~Engine() = default;
const EngineOptions& Engine::options() const { return impl_->options; }

EngineMemory Engine::memory() const {
  const Budget& all = impl_->memory->all;
  return {.used_bytes = all.used(), .peak_bytes = all.peak(), .limit_bytes = all.limit()};
}

std::unique_ptr<Budget> Engine::NewRequestBudget() const {
  return std::make_unique<Budget>("this request", impl_->memory->QueryMax(QueryLane::kUser),
                                  &impl_->memory->users);
}

Result<std::shared_ptr<const void>> Engine::ChargeResult(const Value& value) const {
  auto held = std::make_shared<ResultMemory>();
  held->budgets = impl_->memory;
  TOCSIN_TRY(held->charge.Grow(&impl_->memory->users, HeldBytes(value)));
  return held;
}

namespace {

Result<Value> Evaluate(const Expr& expr, QueryContext* context, NodeProfile* profile) {
  const Grid& grid = context->grid;
  Planner planner(context, profile);
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

Status CheckRangeType(const Expr& expr) {
  const ValueType type = TypeOf(expr);
  if (type == ValueType::kScalar || type == ValueType::kVector) return Status::Ok();
  return Status(Code::kInvalidArgument,
                fmt::format("invalid expression type \"{}\" for range query, must be Scalar or "
                            "instant Vector",
                            ValueTypeText(type)));
}

void FillStats(const QueryContext& context, QueryStats* stats) {
  stats->total_queryable_samples = context.queryable_samples.load();
  stats->samples_read = context.samples_read.load();
  for (size_t t = 0; t < context.samples_per_step.size(); ++t) {
    stats->samples_per_step.push_back({context.grid.at(t), context.samples_per_step[t].load()});
  }
  stats->peak_samples = context.samples.peak();
  stats->peak_bytes = static_cast<int64_t>(context.memory.peak());
  stats->histograms_read = context.histograms_read.load();
}

}  // namespace

Result<QueryResult> Engine::Impl::Execute(const model::Queryable& store, std::string_view query,
                                          Expr* expr, const Grid& grid, model::Timestamp end_ms,
                                          bool instant, const QueryOptions& query_options) {
  const Clock::time_point begun = Clock::now();
  const double cpu_begun = ThreadCpuSeconds();
  const bool deep = expr->height > kShallowHeight;
  const bool for_rules = query_options.lane == QueryLane::kRules;
  WorkerPool* const helpers = deep ? &no_helpers : for_rules ? &rules_pool : &pool;
  QueryContext context(options, query_options, query, grid, end_ms, instant,
                       memory->Of(query_options.lane), memory->QueryMax(query_options.lane),
                       helpers);
  TOCSIN_TRY(
      ResolveDurations(expr, {instant ? 0 : grid.step_ms, instant ? 0 : end_ms - grid.start_ms}));
  TOCSIN_TRY(context.CheckRunning());
  TOCSIN_TRY(context.ReserveSteps(grid.count));
  if (deep && query_options.explain) {
    return Error(Code::kExecution, "expression is nested too deeply to be explained");
  }
  context.snapshot = store.Pin();
  NodeProfile profile("");

  QueryResult result;
  const double prepare_seconds = SecondsSince(begun);
  const Clock::time_point prepared = Clock::now();
  const auto tell = [&](QueryStats* stats) {
    stats->resolution = context.ReportResolution();
    stats->prepare_seconds = prepare_seconds;
    stats->inner_eval_seconds = SecondsSince(prepared);
    stats->exec_total_seconds = SecondsSince(begun);
    stats->cpu_seconds =
        ThreadCpuSeconds() - cpu_begun + static_cast<double>(context.helper_cpu_nanos.load()) / 1e9;
    FillStats(context, stats);
    stats->queue_seconds = query_options.queue_seconds;
  };
  const auto held = std::make_shared<ResultMemory>();
  held->budgets = memory;
  const Status evaluated = [&]() -> Status {
    try {
      TOCSIN_ASSIGN_OR_RETURN_STATUS(
          result.value, Evaluate(*expr, &context, query_options.explain ? &profile : nullptr));
      return held->charge.Grow(memory->Of(query_options.lane), HeldBytes(result.value));
    } catch (const std::bad_alloc&) {
      return Status(Code::kResourceExhausted, "out of memory");
    }
  }();
  if (!evaluated.ok()) {
    if (query_options.probe != nullptr) tell(&query_options.probe->failed);
    return Error(evaluated);
  }
  result.memory = held;
  tell(&result.stats);
  result.annotations = context.annotations.Take();
  if (query_options.explain) result.plan = std::make_shared<const PlanNode>(profile.ToPlan());
  return result;
}

Result<QueryResult> Engine::Impl::Run(const model::Queryable& store, std::string_view query,
                                      const Grid& grid, model::Timestamp end_ms, bool instant,
                                      const QueryOptions& query_options) {
  const Clock::time_point begun = Clock::now();
  TOCSIN_ASSIGN_OR_RETURN(ExprPtr expr, ParseForEvaluation(query, options.language));
  if (!instant) TOCSIN_TRY(CheckRangeType(*expr));
  const double parse_seconds = SecondsSince(begun);
  Result<QueryResult> result = Error(Code::kInternal, "not run");
  TOCSIN_TRY(WithStackFor(expr->height, [&] {
    result = Execute(store, query, expr.get(), grid, end_ms, instant, query_options);
  }));
  if (!result) return result;
  result->stats.prepare_seconds += parse_seconds;
  result->stats.exec_total_seconds += parse_seconds;
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
