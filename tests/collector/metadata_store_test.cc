#include "collector/metadata_store.h"

#include <boost/test/unit_test.hpp>

#include "base/mem_env.h"
#include "base/state_store.h"

namespace tocsin::collector {
namespace metadata_store_test {
namespace {

using model::Metadata;
using model::MetricType;

constexpr int64_t kDayMs = 86'400'000;
constexpr int64_t kHourMs = 3'600'000;

const Metadata kRequests{MetricType::kCounter, "", "Requests."};
const Metadata kLatency{MetricType::kHistogram, "seconds", "How long."};

std::string Names(const MetadataStore& store, std::string_view family = "") {
  std::string names;
  store.Visit(family, [&](const std::string& name, const Metadata& metadata) {
    names += name + ":" + std::string(model::MetricTypeName(metadata.type)) + ":" + metadata.unit +
             ":" + metadata.help + ";";
    return true;
  });
  return names;
}

std::string NamesOnDisk(StateStore& state) {
  std::string names;
  BOOST_TEST(state
                 .ForEach("",
                          [&](std::string_view key, std::string_view) {
                            names.append(key).append(";");
                            return true;
                          })
                 .ok());
  return names;
}

struct Fixture {
  MemEnv env;
  MemoryStateStore state;
  MetadataStoreOptions options;

