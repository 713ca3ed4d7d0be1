#include "tsdb/prometheus/exemplar_import.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "tsdb/database.h"
#include "tsdb/types.h"

namespace tocsin::tsdb {
namespace {

using model::Exemplar;
using model::Labels;

constexpr size_t kBatchExemplars = 1000;

bool Equal(const Exemplar& a, const Exemplar& b) {
  return a.timestamp_ms == b.timestamp_ms && a.value == b.value && a.labels == b.labels;
}

Status LeaveOutKnown(const Database& database, std::vector<SeriesExemplar>* exemplars) {
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::vector<model::ExemplarSeries> known,
                                 database.Pin()->Exemplars({}, {}));
  std::map<Labels, const std::vector<Exemplar>*> by_series;
  for (const model::ExemplarSeries& series : known)
    by_series[series.series_labels] = &series.exemplars;
  std::erase_if(*exemplars, [&by_series](const SeriesExemplar& one) {
    const auto found = by_series.find(one.series);
    return found != by_series.end() &&
           std::any_of(found->second->begin(), found->second->end(),
                       [&one](const Exemplar& e) { return Equal(e, one.exemplar); });
  });
  return Status::Ok();
}

// The sources that were opened, one a job and instance.
class Sources {
 public:
  explicit Sources(Database& database) : database_(database) {}

  // Where exemplars of the series go.
  Result<std::pair<model::SourceWriter*, model::Slot>> Find(const Labels& series) {
    const auto known = places_.find(series);
    if (known != places_.end()) return known->second;
    std::vector<model::LabelView> source;
    std::vector<model::LabelView> key;
    for (const model::LabelView label : series) {
      const bool shared = label.name == model::kJobLabel || label.name == model::kInstanceLabel;
      (shared ? source : key).push_back(label);
    }
    const Labels source_labels = Labels::FromSorted(source.data(), source.size());
    std::unique_ptr<model::SourceWriter>& writer = writers_[source_labels];
    if (writer == nullptr) {
      TOCSIN_ASSIGN_OR_RETURN(writer, database_.OpenSource(ImportOrigin(), source_labels));
    }
    TOCSIN_ASSIGN_OR_RETURN(const model::Slot slot,
                            writer->AddSlot(Labels::FromSorted(key.data(), key.size())));
    return places_.emplace(series, std::pair(writer.get(), slot)).first->second;
  }

 private:
  Database& database_;
  std::map<Labels, std::unique_ptr<model::SourceWriter>> writers_;
  std::map<Labels, std::pair<model::SourceWriter*, model::Slot>> places_;
};

Status Write(Database& database, const std::vector<SeriesExemplar>& exemplars) {
  Sources sources(database);
  for (size_t begin = 0; begin < exemplars.size(); begin += kBatchExemplars) {
    const std::unique_ptr<model::AppendBatch> batch = database.NewBatch();
    for (size_t i = begin; i < std::min(begin + kBatchExemplars, exemplars.size()); ++i) {
      const auto& [series, exemplar] = exemplars[i];
      TOCSIN_ASSIGN_OR_RETURN_STATUS(const auto place, sources.Find(series));
      batch->BeginRow(*place.first, exemplar.timestamp_ms, model::RowKind::kPartial);
      batch->AddExemplar(place.second, exemplar);
    }
    TOCSIN_RETURN_IF_ERROR(batch->Commit({}).status);
  }
  return Status::Ok();
}

}  // namespace

Result<size_t> ImportExemplars(Env& env, const std::string& dir,
                               std::vector<SeriesExemplar> exemplars) {
  if (exemplars.empty()) return size_t{0};
  DatabaseOptions options;
  options.dir = dir;
  options.env = &env;
  options.background = false;
  options.policy.retention_ms = 0;
  TOCSIN_ASSIGN_OR_RETURN(const std::unique_ptr<Database> database, Database::Open(options));
  TOCSIN_TRY(LeaveOutKnown(*database, &exemplars));
  // The ring drops what came first.
  std::stable_sort(exemplars.begin(), exemplars.end(), [](const auto& a, const auto& b) {
    return a.exemplar.timestamp_ms < b.exemplar.timestamp_ms;
  });
  TOCSIN_TRY(Write(*database, exemplars));
  TOCSIN_TRY(database->Close());
  return exemplars.size();
}

}  // namespace tocsin::tsdb
