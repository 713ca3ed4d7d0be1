#include "query/service.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "base/env.h"
#include "base/log.h"
#include "query/cached_range.h"

namespace tocsin::query {

// One evaluation that several askers wait for. It goes on for as long as one of them does.
class QueryService::Flight {
 public:
  Flight(Env* env, const QueryOptions& leader, QueryProbe* probe, int64_t deadline_ms)
      : env_(env), deadline_ms_(deadline_ms) {
    Join(leader, probe);
  }

  int64_t deadline_ms() const { return deadline_ms_; }

  void Join(const QueryOptions& options, QueryProbe* probe) {
    MutexLock lock(mu_);
    waiting_.push_back({options.cancel, probe});
  }
  bool AllGone() {
    MutexLock lock(mu_);
    return std::all_of(waiting_.begin(), waiting_.end(),
                       [](const Waiter& waiter) { return waiter.gone(); });
  }
  void Land(const Result<SharedResult>& result) {
    MutexLock lock(mu_);
    result_ = result;
    landed_.NotifyAll();
  }
  // The leader's answer, or why this asker stopped waiting.
  Result<SharedResult> Await(const QueryOptions& options, QueryProbe* probe, int64_t deadline_ms) {
    static constexpr std::chrono::milliseconds kPoll{20};
    const Waiter self{options.cancel, probe};
    MutexLock lock(mu_);
    while (!result_.has_value()) {
      landed_.WaitFor(mu_, kPoll);
      if (result_.has_value()) break;
      Status status;
      if (self.gone()) {
        status = Status(Code::kCancelled, "query was canceled in expression evaluation");
      } else if (env_->MonotonicNanos() / 1'000'000 >= deadline_ms) {
        status = Status(Code::kDeadlineExceeded, "query timed out in expression evaluation");
      }
      if (status.ok()) continue;
      std::erase_if(waiting_, [&](const Waiter& waiter) { return waiter.probe == probe; });
      return Error(status);
    }
    return *result_;
  }

 private:
  struct Waiter {
    const std::atomic<bool>* cancel;
    QueryProbe* probe;
    bool gone() const {
      return (cancel != nullptr && cancel->load(std::memory_order_relaxed)) ||
             probe->cancel.load(std::memory_order_relaxed);
    }
  };