  std::unique_ptr<MetadataStore> Open() {
    auto store = std::make_unique<MetadataStore>(&env, options);
    BOOST_TEST(store->Load(&state).ok());
    return store;
  }
};

BOOST_AUTO_TEST_SUITE(MetadataStores)

BOOST_FIXTURE_TEST_CASE(WhatWasNotedIsThereAfterARestart, Fixture) {
  auto store = Open();
  store->Note("requests", kRequests);
  store->Note("latency", {MetricType::kGauge, "", "Before."});
  store->Note("latency", kLatency);
  const std::string all = "latency:histogram:seconds:How long.;requests:counter::Requests.;";
  BOOST_TEST(Names(*store) == all);
  BOOST_TEST(NamesOnDisk(state) == "");  // nothing is written where something is noted
  BOOST_TEST(store->Flush().ok());
  store = Open();
  BOOST_TEST(Names(*store) == all);
  BOOST_TEST(Names(*store, "latency") == "latency:histogram:seconds:How long.;");
  BOOST_TEST(Names(*store, "late") == "");
}

BOOST_AUTO_TEST_CASE(TheThreadWritesWhatIsThereAtTheStop) {
  MemoryStateStore state;
  MetadataStore store(&Env::Default(), {});
  BOOST_TEST(store.Load(&state).ok());
  store.Start([&](bool all) {
    BOOST_TEST(!all);
    store.Note("requests", kRequests);
  });
  store.Stop();
  BOOST_TEST(NamesOnDisk(state) == "metadata/requests;");
}

BOOST_FIXTURE_TEST_CASE(MoreThanABatchIsWrittenAndVisited, Fixture) {
  auto store = Open();
  const size_t count = 2 * MetadataStore::kFamiliesPerBatch + 7;
  for (size_t i = 0; i < count; ++i) store->Note("m" + std::to_string(i), kRequests);
  BOOST_TEST(store->Flush().ok());
  store = Open();
  BOOST_TEST(store->families() == count);
  size_t visited = 0;
  store->Visit("", [&](const std::string&, const Metadata&) { return ++visited < count - 1; });
  BOOST_TEST(visited == count - 1);
}

BOOST_FIXTURE_TEST_CASE(AWriteThatFailsIsMadeUpFor, Fixture) {
  auto store = Open();
  store->Note("requests", kRequests);
  state.FailWrites(Status(Code::kUnavailable, "disk"));
  BOOST_TEST(!store->Flush().ok());
  state.FailWrites(Status::Ok());
  BOOST_TEST(NamesOnDisk(state) == "");
  BOOST_TEST(store->Flush().ok());
  BOOST_TEST(NamesOnDisk(state) == "metadata/requests;");
}

BOOST_FIXTURE_TEST_CASE(WhatNobodyExposesAnyMoreGoes, Fixture) {
  auto store = Open();
  store->Note("gone", kRequests);
  store->Note("alive", kRequests);
  BOOST_TEST(store->Flush().ok());
  for (int day = 0; day < 29; ++day) {
    env.AdvanceMs(kDayMs);
    store->Note("alive", kRequests);
    store->Expire();
    BOOST_TEST(store->Flush().ok());
  }
  store = Open();
  BOOST_TEST(store->families() == 2u);
  env.AdvanceMs(2 * kDayMs);
  store->Expire();
  BOOST_TEST(store->Flush().ok());
  BOOST_TEST(NamesOnDisk(state) == "metadata/alive;");  // seen two days ago, as the disk knows
  BOOST_TEST(Names(*Open()) == "alive:counter::Requests.;");
}

BOOST_FIXTURE_TEST_CASE(TheOldestMakeRoomAndTheLivingDoNot, Fixture) {
  options.families_max = 3;
  auto store = Open();
  for (const char* name : {"c", "b", "a"}) {
    store->Note(name, kRequests);
    env.AdvanceMs(kHourMs);
  }
  store->Note("d", kRequests);  // "c" was seen three hours ago
  BOOST_TEST(Names(*store) == "a:counter::Requests.;b:counter::Requests.;d:counter::Requests.;");
  env.AdvanceMs(kHourMs / 2);
  store->Note("b", kRequests);
  store->Note("a", kRequests);
  store->Note("e", kRequests);
  BOOST_TEST(store->families() == 3u);
  BOOST_TEST(Names(*store, "e") == "");
  BOOST_TEST(store->Flush().ok());
  BOOST_TEST(NamesOnDisk(state) == "metadata/a;metadata/b;metadata/d;");
  // Under a narrower bound the rest goes from the disk, too.
  options.families_max = 1;
  store = Open();
  BOOST_TEST(store->families() == 1u);
  BOOST_TEST(store->Flush().ok());
  BOOST_TEST(NamesOnDisk(state) == "metadata/a;");
}

BOOST_FIXTURE_TEST_CASE(BytesAreBounded, Fixture) {
  options.bytes_max = 100;
  options.name_bytes_max = 10;
  options.help_bytes_max = 40;
  auto store = Open();
  store->Note("", kRequests);
  store->Note("longer_than_ten", kRequests);
  store->Note("unit", {MetricType::kGauge, "longer_than_ten", ""});
  BOOST_TEST(store->families() == 0u);
  store->Note("a", {MetricType::kGauge, "", std::string(39, 'x') + "äy"});
  BOOST_TEST(Names(*store) == "a:gauge::" + std::string(39, 'x') + ";");  // no half character
  store->Note("b", {MetricType::kGauge, "", std::string(1000, 'x')});
  store->Note("c", {MetricType::kGauge, "", std::string(1000, 'x')});
  BOOST_TEST(store->families() == 2u);
  store->Note("a", {MetricType::kGauge, "", ""});
  store->Note("c", {MetricType::kGauge, "", std::string(1000, 'x')});
  BOOST_TEST(store->families() == 3u);
}

BOOST_FIXTURE_TEST_CASE(DamageIsPassedOver, Fixture) {
  auto store = Open();
  store->Note("good", kRequests);
  BOOST_TEST(store->Flush().ok());
  const std::string good = state.Get("metadata/good").value().value();
  for (size_t i = 0; i < good.size(); ++i) {
    BOOST_TEST(state.Put("metadata/cut" + std::to_string(i), good.substr(0, i)).ok());
  }
  BOOST_TEST(state.Put("metadata/newer", "\x02" + good.substr(1)).ok());
  BOOST_TEST(state.Put("metadata/type", good.substr(0, 1) + "\x7f" + good.substr(2)).ok());
  BOOST_TEST(state.Put("alert/x", "y").ok());
  BOOST_TEST(Names(*Open()) == "good:counter::Requests.;");
}

BOOST_FIXTURE_TEST_CASE(TypesAreFoundByTheNamesOfSeries, Fixture) {
  auto store = Open();
  store->Note("latency", kLatency);
  store->Note("requests", kRequests);
  store->Note("old_total", kRequests);
  store->Note("sizes", {MetricType::kSummary, "", ""});
  store->Note("free_bytes", {MetricType::kGauge, "", ""});
  const struct {
    const char* name;
    MetricType type;
  } cases[] = {
      {"latency", MetricType::kHistogram},       {"latency_bucket", MetricType::kHistogram},
      {"latency_count", MetricType::kHistogram}, {"latency_created", MetricType::kGauge},
      {"latency_total", MetricType::kUnknown},   {"requests_total", MetricType::kCounter},
      {"requests_created", MetricType::kGauge},  {"old_total", MetricType::kCounter},
      {"sizes_sum", MetricType::kSummary},       {"sizes_bucket", MetricType::kUnknown},
      {"free_bytes", MetricType::kGauge},        {"free_bytes_sum", MetricType::kUnknown},
      {"_total", MetricType::kUnknown},          {"", MetricType::kUnknown},
  };
  for (const auto& c : cases) {
    BOOST_TEST_CONTEXT(c.name) BOOST_TEST((store->TypeOf(c.name) == c.type));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace metadata_store_test
}  // namespace tocsin::collector
