// Metrics about ourselves, served at /metrics. A metric is named and labelled once, usually into a
// member, and then costs one atomic addition:
//
//   Counter& failed_ = SelfMetrics::Default().GetCounter(
//       "tocsin_scrapes_failed_total", "Scrapes without a usable page.", {{"reason", "timeout"}});
//   failed_.Add();
//
// What is known elsewhere (a queue's length, bytes in use) is asked for when /metrics is read, by a
// callback that lives as long as the MetricCallback returned. prometheus-cpp writes the text
// (self_metrics.cc). Thread-safe; handles live as long as the registry, the default one for ever.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tocsin {

using MetricLabels = std::vector<std::pair<std::string, std::string>>;

// Only grows.
class Counter {
 public:
  void Add(uint64_t n = 1) { count_.fetch_add(n, std::memory_order_relaxed); }
  uint64_t value() const { return count_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> count_{0};
};

// Like Counter for what is no whole number: seconds.
class DoubleCounter {
 public:
  void Add(double v) { sum_.fetch_add(v, std::memory_order_relaxed); }
  double value() const { return sum_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> sum_{0};
};

class Gauge {
 public:
  void Set(double v) { value_.store(v, std::memory_order_relaxed); }
  void Add(double v) { value_.fetch_add(v, std::memory_order_relaxed); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

class MetricHistogram {
 public:
  // `bounds`: upper ends of the buckets, ascending, without +Inf.
  explicit MetricHistogram(std::vector<double> bounds);
  void Observe(double v);

  const std::vector<double>& bounds() const { return bounds_; }
  uint64_t bucket(size_t i) const { return counts_[i].load(std::memory_order_relaxed); }
  double sum() const { return sum_.load(std::memory_order_relaxed); }

 private:
  const std::vector<double> bounds_;
  const std::unique_ptr<std::atomic<uint64_t>[]> counts_;  // bounds_.size() + 1
  std::atomic<double> sum_{0};
};

// Ends the callback when destroyed; waits for one that is running.
class MetricCallback {
 public:
  MetricCallback() = default;
  explicit MetricCallback(std::function<void()> remove) : remove_(std::move(remove)) {}
  ~MetricCallback() { Reset(); }
  MetricCallback(MetricCallback&& other) noexcept
      : remove_(std::exchange(other.remove_, nullptr)) {}
  MetricCallback& operator=(MetricCallback&& other) noexcept {
    if (this != &other) {
      Reset();
      remove_ = std::exchange(other.remove_, nullptr);
    }
    return *this;
  }
  void Reset() {
    if (remove_) std::exchange(remove_, nullptr)();
  }

 private:
  std::function<void()> remove_;
};

class SelfMetrics {
 public:
  SelfMetrics();
  ~SelfMetrics();
  static SelfMetrics& Default();

  // The same name and labels give the same metric. One name with two kinds is a CHECK.
  Counter& GetCounter(const std::string& name, const std::string& help,
                      const MetricLabels& labels = {});
  DoubleCounter& GetDoubleCounter(const std::string& name, const std::string& help,
                                  const MetricLabels& labels = {});
  Gauge& GetGauge(const std::string& name, const std::string& help,
                  const MetricLabels& labels = {});
  MetricHistogram& GetHistogram(const std::string& name, const std::string& help,
                                const std::vector<double>& bounds, const MetricLabels& labels = {});

  enum class CallbackKind : uint8_t { kGauge, kCounter };
  // `read` runs on the thread that renders, under the registry's lock: it must be quick and must
  // not call the registry.
  [[nodiscard]] MetricCallback AddCallback(const std::string& name, const std::string& help,
                                           const MetricLabels& labels, std::function<double()> read,
                                           CallbackKind kind = CallbackKind::kGauge);

  // Everything, process_* included, in text format 0.0.4.
  std::string RenderText();

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace tocsin
