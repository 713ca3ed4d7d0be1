#include "query/cached_range.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <optional>
#include <utility>

#include "query/budget.h"
#include "query/parser.h"
#include "query/printer.h"

namespace tocsin::query {

using model::TimeRange;
using model::Timestamp;

namespace {

// Beyond, sums of times could overflow; nobody caches those.
constexpr Timestamp kFarthestMs = std::numeric_limits<int64_t>::max() / 8;

// One query on its way through the cache.
class CachedRange {
 public:
  CachedRange(Engine* engine, ResultCache* cache, const model::Queryable& store,
              const QueryDescription& what, const QueryOptions& options, Timestamp settled_until_ms)
      : engine_(engine),
        cache_(cache),
        store_(store),
        what_(what),
        options_(options),
        settled_ms_(settled_until_ms) {}

  Result<SharedResult> Answer();

 private:
  using Event = ResultCache::Event;

  // False: the query may not be cached.
  bool Prepare();
  // The steps of the extent that may be used, of those that are asked for.
  StepRange Usable(const Extent& extent) const;
  Result<SharedResult> Evaluate(StepRange range) const;
  Result<SharedResult> EvaluateAll();
  Result<SharedResult> Combine(const Extent& extent, StepRange usable);
  void Keep(const SharedResult& result);

  TimeRange SamplesOf(StepRange range) const {
    return {range.first_ms + dependence_.first_ms, range.last_ms + dependence_.last_ms};
  }
  // The last step at or before `t`.
  Timestamp StepAtOrBefore(Timestamp t) const {
    if (t < steps_.first_ms) return steps_.first_ms - what_.step_ms;
    return t - (t - steps_.first_ms) % what_.step_ms;
  }

