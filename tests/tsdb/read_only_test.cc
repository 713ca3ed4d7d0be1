// A read-only database beside one that is being written.
#include <boost/test/unit_test.hpp>
#include <memory>
#include <string>
#include <vector>

#include "base/mem_env.h"
#include "model/storage.h"
#include "tsdb/database.h"

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
