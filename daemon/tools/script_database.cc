#include "daemon/tools/script_database.h"

#include <map>
#include <string>
#include <utility>

#include "base/mem_env.h"
#include "tsdb/database.h"

namespace tocsin::daemon {
namespace {

using model::Labels;
using model::Timestamp;
using query::ScriptSample;

// Series are spread over sources as scrapes would spread them: job and instance belong to the
// source, the rest is the key.
Labels SourceLabels(const Labels& series) {
  model::LabelsBuilder labels;
  for (const std::string_view name : {model::kJobLabel, model::kInstanceLabel}) {
    labels.Set(name, series.Get(name));
  }
  return labels.Build();
}

Labels KeyOf(const Labels& series) {
  model::LabelsBuilder key(series);
  key.Del(model::kJobLabel).Del(model::kInstanceLabel);
  return key.Build();
}

class ScriptDatabase final : public query::ScriptStorage {
 public:
  ~ScriptDatabase() override { CloseDatabase(); }

  Status Clear() override;
  Status Append(std::span<const ScriptSample> samples) override;
  Status Seal() override { return database_->Compact(); }
  const model::Queryable& queryable() const override { return *database_; }

 private:
  // Where the samples of one series go.
  struct Place {
    model::SourceWriter* writer;
    model::Slot slot;
  };

  void CloseDatabase();
  Result<Place*> FindPlace(const Labels& series);

  std::unique_ptr<MemEnv> env_;
  std::unique_ptr<tsdb::Database> database_;
  std::map<Labels, std::unique_ptr<model::SourceWriter>> writers_;  // by source labels
  std::map<Labels, Place> places_;                                  // by full label set
};

void ScriptDatabase::CloseDatabase() {
  places_.clear();
  writers_.clear();
  if (database_ != nullptr) (void)database_->Close();  // nothing of it is kept
  database_.reset();
}

Status ScriptDatabase::Clear() {
  CloseDatabase();
  env_ = std::make_unique<MemEnv>();
  tsdb::DatabaseOptions options;
  options.dir = "/script";
  options.env = env_.get();
  options.out_of_order_window_ms = 0;
  options.accept_any_first_timestamp = true;
  options.policy.retention_ms = 0;
  options.shards = 1;
  options.wal = false;
  options.background = false;
  TOCSIN_ASSIGN_OR_RETURN_STATUS(database_, tsdb::Database::Open(options));
  return Status::Ok();
}

Result<ScriptDatabase::Place*> ScriptDatabase::FindPlace(const Labels& series) {
  if (const auto it = places_.find(series); it != places_.end()) return &it->second;
  const Labels source = SourceLabels(series);
  std::unique_ptr<model::SourceWriter>& writer = writers_[source];
  if (writer == nullptr) {
    const model::Origin origin{model::OriginKind::kPush, "script/" + source.ToString()};
    TOCSIN_ASSIGN_OR_RETURN(writer, database_->OpenSource(origin, source));
  }
  TOCSIN_ASSIGN_OR_RETURN(const model::Slot slot, writer->AddSlot(KeyOf(series)));
  return &places_.emplace(series, Place{writer.get(), slot}).first->second;
}

Status ScriptDatabase::Append(std::span<const ScriptSample> samples) {
  struct Located {
    const ScriptSample* sample;
    Place* place;
  };
  // One row for all samples of a source at one time.
  std::map<std::pair<Timestamp, model::SourceWriter*>, std::vector<Located>> rows;
  for (const ScriptSample& sample : samples) {
    TOCSIN_ASSIGN_OR_RETURN_STATUS(Place * place, FindPlace(*sample.series));
    rows[{sample.timestamp_ms, place->writer}].push_back({&sample, place});
  }
  const std::unique_ptr<model::AppendBatch> batch = database_->NewBatch();
  for (const auto& [key, located] : rows) {
    batch->BeginRow(*key.second, key.first, model::RowKind::kPartial);
    for (const auto& [sample, place] : located) {
      if (sample->histogram != nullptr) {
        batch->SetHistogram(place->slot, *sample->histogram);
      } else {
        batch->Set(place->slot, sample->value);
      }
      if (sample->start_ms != 0) batch->SetStartTimestamp(place->slot, sample->start_ms);
    }
  }
  model::CommitOptions options;
  options.all_or_nothing = true;
  const model::CommitResult result = batch->Commit(options);
  if (result.status.ok() || result.refusals.empty()) return result.status;
  const model::Refusal& refusal = result.refusals.front();
  return Status(result.status.code(),
                "sample at " + std::to_string(refusal.timestamp_ms) +
                    " ms refused: " + std::string(model::AppendOutcomeName(refusal.outcome)));
}

}  // namespace

Result<std::unique_ptr<query::ScriptStorage>> NewScriptDatabase() {
  auto storage = std::make_unique<ScriptDatabase>();
  TOCSIN_TRY(storage->Clear());
  return storage;
}

}  // namespace tocsin::daemon
