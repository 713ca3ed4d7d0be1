// RecordingAppender: a model::Appender that keeps what was committed, for tests of whoever writes.
// It holds writers to the contract of model/storage.h: no slot twice in a row, no name in both
// source and key, no slot used after its release.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/mutex.h"
#include "model/storage.h"

namespace tocsin::testing {

struct RecordedSample {
  model::Timestamp timestamp_ms;
  double value;
  friend bool operator==(const RecordedSample&, const RecordedSample&) = default;
};

// Thread-safe, as an Appender is.
class RecordingAppender final : public model::Appender {
 public:
  struct Source {
    model::Origin origin;
    model::Labels labels;
    std::vector<model::Labels> keys;  // by slot
    std::vector<bool> live;
    std::map<std::string, model::Slot> slots;  // packed key → slot
  };

  Result<std::unique_ptr<model::SourceWriter>> OpenSource(const model::Origin& origin,
                                                          const model::Labels& labels) override {
    MutexLock lock(mu_);
    auto& source = sources_[origin.id + "\n" + labels.packed()];
    if (source == nullptr) {
      source = std::make_shared<Source>();
      source->origin = origin;
      source->labels = labels;
    }
    return std::make_unique<Writer>(this, source);
  }

  std::unique_ptr<model::AppendBatch> NewBatch() override { return std::make_unique<Batch>(this); }

  // --- what tests set ---
  size_t series_max = SIZE_MAX;
  Status commit_status;                                // what Commit answers when it is not ok
  std::map<std::string, model::AppendOutcome> refuse;  // series text → outcome

  // --- what tests ask ---
  // Full label set as text → its samples, in order of commit.
  std::map<std::string, std::vector<RecordedSample>> Series() const {
    MutexLock lock(mu_);
    return series_;
  }
  std::vector<RecordedSample> Of(const std::string& series) const {
    MutexLock lock(mu_);
    const auto it = series_.find(series);
    return it == series_.end() ? std::vector<RecordedSample>() : it->second;
  }
  double Last(const std::string& series) const {
    const auto samples = Of(series);
    return samples.empty() ? model::NormalNan() : samples.back().value;
  }
  std::vector<std::string> SourceTexts() const {
    MutexLock lock(mu_);
    std::vector<std::string> texts;
    for (const auto& [name, source] : sources_) texts.push_back(source->labels.ToString());
    std::sort(texts.begin(), texts.end());
    return texts;
  }
  std::vector<model::Exemplar> Exemplars() const {
    MutexLock lock(mu_);
    return exemplars_;
  }
  std::vector<model::Histogram> Histograms() const {
    MutexLock lock(mu_);
    return histograms_;
  }
  size_t live_slots() const {
    MutexLock lock(mu_);
    return live_slots_;
  }
  // Waits until a commit has made `done` true; false after ten seconds without.
  bool WaitUntil(const std::function<bool()>& done) {
    for (int i = 0; i < 1000; ++i) {
      if (done()) return true;
      MutexLock lock(mu_);
      committed_.WaitFor(mu_, std::chrono::milliseconds(10));
    }
    return done();
  }
  size_t batches() const {
    MutexLock lock(mu_);
    return batches_;
  }

 private:
  class Writer final : public model::SourceWriter {
   public:
    Writer(RecordingAppender* owner, std::shared_ptr<Source> source)
        : owner_(owner), source_(std::move(source)) {}
    const model::Labels& source_labels() const override { return source_->labels; }
    Result<model::Slot> AddSlot(const model::Labels& key) override {
      MutexLock lock(owner_->mu_);
      for (const model::LabelView& label : key) {
        if (source_->labels.Has(label.name)) {
          return Error(Code::kInvalidArgument, "label in source and key");
        }
      }
      const auto it = source_->slots.find(key.packed());
      if (it != source_->slots.end()) return it->second;
      if (owner_->live_slots_ >= owner_->series_max) {
        return Error(Code::kResourceExhausted, "series limit");
      }
      const auto slot = static_cast<model::Slot>(source_->keys.size());
      source_->keys.push_back(key);
      source_->live.push_back(true);
      source_->slots.emplace(key.packed(), slot);
      ++owner_->live_slots_;
      return slot;
    }
    void ReleaseSlot(model::Slot slot) override {
      MutexLock lock(owner_->mu_);
      CHECK(slot < source_->live.size() && source_->live[slot]);
      source_->live[slot] = false;
      source_->slots.erase(source_->keys[slot].packed());
      --owner_->live_slots_;
    }
    RecordingAppender* const owner_;
    const std::shared_ptr<Source> source_;
  };

