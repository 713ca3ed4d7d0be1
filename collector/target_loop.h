// TargetLoop: one target's rhythm. At each due time it fetches the page, feeds it to its recorder
// as it arrives, and notes how that went. A target is never scraped twice at once: the next due
// time is only set when a scrape has ended.
//
// Everything but StatusNow, Shape, SetDiscoveredLabels and SetFate belongs to the scrape thread
// that runs the loop.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "collector/http_fetcher.h"
#include "collector/scrape_config.h"
#include "collector/scrape_metrics.h"
#include "collector/scrape_recorder.h"
#include "collector/target.h"

namespace tocsin::collector {

// What the loops of one ScrapePools share; outlives them.
struct ScrapeContext {
  Env* env = nullptr;
  model::Appender* appender = nullptr;
  PageShapes shapes;
  ScrapeMetrics metrics;
  std::string user_agent;
  int64_t default_body_bytes_max = 0;
};

class TargetLoop final : public FetchSink {
 public:
  TargetLoop(std::shared_ptr<const ScrapeConfig> config, std::shared_ptr<const Target> target,
             ScrapeContext* context);

  const Target& target() const { return *target_; }
  // The first due time at or after `now`: the target's own offset in its interval.
  int64_t FirstDueNs(int64_t now_wall_ms, int64_t now_monotonic_ns) const;
  // The due time after the scrape that was due at `due_ns`; ticks that have passed are skipped.
  int64_t NextDueNs(int64_t due_ns, int64_t now_ns);

  // Begins a scrape. False: it is over already (it could not be started).
  bool Start(HttpFetcher* fetcher);
  bool running() const { return running_; }
  // A reason not to fetch at all ("target_limit exceeded …"); "" = none.
  void SetForcedError(std::string error) { forced_error_ = std::move(error); }
  // Set by ScrapePools (any thread) once the loop is no longer wanted: a loop that is still on its
  // way to its thread must not start there.
  enum class Fate : uint8_t { kRuns, kReplaced, kEnds };
  void SetFate(Fate fate) { fate_.store(fate, std::memory_order_release); }
  Fate fate() const { return fate_.load(std::memory_order_acquire); }
  // The target is gone: staleness markers for all of its series.
  void End();
  // The target goes on under another loop, which looks after this one's series.
  std::vector<ScrapeRecorder::Inherited> TakeSeries() {
    running_ = false;
    return recorder_.TakeSeries();
  }
  void Inherit(std::vector<ScrapeRecorder::Inherited> series) {
    recorder_.Inherit(std::move(series));
  }

  TargetStatus StatusNow() const;
  std::shared_ptr<const PageShape> Shape() const;
  // Found again under other discovered labels.
  void SetDiscoveredLabels(const model::Labels& labels);

  // --- FetchSink ---
  Status OnAnswer(const FetchAnswer& answer) override;
  Status OnBody(std::string_view bytes) override;
  void OnDone(const Status& status) override;

 private:
  Status Feed(std::string_view bytes);
  void Finish(Status status);
  void KeepAnswer(std::string_view bytes);
  double SecondsSinceStart() const;

  const std::shared_ptr<const ScrapeConfig> config_;
  const std::shared_ptr<const Target> target_;
  ScrapeContext* const context_;
  const int64_t body_bytes_max_;
  const FetchRequest request_;

  std::atomic<Fate> fate_{Fate::kRuns};

  // Of the scrape thread.
  ScrapeRecorder recorder_;
  std::string forced_error_;
  std::string last_logged_error_;
  bool running_ = false;
  bool page_good_ = false;  // a 200 with a format we read: the body is fed to the recorder
  bool over_size_ = false;
  Status answer_error_;  // why the body is not wanted
  int64_t start_ms_ = 0;
  int64_t start_ns_ = 0;
  int64_t body_bytes_ = 0;
  std::string carry_;  // bytes that wait for the rest of their line
  std::string first_bytes_;

  mutable Mutex mu_;
  TargetStatus status_ GUARDED_BY(mu_);
  std::shared_ptr<const PageShape> shape_ GUARDED_BY(mu_);
};

}  // namespace tocsin::collector
