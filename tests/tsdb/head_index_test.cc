#include "tsdb/index/head_index.h"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <set>

#include "base/thread.h"
#include "model/matcher.h"
#include "tsdb/index/layout.h"

namespace tocsin::tsdb::head_index_test {
namespace {

using model::Labels;
using model::Matcher;
using model::MatcherSet;
using model::MatchType;
using model::Origin;
using model::OriginKind;

constexpr uint64_t kSeed = 42;

Matcher Match(MatchType type, std::string name, std::string value) {
  Result<Matcher> matcher = Matcher::Create(type, std::move(name), std::move(value));
  BOOST_REQUIRE(matcher.has_value());
  return *matcher;
}

std::multiset<std::string> SeriesOf(const HeadIndex::Pin& pin, const MatcherSet& matchers) {
  std::multiset<std::string> series;
  const Result<HeadSelection> selection = pin.Select(matchers);
  BOOST_REQUIRE(selection.has_value());
  size_t count = 0;
  for (const HeadSelection::Entry& entry : selection->entries) {
    for (const SlotKey& slot : selection->lists[entry.list]) {
      BOOST_TEST(pin.KeyAt(entry.source, entry.slot_base + slot.slot) == slot.key);
      series.insert(pin.SeriesLabels(entry.source, slot.key).ToString());
      ++count;
    }
  }
  BOOST_TEST(count == selection->series_count);
  return series;
}

// Every (source, key) pair in a plain list.
struct NaiveIndex {
  struct Pair {
    SourceId source;
    Labels labels;
  };
  std::vector<Pair> pairs;

  std::multiset<std::string> SeriesOf(const MatcherSet& matchers) const {
    std::multiset<std::string> series;
    for (const Pair& pair : pairs) {
      if (MatchesAll(matchers, pair.labels)) series.insert(pair.labels.ToString());
    }
    return series;
  }
};

Labels Merged(const Labels& a, const Labels& b) {
  model::LabelsBuilder builder(a);
  for (const model::LabelView label : b) builder.Set(label.name, label.value);
  return builder.Build();
}

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  uint32_t Below(uint32_t n) { return static_cast<uint32_t>(engine_() % n); }
  template <typename T>
  const T& Pick(const std::vector<T>& from) {
    return from[Below(static_cast<uint32_t>(from.size()))];
  }

