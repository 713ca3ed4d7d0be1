#include "collector/target_loop.h"

#include <algorithm>

#include "base/env.h"
#include "base/log.h"
#include "base/number.h"

namespace tocsin::collector {
namespace {

constexpr int64_t kNanosPerMs = 1'000'000;
// Offsets inside a line memo are 32 bits wide.
constexpr int64_t kBodyBytesCeiling = (int64_t{1} << 32) - (int64_t{16} << 20);

FetchRequest MakeRequest(const ScrapeConfig& config, const Target& target,
                         const ScrapeContext& context) {
  FetchRequest request;
  request.url = target.url;
  request.timeout_ms = target.scrape_timeout_ms;
  request.accept_gzip = config.enable_compression;
  request.accept = AcceptHeader(config.scrape_protocols, config.name_scheme);
  request.user_agent = context.user_agent;
  request.timeout_header = FormatFloat(static_cast<double>(target.scrape_timeout_ms) / 1000);
  request.client = &config.http;
  return request;
}

}  // namespace

TargetLoop::TargetLoop(std::shared_ptr<const ScrapeConfig> config,
                       std::shared_ptr<const Target> target, ScrapeContext* context)
    : config_(std::move(config)),
      target_(std::move(target)),
      context_(context),
      body_bytes_max_(std::min(kBodyBytesCeiling, config_->body_size_limit_bytes > 0
                                                      ? config_->body_size_limit_bytes
                                                      : context->default_body_bytes_max)),
      request_(MakeRequest(*config_, *target_, *context)),
      recorder_(config_.get(), target_, context->appender, &context->shapes),
      shape_(nullptr) {
  status_.target = *target_;
}

int64_t TargetLoop::FirstDueNs(int64_t now_wall_ms, int64_t now_monotonic_ns) const {
  const int64_t interval_ms = target_->scrape_interval_ms;
  const auto offset_ms = static_cast<int64_t>(target_->Hash() % static_cast<uint64_t>(interval_ms));
  int64_t wait_ms = (offset_ms - now_wall_ms % interval_ms) % interval_ms;
  if (wait_ms < 0) wait_ms += interval_ms;
  return now_monotonic_ns + wait_ms * kNanosPerMs;
}

int64_t TargetLoop::NextDueNs(int64_t due_ns, int64_t now_ns) {
  const int64_t interval_ns = target_->scrape_interval_ms * kNanosPerMs;
  due_ns += interval_ns;
  if (due_ns + interval_ns <= now_ns) {
    const int64_t missed = (now_ns - due_ns) / interval_ns;
    context_->metrics.skipped.Add(static_cast<uint64_t>(missed));
    due_ns += missed * interval_ns;
  }
  return due_ns;
}

bool TargetLoop::Start(HttpFetcher* fetcher) {
  running_ = true;
  page_good_ = over_size_ = false;
  answer_error_ = Status::Ok();
  body_bytes_ = 0;
  carry_.clear();
  first_bytes_.clear();
  start_ms_ = context_->env->NowMs();
  start_ns_ = context_->env->MonotonicNanos();
  Status status;
  if (!forced_error_.empty()) {
    status = Status(Code::kResourceExhausted, forced_error_);
  } else {
    status = fetcher->Start(request_, this);
  }
  if (!status.ok()) Finish(std::move(status));
  return running_;
}

Status TargetLoop::OnAnswer(const FetchAnswer& answer) {
  if (answer.status != 200) {
    answer_error_ =
        Status(Code::kInvalidArgument, "server returned HTTP status " +
                                           std::to_string(answer.status) + " " + answer.reason);
    return Status::Ok();  // some of its body is kept for the status page
  }
  const auto format = ChooseFormat(answer.content_type, config_->fallback_scrape_protocol);
  if (!format) {
    answer_error_ = format.error();
    return Status::Ok();
  }
  TOCSIN_RETURN_IF_ERROR(recorder_.Begin(start_ms_, *format));
  page_good_ = true;
  return Status::Ok();
}

void TargetLoop::KeepAnswer(std::string_view bytes) {
  const size_t room = kFailedAnswerBytesMax - std::min(first_bytes_.size(), kFailedAnswerBytesMax);
  if (room > 0) first_bytes_.append(bytes.substr(0, room));
}

Status TargetLoop::OnBody(std::string_view bytes) {
  KeepAnswer(bytes);
  body_bytes_ += static_cast<int64_t>(bytes.size());
  if (!page_good_) {
    // Short answers are read to their end, which keeps the connection.
    constexpr int64_t kDrainBytesMax = 64 * 1024;
    return body_bytes_ > kDrainBytesMax ? answer_error_ : Status::Ok();
  }
  if (body_bytes_ > body_bytes_max_) {
    over_size_ = true;
    return Status(Code::kResourceExhausted, "body size limit exceeded");
  }
  return Feed(bytes);
}

Status TargetLoop::Feed(std::string_view bytes) {
  std::string_view input = bytes;
  if (!carry_.empty()) {
    carry_.append(bytes);
    input = carry_;
  }
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const size_t used, recorder_.Feed(input, false));
  if (carry_.empty()) {
    carry_.assign(input.substr(used));
  } else {
    carry_.erase(0, used);
  }
  return Status::Ok();
}

void TargetLoop::OnDone(const Status& status) {
  Status result = status;
  if (result.ok() && !answer_error_.ok()) result = answer_error_;
  if (result.ok()) {
    if (const auto used = recorder_.Feed(carry_, true); !used) result = used.error();
  }
  Finish(std::move(result));
}

double TargetLoop::SecondsSinceStart() const {
  return static_cast<double>(context_->env->MonotonicNanos() - start_ns_) / 1e9;
}

void TargetLoop::Finish(Status status) {
  running_ = false;
  carry_ = std::string();
  const double duration_s = SecondsSinceStart();
  const int64_t reported_bytes = over_size_ ? -1 : body_bytes_;
  RecordOutcome outcome;
  if (status.ok()) {
    outcome = recorder_.Commit(duration_s, reported_bytes);
    if (!outcome.status.ok()) status = outcome.status.Annotate("storage");
  } else {
    outcome = recorder_.Fail(start_ms_, duration_s, reported_bytes);
  }
  const uint64_t samples = recorder_.samples_scraped();
  context_->metrics.CountScrape(status, samples, body_bytes_);
  context_->metrics.CountLost(outcome);
  if (!status.ok() && status.message() != last_logged_error_) {
    LogInfo("scrape", "scrape failed",
            {{"job", target_->job}, {"target", target_->url}, {"err", status}});
  }
  last_logged_error_ = status.message();

  MutexLock lock(mu_);
  status_.health = status.ok() ? TargetHealth::kUp : TargetHealth::kDown;
  status_.last_error = status.message();
  status_.last_scrape_ms = start_ms_;
  status_.last_scrape_duration_s = duration_s;
  status_.last_samples_scraped = samples;
  status_.last_body_bytes = static_cast<uint64_t>(body_bytes_);
  status_.failed_answer = status.ok() ? std::string() : first_bytes_;
  shape_ = recorder_.shape();
}

void TargetLoop::End() {
  running_ = false;
  recorder_.End(context_->env->NowMs());
}

TargetStatus TargetLoop::StatusNow() const {
  MutexLock lock(mu_);
  return status_;
}

std::shared_ptr<const PageShape> TargetLoop::Shape() const {
  MutexLock lock(mu_);
  return shape_;
}

void TargetLoop::SetDiscoveredLabels(const model::Labels& labels) {
  MutexLock lock(mu_);
  status_.target.discovered_labels = labels;
}

}  // namespace tocsin::collector
