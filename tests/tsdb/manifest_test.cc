// The manifest: what is left of deletes and segments when it, or what it names, is lost or damaged.
#include <algorithm>
#include <bit>
#include <boost/test/unit_test.hpp>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/support/forwarding_env.h"
#include "tests/tsdb/delete_store.h"
#include "tsdb/manifest.h"

namespace tocsin::tsdb::manifest_test {
namespace {

using namespace delete_store;  // NOLINT: the words of these tests

// Another user's file.
class DenyingEnv final : public ForwardingEnv {
 public:
  using ForwardingEnv::ForwardingEnv;
  std::string denied;

  Result<std::unique_ptr<RandomAccessFile>> NewRandomAccessFile(const std::string& path) override {
    if (path == denied) return Error(Denial());
    return ForwardingEnv::NewRandomAccessFile(path);
  }
  Result<std::unique_ptr<MappedFile>> MapFile(const std::string& path) override {
    if (path == denied) return Error(Denial());
    return ForwardingEnv::MapFile(path);
  }
  Result<std::string> ReadFileUpTo(const std::string& path, uint64_t limit) override {
    if (path == denied) return Error(Denial());
    return ForwardingEnv::ReadFileUpTo(path, limit);
  }

 private:
  Status Denial() const { return Status(Code::kPermissionDenied, "open " + denied); }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(ManifestSuite)

// Damage to one copy of the manifest brings nothing back; of both, it opens and says so.
BOOST_AUTO_TEST_CASE(ADeleteSurvivesTheLossOfEitherManifest) {
  for (const char* lost : {"manifest", "manifest.copy"}) {
    for (const bool removed : {true, false}) {
      Store store;
      BOOST_REQUIRE(store.Put("a", "j", 0, 1));
      BOOST_REQUIRE(store.db->Compact().ok());
      store.Delete(Named("a"));
      store.Close();
      const std::string path = std::string("/db/segments/") + lost;
      std::string bytes = *store.memory.ReadFile(path);
      BOOST_REQUIRE(store.memory.Remove(path).ok());
      if (!removed) {
        bytes[bytes.size() / 2] ^= 1;
        BOOST_REQUIRE(store.memory.WriteFileAtomically(path, bytes).ok());
      }
      store.Open();
      BOOST_TEST(store.Text().empty());
      BOOST_TEST(store.db->Damages().size() == (removed ? 0u : 1u));
    }
  }
}

BOOST_AUTO_TEST_CASE(AMissingOrDamagedSegmentIsCountedAsLoss) {
  for (const bool removed : {true, false}) {
    Store store;
    for (int i = 0; i < 50; ++i) BOOST_REQUIRE(store.Put("a", "j", i * 1000, i));
    BOOST_REQUIRE(store.db->Compact().ok());
    store.Open();
    BOOST_TEST(store.db->counters().samples_lost_missing == 0u);
    store.Close();
    const std::vector<std::string> names = *store.memory.ListDir("/db/segments");
    for (const std::string& name : names) {
      if (!name.ends_with(".seg")) continue;
      const std::string path = "/db/segments/" + name;
      const std::string bytes = *store.memory.ReadFile(path);
      BOOST_REQUIRE(store.memory.Remove(path).ok());
      if (!removed)
        BOOST_REQUIRE(store.memory.WriteFileAtomically(path, bytes.substr(0, 100)).ok());
    }
    store.Open();
    BOOST_TEST(store.db->counters().samples_lost_missing == (removed ? 50u : 0u));
    BOOST_TEST(store.db->counters().samples_lost_damaged == (removed ? 0u : 50u));
    // Told once.
    store.Open();
    BOOST_TEST(store.db->counters().samples_lost_missing == 0u);
    BOOST_TEST(store.db->counters().samples_lost_damaged == 0u);
  }
}

BOOST_AUTO_TEST_CASE(ASegmentThatNoManifestKnowsIsAdopted) {
  Store store;
  for (int i = 0; i < 50; ++i) BOOST_REQUIRE(store.Put("a", "j", i * 1000, i));
  BOOST_REQUIRE(store.db->Compact().ok());
  const std::string all = store.Text();
  store.Close();
  BOOST_REQUIRE(store.memory.Remove("/db/segments/manifest").ok());
  BOOST_REQUIRE(store.memory.Remove("/db/segments/manifest.copy").ok());
  store.Open();
  BOOST_TEST(store.Text() == all);
  BOOST_TEST(store.memory.Exists("/db/segments/manifest"));
}

// A start that finds all as it left it writes no manifest; one copy that is behind is enough for
// both to be written.
BOOST_AUTO_TEST_CASE(AManifestIsWrittenOnlyWhenItSaysSomethingElse) {
  Store store;
  BOOST_REQUIRE(store.Put("a", "j", 0, 1));
  BOOST_REQUIRE(store.db->Compact().ok());
  store.Delete(Named("a"));
  const std::string stale = *store.memory.ReadFile("/db/segments/manifest.copy");
  store.Close();
  const auto sequence = [&store](std::string_view name) {
    return DecodeManifest(*store.memory.ReadFile("/db/segments/" + std::string(name)))->sequence;
  };
  const uint64_t before = sequence("manifest");
  store.Open();
  BOOST_TEST(sequence("manifest") == before);
  BOOST_TEST(store.Text().empty());
  BOOST_REQUIRE(store.Put("b", "j", 1000, 1));
  BOOST_REQUIRE(store.db->Compact().ok());
  store.Close();
  BOOST_REQUIRE(store.memory.WriteFileAtomically("/db/segments/manifest.copy", stale).ok());
  store.Open();
  BOOST_TEST(sequence("manifest") > before + 1);
  BOOST_TEST(sequence("manifest") == sequence("manifest.copy"));
  // The next change goes on from there.
  store.Delete(Named("b"));
  BOOST_TEST(store.Text().empty());
  store.Open();
  BOOST_TEST(store.Text().empty());
}

// As after an import by another user: what may not be read is not damaged, and stays where it is.
BOOST_AUTO_TEST_CASE(AFileThatMayNotBeReadFailsTheStartAndIsNotPutAside) {
  Store store;
  for (int i = 0; i < 50; ++i) BOOST_REQUIRE(store.Put("a", "j", i * 1000, i));
  BOOST_REQUIRE(store.db->Compact().ok());
  BOOST_REQUIRE(store.db->OpenNamedTail("remote"));
  BOOST_REQUIRE(store.Put("a", "j", 60'000, 7));
  const std::string all = store.Text();
  store.Close();
  DenyingEnv env(store.memory);
  DatabaseOptions options = store.options;
  options.env = &env;
  int files = 0;
  for (const std::string directory : {"/db/segments", "/db/wal", "/db/tails"}) {
    const std::vector<std::string> names = *store.memory.ListDir(directory);
    for (const std::string& name : names) {
      env.denied = JoinPath(directory, name);
      const auto opened = Database::Open(options);
      BOOST_TEST_CONTEXT(env.denied) {
        BOOST_REQUIRE(!opened);
        BOOST_TEST((opened.error().code() == Code::kPermissionDenied));
        BOOST_TEST(opened.error().message().find(env.denied) != std::string::npos);
        BOOST_TEST(store.memory.Exists(env.denied));
        BOOST_TEST(!store.memory.Exists("/db/quarantine"));
      }
      ++files;
    }
  }
  BOOST_TEST(files > 7);
  store.Open();
  BOOST_TEST(store.Text() == all);
}

BOOST_AUTO_TEST_CASE(ManifestsAreReadBackAndDamageIsTold) {
  Manifest manifest;
  manifest.sequence = 7;
  manifest.commit = 300;
  manifest.segments.push_back({SegmentId{{1, 2, 3}}, "L0-x.seg", 4000, 99, {-5, 1000}});
  auto tombstone = std::make_shared<Tombstone>();
  tombstone->commit = 40;
  tombstone->range = {1, model::kMaxTimestamp};
  tombstone->matcher_sets = {{Matcher::Equal("a", "b"), Matcher::NotEqual("c", "")},
                             {*Matcher::Create(MatchType::kRegex, "d", "x.*"),
                              *Matcher::Create(MatchType::kNotRegex, "e", "y|z")}};
  manifest.tombstones = {tombstone};
  const std::string bytes = EncodeManifest(manifest);
  const auto read = DecodeManifest(bytes);
  BOOST_REQUIRE(read);
  BOOST_TEST(EncodeManifest(*read) == bytes);
  BOOST_TEST(read->tombstones[0]->matcher_sets[1][1].ToString() == R"(e!~"y|z")");
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string flipped = bytes;
    flipped[i] ^= 0x10;
    BOOST_TEST((DecodeManifest(flipped).error().code() == Code::kCorruption));
    BOOST_TEST(!DecodeManifest(bytes.substr(0, i)));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tocsin::tsdb::manifest_test
