// A store in memory, one clock, one sample at a time: the words of the tests of what the appender
// and snapshots promise.
#pragma once

#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/mem_env.h"
#include "model/storage.h"
#include "tests/tsdb/read_columns.h"
#include "tsdb/database.h"

namespace tocsin::tsdb::rules_store {

using model::AppendOutcome;
using model::Labels;
using model::RowKind;
using model::Timestamp;

inline constexpr Timestamp kNow = MemEnv::kStartMs;
inline constexpr int64_t kMinute = 60'000;

inline Labels L(std::vector<std::pair<std::string, std::string>> pairs) {
  return Labels::FromPairs(std::move(pairs));
}

struct Store {
  MemEnv env{3};
  DatabaseOptions options;
  std::unique_ptr<Database> db;

  explicit Store(int64_t window_ms = 60 * kMinute) {
    options.dir = "/db";
    options.env = &env;
    options.background = false;
    options.out_of_order_window_ms = window_ms;
    Open();
  }
  void Open() {
    db.reset();
    auto opened = Database::Open(options);
    BOOST_REQUIRE_MESSAGE(opened, (opened ? "" : opened.error().ToString()));
    db = *std::move(opened);
  }
  std::unique_ptr<model::SourceWriter> Source(Labels labels, std::string origin = "o") {
    auto writer = db->OpenSource({model::OriginKind::kPush, std::move(origin)}, labels);
    BOOST_REQUIRE(writer);
    return *std::move(writer);
  }
  // One sample; its outcome.
  AppendOutcome Put(model::SourceWriter& writer, model::Slot slot, Timestamp t, double v,
                    RowKind kind = RowKind::kPartial, Timestamp own = model::kRowTimestamp,
                    int64_t extra_late_ms = 0) {
    auto batch = db->NewBatch();
    batch->BeginRow(writer, t, kind);
    batch->Set(slot, v, own);
    model::CommitOptions commit;
    commit.extra_late_ms = extra_late_ms;
    const auto result = batch->Commit(commit);
    BOOST_REQUIRE(result.status.ok());
    return result.refusals.empty() ? AppendOutcome::kOk : result.refusals[0].outcome;
  }
  // Samples of the only series that matches, as "t:v t:v", times relative to kNow.
  std::string Read(const model::MatcherSet& matchers = {}, model::TimeRange range = {}) {
    return Read(*db->Pin(), matchers, range);
  }
  static std::string Read(const model::Snapshot& snapshot, const model::MatcherSet& matchers = {},
                          model::TimeRange range = {}) {
    auto selection = snapshot.Select(matchers, range, {});
    BOOST_REQUIRE(selection);
    std::string text;
    ForEachColumn(**selection, [&text](size_t, const model::Column& column) {
      for (size_t s = 0; s < column.values.size(); ++s) {
        if (!text.empty()) text += ' ';
        text += std::to_string(column.timestamps[s] - kNow) + ":";
        text += model::IsStale(column.values[s])
                    ? "stale"
                    : std::to_string(static_cast<int64_t>(column.values[s]));
      }
      for (size_t s = 0; s < column.histograms.size(); ++s) {
        if (!text.empty()) text += ' ';
        text += std::to_string(column.histogram_timestamps[s] - kNow) + ":h" +
                std::to_string(static_cast<int64_t>(column.histograms[s]->count));
      }
    });
    return text;
  }
};

}  // namespace tocsin::tsdb::rules_store