  struct Pending {
    Writer* writer;
    uint32_t row;
    model::Slot slot;
    RecordedSample sample;
  };

  class Batch final : public model::AppendBatch {
   public:
    explicit Batch(RecordingAppender* owner) : owner_(owner) {}
    void BeginRow(model::SourceWriter& writer, model::Timestamp ts, model::RowKind) override {
      writer_ = static_cast<Writer*>(&writer);
      row_ts_ = ts;
      ++row_;
      seen_.clear();
    }
    void Set(model::Slot slot, double value, model::Timestamp own_ts) override {
      CHECK(writer_ != nullptr);
      CHECK(seen_.insert({slot, own_ts}).second);
      const model::Timestamp ts = own_ts == model::kRowTimestamp ? row_ts_ : own_ts;
      pending_.push_back({writer_, row_ - 1, slot, {ts, value}});
    }
    void SetHistogram(model::Slot slot, const model::Histogram& histogram,
                      model::Timestamp own_ts) override {
      Set(slot, histogram.sum, own_ts);
      histograms_.push_back(histogram);
    }
    void SetStartTimestamp(model::Slot, model::Timestamp) override {}
    void AddExemplar(model::Slot, const model::Exemplar& exemplar) override {
      exemplars_.push_back(exemplar);
    }
    model::CommitResult Commit(const model::CommitOptions& options) override {
      MutexLock lock(owner_->mu_);
      model::CommitResult result;
      result.status = owner_->commit_status;
      if (!result.status.ok()) return result;
      std::vector<std::pair<std::string, RecordedSample>> kept;
      for (const Pending& p : pending_) {
        CHECK(p.writer->source_->live[p.slot]);
        model::LabelsBuilder labels(p.writer->source_->labels);
        for (const auto& label : p.writer->source_->keys[p.slot]) {
          labels.Set(label.name, label.value);
        }
        const std::string text = labels.Build().ToString();
        const auto refusal = owner_->refuse.find(text);
        if (refusal != owner_->refuse.end()) {
          result.refusals.push_back({p.row, p.slot, p.sample.timestamp_ms, refusal->second});
        } else {
          kept.emplace_back(text, p.sample);
        }
      }
      const bool only_duplicates =
          std::all_of(result.refusals.begin(), result.refusals.end(),
                      [](const auto& r) { return r.outcome == model::AppendOutcome::kDuplicate; });
      if (options.all_or_nothing && !only_duplicates) {
        result.status = Status(Code::kInvalidArgument, "refused");
        return result;
      }
      for (auto& [text, sample] : kept) owner_->series_[text].push_back(sample);
      for (auto& e : exemplars_) owner_->exemplars_.push_back(e);
      for (auto& h : histograms_) owner_->histograms_.push_back(h);
      result.samples_committed = kept.size();
      result.commit_number = ++owner_->batches_;
      owner_->committed_.NotifyAll();
      return result;
    }

   private:
    RecordingAppender* const owner_;
    Writer* writer_ = nullptr;
    model::Timestamp row_ts_ = 0;
    uint32_t row_ = 0;
    std::set<std::pair<model::Slot, model::Timestamp>> seen_;
    std::vector<Pending> pending_;
    std::vector<model::Exemplar> exemplars_;
    std::vector<model::Histogram> histograms_;
  };

  mutable Mutex mu_;
  CondVar committed_;
  std::map<std::string, std::shared_ptr<Source>> sources_;
  std::map<std::string, std::vector<RecordedSample>> series_;
  std::vector<model::Exemplar> exemplars_;
  std::vector<model::Histogram> histograms_;
  size_t live_slots_ = 0;
  size_t batches_ = 0;
};

}  // namespace tocsin::testing
