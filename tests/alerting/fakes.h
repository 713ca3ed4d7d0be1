// Fakes that rule and notifier tests share: a storage that remembers what was appended, queries
// that answer what the test says, a sink that remembers what was sent.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "alerting/notify/alert.h"
#include "alerting/rules/rule.h"
#include "base/mutex.h"
#include "model/storage.h"

namespace tocsin::alerting::testing {

// One thread at a time. Samples by series, in order of arrival.
class FakeAppender final : public model::Appender {
 public:
  using Samples = std::vector<std::pair<model::Timestamp, double>>;

  Result<std::unique_ptr<model::SourceWriter>> OpenSource(const model::Origin& origin,
                                                          const model::Labels& labels) override {
    origins.push_back(origin.id);
    return std::make_unique<Writer>(labels);
  }
  std::unique_ptr<model::AppendBatch> NewBatch() override { return std::make_unique<Batch>(this); }

  const Samples& Of(const std::string& series) const {
    static const Samples none;
    const auto it = series_.find(series);
    return it == series_.end() ? none : it->second;
  }
  // "10=1 20=stale" in seconds since `start_ms`.
  std::string Text(const std::string& series, model::Timestamp start_ms) const {
    std::string out;
    for (const auto& [time_ms, value] : Of(series)) {
      out += (out.empty() ? "" : " ") + std::to_string((time_ms - start_ms) / 1000) + "=";
      out += model::IsStale(value) ? "stale" : std::to_string(static_cast<int64_t>(value));
    }
    return out;
  }
  std::vector<std::string> SeriesNames() const {
    std::vector<std::string> names;
    for (const auto& [name, samples] : series_) names.push_back(name);
    return names;
  }

  std::vector<std::string> origins;
  Status commit_status;  // what Commit answers

 private:
  struct Writer final : model::SourceWriter {
    explicit Writer(const model::Labels& l) : labels(l) {}
    const model::Labels& source_labels() const override { return labels; }
    Result<model::Slot> AddSlot(const model::Labels& key) override {
      for (size_t i = 0; i < keys.size(); ++i) {
        if (keys[i] == key) return static_cast<model::Slot>(i);
      }
      keys.push_back(key);
      return static_cast<model::Slot>(keys.size() - 1);
    }
    void ReleaseSlot(model::Slot) override {}
    model::Labels labels;
    std::vector<model::Labels> keys;
  };

  struct Batch final : model::AppendBatch {
    explicit Batch(FakeAppender* o) : owner(o) {}
    void BeginRow(model::SourceWriter& w, model::Timestamp ts, model::RowKind) override {
      writer = static_cast<Writer*>(&w);
      row_ts_ms = ts;
    }
    void Set(model::Slot slot, double value, model::Timestamp) override {
      values.emplace_back(writer->keys[slot].ToString(), row_ts_ms, value);
    }
    void SetHistogram(model::Slot slot, const model::Histogram& h, model::Timestamp) override {
      values.emplace_back(writer->keys[slot].ToString(), row_ts_ms, h.sum);
    }
    void SetStartTimestamp(model::Slot, model::Timestamp) override {}
    void AddExemplar(model::Slot, const model::Exemplar&) override {}
    model::CommitResult Commit(const model::CommitOptions&) override {
      model::CommitResult result;
      result.status = owner->commit_status;
      if (!result.status.ok()) return result;
      for (const auto& [series, ts, value] : values) owner->series_[series].emplace_back(ts, value);
      return result;
    }
    FakeAppender* owner;
    Writer* writer = nullptr;
    model::Timestamp row_ts_ms = 0;
    std::vector<std::tuple<std::string, model::Timestamp, double>> values;
  };

  std::map<std::string, Samples> series_;
};

inline query::VectorSample SampleOf(model::Labels labels, double value) {
  query::VectorSample sample;
  sample.metric = std::move(labels);
  sample.value = value;
  return sample;
}

// Thread-safe.
class FakeSink final : public AlertSink {
 public:
  void Send(std::span<const Alert> alerts) override {
    MutexLock lock(mu_);
    for (const Alert& alert : alerts) sent_.push_back(alert);
  }
  std::vector<Alert> Take() {
    MutexLock lock(mu_);
    return std::exchange(sent_, {});
  }

 private:
  Mutex mu_;
  std::vector<Alert> sent_ GUARDED_BY(mu_);
};

}  // namespace tocsin::alerting::testing
