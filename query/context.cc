#include "query/context.h"

#include <algorithm>
#include <set>

#include "base/duration.h"
#include "query/profile.h"

namespace tocsin::query {
namespace {

int64_t TimeoutMs(const EngineOptions& engine, const QueryOptions& query) {
  return query.timeout_ms > 0 ? std::min(query.timeout_ms, engine.timeout_ms) : engine.timeout_ms;
}

}  // namespace

QueryContext::QueryContext(const EngineOptions& engine_options, const QueryOptions& query_options,
                           std::string_view query_text, const Grid& query_grid,
                           model::Timestamp end_ms, bool instant, Budget* budget,
                           uint64_t memory_max, WorkerPool* worker_pool)
    : options(engine_options),
      language(engine_options.language),
      text(query_text),
      grid(query_grid),
      range_end_ms(end_ms),
      is_instant(instant),
      lookback_delta_ms(query_options.lookback_delta_ms > 0 ? query_options.lookback_delta_ms
                                                            : engine_options.lookback_delta_ms),
      pool(worker_pool),
      memory("this query", memory_max, budget),
      samples(engine_options.max_samples),
      annotations(query_text),
      samples_per_step(query_options.per_step_stats ? query_grid.count : 0),
      cancel_(query_options.cancel),
      stopped_(query_options.stopped),
      probe_(query_options.probe),
      deadline_(std::chrono::steady_clock::now() +
                std::chrono::milliseconds(TimeoutMs(engine_options, query_options))) {}

Status QueryContext::CheckRunning() const {
  bool cancelled =
      (cancel_ != nullptr && cancel_->load(std::memory_order_relaxed)) || (stopped_ && stopped_());
  if (probe_ != nullptr) {
    // A leader that others wait for goes on until all of them have gone (service.h).
    if (!stopped_) cancelled = cancelled || probe_->cancel.load(std::memory_order_relaxed);
    probe_->memory_bytes.store(memory.used(), std::memory_order_relaxed);
    probe_->samples_read.store(samples_read.load(std::memory_order_relaxed),
                               std::memory_order_relaxed);
  }
  if (cancelled) {
    return Status(Code::kCancelled, "query was canceled in expression evaluation");
  }
  if (std::chrono::steady_clock::now() >= deadline_) {
    return Status(Code::kDeadlineExceeded, "query timed out in expression evaluation");
  }
  return Status::Ok();
}

Status QueryContext::ReserveSteps(size_t steps) {
  if (steps > static_cast<uint64_t>(options.max_samples)) return TooManySamples();
  // A selector or range function keeps three to five arrays of four or eight bytes a step.
  static constexpr uint64_t kBytesByStep = 64;
  steps_reserved_ += steps;
  return step_arrays_.Grow(&memory, steps_reserved_ * kBytesByStep);
}

Result<std::shared_ptr<const model::SeriesSelection>> QueryContext::Select(
    const model::MatcherSet& matchers, model::TimeRange range, const model::SelectHints& hints) {
  NoteProfiledSelect(hints);
  std::string key = std::to_string(range.min_ms) + "/" + std::to_string(range.max_ms);
  if (const model::FactsWish& facts = hints.facts; facts.wanted) {
    key += "/" + std::to_string(facts.needs) + "/" + std::to_string(facts.origin_ms) + "/" +
           std::to_string(facts.tile_ms) + "/" + std::to_string(facts.bucket_max_ms);
  }
  if (hints.times_only) key += "/times";
  if (hints.newest_only) key += "/newest";
  for (const model::Matcher& matcher : matchers) key += "," + matcher.ToString();
  MutexLock lock(mu_);
  std::shared_ptr<const model::SeriesSelection>& selection = selections_[key];
  if (selection == nullptr) {
    MemoryCharge charge;
    uint64_t bytes = 0;
    model::SelectHints charging = hints;
    charging.charge = [this, &charge, &bytes](uint64_t more) {
      bytes += more;
      return charge.Grow(&memory, bytes);
    };
    TOCSIN_ASSIGN_OR_RETURN(std::unique_ptr<model::SeriesSelection> made,
                            snapshot->Select(matchers, range, charging));
    // A store that does not ask keeps at least addresses and tables by series.
    static constexpr uint64_t kSelectedSeriesBytes = 48;
    TOCSIN_TRY(charge.Grow(&memory, made->size() * kSelectedSeriesBytes));
    selection_charges_.push_back(std::move(charge));
    selection = std::move(made);
  }
  return selection;
}

std::string QueryContext::ReportResolution() {
  MutexLock lock(mu_);
  std::set<int64_t, std::greater<>> buckets;
  for (const auto& [key, selection] : selections_) {
    if (selection == nullptr) continue;
    const model::Resolution resolution = selection->resolution();
    buckets.insert(resolution.bucket_ms);
    if (resolution.thinned_bucket_ms > 0)
      annotations.Thinned(resolution.thinned_until_ms, resolution.thinned_bucket_ms);
  }
  std::string found;
  for (const int64_t bucket_ms : buckets) {
    if (!found.empty()) found += ", ";
    found += bucket_ms == 0 ? "raw" : FormatDuration(bucket_ms);
  }
  return found.empty() ? "raw" : found;
}

}  // namespace tocsin::query
