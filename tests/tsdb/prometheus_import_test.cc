// Stores into segments into blocks: overlaps, order, damage and interrupted imports, over files in
// memory.
#include <bit>
#include <boost/test/unit_test.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/mem_env.h"
#include "tests/tsdb/read_columns.h"
#include "tsdb/compactor.h"
#include "tsdb/database.h"
#include "tsdb/prometheus/block_writer.h"
#include "tsdb/prometheus/buffered_store.h"
#include "tsdb/prometheus/export.h"
#include "tsdb/prometheus/import.h"
#include "tsdb/repair.h"

namespace tocsin::tsdb::prometheus_import_test {
namespace {

using model::Labels;
using model::Timestamp;

constexpr Timestamp kDay = 1'700'006'400'000;  // a midnight

using Stored = std::map<std::string, std::map<Timestamp, uint64_t>>;

Labels Series(std::string_view name, std::string_view instance) {
  return Labels::FromPairs({{"__name__", name}, {"instance", instance}, {"job", "j"}});
}

std::unique_ptr<Database> OpenStore(Env& env, bool read_only) {
  DatabaseOptions options;
  options.dir = "/store";
  options.env = &env;
  options.background = false;
  options.read_only = read_only;
  auto database = Database::Open(options);
  BOOST_REQUIRE_MESSAGE(database, (database ? "" : database.error().ToString()));
  return *std::move(database);
}

Stored ReadStore(Env& env) {
  Stored stored;
  const auto database = OpenStore(env, true);
  const auto snapshot = database->Pin();
  const auto selection = snapshot->Select({}, {}, {});
  BOOST_REQUIRE(selection);
  ForEachColumn(**selection, [&](size_t i, const model::Column& column) {
    for (size_t s = 0; s < column.values.size(); ++s)
      stored[(*selection)->LabelsAt(i).ToString()][column.timestamps[s]] =
          std::bit_cast<uint64_t>(column.values[s]);
  });
  return stored;
}

ImportReport Import(Env& env, std::vector<std::unique_ptr<BufferedStore>> buffered,
                    uint64_t row_bytes_max = kImportRowBytesMax) {
  std::vector<std::unique_ptr<SampleStore>> stores;
  for (auto& store : buffered) {
    store->Finish();
    stores.push_back(std::move(store));
  }
  ImportOptions options;
  options.dir = "/store";
  options.row_bytes_max = row_bytes_max;
  ImportReport report;
  const Status status = ImportStores(env, options, stores, &report);
  BOOST_REQUIRE_MESSAGE(status.ok(), status.ToString());
  return report;
}

std::vector<std::unique_ptr<BufferedStore>> OneSample(std::string_view instance) {
  std::vector<std::unique_ptr<BufferedStore>> stores;
  stores.push_back(std::make_unique<BufferedStore>("text"));
  stores[0]->Add(Series("up", instance), kDay, 1);
  return stores;
}

std::vector<std::string> List(Env& env, const std::string& directory) {
  auto names = env.ListDir(directory);
  BOOST_REQUIRE(names);
  return *std::move(names);
}

// A log of Prometheus: one record a page fragment, written by hand.
class LogBytes {
 public:
  void Record(const std::string& record) {
    bytes_.push_back(1);  // whole, not compressed
    Big(record.size(), 2, &bytes_);
    Big(Crc32c(record), 4, &bytes_);
    bytes_ += record;
  }
  static void Big(uint64_t value, int count, std::string* out) {
    for (int i = count - 1; i >= 0; --i) out->push_back(static_cast<char>(value >> (8 * i)));
  }
  static std::string Series(uint64_t number, const Labels& labels) {
    std::string record("\x01");
    Big(number, 8, &record);
    PutVarint(record, labels.size());
    for (const model::LabelView label : labels) {
      PutString(record, label.name);
      PutString(record, label.value);
    }
    return record;
  }
  // Type 2: a sample; 4: an exemplar with a trace id.
  static std::string Value(char type, uint64_t number, Timestamp t, double value,
                           std::string_view trace = {}) {
    std::string record(1, type);
    Big(number, 8, &record);
    Big(static_cast<uint64_t>(t), 8, &record);
    PutSignedVarint(record, 0);
    PutSignedVarint(record, 0);
    Big(std::bit_cast<uint64_t>(value), 8, &record);
    if (type == 4) {
      PutVarint(record, 1);
      PutString(record, "trace_id");
      PutString(record, trace);
    }
    return record;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

std::string ExemplarsOf(Env& env, model::TimeRange range = {}) {
  const auto database = OpenStore(env, true);
  const auto found = database->Pin()->Exemplars({}, range);
  BOOST_REQUIRE(found);
  std::string text;
  for (const model::ExemplarSeries& series : *found) {
    text += series.series_labels.ToString() + ":";
    for (const model::Exemplar& e : series.exemplars) {
      text += " " + Labels::FromPacked(e.labels).ToString() + "@" +
              std::to_string(e.timestamp_ms - kDay) + "=" +
              std::to_string(static_cast<int>(e.value));
    }
    text += "; ";
  }
  return text;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(PrometheusImportSuite)

BOOST_AUTO_TEST_CASE(OverlapsAndDisorderBecomeOneSeriesAndTheEarlierStoreWins) {
  MemEnv env{1};
  auto first = std::make_unique<BufferedStore>("first");
  auto second = std::make_unique<BufferedStore>("second");
  Stored want;
  for (const char* instance : {"a", "b"}) {
    const Labels up = Series("up", instance);
    const Labels other = Series("other", instance);
    for (int i = 0; i < 2 * 5760; i += 3) {
      const Timestamp t = kDay + i * 15'000;
      first->Add(up, t, 1);
      want[up.ToString()][t] = std::bit_cast<uint64_t>(1.0);
      // Backwards, and again in the other store with another value.
      const Timestamp back = kDay + (2 * 5760 - i) * 15'000;
      first->Add(other, back, i);
      second->Add(other, back, -1);
      second->Add(other, back + 1, i);
      want[other.ToString()][back] = std::bit_cast<uint64_t>(static_cast<double>(i));
      want[other.ToString()][back + 1] = std::bit_cast<uint64_t>(static_cast<double>(i));
    }
  }
  std::vector<std::unique_ptr<BufferedStore>> stores;
  stores.push_back(std::move(first));
  stores.push_back(std::move(second));
  const ImportReport report = Import(env, std::move(stores));
  BOOST_TEST(report.counts.repeated.unequal == 2u * 2 * 5760 / 3);
  BOOST_TEST((ReadStore(env) == want));
}

BOOST_AUTO_TEST_CASE(ManySourcesAreWrittenInQuarters) {
  Stored want;
  const auto fill = [&want] {
    auto store = std::make_unique<BufferedStore>("text");
    for (int s = 0; s < 20; ++s) {
      const Labels labels = Series("m", std::to_string(s));
      for (int i = 0; i < 96; ++i) {
        const Timestamp t = kDay + i * 15 * 60'000;
        store->Add(labels, t, s * i);
        want[labels.ToString()][t] = std::bit_cast<uint64_t>(static_cast<double>(s * i));
      }
    }
    std::vector<std::unique_ptr<BufferedStore>> stores;
    stores.push_back(std::move(store));
    return stores;
  };
  MemEnv whole{1};
  BOOST_TEST(Import(whole, fill()).segments == 1u);
  MemEnv quarters{1};
  BOOST_TEST(Import(quarters, fill(), 1000).segments == 4u);
  BOOST_TEST((ReadStore(whole) == want));
  BOOST_TEST((ReadStore(quarters) == want));
}

BOOST_AUTO_TEST_CASE(WhatTheStoreHasAlreadyIsThereOnce) {
  MemEnv env{1};
  {
    const auto database = OpenStore(env, false);
    const auto writer = database->OpenSource({model::OriginKind::kScrape, "j/a"},
                                             Labels::FromPairs({{"job", "j"}, {"instance", "a"}}));
    BOOST_REQUIRE(writer);
    const auto slot = (*writer)->AddSlot(Labels::FromPairs({{"__name__", "up"}}));
    BOOST_REQUIRE(slot);
    const auto batch = database->NewBatch();
    batch->BeginRow(**writer, kDay + 1000, model::RowKind::kFull);
    batch->Set(*slot, 7);
    BOOST_REQUIRE(batch->Commit({}).samples_committed == 1u);
    BOOST_REQUIRE(database->Close().ok());
  }
  std::vector<std::unique_ptr<BufferedStore>> stores;
  stores.push_back(std::make_unique<BufferedStore>("text"));
  stores[0]->Add(Series("up", "a"), kDay + 1000, 7);
  stores[0]->Add(Series("up", "a"), kDay + 2000, 9);
  Import(env, std::move(stores));
  const Stored want = {
      {Series("up", "a").ToString(),
       {{kDay + 1000, std::bit_cast<uint64_t>(7.0)}, {kDay + 2000, std::bit_cast<uint64_t>(9.0)}}}};
  BOOST_TEST((ReadStore(env) == want));
  // Also when the two files have become one.
  const auto database = OpenStore(env, false);
  BOOST_REQUIRE(database->Compact().ok());
  BOOST_REQUIRE(database->Close().ok());
  BOOST_TEST((ReadStore(env) == want));
}

BOOST_AUTO_TEST_CASE(AnInterruptedImportIsClearedAwayOrFinished) {
  for (const bool complete : {false, true}) {
    BOOST_TEST_CONTEXT(complete) {
      MemEnv env{1};
      Import(env, OneSample("a"));
      // As a crash leaves it: written, not moved.
      std::vector<std::string> segments = List(env, "/store/segments");
      std::erase_if(segments, [](const std::string& name) { return !name.ends_with(".seg"); });
      BOOST_REQUIRE(segments.size() == 1u);
      BOOST_REQUIRE(env.CreateDirs("/store/import").ok());
      BOOST_REQUIRE(
          env.Rename("/store/segments/" + segments[0], "/store/import/" + segments[0]).ok());
      if (complete) BOOST_REQUIRE(env.WriteFileAtomically("/store/import/complete", "").ok());
      BOOST_TEST(ReadStore(env).empty());
      const ImportReport report = Import(env, OneSample("b"));
      BOOST_TEST(report.finished_earlier == complete);
      BOOST_TEST(!env.Exists("/store/import"));
      const Stored stored = ReadStore(env);
      BOOST_TEST(stored.contains(Series("up", "a").ToString()) == complete);
      BOOST_TEST(stored.contains(Series("up", "b").ToString()));
    }
  }
}

BOOST_AUTO_TEST_CASE(ADaemonThatStartsEndsAnInterruptedImport) {
  for (const bool complete : {false, true}) {
    BOOST_TEST_CONTEXT(complete) {
      MemEnv env{1};
      Import(env, OneSample("a"));
      Import(env, OneSample("b"));
      // As a crash leaves it: one of two is moved.
      std::string name;
      for (const std::string& one : List(env, "/store/segments")) {
        if (one.ends_with(".seg")) name = one;
      }
      BOOST_REQUIRE(env.CreateDirs("/store/import").ok());
      BOOST_REQUIRE(env.Rename("/store/segments/" + name, "/store/import/" + name).ok());
      if (complete) BOOST_REQUIRE(env.WriteFileAtomically("/store/import/complete", "").ok());
      BOOST_TEST(ReadStore(env).size() == 1u);
      BOOST_REQUIRE(OpenStore(env, false)->Close().ok());
      BOOST_TEST(!env.Exists("/store/import"));
      BOOST_TEST(ReadStore(env).size() == (complete ? 2u : 1u));
    }
  }
}

BOOST_AUTO_TEST_CASE(ExemplarsOfTheLogComeOverOnceAndStay) {
  MemEnv env{1};
  LogBytes log;
  log.Record(LogBytes::Series(7, Series("up", "a")));
  log.Record(LogBytes::Series(8, Series("lat_bucket", "a")));
  log.Record(LogBytes::Value(2, 8, kDay + 5000, 3));
  log.Record(LogBytes::Value(4, 8, kDay + 5000, 1, "one"));
  log.Record(LogBytes::Value(4, 7, kDay + 6000, 2, "two"));
  log.Record(LogBytes::Value(4, 8, kDay + 7000, 3, "three"));
  log.Record(LogBytes::Value(4, 9, kDay + 7000, 4, "of nobody"));
  log.Record(LogBytes::Value(4, 8, kDay + 90'000, 5, "later"));
  BOOST_REQUIRE(env.CreateDirs("/prometheus/wal").ok());
  BOOST_REQUIRE(env.WriteFileAtomically("/prometheus/wal/00000000", log.bytes()).ok());
  ImportOptions options;
  options.from = "/prometheus";
  options.dir = "/store";
  options.range = {kDay, kDay + 60'000};
  auto report = ImportPrometheus(env, options);
  BOOST_REQUIRE_MESSAGE(report, (report ? "" : report.error().ToString()));
  BOOST_TEST(report->exemplars == 3u);
  BOOST_TEST(report->head.exemplars_without_series == 1u);
  const std::string want =
      "lat_bucket{instance=\"a\", job=\"j\"}: {trace_id=\"one\"}@5000=1 "
      "{trace_id=\"three\"}@7000=3; "
      "up{instance=\"a\", job=\"j\"}: {trace_id=\"two\"}@6000=2; ";
  BOOST_TEST(ExemplarsOf(env) == want);
  report = ImportPrometheus(env, options);
  BOOST_REQUIRE(report);
  BOOST_TEST(report->exemplars == 0u);
  BOOST_TEST(ExemplarsOf(env) == want);
  // Nobody scrapes these sources here; others that have nothing leave the head after an hour.
  {
    const auto database = OpenStore(env, false);
    // The log moves on meanwhile, and slots that nobody claims are given to others.
    const auto other = *database->OpenSource({model::OriginKind::kPush, "o"}, Labels());
    const model::Slot slot = *other->AddSlot(Labels::FromPairs({{"__name__", "o"}}));
    for (int i = 0; i < 6; ++i) {
      env.AdvanceMs(kIdleSourceMs);
      const auto batch = database->NewBatch();
      batch->BeginRow(*other, env.NowMs(), model::RowKind::kPartial);
      batch->Set(slot, i, model::kRowTimestamp);
      BOOST_REQUIRE(batch->Commit({}).status.ok());
      BOOST_REQUIRE(database->Compact().ok());
      BOOST_REQUIRE(database->RunMaintenance().ok());
    }
    BOOST_REQUIRE(database->Close().ok());
  }
  BOOST_TEST(ExemplarsOf(env) == want);
}

// A head snapshot repeats the log; without the log something is missing, and nobody shall think
// that all of it came over.
BOOST_AUTO_TEST_CASE(HeadSnapshotsAreToldAndMissedOnlyWithoutTheLog) {
  LogBytes log;
  log.Record(LogBytes::Series(7, Series("up", "a")));
  log.Record(LogBytes::Value(2, 7, kDay + 5000, 3));
  for (const bool with_log : {true, false}) {
    MemEnv env{1};
    BOOST_REQUIRE(env.CreateDirs("/prometheus/chunk_snapshot.000001.0000000100").ok());
    BOOST_REQUIRE(env.CreateDirs("/prometheus/chunk_snapshot.000002.0000000100.tmp").ok());
    ImportOptions options;
    options.from = "/prometheus";
    options.dir = "/store";
    BOOST_TEST((ImportPrometheus(env, options).error().code() == Code::kNotFound));
    if (with_log) {
      BOOST_REQUIRE(env.CreateDirs("/prometheus/wal").ok());
      BOOST_REQUIRE(env.WriteFileAtomically("/prometheus/wal/00000000", log.bytes()).ok());
    } else {
      Import(env, OneSample("a"));
      ExportOptions blocks;
      blocks.to = "/prometheus";
      BOOST_REQUIRE(ExportBlocks(env, *OpenStore(env, true)->Pin(), blocks));
      BOOST_REQUIRE(env.RemoveTree("/store").ok());
    }
    const auto report = ImportPrometheus(env, options);
    BOOST_REQUIRE_MESSAGE(report, (report ? "" : report.error().ToString()));
    BOOST_TEST(
        (report->head_snapshots == std::vector<std::string>{"chunk_snapshot.000001.0000000100"}));
    BOOST_TEST(report->lacks_log() == !with_log);
    BOOST_TEST(report->damaged() == !with_log);
    BOOST_TEST(report->counts.float_samples == 1u);
  }
}

BOOST_AUTO_TEST_CASE(BlocksComeBackAndTheirDeletionsCount) {
  MemEnv env{1};
  std::vector<std::unique_ptr<BufferedStore>> stores;
  stores.push_back(std::make_unique<BufferedStore>("text"));
  for (int i = 0; i < 1000; ++i) {
    stores[0]->Add(Series("up", "a"), kDay + i * 15'000, i * 0.1);
    stores[0]->Add(Series("x", "b"), kDay + i * 15'000 + 7, -i);
  }
  Import(env, std::move(stores));
  const Stored want = ReadStore(env);
  {
    const auto database = OpenStore(env, true);
    ExportOptions options;
    options.to = "/blocks";
    const auto report = ExportBlocks(env, *database->Pin(), options);
    BOOST_REQUIRE(report);
    BOOST_TEST(report->blocks.size() == 3u);
  }
  BOOST_REQUIRE(env.RemoveTree("/store").ok());
  ImportOptions options;
  options.from = "/blocks";
  options.dir = "/store";
  const auto report = ImportPrometheus(env, options);
  BOOST_REQUIRE_MESSAGE(report, (report ? "" : report.error().ToString()));
  BOOST_TEST(!report->damaged());
  BOOST_TEST((ReadStore(env) == want));

  // The first series of the first block: everything up to its 10th sample.
  const std::string block = "/blocks/" + List(env, "/blocks").front();
  std::string tombstones;
  const auto opened = Block::Open(env, block);
  BOOST_REQUIRE(opened);
  PutVarint(tombstones, (*opened)->index().series_ref(0));
  PutSignedVarint(tombstones, kDay);
  PutSignedVarint(tombstones, kDay + 9 * 15'000);
  std::string file("\x01\x30\xba\x30\x01", 5);
  file += tombstones;
  PutFixed32(file, __builtin_bswap32(Crc32c(tombstones)));
  BOOST_REQUIRE(env.WriteFileAtomically(block + "/tombstones", file).ok());
  BOOST_REQUIRE(env.RemoveTree("/store").ok());
  BOOST_REQUIRE(ImportPrometheus(env, options));
  const Stored after = ReadStore(env);
  BOOST_TEST(after.at(Series("up", "a").ToString()).size() == 990u);
  BOOST_TEST(after.at(Series("x", "b").ToString()).size() == 1000u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tocsin::tsdb::prometheus_import_test
