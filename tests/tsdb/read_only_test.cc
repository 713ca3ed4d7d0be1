// A read-only database beside one that is being written.
#include <boost/test/unit_test.hpp>
#include <memory>
#include <string>
#include <vector>

#include "base/mem_env.h"
#include "model/storage.h"
#include "tsdb/database.h"
#include "tsdb/store_directory.h"

namespace tocsin::tsdb::read_only_test {
namespace {

using model::Labels;
using model::Timestamp;

constexpr Timestamp kT0 = MemEnv::kStartMs;

std::unique_ptr<Database> Open(MemEnv& env, bool read_only) {
  DatabaseOptions options;
  options.dir = "/data";
  options.env = &env;
  options.background = false;
  options.shards = 2;
  options.read_only = read_only;
  auto database = Database::Open(options);
  BOOST_REQUIRE_MESSAGE(database, (database ? "" : database.error().ToString()));
  return *std::move(database);
}

void Append(Database& database, Timestamp first_ms, int rows) {
  auto writer = database.OpenSource({model::OriginKind::kScrape, "job/url"},
                                    Labels::FromPairs({{"job", "node"}}));
  BOOST_REQUIRE(writer);
  const auto slot = (*writer)->AddSlot(Labels::FromPairs({{"__name__", "up"}}));
  BOOST_REQUIRE(slot);
  for (int i = 0; i < rows; ++i) {
    auto batch = database.NewBatch();
    batch->BeginRow(**writer, first_ms + i * 1000, model::RowKind::kFull);
    batch->Set(*slot, i);
    BOOST_REQUIRE(batch->Commit({}).status.ok());
  }
  BOOST_REQUIRE(database.FlushWal(false).ok());
}

size_t CountSamples(const Database& database) {
  const auto snapshot = database.Pin();
  const auto selection = snapshot->Select({}, {}, {});
  BOOST_REQUIRE(selection);
  model::ColumnBatch batch;
  BOOST_REQUIRE((*selection)->NewReader()->Read(0, (*selection)->size(), &batch).ok());
  size_t count = 0;
  for (const model::Column& column : batch.columns) count += column.values.size();
  return count;
}

std::vector<std::string> Files(MemEnv& env) {
  std::vector<std::string> files;
  for (const std::string folder : {"/data", "/data/wal", "/data/segments"}) {
    const auto names = env.ListDir(folder);
    BOOST_REQUIRE(names);
    for (const std::string& name : *names) {
      files.push_back(folder + "/" + name + " " +
                      std::to_string(env.Stat(JoinPath(folder, name))->size));
    }
  }
  return files;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(ReadOnlySuite)

BOOST_AUTO_TEST_CASE(ItSeesSegmentsAndLogOfARunningDatabaseAndTouchesNothing) {
  MemEnv env{3};
  const auto running = Open(env, false);
  Append(*running, kT0, 10);
  BOOST_REQUIRE(running->Seal({}).ok());
  Append(*running, kT0 + 60'000, 5);
  const std::vector<std::string> before = Files(env);
  const auto looking = Open(env, true);
  BOOST_TEST(CountSamples(*looking) == 15u);
  BOOST_TEST((looking->Compact().code() == Code::kPermissionDenied));
  BOOST_TEST(!looking->OpenSource({}, {}));
  Append(*running, kT0 + 120'000, 1);
  BOOST_TEST(CountSamples(*looking) == 15u);
  BOOST_TEST(looking->Close().ok());
  BOOST_TEST(CountSamples(*Open(env, true)) == 16u);
  BOOST_TEST(before.size() == Files(env).size());
}

BOOST_AUTO_TEST_CASE(WhatADaemonBesideItIsWritingStays) {
  MemEnv env{3};
  const auto running = Open(env, false);
  Append(*running, kT0, 10);
  const auto names = env.ListDir("/data/wal");
  BOOST_REQUIRE(names);
  for (const std::string& name : *names) {
    // The beginning of a record whose rest is not written yet, and a file that is written anew.
    const std::string path = JoinPath("/data/wal", name);
    auto bytes = env.ReadFile(path);
    BOOST_REQUIRE(bytes);
    BOOST_REQUIRE(env.WriteFileAtomically(path, *bytes + "\x11\x22\x33\x44\x55\x66\x77").ok());
    BOOST_REQUIRE(env.WriteFileAtomically(path + ".tmp", *bytes).ok());
  }
  const std::vector<std::string> before = Files(env);
  BOOST_TEST(CountSamples(*Open(env, true)) == 10u);
  BOOST_TEST(Files(env) == before, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(OnlyAStoreIsLookedAt) {
  struct Case {
    const char* file;
    bool is_store;
  };
  for (const Case& c : {Case{"/d/seed", true}, Case{"/d/segments/manifest", true},
                        Case{"/d/wal/03-00000002.log", true}, Case{"/d/segments/notes", false},
                        Case{"/d/wal/00000007", false}, Case{"/d/anything", false},
                        Case{"/d/chunks_head/000001", false},
                        Case{"/d/01BKGV7JBM69T2G1BGBGM6KB12/meta.json", false}}) {
    BOOST_TEST_CONTEXT(c.file) {
      MemEnv env{3};
      BOOST_REQUIRE(env.CreateDirs(std::string(DirName(c.file))).ok());
      BOOST_REQUIRE(env.WriteFileAtomically(c.file, "").ok());
      BOOST_TEST(CheckIsStore(env, "/d").ok() == c.is_store);
    }
  }
}

BOOST_AUTO_TEST_CASE(NoStoreIsBegunAmongFilesOfPrometheus) {
  for (const std::string file : {"/d/wal/00000007", "/d/chunks_head/000001", "/d/meta.json",
                                 "/d/01BKGV7JBM69T2G1BGBGM6KB12/meta.json"}) {
    BOOST_TEST_CONTEXT(file) {
      MemEnv env{3};
      BOOST_REQUIRE(env.CreateDirs(std::string(DirName(file))).ok());
      BOOST_REQUIRE(env.WriteFileAtomically(file, "").ok());
      DatabaseOptions options;
      options.dir = "/d";
      options.env = &env;
      options.background = false;
      const auto refused = Database::Open(options);
      BOOST_REQUIRE(!refused);
      BOOST_TEST(refused.error().message().find("tocsin tsdb import") != std::string::npos);
      BOOST_TEST(!env.Exists("/d/seed"));
      // Where one is already, it goes on.
      BOOST_REQUIRE(env.WriteFileAtomically("/d/seed", "12345678").ok());
      BOOST_TEST(Database::Open(options).has_value());
    }
  }
}

BOOST_AUTO_TEST_CASE(MissingFilesAreTold) {
  MemEnv env{3};
  {
    const auto running = Open(env, false);
    Append(*running, kT0, 10);
    BOOST_REQUIRE(running->Seal({}).ok());
    BOOST_REQUIRE(running->Close().ok());
  }
  BOOST_TEST(Open(env, true)->Damages().empty());
  const auto names = env.ListDir("/data/segments");
  BOOST_REQUIRE(names);
  std::string path;
  for (const std::string& name : *names) {
    if (name.ends_with(".seg")) path = JoinPath("/data/segments", name);
  }
  BOOST_REQUIRE(env.Remove(path).ok());
  const std::vector<Damage> damages = Open(env, true)->Damages();
  BOOST_REQUIRE(damages.size() == 1u);
  BOOST_TEST(damages[0].path == path);
  BOOST_TEST(damages[0].reason.find("missing, with 10 samples from ") == 0u);
  BOOST_TEST(!damages[0].harmless);
}

BOOST_AUTO_TEST_CASE(AShardWithoutAnyLogFileIsTold) {
  MemEnv env{3};
  {
    const auto running = Open(env, false);
    Append(*running, kT0, 10);
    BOOST_REQUIRE(running->FlushWal(true).ok());
    BOOST_REQUIRE(running->Snapshot("/snapshot", false).ok());
  }
  BOOST_TEST(Open(env, true)->Damages().empty());
  DatabaseOptions snapshot;
  snapshot.dir = "/snapshot";
  snapshot.env = &env;
  snapshot.background = false;
  snapshot.read_only = true;
  BOOST_TEST((*Database::Open(snapshot))->Damages().empty());
  const auto names = env.ListDir("/data/wal");
  BOOST_REQUIRE(names);
  for (const std::string& name : *names) {
    if (name.starts_with("01-")) BOOST_REQUIRE(env.Remove(JoinPath("/data/wal", name)).ok());
  }
  const std::vector<Damage> damages = Open(env, true)->Damages();
  BOOST_REQUIRE(damages.size() == 1u);
  BOOST_TEST(damages[0].reason == "1 file is missing");
  BOOST_TEST(Open(env, false)->counters().replay_missing_log_files == 1u);
  BOOST_TEST(Open(env, false)->counters().replay_missing_log_files == 0u);
}

BOOST_AUTO_TEST_CASE(OneOfTwoManifestsIsNoLoss) {
  for (const int damaged : {1, 2}) {
    MemEnv env{3};
    BOOST_REQUIRE(Open(env, false)->Close().ok());
    for (int i = 0; i < damaged; ++i) {
      const std::string name = i == 0 ? "manifest" : "manifest.copy";
      BOOST_REQUIRE(env.WriteFileAtomically("/data/segments/" + name, "?").ok());
    }
    for (const Damage& damage : Open(env, true)->Damages()) {
      BOOST_TEST(damage.harmless == (damaged == 1));
    }
    BOOST_TEST(Open(env, true)->Damages().size() == static_cast<size_t>(damaged));
  }
}

BOOST_AUTO_TEST_CASE(AMissingDirectoryIsNotMade) {
  MemEnv env{3};
  DatabaseOptions options;
  options.dir = "/nothing";
  options.env = &env;
  options.read_only = true;
  BOOST_TEST((Database::Open(options).error().code() == Code::kNotFound));
  BOOST_TEST(!env.Exists("/nothing"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tocsin::tsdb::read_only_test
