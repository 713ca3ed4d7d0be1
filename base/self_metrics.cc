#include "base/self_metrics.h"

#include <dirent.h>
#include <prometheus/client_metric.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <sstream>
#include <variant>

#include "base/check.h"
#include "base/env.h"
#include "base/mutex.h"

namespace tocsin {
namespace {

struct CallbackCell {
  std::function<double()> read;
};

using Cell = std::variant<std::unique_ptr<Counter>, std::unique_ptr<DoubleCounter>,
                          std::unique_ptr<Gauge>, std::unique_ptr<MetricHistogram>, CallbackCell>;

struct Family {
  std::string help;
  prometheus::MetricType type = prometheus::MetricType::Untyped;
  std::map<MetricLabels, Cell> cells;
};

void FillHistogram(const MetricHistogram& histogram, prometheus::ClientMetric* out) {
  uint64_t cumulative = 0;
  for (size_t i = 0; i <= histogram.bounds().size(); ++i) {
    cumulative += histogram.bucket(i);
    prometheus::ClientMetric::Bucket bucket;
    bucket.cumulative_count = cumulative;
    bucket.upper_bound = i < histogram.bounds().size() ? histogram.bounds()[i]
                                                       : std::numeric_limits<double>::infinity();
    out->histogram.bucket.push_back(bucket);
  }
  out->histogram.sample_count = cumulative;
  out->histogram.sample_sum = histogram.sum();
}

double ReadCell(const Cell& cell) {
  if (const auto* counter = std::get_if<std::unique_ptr<Counter>>(&cell)) {
    return static_cast<double>((*counter)->value());
  }
  if (const auto* counter = std::get_if<std::unique_ptr<DoubleCounter>>(&cell)) {
    return (*counter)->value();
  }
  if (const auto* gauge = std::get_if<std::unique_ptr<Gauge>>(&cell)) return (*gauge)->value();
  return std::get<CallbackCell>(cell).read();
}

prometheus::ClientMetric ToClientMetric(const Family& family, const MetricLabels& labels,
                                        const Cell& cell) {
  prometheus::ClientMetric metric;
  for (const auto& [name, value] : labels) metric.label.push_back({name, value});
  if (const auto* histogram = std::get_if<std::unique_ptr<MetricHistogram>>(&cell)) {
    FillHistogram(**histogram, &metric);
  } else if (family.type == prometheus::MetricType::Counter) {
    metric.counter.value = ReadCell(cell);
  } else {
    metric.gauge.value = ReadCell(cell);
  }
  return metric;
}

void AddProcessMetric(std::vector<prometheus::MetricFamily>* out, const char* name,
                      const char* help, prometheus::MetricType type, double value) {
  prometheus::MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = type;
  prometheus::ClientMetric metric;
  metric.counter.value = value;
  metric.gauge.value = value;
  family.metric.push_back(metric);
  out->push_back(std::move(family));
}

// Seconds since the epoch at which this process began, from /proc: the boot time plus field 22.
double ProcessStartSeconds() {
  static const double start = [] {
    const auto stat = Env::Default().ReadFile("/proc/self/stat");
    const auto system = Env::Default().ReadFile("/proc/stat");
    if (!stat || !system) return 0.0;
    const size_t boot_at = system->find("btime ");
    const size_t name_end = stat->rfind(')');
    if (boot_at == std::string::npos || name_end == std::string::npos) return 0.0;
    std::istringstream fields(stat->substr(name_end + 2));
    std::string skipped;
    for (int field = 3; field < 22; ++field) fields >> skipped;
    double ticks = 0;
    fields >> ticks;
    return std::strtod(system->c_str() + boot_at + 6, nullptr) +
           ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
  }();
  return start;
}

double OpenFileCount() {
  const auto names = Env::Default().ListDir("/proc/self/fd");
  return names ? static_cast<double>(names->size() - 1) : 0;  // one of them was the listing's own
}

// Pages: total and resident.
std::pair<double, double> MemoryBytes() {
  const auto text = Env::Default().ReadFile("/proc/self/statm");
  unsigned long long total = 0;
  unsigned long long resident = 0;
  if (text) std::sscanf(text->c_str(), "%llu %llu", &total, &resident);
  const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
  return {static_cast<double>(total) * page, static_cast<double>(resident) * page};
}

void AddProcessMetrics(std::vector<prometheus::MetricFamily>* out) {
  using prometheus::MetricType;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  const auto [virtual_bytes, resident_bytes] = MemoryBytes();
  AddProcessMetric(out, "process_cpu_seconds_total",
                   "Total user and system CPU time spent in seconds.", MetricType::Counter,
                   seconds(usage.ru_utime) + seconds(usage.ru_stime));
  AddProcessMetric(out, "process_max_fds", "Maximum number of open file descriptors.",
                   MetricType::Gauge, static_cast<double>(files.rlim_cur));
  AddProcessMetric(out, "process_open_fds", "Number of open file descriptors.", MetricType::Gauge,
                   OpenFileCount());
  AddProcessMetric(out, "process_resident_memory_bytes", "Resident memory size in bytes.",
                   MetricType::Gauge, resident_bytes);
  AddProcessMetric(out, "process_start_time_seconds",
                   "Start time of the process since unix epoch in seconds.", MetricType::Gauge,
                   ProcessStartSeconds());
  AddProcessMetric(out, "process_virtual_memory_bytes", "Virtual memory size in bytes.",
                   MetricType::Gauge, virtual_bytes);
}

}  // namespace

MetricHistogram::MetricHistogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)),
      counts_(std::make_unique<std::atomic<uint64_t>[]>(bounds_.size() + 1)) {
  CHECK(std::is_sorted(bounds_.begin(), bounds_.end()));
}

