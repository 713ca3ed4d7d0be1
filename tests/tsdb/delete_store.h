// A small store on a simulated disk, its contents as text, and the states in which a delete, a
// snapshot or a crash may find samples: for tests that go through all of them.
#pragma once

#include <algorithm>
#include <bit>
#include <boost/test/unit_test.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/fault_env.h"
#include "base/mem_env.h"
#include "model/storage.h"
#include "tsdb/database.h"

namespace tocsin::tsdb::delete_store {

using model::Labels;
using model::Matcher;
using model::MatcherSet;
using model::MatchType;
using model::RowKind;
using model::TimeRange;
using model::Timestamp;

inline constexpr Timestamp kNow = MemEnv::kStartMs;
inline constexpr int64_t kMinute = 60'000;
inline constexpr int64_t kHour = 60 * kMinute;

inline Labels L(std::vector<std::pair<std::string, std::string>> pairs) {
  return Labels::FromPairs(std::move(pairs));
}

// "name{job=…} t:v t:v; …", times relative to kNow, series in order.
using Contents = std::map<std::string, std::map<Timestamp, uint64_t>>;

inline Contents Read(const model::Snapshot& snapshot, const MatcherSet& matchers = {},
                     TimeRange range = {}) {
  Contents contents;
  auto selection = snapshot.Select(matchers, range, {});
  BOOST_REQUIRE_MESSAGE(selection, (selection ? "" : selection.error().ToString()));
  auto reader = (*selection)->NewReader();
  model::ColumnBatch batch;
  for (size_t first = 0; first < (*selection)->size(); first += 5) {
    const size_t count = std::min<size_t>(5, (*selection)->size() - first);
    BOOST_REQUIRE(reader->Read(first, count, &batch).ok());
    for (size_t c = 0; c < count; ++c) {
      const model::Column& column = batch.columns[c];
      if (column.values.empty() && column.histograms.empty()) continue;
      auto& series = contents[(*selection)->LabelsAt(first + c).ToString()];
      BOOST_REQUIRE(series.empty());
      for (size_t s = 0; s < column.values.size(); ++s)
        series[column.timestamps[s] - kNow] = std::bit_cast<uint64_t>(column.values[s]);
      for (size_t s = 0; s < column.histograms.size(); ++s)
        series[column.histogram_timestamps[s] - kNow] =
            static_cast<uint64_t>(column.histograms[s]->count);
      BOOST_REQUIRE(series.size() == column.values.size() + column.histograms.size());
    }
  }
  return contents;
}

inline std::string Describe(const Contents& got, const Contents& want) {
  for (const auto& [name, samples] : want) {
    const auto found = got.find(name);
    if (found == got.end()) return "lacks " + name;
    for (const auto& [t, bits] : samples) {
      const auto at = found->second.find(t);
      if (at == found->second.end()) return name + " lacks " + std::to_string(t);
      if (at->second != bits) return name + " differs at " + std::to_string(t);
    }
    for (const auto& [t, bits] : found->second) {
      if (!samples.contains(t)) return name + " has " + std::to_string(t);
    }
  }
  for (const auto& [name, samples] : got) {
    if (!want.contains(name)) return "has " + name;
  }
  return "equal";
}

inline void RequireEqual(const Contents& got, const Contents& want) {
  BOOST_REQUIRE_MESSAGE(got == want, Describe(got, want));
}

struct Store {
  MemEnv memory{3};
  FaultEnv env{memory};
  DatabaseOptions options;
  std::unique_ptr<Database> db;
  std::map<std::string, std::unique_ptr<model::SourceWriter>> writers;

  Store() {
    options.dir = "/db";
    options.env = &env;
    options.background = false;
    options.shards = 4;
    Open();
  }
  void Close() {
    writers.clear();
    db.reset();
  }
  void Open() {
    Close();
    auto opened = Database::Open(options);
    BOOST_REQUIRE_MESSAGE(opened, (opened ? "" : opened.error().ToString()));
    db = *std::move(opened);
  }
  // kill -9, or a power cut that keeps only what was synced.
  void Crash(bool power) {
    if (power) {
      env.PowerCut(FaultEnv::Cut::kDropUnsynced);
    } else {
      env.Kill();
    }
    env.FailAfter(0, Status(Code::kIo, "dead"), kWriteOps, Repeat::kFromThenOn);
    Close();
    env.ClearFault();
    Open();
  }
  model::SourceWriter& Writer(const std::string& job) {
    auto& writer = writers[job];
    if (writer == nullptr)
      writer = *db->OpenSource({model::OriginKind::kPush, job}, L({{"job", job}}));
    return *writer;
  }
  // False: it was refused.
  bool Put(const std::string& name, const std::string& job, Timestamp t, double v) {
    auto& writer = Writer(job);
    const model::Slot slot = *writer.AddSlot(L({{"__name__", name}}));
    auto batch = db->NewBatch();
    batch->BeginRow(writer, kNow + t, RowKind::kPartial);
    batch->Set(slot, v, model::kRowTimestamp);
    model::CommitOptions commit;
    commit.durability = model::Durability::kSynced;
    const auto result = batch->Commit(commit);
    BOOST_REQUIRE(result.status.ok());
    return result.refusals.empty();
  }
  void Delete(const MatcherSet& set, TimeRange range = {}) {
    if (range.min_ms != model::kMinTimestamp) range.min_ms += kNow;
    if (range.max_ms != model::kMaxTimestamp) range.max_ms += kNow;
    const Status status = db->DeleteSeries({set}, range);
    BOOST_REQUIRE_MESSAGE(status.ok(), status.ToString());
  }
  // "a{j} 0 5; b{j} 5": what is there.
  std::string Text(const model::Snapshot& snapshot) const {
    std::string text;
    for (const auto& [name, samples] : Read(snapshot)) {
      text += (text.empty() ? "" : "; ") + name;
      for (const auto& [t, bits] : samples)
        text += " " + std::to_string(t) + ":" +
                std::to_string(static_cast<int>(std::bit_cast<double>(bits)));
    }
    return text;
  }
  std::string Text() const { return Text(*db->Pin()); }
};

inline MatcherSet Named(const std::string& name) { return {Matcher::Equal("__name__", name)}; }

// The states in which a delete may find samples.
struct State {
  const char* name;
  std::function<void(Store&)> reach;
};
inline const State kStates[] = {
    {"in the head", [](Store&) {}},
    {"sealed", [](Store& store) { BOOST_REQUIRE(store.db->Seal({}).ok()); }},
    {"merged", [](Store& store) { BOOST_REQUIRE(store.db->Compact().ok()); }},
    {"replayed", [](Store& store) { store.Open(); }},
    {"after kill -9", [](Store& store) { store.Crash(false); }},
    {"after a power cut", [](Store& store) { store.Crash(true); }},
    {"cleaned", [](Store& store) { BOOST_REQUIRE(store.db->CleanTombstones().ok()); }},
    {"a round later", [](Store& store) { BOOST_REQUIRE(store.db->RunMaintenance().ok()); }},
};

}  // namespace tocsin::tsdb::delete_store
