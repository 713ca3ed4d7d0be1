// NullAppender: an Appender that remembers keys and throws samples away, so that a benchmark shows
// what the writer costs, not the store.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "model/storage.h"

namespace tocsin::testing {

class NullAppender final : public model::Appender {
 public:
  Result<std::unique_ptr<model::SourceWriter>> OpenSource(const model::Origin& /*origin*/,
                                                          const model::Labels& labels) override {
    return std::make_unique<Writer>(labels);
  }
  std::unique_ptr<model::AppendBatch> NewBatch() override { return std::make_unique<Batch>(this); }

  uint64_t samples = 0;
  double sum = 0;  // so that no value is optimised away

 private:
  class Writer final : public model::SourceWriter {
   public:
    explicit Writer(model::Labels labels) : labels_(std::move(labels)) {}
    const model::Labels& source_labels() const override { return labels_; }
    Result<model::Slot> AddSlot(const model::Labels& key) override {
      return slots_.try_emplace(key.packed(), static_cast<model::Slot>(slots_.size()))
          .first->second;
    }
    void ReleaseSlot(model::Slot /*slot*/) override {}

   private:
    const model::Labels labels_;
    std::unordered_map<std::string, model::Slot> slots_;
  };
  class Batch final : public model::AppendBatch {
   public:
    explicit Batch(NullAppender* owner) : owner_(owner) {}
    void BeginRow(model::SourceWriter&, model::Timestamp, model::RowKind) override {}
    void Set(model::Slot slot, double value, model::Timestamp) override {
      ++count_;
      sum_ += value + slot;
    }
    void SetHistogram(model::Slot, const model::Histogram&, model::Timestamp) override {}
    void SetStartTimestamp(model::Slot, model::Timestamp) override {}
    void AddExemplar(model::Slot, const model::Exemplar&) override {}
    model::CommitResult Commit(const model::CommitOptions&) override {
      owner_->samples += count_;
      owner_->sum += sum_;
      model::CommitResult result;
      result.samples_committed = count_;
      return result;
    }

   private:
    NullAppender* const owner_;
    uint64_t count_ = 0;
    double sum_ = 0;
  };
};

}  // namespace tocsin::testing
