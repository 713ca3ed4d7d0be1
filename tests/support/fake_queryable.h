// FakeQueryable: an in-memory store for tests of the engine: a sorted map of series, each a plain
// list of samples. Also a ScriptStorage, so that scripts of the engine's own tests need no database
// (the conformance scripts run against the real one).
#pragma once

#include <algorithm>
#include <bit>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "model/storage.h"
#include "query/testing/script_runner.h"

namespace tocsin {

class FakeQueryable final : public model::Queryable {
 public:
  struct StoredSeries {
    std::vector<model::Timestamp> timestamps, histogram_timestamps, starts, histogram_starts;
    std::vector<double> values;
    std::vector<model::Histogram> histograms;
    std::vector<model::Exemplar> exemplars;

    bool Overlaps(model::TimeRange range) const {
      const auto any = [&](const std::vector<model::Timestamp>& times) {
        return !times.empty() && times.front() <= range.max_ms && times.back() >= range.min_ms;
      };
      return any(timestamps) || any(histogram_timestamps);
    }
  };
  using Store = std::map<model::Labels, StoredSeries>;

  void Add(const model::Labels& labels, model::Timestamp time, double value,
           model::Timestamp start = 0) {
    StoredSeries& series = store_[labels];
    series.timestamps.push_back(time);
    series.values.push_back(value);
    series.starts.push_back(start);
  }
  void Add(const model::Labels& labels, model::Timestamp time, const model::Histogram& histogram,
           model::Timestamp start = 0) {
    StoredSeries& series = store_[labels];
    series.histogram_timestamps.push_back(time);
    series.histograms.push_back(histogram);
    series.histogram_starts.push_back(start);
  }
  void AddExemplar(const model::Labels& labels, const model::Exemplar& exemplar) {
    store_[labels].exemplars.push_back(exemplar);
  }
  void Clear() { store_.clear(); }

  std::unique_ptr<model::Snapshot> Pin() const override {
    return std::make_unique<FakeSnapshot>(&store_);
  }
  uint64_t ChangeNumber(model::TimeRange /*range*/) const override { return 0; }

 private:
  class Reader final : public model::ColumnReader {
   public:
    explicit Reader(const std::vector<const Store::value_type*>* series, model::TimeRange range)
        : series_(series), range_(range) {}
    Status Read(size_t first, size_t count, model::ColumnBatch* batch) override {
      batch->Clear();
      for (size_t s = first; s < first + count; ++s) {
        const StoredSeries& stored = (*series_)[s]->second;
        model::Column& column = batch->columns.emplace_back();
        const auto [from, to] = Cut(stored.timestamps);
        column.timestamps = std::span(stored.timestamps).subspan(from, to - from);
        column.values = std::span(stored.values).subspan(from, to - from);
        column.constant = IsConstant(column.values);
        if (AnyStart(stored.starts)) {
          column.start_timestamps = std::span(stored.starts).subspan(from, to - from);
        }
        const auto [h_from, h_to] = Cut(stored.histogram_timestamps);
        const model::Histogram** pointers = batch->NewHistogramPointers(h_to - h_from);
        for (size_t i = h_from; i < h_to; ++i) pointers[i - h_from] = &stored.histograms[i];
        column.histograms = {pointers, h_to - h_from};
        column.histogram_timestamps =
            std::span(stored.histogram_timestamps).subspan(h_from, h_to - h_from);
        if (AnyStart(stored.histogram_starts)) {
          column.histogram_start_timestamps =
              std::span(stored.histogram_starts).subspan(h_from, h_to - h_from);
        }
      }
      return Status::Ok();
    }

   private:
    std::pair<size_t, size_t> Cut(const std::vector<model::Timestamp>& times) const {
      const auto from = std::lower_bound(times.begin(), times.end(), range_.min_ms);
      const auto to = std::upper_bound(from, times.end(), range_.max_ms);
      return {static_cast<size_t>(from - times.begin()), static_cast<size_t>(to - times.begin())};
    }
    static bool IsConstant(std::span<const double> values) {
      return std::all_of(values.begin(), values.end(), [&](double v) {
        return std::bit_cast<uint64_t>(v) == std::bit_cast<uint64_t>(values.front());
      });
    }
    static bool AnyStart(const std::vector<model::Timestamp>& starts) {
      return std::any_of(starts.begin(), starts.end(), [](auto t) { return t != 0; });
    }

    const std::vector<const Store::value_type*>* const series_;
    const model::TimeRange range_;
  };