  Env* const env_;
  const int64_t deadline_ms_;
  Mutex mu_;
  CondVar landed_;
  std::vector<Waiter> waiting_ GUARDED_BY(mu_);
  std::optional<Result<SharedResult>> result_ GUARDED_BY(mu_);
};

QueryService::QueryService(Engine* engine, const QueryServiceOptions& options)
    : engine_(engine),
      options_(options),
      env_(options.env != nullptr ? options.env : &Env::Default()),
      active_(env_),
      log_(env_),
      cache_(options.cache_bytes) {}

QueryService::~QueryService() = default;

namespace {

Result<SharedResult> Share(Result<QueryResult> result) {
  if (!result) return Error(result.error());
  return std::make_shared<QueryResult>(*std::move(result));
}

// Equal keys, equal answers: everything that the answer depends on, the store apart.
std::string FlightKey(const QueryDescription& what, const QueryOptions& options) {
  std::string key = std::to_string(what.start_ms) + '/' + std::to_string(what.end_ms) + '/' +
                    std::to_string(what.step_ms) + '/' + std::to_string(options.lookback_delta_ms);
  key += options.per_step_stats ? "/steps/" : "/";
  return key + what.text;
}

}  // namespace

Result<SharedResult> QueryService::Instant(const model::Queryable& store,
                                           const QueryDescription& what,
                                           const QueryOptions& options, QueryCaching caching) {
  return Run(what, options, caching == QueryCaching::kUse, [&](const QueryOptions& with) {
    return Share(engine_->Instant(store, what.text, what.start_ms, with));
  });
}

Result<SharedResult> QueryService::Range(const model::Queryable& store,
                                         const QueryDescription& what, const QueryOptions& options,
                                         QueryCaching caching) {
  // Numbers by step, and plans, are those of a whole evaluation.
  const bool cached = caching == QueryCaching::kUse && cache_.enabled() &&
                      what.lane == QueryLane::kUser && !options.per_step_stats && !options.explain;
  return Run(what, options, caching == QueryCaching::kUse,
             [&](const QueryOptions& with) -> Result<SharedResult> {
               if (cached) {
                 const model::Timestamp settled_ms =
                     options_.settled_until ? options_.settled_until() : model::kMinTimestamp;
                 return AnswerThroughCache(engine_, &cache_, store, what, with, settled_ms);
               }
               return Share(engine_->Range(store, what.text, what.start_ms, what.end_ms,
                                           what.step_ms, with));
             });
}

Result<QueryResult> QueryService::ForRule(const model::Queryable& store,
                                          const QueryDescription& what,
                                          const QueryOptions& options) {
  Result<SharedResult> result = Instant(store, what, options, QueryCaching::kBypass);
  if (!result) return Error(result.error());
  // Made by Share, not const, and nobody else's.
  return std::move(const_cast<QueryResult&>(**result));
}

Result<SharedResult> QueryService::Run(const QueryDescription& what, QueryOptions options,
                                       bool shareable, const Evaluate& evaluate) {
  const int64_t begun_nanos = env_->MonotonicNanos();
  ActiveQueries::Ticket ticket = active_.Begin(what);
  options.probe = ticket.probe();
  options.lane = what.lane;
  shareable = shareable && what.lane == QueryLane::kUser && !options.explain;
  bool joined = false;
  Result<SharedResult> result =
      shareable ? RunShared(what, options, evaluate, &joined) : evaluate(options);
  const double seconds = static_cast<double>(env_->MonotonicNanos() - begun_nanos) / 1e9;
  // Who waited for another's evaluation has cost nothing. A failure tells in the probe what it had.
  Finish(what, result, result && !joined ? (*result)->stats : options.probe->failed, seconds);
  return result;
}

Result<SharedResult> QueryService::RunShared(const QueryDescription& what,
                                             const QueryOptions& options, const Evaluate& evaluate,
                                             bool* joined) {
  const int64_t engine_timeout_ms = engine_->options().timeout_ms;
  const int64_t timeout_ms =
      options.timeout_ms > 0 ? std::min(options.timeout_ms, engine_timeout_ms) : engine_timeout_ms;
  const int64_t deadline_ms = env_->MonotonicNanos() / 1'000'000 + timeout_ms;
  const std::string key = FlightKey(what, options);
  std::shared_ptr<Flight> flight;
  bool leads = false;
  {
    MutexLock lock(mu_);
    std::shared_ptr<Flight>& running = flights_[key];
    if (running == nullptr) {
      running = std::make_shared<Flight>(env_, options, options.probe, deadline_ms);
      flight = running;
      leads = true;
    } else if (deadline_ms - timeout_ms / 10 <= running->deadline_ms()) {
      // It will not give up long before this asker would.
      running->Join(options, options.probe);
      flight = running;
      *joined = true;
      ++stats_.shared;
    }
  }
  if (flight == nullptr) return evaluate(options);
  if (!leads) return flight->Await(options, options.probe, deadline_ms);
  QueryOptions led = options;
  led.cancel = nullptr;
  led.stopped = [flight] { return flight->AllGone(); };
  Result<SharedResult> result = evaluate(led);
  {
    MutexLock lock(mu_);
    flights_.erase(key);
  }
  flight->Land(result);
  return result;
}

void QueryService::Finish(const QueryDescription& what, const Result<SharedResult>& result,
                          const QueryStats& stats, double seconds) {
  const Status status = result ? Status::Ok() : result.error();
  if (status.code() == Code::kInvalidArgument) return;  // it was never a query
  const int64_t now_ms = env_->NowMs();
  top_.Record(what.text, what.lane,
              {.cpu_seconds = stats.cpu_seconds,
               .seconds = seconds,
               .peak_bytes = static_cast<uint64_t>(stats.peak_bytes),
               .samples_read = stats.samples_read,
               .failed = !status.ok(),
               .from_cache = stats.cached_steps > 0},
              now_ms);
  const bool slow = options_.slow_ms > 0 && seconds * 1000 >= static_cast<double>(options_.slow_ms);
  if (slow || options_.slow_ms <= 0) log_.Write({what, stats, status, now_ms});
  if (slow) {
    LogWarn("query", "slow query",
            {{"query", std::string_view(what.text).substr(0, kShownTextBytes)},
             {"seconds", seconds},
             {"cpu_seconds", stats.cpu_seconds},
             {"samples_read", stats.samples_read},
             {"peak_bytes", stats.peak_bytes},
             {"start_ms", what.start_ms},
             {"end_ms", what.end_ms},
             {"step_ms", what.step_ms},
             {"client", what.origin.client},
             {"rule_group", what.origin.rule_group},
             {"err", status}});
  }
  const bool user = what.lane == QueryLane::kUser;
  MutexLock lock(mu_);
  ++(user ? stats_.user_queries : stats_.rule_queries);
  (user ? stats_.user_seconds : stats_.rule_seconds) += seconds;
  stats_.cpu_seconds += stats.cpu_seconds;
  stats_.failed += status.ok() ? 0 : 1;
  stats_.slow += slow ? 1 : 0;
}

QueryServiceStats QueryService::stats() const {
  MutexLock lock(mu_);
  return stats_;
}

}  // namespace tocsin::query