  Engine* const engine_;
  ResultCache* const cache_;
  const model::Queryable& store_;
  const QueryDescription& what_;
  const QueryOptions& options_;
  const Timestamp settled_ms_;
  StepDependence dependence_;
  std::string key_;
  StepRange steps_;
  ChangeStamps stamps_;
};

bool CachedRange::Prepare() {
  const Result<ExprPtr> expr = ParseForEvaluation(what_.text, engine_->options().language);
  if (!expr) return false;
  const int64_t lookback_ms = options_.lookback_delta_ms > 0 ? options_.lookback_delta_ms
                                                             : engine_->options().lookback_delta_ms;
  const auto dependence = StepDependenceOf(
      **expr, {lookback_ms, what_.step_ms, engine_->options().default_subquery_step_ms});
  if (!dependence) return false;
  // What depends on no sample at all costs nothing to evaluate.
  if (dependence->empty()) return false;
  dependence_ = *dependence;
  const auto far = [](int64_t t) { return t < -kFarthestMs || t > kFarthestMs; };
  if (far(what_.start_ms) || far(what_.end_ms) || far(dependence_.first_ms) ||
      far(dependence_.last_ms) || what_.end_ms < what_.start_ms || what_.step_ms <= 0) {
    return false;
  }
  steps_ = {what_.start_ms, what_.end_ms - (what_.end_ms - what_.start_ms) % what_.step_ms};
  if (steps_.first_ms == steps_.last_ms) return false;
  const int64_t phase = (what_.start_ms % what_.step_ms + what_.step_ms) % what_.step_ms;
  // Wide and narrow views of one expression keep out of each other's way.
  const auto steps = static_cast<uint64_t>((steps_.last_ms - steps_.first_ms) / what_.step_ms);
  key_ = std::to_string(std::bit_width(steps)) + '/' + std::to_string(what_.step_ms) + '/' +
         std::to_string(phase) + '/' + std::to_string(lookback_ms) + '/' + Print(**expr);
  // After settled_ms_ was asked for, and before the store is pinned.
  stamps_ = ChangeStamps::Read(store_, SamplesOf(steps_));
  return !stamps_.numbers.empty();
}

StepRange CachedRange::Usable(const Extent& extent) const {
  StepRange usable{std::max(steps_.first_ms, extent.settled.first_ms),
                   std::min(steps_.last_ms, extent.settled.last_ms)};
  if (usable.empty()) return {};
  const Timestamp agrees_until = extent.stamps.AgreesUntil(stamps_, SamplesOf(usable).min_ms);
  // Of the samples that the last usable step depends on, the last one lies before that.
  const Timestamp last_ms = agrees_until - 1 - dependence_.last_ms;
  usable.last_ms = std::min(usable.last_ms, StepAtOrBefore(last_ms));
  if (usable.last_ms < usable.first_ms) return {};
  return usable;
}

Result<SharedResult> CachedRange::Evaluate(StepRange range) const {
  Result<QueryResult> result =
      engine_->Range(store_, what_.text, range.first_ms, range.last_ms, what_.step_ms, options_);
  if (!result) return Error(result.error());
  return std::make_shared<const QueryResult>(*std::move(result));
}

Result<SharedResult> CachedRange::EvaluateAll() {
  Result<SharedResult> result = Evaluate(steps_);
  if (result) Keep(*result);
  return result;
}

void AddStats(const QueryStats& part, QueryStats* all) {
  all->queue_seconds = std::max(all->queue_seconds, part.queue_seconds);
  all->prepare_seconds += part.prepare_seconds;
  all->inner_eval_seconds += part.inner_eval_seconds;
  all->result_sort_seconds += part.result_sort_seconds;
  all->exec_total_seconds += part.exec_total_seconds;
  all->cpu_seconds += part.cpu_seconds;
  all->total_queryable_samples += part.total_queryable_samples;
  all->samples_read += part.samples_read;
  all->peak_samples = std::max(all->peak_samples, part.peak_samples);
  all->peak_bytes = std::max(all->peak_bytes, part.peak_bytes);
  if (part.resolution != "raw" && part.resolution != all->resolution) {
    all->resolution = part.resolution;
  }
  all->histograms_read = all->histograms_read || part.histograms_read;
}

int64_t PointsOf(const Matrix& matrix) {
  size_t points = 0;
  for (const Series& series : matrix) points += series.floats.size() + series.histograms.size();
  return static_cast<int64_t>(points);
}

bool IsPlainMatrix(const QueryResult& result) {
  return result.annotations.warnings.empty() && result.annotations.infos.empty() &&
         !result.stats.histograms_read && std::holds_alternative<Matrix>(result.value);
}

Result<SharedResult> CachedRange::Combine(const Extent& extent, StepRange usable) {
  const StepRange before{steps_.first_ms, usable.first_ms - what_.step_ms};
  const StepRange behind{usable.last_ms + what_.step_ms, steps_.last_ms};
  auto combined = std::make_shared<QueryResult>();
  Matrix matrix;
  bool plain = true;
  const auto add = [&](StepRange range) -> Status {
    if (range.empty() || !plain) return Status::Ok();
    // Never a single step: how far apart windows are decides about reading facts instead of
    // samples (range_source.cc), and that is to be decided as for the whole.
    StepRange evaluated = range;
    if (evaluated.first_ms == evaluated.last_ms) {
      if (evaluated.first_ms > steps_.first_ms) {
        evaluated.first_ms -= what_.step_ms;
      } else {
        evaluated.last_ms += what_.step_ms;
      }
    }
    TOCSIN_ASSIGN_OR_RETURN_STATUS(const SharedResult part, Evaluate(evaluated));
    AddStats(part->stats, &combined->stats);
    // Where there is something to remark, the whole is to remark it.
    plain = IsPlainMatrix(*part);
    if (!plain) return Status::Ok();
    AppendPoints(std::get<Matrix>(part->value), range, &matrix);
    return Status::Ok();
  };
  TOCSIN_TRY(add(before));
  AppendPoints(std::get<Matrix>(extent.result->value), usable, &matrix);
  TOCSIN_TRY(add(behind));
  if (!plain) return SharedResult();
  // Did nothing change under the extent while the rest was evaluated?
  const ChangeStamps now = ChangeStamps::Read(store_, SamplesOf(usable));
  if (now.AgreesUntil(stamps_, SamplesOf(usable).min_ms) <= SamplesOf(usable).max_ms) {
    return SharedResult();
  }
  // query.max-samples bounds what a query loads, and what it returns. Of a hit, what was kept is
  // not loaded again, so that it may be answered where a first evaluation would have failed half
  // way; but never with more than that many samples.
  if (PointsOf(matrix) > engine_->options().max_samples) return Error(TooManySamples());
  combined->stats.cached_steps = (usable.last_ms - usable.first_ms) / what_.step_ms + 1;
  combined->value = std::move(matrix);
  TOCSIN_ASSIGN_OR_RETURN(combined->memory, engine_->ChargeResult(combined->value));
  SharedResult shared = std::move(combined);
  // All of it from the extent: that one already holds more.
  if (!before.empty() || !behind.empty()) Keep(shared);
  return shared;
}

void CachedRange::Keep(const SharedResult& result) {
  if (!IsPlainMatrix(*result)) {
    cache_->Count(Event::kRefused);
    return;
  }
  if (settled_ms_ <= model::kMinTimestamp + kFarthestMs) return;
  const StepRange settled{
      steps_.first_ms, std::min(steps_.last_ms, StepAtOrBefore(settled_ms_ - dependence_.last_ms))};
  if (settled.empty()) return;
  cache_->Put(key_, {settled, stamps_, result});
}

Result<SharedResult> CachedRange::Answer() {
  if (!Prepare()) {
    cache_->Count(Event::kRefused);
    return Evaluate({what_.start_ms, what_.end_ms});
  }
  const std::shared_ptr<const Extent> extent = cache_->Find(key_);
  if (extent != nullptr) {
    const StepRange usable = Usable(*extent);
    if (usable.empty()) {
      cache_->Count(Event::kStale);
    } else {
      TOCSIN_ASSIGN_OR_RETURN(SharedResult combined, Combine(*extent, usable));
      if (combined != nullptr) {
        cache_->Count(Event::kHit, static_cast<uint64_t>(combined->stats.cached_steps));
        return combined;
      }
      cache_->Count(Event::kStale);
      cache_->Remove(key_);
      return Evaluate(steps_);
    }
  }
  cache_->Count(Event::kMiss);
  return EvaluateAll();
}

}  // namespace

Result<SharedResult> AnswerThroughCache(Engine* engine, ResultCache* cache,
                                        const model::Queryable& store, const QueryDescription& what,
                                        const QueryOptions& options, Timestamp settled_until_ms) {
  return CachedRange(engine, cache, store, what, options, settled_until_ms).Answer();
}

}  // namespace tocsin::query