  class Selection final : public model::SeriesSelection {
   public:
    Selection(const Store& store, const model::MatcherSet& matchers, model::TimeRange range)
        : range_(range) {
      for (const auto& entry : store) {
        if (model::MatchesAll(matchers, entry.first)) series_.push_back(&entry);
      }
    }
    size_t size() const override { return series_.size(); }
    model::Labels LabelsAt(size_t series) const override { return series_[series]->first; }
    std::unique_ptr<model::ColumnReader> NewReader() const override {
      return std::make_unique<Reader>(&series_, range_);
    }

   private:
    std::vector<const Store::value_type*> series_;
    const model::TimeRange range_;
  };

  class FakeSnapshot final : public model::Snapshot {
   public:
    explicit FakeSnapshot(const Store* store) : store_(store) {}
    uint64_t commit_number() const override { return 0; }
    Result<std::unique_ptr<model::SeriesSelection>> Select(
        const model::MatcherSet& matchers, model::TimeRange range,
        const model::SelectHints& /*hints*/) const override {
      return std::make_unique<Selection>(*store_, matchers, range);
    }
    Result<std::vector<std::string>> LabelNames(std::span<const model::MatcherSet> sets,
                                                model::TimeRange range,
                                                const model::LabelHints& hints) const override {
      std::set<std::string> names;
      Visit(sets, range, [&](const model::Labels& labels, const StoredSeries&) {
        for (const model::LabelView label : labels) names.emplace(label.name);
      });
      return Cut(names, hints);
    }
    Result<std::vector<std::string>> LabelValues(std::string_view name,
                                                 std::span<const model::MatcherSet> sets,
                                                 model::TimeRange range,
                                                 const model::LabelHints& hints) const override {
      std::set<std::string> values;
      Visit(sets, range, [&](const model::Labels& labels, const StoredSeries&) {
        if (labels.Has(name)) values.emplace(labels.Get(name));
      });
      return Cut(values, hints);
    }
    Result<std::vector<model::Labels>> Series(std::span<const model::MatcherSet> sets,
                                              model::TimeRange range,
                                              const model::LabelHints& hints) const override {
      std::set<model::Labels> series;
      Visit(sets, range,
            [&](const model::Labels& labels, const StoredSeries&) { series.insert(labels); });
      return Cut(series, hints);
    }
    Result<std::vector<model::ExemplarSeries>> Exemplars(std::span<const model::MatcherSet> sets,
                                                         model::TimeRange range) const override {
      std::vector<model::ExemplarSeries> found;
      Visit(sets, {}, [&](const model::Labels& labels, const StoredSeries& stored) {
        model::ExemplarSeries series{labels, {}};
        for (const model::Exemplar& exemplar : stored.exemplars) {
          if (range.Contains(exemplar.timestamp_ms)) series.exemplars.push_back(exemplar);
        }
        if (!series.exemplars.empty()) found.push_back(std::move(series));
      });
      return found;
    }

   private:
    template <typename VisitSeries>
    void Visit(std::span<const model::MatcherSet> sets, model::TimeRange range,
               VisitSeries visit) const {
      for (const auto& [labels, stored] : *store_) {
        const bool wanted = sets.empty() || std::any_of(sets.begin(), sets.end(), [&](auto& set) {
                              return model::MatchesAll(set, labels);
                            });
        if (wanted && stored.Overlaps(range)) visit(labels, stored);
      }
    }
    template <typename T>
    static Result<std::vector<T>> Cut(const std::set<T>& items, const model::LabelHints& hints) {
      if (hints.charge) TOCSIN_TRY(hints.charge(items.size() * sizeof(T)));
      std::vector<T> cut(items.begin(), items.end());
      if (hints.limit > 0 && cut.size() > hints.limit) cut.resize(hints.limit);
      return cut;
    }

    const Store* const store_;
  };

  Store store_;
};

class FakeScriptStorage final : public query::ScriptStorage {
 public:
  Status Clear() override {
    fake_.Clear();
    return Status::Ok();
  }
  Status Append(std::span<const query::ScriptSample> samples) override {
    for (const query::ScriptSample& sample : samples) {
      if (sample.histogram != nullptr) {
        fake_.Add(*sample.series, sample.timestamp_ms, *sample.histogram, sample.start_ms);
      } else {
        fake_.Add(*sample.series, sample.timestamp_ms, sample.value, sample.start_ms);
      }
    }
    return Status::Ok();
  }
  Status Seal() override { return Status::Ok(); }
  const model::Queryable& queryable() const override { return fake_; }

 private:
  FakeQueryable fake_;
};

}  // namespace tocsin
