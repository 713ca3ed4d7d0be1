#include "tsdb/index/layout.h"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <map>
#include <memory>
#include <random>

#include "tsdb/types.h"

namespace tocsin::tsdb::layout_test {
namespace {

// A store, and how often its pages say that they hold each key.
struct Fixture {
  std::map<KeyId, int> held;
  EpochDomain domain{1};
  LayoutStore store{domain, [this](KeyId key, int change, bool) {
                      held[key] += change;
                      if (held[key] == 0) held.erase(key);
                    }};

  ~Fixture() { domain.Collect(); }

  std::unique_ptr<Layout> Make(const std::vector<KeyId>& keys) {
    auto layout = std::make_unique<Layout>();
    for (const KeyId key : keys) store.AddSlot(*layout, key);
    return layout;
  }
};

std::vector<KeyId> KeysOf(const Layout& layout) {
  std::vector<KeyId> keys;
  for (uint32_t s = 0; s < layout.slot_count(); ++s) keys.push_back(layout.KeyAt(s));
  return keys;
}

// 500 keys that all have, but every twentieth of which is the source's own.
std::vector<KeyId> Varied(uint32_t source) {
  std::vector<KeyId> keys(500);
  for (uint32_t k = 0; k < keys.size(); ++k)
    keys[k] = k % 20 == 7 ? 1000 + source * 25 + k / 20 : k;
  return keys;
}

BOOST_AUTO_TEST_SUITE(Layout_)

BOOST_AUTO_TEST_CASE(SourcesThatDifferInAFewSlotsStoreOnlyThese) {
  Fixture f;
  std::vector<std::unique_ptr<Layout>> layouts;
  layouts.push_back(f.Make(Varied(0)));
  const size_t one = f.store.memory_bytes();
  for (uint32_t source = 1; source <= 100; ++source) layouts.push_back(f.Make(Varied(source)));
  BOOST_TEST((f.store.memory_bytes() - one) / 100 < 700u);  // plain pages: 2 KB
  for (uint32_t source = 0; source <= 100; ++source) {
    BOOST_TEST(KeysOf(*layouts[source]) == Varied(source), boost::test_tools::per_element());
    for (const uint32_t slot : {0u, 7u, 8u, 487u, 499u})
      BOOST_TEST(f.store.FindSlot(*layouts[source], layouts[source]->KeyAt(slot)) == slot);
    // What the followed page has there is not in this layout.
    if (source > 0) BOOST_TEST(f.store.FindSlot(*layouts[source], 1000) == model::kNoSlot);
  }
  for (const auto& layout : layouts) f.store.Release(*layout);
  BOOST_TEST(f.held.empty());
  BOOST_TEST(f.store.page_count() == 0u);
  BOOST_TEST(f.store.memory_bytes() == 0u);
}

BOOST_AUTO_TEST_CASE(KeysOfASourceThatIsGoneAreForgottenThoughOthersFollowItsPage) {
  Fixture f;
  const auto first = f.Make(Varied(0));
  const auto second = f.Make(Varied(1));
  const auto third = f.Make(Varied(2));
  f.store.Release(*first);
  for (KeyId own = 1000; own < 1025; ++own) BOOST_TEST(!f.held.contains(own));
  BOOST_TEST(f.held.contains(1025));
  // Longer than any that is left: the followed page's end is nobody's.
  f.store.Release(*second);
  BOOST_TEST(!f.held.contains(1025));
  BOOST_TEST(KeysOf(*third) == Varied(2), boost::test_tools::per_element());
  BOOST_TEST(f.held.size() == 500u);
  f.store.Release(*third);
  BOOST_TEST(f.held.empty());
}

// A source that is being removed while it is read: its page goes on as somebody else's, who writes
// it in place, and what is read there from then on is not its own.
BOOST_AUTO_TEST_CASE(AReleasedLayoutIsNotReadAsWhatItsPagesBecome) {
  for (const bool follower : {false, true}) {
    Fixture f;
    const auto base = f.Make(Varied(0));
    const uint32_t kind = follower ? 1 : 0;
    const auto gone = f.Make(Varied(kind));
    const auto stays = f.Make(Varied(kind));
    if (!follower) f.store.Release(*base);
    const EpochDomain::Pin pin = f.domain.NewPin();
    const Layout::PageView view = gone->ViewAt(0, 500);
    BOOST_TEST((view.own.base != nullptr) == follower);
    BOOST_TEST((view.page == stays->ViewAt(0, 500).page));
    BOOST_TEST(gone->Holds(view));
    f.store.Release(*gone);
    f.store.ReplaceSlot(*stays, 7, 77'777);
    // The race: the reader, which has its view already, reads now.
    BOOST_TEST(view.page->KeyAt(view.own, 7) == 77'777u);
    BOOST_TEST(!gone->Holds(view));
    BOOST_TEST(stays->Holds(view));
    BOOST_TEST(gone->KeyAt(7) == kNoId);
    BOOST_TEST(stays->KeyAt(7) == 77'777u);
  }
}

BOOST_AUTO_TEST_CASE(AnyHistoryReadsAsItWasWritten) {
  const uint64_t seed = std::random_device()();
  BOOST_TEST_MESSAGE("seed " << seed);
  std::mt19937_64 random(seed);
  const auto below = [&random](size_t n) { return static_cast<uint32_t>(random() % n); };
  for (int round = 0; round < 40; ++round) {
    Fixture f;
    struct Model {
      std::unique_ptr<Layout> layout;
      std::vector<KeyId> keys;
    };
    std::vector<Model> models;
    const uint32_t own_percent = below(3) == 0 ? 60 : below(20);
    for (int step = 0; step < 600; ++step) {
      const uint32_t what = below(100);
      if (models.empty() || what < 8) {
        models.push_back({std::make_unique<Layout>(), {}});
      } else if (what < 12) {
        const uint32_t at = below(models.size());
        f.store.Release(*models[at].layout);
        f.domain.RetireDelete(models[at].layout.release());
        models.erase(models.begin() + at);
        continue;
      }
      Model& m = models[what < 8 ? models.size() - 1 : below(models.size())];
      const auto free_key = [&]() -> KeyId {
        const KeyId key = below(100) < own_percent ? 10'000 + below(3'000) : below(64);
        return std::find(m.keys.begin(), m.keys.end(), key) == m.keys.end() ? key : kNoId;
      };
      if (what < 24 && !m.keys.empty()) {
        const uint32_t slot = below(m.keys.size());
        const KeyId key = below(3) == 0 ? kNoId : free_key();
        f.store.ReplaceSlot(*m.layout, slot, key);
        m.keys[slot] = key;
      } else {
        for (uint32_t n = below(20); n > 0; --n) {
          // Mostly the key that the others have in this place, too.
          KeyId key = static_cast<KeyId>(m.keys.size());
          if (below(100) < own_percent ||
              std::find(m.keys.begin(), m.keys.end(), key) != m.keys.end())
            key = free_key();
          if (key == kNoId) continue;
          BOOST_TEST(f.store.AddSlot(*m.layout, key) == m.keys.size());
          m.keys.push_back(key);
        }
      }
      BOOST_TEST_CONTEXT("seed " << seed << " round " << round << " step " << step) {
        for (const Model& model : models) {
          BOOST_REQUIRE(KeysOf(*model.layout) == model.keys);
          for (uint32_t s = 0; s < model.keys.size(); ++s) {
            if (model.keys[s] == kNoId) continue;
            BOOST_REQUIRE(f.store.FindSlot(*model.layout, model.keys[s]) == s);
            BOOST_REQUIRE(f.held.contains(model.keys[s]));
          }
          const KeyId absent = below(64);
          if (std::find(model.keys.begin(), model.keys.end(), absent) == model.keys.end())
            BOOST_REQUIRE(f.store.FindSlot(*model.layout, absent) == model::kNoSlot);
        }
      }
    }
    for (const Model& model : models) f.store.Release(*model.layout);
    BOOST_TEST(f.held.empty());
    BOOST_TEST(f.store.page_count() == 0u);
    BOOST_TEST(f.store.memory_bytes() == 0u);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::tsdb::layout_test
