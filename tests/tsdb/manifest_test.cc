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

#include "tests/tsdb/delete_store.h"
#include "tsdb/manifest.h"

namespace tocsin::tsdb::manifest_test {
namespace {

using namespace delete_store;  // NOLINT: the words of these tests

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
