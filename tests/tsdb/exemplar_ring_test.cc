// The ring knows which sources it has something of, whatever came and went.
#include <boost/test/unit_test.hpp>
#include <random>
#include <set>

#include "tsdb/head/exemplars.h"

namespace tocsin::tsdb::exemplar_ring_test {

BOOST_AUTO_TEST_SUITE(ExemplarRingSuite)

BOOST_AUTO_TEST_CASE(HasTellsJustTheSourcesOfItsEntries) {
  constexpr SourceId kSources = 12;
  ExemplarRing ring(20);
  std::mt19937_64 random(5);
  for (uint64_t step = 1; step <= 3000; ++step) {
    if (random() % 40 == 0) {
      const SourceId gone = static_cast<SourceId>(random() % kSources);
      ring.Remove([gone](SourceId source, model::Slot, const model::Exemplar&, uint64_t) {
        return source == gone;
      });
      BOOST_REQUIRE(!ring.Has(gone));
    } else {
      // Few values, so that some repeat the slot's last one and are dropped.
      model::Exemplar exemplar;
      exemplar.value = static_cast<double>(random() % 2);
      ring.Add(static_cast<SourceId>(random() % kSources), 0, exemplar, step);
    }
    std::set<SourceId> held;
    ring.ForEach([&held](SourceId source, model::Slot, const model::Exemplar&, uint64_t) {
      held.insert(source);
    });
    for (SourceId source = 0; source < kSources; ++source)
      BOOST_REQUIRE(ring.Has(source) == held.contains(source));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tocsin::tsdb::exemplar_ring_test