void MetricHistogram::Observe(double v) {
  const auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), v) - bounds_.begin();
  counts_[static_cast<size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(v, std::memory_order_relaxed);
}

struct SelfMetrics::Impl {
  Cell* GetCell(const std::string& name, const std::string& help, prometheus::MetricType type,
                const MetricLabels& labels) REQUIRES(mu) {
    const auto [it, is_new] = families.try_emplace(name);
    Family& family = it->second;
    if (is_new) {
      family.help = help;
      family.type = type;
    }
    CHECK_MSG(family.type == type, "one metric name with two kinds");
    MetricLabels sorted = labels;
    std::sort(sorted.begin(), sorted.end());
    return &family.cells[std::move(sorted)];
  }

  template <typename T, typename... Args>
  T& Get(const std::string& name, const std::string& help, prometheus::MetricType type,
         const MetricLabels& labels, Args&&... args) {
    MutexLock lock(mu);
    Cell* const cell = GetCell(name, help, type, labels);
    if (const auto* counter = std::get_if<std::unique_ptr<Counter>>(cell);
        counter != nullptr && *counter == nullptr) {
      *cell = std::make_unique<T>(std::forward<Args>(args)...);
    }
    auto* const held = std::get_if<std::unique_ptr<T>>(cell);
    CHECK_MSG(held != nullptr, "one metric with two kinds of handle");
    return **held;
  }

  Mutex mu;
  std::map<std::string, Family> families GUARDED_BY(mu);  // by name
};

SelfMetrics::SelfMetrics() : impl_(std::make_unique<Impl>()) {}
SelfMetrics::~SelfMetrics() = default;

SelfMetrics& SelfMetrics::Default() {
  static SelfMetrics* const metrics = new SelfMetrics;
  return *metrics;
}

Counter& SelfMetrics::GetCounter(const std::string& name, const std::string& help,
                                 const MetricLabels& labels) {
  return impl_->Get<Counter>(name, help, prometheus::MetricType::Counter, labels);
}

DoubleCounter& SelfMetrics::GetDoubleCounter(const std::string& name, const std::string& help,
                                             const MetricLabels& labels) {
  return impl_->Get<DoubleCounter>(name, help, prometheus::MetricType::Counter, labels);
}

Gauge& SelfMetrics::GetGauge(const std::string& name, const std::string& help,
                             const MetricLabels& labels) {
  return impl_->Get<Gauge>(name, help, prometheus::MetricType::Gauge, labels);
}

MetricHistogram& SelfMetrics::GetHistogram(const std::string& name, const std::string& help,
                                           const std::vector<double>& bounds,
                                           const MetricLabels& labels) {
  return impl_->Get<MetricHistogram>(name, help, prometheus::MetricType::Histogram, labels, bounds);
}

MetricCallback SelfMetrics::AddCallback(const std::string& name, const std::string& help,
                                        const MetricLabels& labels, std::function<double()> read,
                                        CallbackKind kind) {
  MetricLabels sorted = labels;
  std::sort(sorted.begin(), sorted.end());
  MutexLock lock(impl_->mu);
  *impl_->GetCell(name, help,
                  kind == CallbackKind::kCounter ? prometheus::MetricType::Counter
                                                 : prometheus::MetricType::Gauge,
                  sorted) = CallbackCell{std::move(read)};
  return MetricCallback([impl = impl_.get(), name, sorted] {
    MutexLock remove_lock(impl->mu);
    const auto family = impl->families.find(name);
    if (family == impl->families.end()) return;
    family->second.cells.erase(sorted);
    if (family->second.cells.empty()) impl->families.erase(family);
  });
}

std::string SelfMetrics::RenderText() {
  std::vector<prometheus::MetricFamily> families;
  {
    MutexLock lock(impl_->mu);
    for (const auto& [name, family] : impl_->families) {
      prometheus::MetricFamily out;
      out.name = name;
      out.help = family.help;
      out.type = family.type;
      for (const auto& [labels, cell] : family.cells) {
        out.metric.push_back(ToClientMetric(family, labels, cell));
      }
      families.push_back(std::move(out));
    }
  }
  AddProcessMetrics(&families);
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace tocsin
