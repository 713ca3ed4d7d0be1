// SamplesOnly: a store that is only asked for samples, never for facts: what a query answers
// without column facts and rollups.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/storage.h"

namespace tocsin {

class SamplesOnly final : public model::Queryable {
 public:
  explicit SamplesOnly(const model::Queryable& store) : store_(store) {}
  std::unique_ptr<model::Snapshot> Pin() const override {
    return std::make_unique<Pinned>(store_.Pin());
  }
  uint64_t ChangeNumber(model::TimeRange range) const override {
    return store_.ChangeNumber(range);
  }

 private:
  class Pinned final : public model::Snapshot {
   public:
    explicit Pinned(std::unique_ptr<model::Snapshot> snapshot) : snapshot_(std::move(snapshot)) {}
    uint64_t commit_number() const override { return snapshot_->commit_number(); }
    Result<std::unique_ptr<model::SeriesSelection>> Select(
        const model::MatcherSet& matchers, model::TimeRange range,
        const model::SelectHints& hints) const override {
      model::SelectHints without = hints;
      without.facts = {};
      return snapshot_->Select(matchers, range, without);
    }
    Result<std::vector<std::string>> LabelNames(std::span<const model::MatcherSet> sets,
                                                model::TimeRange range,
                                                const model::LabelHints& hints) const override {
      return snapshot_->LabelNames(sets, range, hints);
    }
    Result<std::vector<std::string>> LabelValues(std::string_view name,
                                                 std::span<const model::MatcherSet> sets,
                                                 model::TimeRange range,
                                                 const model::LabelHints& hints) const override {
      return snapshot_->LabelValues(name, sets, range, hints);
    }
    Result<std::vector<model::Labels>> Series(std::span<const model::MatcherSet> sets,
                                              model::TimeRange range,
                                              const model::LabelHints& hints) const override {
      return snapshot_->Series(sets, range, hints);
    }
    Result<std::vector<model::ExemplarSeries>> Exemplars(std::span<const model::MatcherSet> sets,
                                                         model::TimeRange range) const override {
      return snapshot_->Exemplars(sets, range);
    }

   private:
    const std::unique_ptr<model::Snapshot> snapshot_;
  };

  const model::Queryable& store_;
};

}  // namespace tocsin