 private:
  std::mt19937_64 engine_;
};

// Label names that may be on either side, so that schemas decide.
const std::vector<std::string> kNames = {"job", "instance", "le", "mode", "zone"};
const std::vector<std::string> kValues = {"a", "ab", "b", "c", "0.5", "+Inf", "long-value\n"};
const std::vector<std::string> kMetrics = {"up", "cpu_total", "cpu_bucket", "mem"};

std::pair<Labels, Labels> RandomSplit(Random& random) {
  std::vector<std::pair<std::string, std::string>> source;
  std::vector<std::pair<std::string, std::string>> key = {{"__name__", random.Pick(kMetrics)}};
  for (const std::string& name : kNames) {
    const uint32_t where = random.Below(3);
    if (where == 0) source.emplace_back(name, random.Pick(kValues));
    if (where == 1) key.emplace_back(name, random.Pick(kValues));
  }
  return {Labels::FromPairs(source), Labels::FromPairs(key)};
}

MatcherSet RandomMatchers(Random& random) {
  static const std::vector<std::string> patterns = {
      "a.*", "a|b", ".+", ".*", "", "ab?", "a|", "[0-9.]+", "b|c|zz", "^a$", "cpu_.*"};
  MatcherSet matchers;
  const uint32_t count = random.Below(4);
  for (uint32_t i = 0; i < count; ++i) {
    const bool name = random.Below(3) == 0;
    const auto type = static_cast<MatchType>(random.Below(4));
    std::string label = name ? "__name__" : random.Below(8) == 0 ? "absent" : random.Pick(kNames);
    std::string value;
    if (type == MatchType::kEqual || type == MatchType::kNotEqual) {
      value = name ? random.Pick(kMetrics) : random.Below(6) == 0 ? "" : random.Pick(kValues);
    } else {
      value = random.Pick(patterns);
    }
    matchers.push_back(Match(type, label, value));
  }
  return matchers;
}

std::string Describe(const MatcherSet& matchers) {
  std::string text;
  for (const Matcher& matcher : matchers) text += matcher.ToString() + " ";
  return text;
}

BOOST_AUTO_TEST_SUITE(HeadIndex_)

BOOST_AUTO_TEST_CASE(SelectEqualsBruteForceOverAnySplitWithChurn) {
  const uint64_t seed = std::random_device()();
  BOOST_TEST_MESSAGE("seed " << seed);
  BOOST_TEST_CONTEXT("seed " << seed) {
    Random random(seed);
    HeadIndex index(kSeed, 1);
    NaiveIndex naive;
    std::vector<SourceId> sources;
    for (int round = 0; round < 60; ++round) {
      for (int i = 0; i < 30; ++i) {
        const auto [source_labels, key_labels] = RandomSplit(random);
        const Origin origin{OriginKind::kScrape, std::to_string(random.Below(2))};
        const SourceId source = index.AddSource(origin, source_labels);
        BOOST_TEST(index.FindSource(origin, source_labels) == source);
        const KeyId key = index.AddKey(key_labels);
        BOOST_TEST(index.FindKey(key_labels) == key);
        if (index.FindSlot(source, key) != model::kNoSlot) continue;
        const model::Slot slot = index.AddSlot(source, key);
        BOOST_TEST(index.FindSlot(source, key) == slot);
        naive.pairs.push_back({source, Merged(source_labels, key_labels)});
        if (std::find(sources.begin(), sources.end(), source) == sources.end()) {
          sources.push_back(source);
        }
      }
      if (round % 3 == 2) {
        const uint32_t victim = random.Below(static_cast<uint32_t>(sources.size()));
        index.RemoveSource(sources[victim]);
        std::erase_if(naive.pairs, [&](const auto& p) { return p.source == sources[victim]; });
        sources.erase(sources.begin() + victim);
      }
      if (round % 5 == 4) index.Sweep();
      BOOST_TEST(index.series_count() == naive.pairs.size());
      const HeadIndex::Pin pin = index.NewPin();
      for (int i = 0; i < 20; ++i) {
        const MatcherSet matchers = RandomMatchers(random);
        BOOST_TEST_CONTEXT(Describe(matchers)) {
          const bool equal = SeriesOf(pin, matchers) == naive.SeriesOf(matchers);
          BOOST_TEST(equal);
          std::set<std::string> names;
          std::set<std::string> modes;
          for (const auto& pair : naive.pairs) {
            if (!MatchesAll(matchers, pair.labels)) continue;
            for (const model::LabelView label : pair.labels) names.emplace(label.name);
            if (pair.labels.Has("mode")) modes.emplace(pair.labels.Get("mode"));
          }
          const std::vector<MatcherSet> sets = {matchers};
          const bool names_equal =
              *pin.LabelNames(sets) == std::vector<std::string>(names.begin(), names.end());
          BOOST_TEST(names_equal);
          const bool values_equal = *pin.LabelValues("mode", sets) ==
                                    std::vector<std::string>(modes.begin(), modes.end());
          BOOST_TEST(values_equal);
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(SourcesWithTheSameKeysStoreThemOnce) {
  HeadIndex index(kSeed, 1);
  std::vector<KeyId> keys;
  for (int k = 0; k < 500; ++k) {
    keys.push_back(index.AddKey(Labels::FromPairs({{"__name__", "m" + std::to_string(k)}})));
  }
  const auto add = [&](int n) {
    const SourceId source = index.AddSource({OriginKind::kScrape, std::to_string(n)},
                                            Labels::FromPairs({{"instance", std::to_string(n)}}));
    for (const KeyId key : keys) index.AddSlot(source, key);
  };
  add(0);
  const size_t one = index.memory_bytes();
  for (int n = 1; n < 101; ++n) add(n);
  BOOST_TEST(index.series_count() == 101u * 500);
  BOOST_TEST((index.memory_bytes() - one) / 100 < 1000u);  // a source, not its 500 slots
  const HeadIndex::Pin pin = index.NewPin();
  const Result<HeadSelection> all = pin.Select({});
  BOOST_TEST(all->lists.size() == 1u);
  BOOST_TEST(all->series_count == 101u * 500);
}

BOOST_AUTO_TEST_CASE(LayoutsThatDivergeAreSharedAgain) {
  HeadIndex index(kSeed, 1);
  std::vector<KeyId> keys;
  for (int k = 0; k < 10000; ++k) {
    keys.push_back(index.AddKey(Labels::FromPairs({{"__name__", "m" + std::to_string(k)}})));
  }
  std::vector<SourceId> sources;
  for (int n = 0; n < 6; ++n) {
    sources.push_back(index.AddSource({OriginKind::kScrape, std::to_string(n)}, Labels()));
    for (size_t k = 0; k < 9000; ++k) {
      // Every other source leaves out key 5000.
      if (n % 2 == 1 && k == 5000) continue;
      index.AddSlot(sources.back(), keys[k]);
    }
  }
  const HeadIndex::Pin pin = index.NewPin();
  BOOST_TEST(pin.Select({})->lists.size() == 5u);  // the first page common, two more of each kind
  for (int n = 0; n < 6; ++n) {
    BOOST_TEST(pin.slot_count(sources[n]) == (n % 2 == 1 ? 8999u : 9000u));
    BOOST_TEST(pin.KeyAt(sources[n], 5000) == keys[n % 2 == 1 ? 5001 : 5000]);
    BOOST_TEST(index.FindSlot(sources[n], keys[8999]) == (n % 2 == 1 ? 8998u : 8999u));
  }
}

BOOST_AUTO_TEST_CASE(ReplacedSlotsChangeOneSourceOnly) {
  HeadIndex index(kSeed, 1);
  std::vector<KeyId> keys;
  for (int k = 0; k < 40; ++k) {
    keys.push_back(index.AddKey(Labels::FromPairs({{"__name__", "m" + std::to_string(k)}})));
  }
  const SourceId a = index.AddSource({OriginKind::kScrape, "a"}, Labels());
  const SourceId b = index.AddSource({OriginKind::kScrape, "b"}, Labels());
  for (int k = 0; k < 30; ++k) index.AddSlot(a, keys[k]);
  for (int k = 0; k < 30; ++k) index.AddSlot(b, keys[k]);
  index.ReplaceSlot(a, 3, keys[35]);
  index.ReplaceSlot(a, 29, kNoId);
  const HeadIndex::Pin pin = index.NewPin();
  BOOST_TEST(pin.KeyAt(a, 3) == keys[35]);
  BOOST_TEST(pin.KeyAt(a, 29) == kNoId);
  BOOST_TEST(pin.KeyAt(b, 3) == keys[3]);
  BOOST_TEST(index.FindSlot(a, keys[35]) == 3u);
  BOOST_TEST(index.FindSlot(a, keys[3]) == model::kNoSlot);
  BOOST_TEST(index.FindSlot(b, keys[3]) == 3u);
  BOOST_TEST(index.series_count() == 59u);
  index.Sweep();
  index.Sweep();  // keys 36… are in no layout and were there at the first sweep
  BOOST_TEST(index.FindKey(Labels::FromPairs({{"__name__", "m38"}})) == kNoId);
  BOOST_TEST(index.FindKey(Labels::FromPairs({{"__name__", "m35"}})) == keys[35]);
}

BOOST_AUTO_TEST_CASE(ChurnDoesNotGrowMemory) {
  HeadIndex index(kSeed, 1);
  std::vector<SourceId> live;
  size_t settled = 0;
  for (int round = 0; round < 60; ++round) {
    for (int n = 0; n < 50; ++n) {
      const std::string name = std::to_string(round) + "-" + std::to_string(n);
      live.push_back(index.AddSource({OriginKind::kScrape, name},
                                     Labels::FromPairs({{"instance", name}, {"job", "x"}})));
      for (int k = 0; k < 20; ++k) {
        const KeyId key =
            index.AddKey(Labels::FromPairs({{"__name__", "m" + std::to_string(k)}, {"pod", name}}));
        index.AddSlot(live.back(), key);
      }
    }
    while (live.size() > 100) {
      index.RemoveSource(live.front());
      live.erase(live.begin());
    }
    index.Sweep();
    if (round == 10) settled = index.memory_bytes();
  }
  BOOST_TEST(index.memory_bytes() < settled + settled / 4);
  BOOST_TEST(index.NewPin().LabelValues("pod", {})->size() <= 150u);
}

BOOST_AUTO_TEST_CASE(AKeyThatIsAskedForAgainOutlivesTheSweep) {
  HeadIndex index(kSeed, 1);
  const Labels labels = Labels::FromPairs({{"__name__", "up"}});
  const SourceId first = index.AddSource({OriginKind::kScrape, "1"}, Labels());
  const KeyId key = index.AddKey(labels);
  index.AddSlot(first, key);
  index.Sweep();
  index.RemoveSource(first);
  // Between finding the key and giving it a slot comes a sweep, which takes what nobody has.
  BOOST_TEST(index.AddKey(labels) == key);
  BOOST_TEST(index.Sweep().keys_removed == 0u);
  const SourceId second = index.AddSource({OriginKind::kScrape, "2"}, Labels());
  index.AddSlot(second, key);
  BOOST_TEST(index.Sweep().keys_removed == 0u);
  BOOST_TEST(index.NewPin().Select({Matcher::Equal("__name__", "up")})->series_count == 1u);
  index.RemoveSource(second);
  BOOST_TEST(index.Sweep().keys_removed == 1u);
  BOOST_TEST(index.FindKey(labels) == kNoId);
}

BOOST_AUTO_TEST_CASE(RegularExpressionsAreRememberedAndSeeWhatWasAddedSince) {
  HeadIndex index(kSeed, 1);
  const SourceId source = index.AddSource({OriginKind::kScrape, "1"}, Labels());
  const auto add = [&](int pod) {
    return index.AddSlot(
        source,
        index.AddKey(Labels::FromPairs({{"__name__", "up"}, {"pod", "p" + std::to_string(pod)}})));
  };
  const MatcherSet even = {Match(MatchType::kRegex, "pod", "p[0-9]*[02468]")};
  const MatcherSet not_even = {Match(MatchType::kNotRegex, "pod", "p[0-9]*[02468]")};
  const MatcherSet any = {Match(MatchType::kRegex, "pod", "p[0-9]+")};
  const auto count = [&](const MatcherSet& matchers) {
    return index.NewPin().Select(matchers)->series_count;
  };
  for (int pod = 0; pod < 10; ++pod) add(pod);
  BOOST_TEST(count(even) == 5u);
  BOOST_TEST(count(not_even) == 5u);
  BOOST_TEST(count(any) == 10u);
  BOOST_TEST(index.matcher_cache().misses == 3u);
  for (int pod = 10; pod < 30; ++pod) add(pod);
  BOOST_TEST(count(even) == 15u);
  BOOST_TEST(count(not_even) == 15u);
  BOOST_TEST(count(any) == 30u);
  // All passed so far; now one does not.
  index.AddSlot(source, index.AddKey(Labels::FromPairs({{"__name__", "up"}, {"pod", "x"}})));
  BOOST_TEST(count(any) == 30u);
  BOOST_TEST(count(even) == 15u);
  BOOST_TEST(index.matcher_cache().misses == 3u);
  BOOST_TEST(index.matcher_cache().hits == 5u);
  for (model::Slot slot = 0; slot < 10; ++slot) index.ReplaceSlot(source, slot, kNoId);
  index.Sweep();
  index.Sweep();
  BOOST_TEST(count(even) == 10u);
  BOOST_TEST(count(not_even) == 11u);
  BOOST_TEST(index.matcher_cache().misses == 3u);
}

BOOST_AUTO_TEST_CASE(MatcherCacheKeepsToItsBytes) {
  MatcherCache cache(20'000);
  const auto put = [&cache](uint32_t name, size_t ids) {
    IdList list(ids);
    for (size_t i = 0; i < ids; ++i) list[i] = static_cast<uint32_t>(i);
    cache.Put(7, name, Match(MatchType::kRegex, "a", "b.c"),
              {std::make_shared<const IdList>(std::move(list)), false, 5000});
  };
  const auto has = [&cache](uint32_t name) {
    MatchedIds found;
    return cache.Find(7, name, Match(MatchType::kRegex, "a", "b.c"), &found);
  };
  for (uint32_t name = 0; name < 4; ++name) put(name, 1000);
  BOOST_TEST(has(0));  // now the latest used
  put(4, 1000);
  BOOST_TEST(has(0));
  BOOST_TEST(!has(1));
  BOOST_TEST(cache.figures().bytes <= 20'000u);
  put(5, 4000);  // more than half of all
  BOOST_TEST(!has(5));
  BOOST_TEST(has(4));
  const IdList dead = {0, 999};
  const size_t before = cache.figures().bytes;
  cache.Forget(8, IdSet(dead));
  BOOST_TEST(cache.figures().bytes == before);
  cache.Forget(7, IdSet(dead));
  MatchedIds found;
  BOOST_TEST(cache.Find(7, 4, Match(MatchType::kRegex, "a", "b.c"), &found));
  BOOST_TEST(found.ids->size() == 998u);
  MatchedIds other;
  BOOST_TEST(!cache.Find(7, 4, Match(MatchType::kNotRegex, "a", "b.c"), &other));
}

BOOST_AUTO_TEST_CASE(ReadersRunBesideWritersAndSweeps) {
  HeadIndex index(kSeed, 1);
  std::atomic<bool> stop{false};
  std::atomic<size_t> seen{0};
  // Made here: Boost.Test's macros are for one thread.
  const MatcherSet matchers = {Match(MatchType::kRegex, "pod", "1.*"),
                               Match(MatchType::kNotEqual, "job", "y")};
  std::vector<Thread> readers;
  for (int r = 0; r < 2; ++r) {
    readers.emplace_back("query-test", [&] {
      do {
        const HeadIndex::Pin pin = index.NewPin();
        const Result<HeadSelection> selection = pin.Select(matchers);
        for (const HeadSelection::Entry& entry : selection->entries) {
          for (const SlotKey& slot : selection->lists[entry.list]) {
            seen += pin.SeriesLabels(entry.source, slot.key).size();
            seen += pin.KeyFingerprint(slot.key).low & 1;
          }
        }
        seen += pin.LabelValues("pod", {})->size();
      } while (!stop);
    });
  }
  std::vector<SourceId> live;
  for (int round = 0; round < 300; ++round) {
    const std::string name = std::to_string(round);
    live.push_back(index.AddSource({OriginKind::kScrape, name},
                                   Labels::FromPairs({{"instance", name}, {"job", "x"}})));
    for (int k = 0; k < 20; ++k) {
      index.AddSlot(live.back(),
                    index.AddKey(Labels::FromPairs({{"__name__", "m" + std::to_string(k)},
                                                    {"pod", std::to_string(round / 3)}})));
    }
    index.ReplaceSlot(live.back(), 5, kNoId);
    if (live.size() > 20) {
      index.RemoveSource(live.front());
      live.erase(live.begin());
    }
    if (round % 10 == 0) index.Sweep();
  }
  stop = true;
  for (Thread& reader : readers) reader.Join();
  BOOST_TEST(seen > 0u);
}

// Where two sources share a page, one moves off it and the other then writes in place: who reads
// the first one's slots meanwhile must not see what the other did.
BOOST_AUTO_TEST_CASE(ASlotThatASourceKeepsIsNeverMissedWhileItsPageChangesHands) {
  constexpr uint32_t kSlots = 4000;
  constexpr uint32_t kOwnEvery = 400;
  constexpr uint32_t kLast = kSlots - kOwnEvery;  // an own slot, far behind
  HeadIndex index(kSeed, 1);
  const auto add_key = [&index](const std::string& name, const std::string& kind) {
    return index.AddKey(Labels::FromPairs({{"__name__", name}, {"kind", kind}}));
  };
  std::vector<KeyId> keys;
  for (uint32_t k = 0; k < kSlots; ++k)
    keys.push_back(add_key("m" + std::to_string(k), k == 0 ? "wanted" : "other"));
  const SourceId first = index.AddSource({OriginKind::kScrape, "first"}, Labels());
  for (const KeyId key : keys) index.AddSlot(first, key);
  // Both follow the first one's page, and share the one that does.
  for (uint32_t k = 0; k < kSlots; k += kOwnEvery)
    keys[k] = add_key("own" + std::to_string(k), k == kLast ? "wanted" : "other");
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> missed{0};
  std::atomic<uint64_t> selected{0};
  const MatcherSet matchers = {Match(MatchType::kEqual, "job", "stays"),
                               Match(MatchType::kEqual, "kind", "wanted")};
  std::atomic<int> whole{-1};  // the round in which the source that stays has all of its slots
  Thread reader("query-test", [&] {
    do {
      const int round = whole;
      const HeadIndex::Pin pin = index.NewPin();
      const Result<HeadSelection> selection = pin.Select(matchers);
      if (round >= 0 && selection->series_count == 0 && whole == round) ++missed;
      selected += selection->series_count;
    } while (!stop);
  });
  // On a busy machine until the reader had its turn.
  for (int round = 0; round < 40 || (selected == 0 && round < 4000); ++round) {
    const std::string name = std::to_string(round);
    const SourceId stays = index.AddSource({OriginKind::kScrape, "stays" + name},
                                           Labels::FromPairs({{"job", "stays"}}));
    const SourceId other =
        index.AddSource({OriginKind::kScrape, "other" + name}, Labels::FromPairs({{"job", "o"}}));
    for (const KeyId key : keys) index.AddSlot(stays, key);
    for (const KeyId key : keys) index.AddSlot(other, key);
    whole = round;
    index.ReplaceSlot(stays, 5, kNoId);
    index.ReplaceSlot(other, kLast, kNoId);
    whole = -1;
    index.RemoveSource(stays);
    index.RemoveSource(other);
  }
  stop = true;
  reader.Join();
  BOOST_TEST(selected > 0u);
  BOOST_TEST(missed == 0u);
}

// Fleets of almost equal sources whose slots come, change and go: whatever pages they share then, a
// selection shows what each source has.
BOOST_AUTO_TEST_CASE(AnyHistoryOfSlotsSelectsAsItWasWritten) {
  const uint64_t seed = std::random_device()();
  BOOST_TEST_CONTEXT("seed " << seed) {
    Random random(seed);
    HeadIndex index(kSeed, 1);
    std::map<SourceId, std::vector<KeyId>> want;
    std::vector<SourceId> sources;
    std::map<KeyId, uint32_t> kinds;
    const auto add_key = [&](const std::string& name) {
      const uint32_t kind = random.Below(12);
      const KeyId key =
          index.AddKey(Labels::FromPairs({{"__name__", name}, {"kind", std::to_string(kind)}}));
      kinds[key] = kind;
      return key;
    };
    std::vector<KeyId> fleet;
    for (int k = 0; k < 120; ++k) fleet.push_back(add_key("m" + std::to_string(k)));
    uint32_t own = 0;
    const auto own_key = [&] { return add_key("own" + std::to_string(own++)); };
    const auto add_slot = [&](SourceId source) {
      std::vector<KeyId>& keys = want[source];
      const bool of_fleet = keys.size() < fleet.size() && random.Below(25) > 0;
      keys.push_back(of_fleet ? fleet[keys.size()] : own_key());
      if (index.FindSlot(source, keys.back()) != model::kNoSlot) keys.back() = own_key();
      index.AddSlot(source, keys.back());
    };
    const auto check = [&](const HeadIndex::Pin& pin, uint32_t kind) {
      const auto selection = pin.Select({Match(MatchType::kEqual, "kind", std::to_string(kind))});
      std::map<SourceId, std::map<uint32_t, KeyId>> found;
      SourceId last = 0;
      for (const HeadSelection::Entry& entry : selection->entries) {
        BOOST_TEST(entry.source >= last);
        last = entry.source;
        for (const SlotKey& slot : selection->lists[entry.list])
          found[entry.source][entry.slot_base + slot.slot] = slot.key;
      }
      std::map<SourceId, std::map<uint32_t, KeyId>> expected;
      for (const auto& [source, keys] : want) {
        for (uint32_t s = 0; s < keys.size(); ++s) {
          if (keys[s] != kNoId && kinds[keys[s]] == kind) expected[source][s] = keys[s];
        }
      }
      BOOST_REQUIRE((found == expected));
    };
    for (int step = 0; step < 4000; ++step) {
      const uint32_t what = sources.empty() ? 0 : random.Below(40);
      if (what == 0 || sources.size() < 3) {
        sources.push_back(index.AddSource({OriginKind::kScrape, std::to_string(step)}, Labels()));
        for (uint32_t left = random.Below(150); left > 0; --left) add_slot(sources.back());
      } else if (what == 1 && sources.size() > 20) {
        const size_t gone = random.Below(static_cast<uint32_t>(sources.size()));
        index.RemoveSource(sources[gone]);
        want.erase(sources[gone]);
        sources.erase(sources.begin() + static_cast<ptrdiff_t>(gone));
      } else if (what < 20) {
        add_slot(random.Pick(sources));
      } else {
        const SourceId source = random.Pick(sources);
        std::vector<KeyId>& keys = want[source];
        if (keys.empty()) continue;
        const uint32_t slot = random.Below(static_cast<uint32_t>(keys.size()));
        keys[slot] = random.Below(2) == 0 ? kNoId : own_key();
        index.ReplaceSlot(source, slot, keys[slot]);
      }
      if (step % 3 == 0) check(index.NewPin(), random.Below(12));
    }
  }
}

// Sources come and go that hide a slot of the page which all of them follow: one that shows it is
// never missed, one that hides it never shows it.
BOOST_AUTO_TEST_CASE(ASharedListHoldsForEachSourceWhileOthersComeAndGo) {
  constexpr uint32_t kSlots = 200;
  constexpr uint32_t kWanted = 9;
  HeadIndex index(kSeed, 1);
  const auto add_key = [&index](const std::string& name, uint32_t slot) {
    return index.AddKey(Labels::FromPairs(
        {{"__name__", name + std::to_string(slot)}, {"kind", slot == kWanted ? "w" : "o"}}));
  };
  const auto add_source = [&](const std::string& name, const std::string& job, bool hides) {
    const SourceId source =
        index.AddSource({OriginKind::kScrape, name}, Labels::FromPairs({{"job", job}}));
    for (uint32_t k = 0; k < kSlots; ++k) {
      const bool own = job != "first" && k % 20 == 3;
      const KeyId key =
          hides && k == kWanted
              ? index.AddKey(Labels::FromPairs({{"__name__", "hides"}, {"kind", "o"}}))
              : add_key(own ? name : "m", k);
      index.AddSlot(source, key);
    }
    return source;
  };
  add_source("first", "first", false);
  add_source("shows", "shows", false);
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> missed{0};
  std::atomic<uint64_t> wrong{0};
  std::atomic<uint64_t> rounds{0};
  const MatcherSet wanted = {Match(MatchType::kEqual, "kind", "w"),
                             Match(MatchType::kNotEqual, "job", "first")};
  std::vector<Thread> readers;
  for (int r = 0; r < 2; ++r) {
    readers.emplace_back("query-test", [&] {
      do {
        const HeadIndex::Pin pin = index.NewPin();
        const Result<HeadSelection> selection = pin.Select(wanted);
        bool shown = false;
        for (const HeadSelection::Entry& entry : selection->entries) {
          const auto labels = pin.SourceLabels(entry.source);
          shown = shown || labels.Get("job") == "shows";
          if (labels.Get("job") == "hides") ++wrong;
        }
        if (!shown) ++missed;
        ++rounds;
      } while (!stop);
    });
  }
  // On a busy machine until the readers had their turn.
  for (int round = 0; round < 300 || (rounds < 100 && round < 10000); ++round) {
    const std::string name = std::to_string(round);
    const SourceId hides = add_source("h" + name, "hides", true);
    const SourceId other = add_source("o" + name, "shows as well", false);
    if (round % 3 == 0) index.ReplaceSlot(other, kWanted, kNoId);
    index.RemoveSource(hides);
    index.RemoveSource(other);
    if (round % 7 == 0) index.Sweep();
  }
  stop = true;
  for (Thread& reader : readers) reader.Join();
  BOOST_TEST(rounds > 0u);
  BOOST_TEST(missed == 0u);
  BOOST_TEST(wrong == 0u);
}

BOOST_AUTO_TEST_CASE(FingerprintsAddUpWhateverTheSplit) {
  const Labels all = Labels::FromPairs({{"__name__", "up"}, {"instance", "i"}, {"job", "j"}});
  const Labels a = Labels::FromPairs({{"instance", "i"}, {"job", "j"}});
  const Labels b = Labels::FromPairs({{"__name__", "up"}});
  const Fingerprint whole = FingerprintOf(all, kSeed);
  BOOST_TEST((FingerprintOf(a, kSeed) + FingerprintOf(b, kSeed) == whole));
  BOOST_TEST((FingerprintOf(all, kSeed + 1) != whole));
  Fingerprint sum;
  for (const model::LabelView l : all) sum = sum + FingerprintOfPair(l.name, l.value, kSeed);
  BOOST_TEST((sum == whole));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::tsdb::head_index_test
