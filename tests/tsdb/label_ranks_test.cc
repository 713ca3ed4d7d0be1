#include "tsdb/label_ranks.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <random>

namespace tocsin::tsdb {
namespace {

BOOST_AUTO_TEST_SUITE(LabelRanks_)

// Every split of a label set into two parts, over few texts so that prefixes and ties occur.
BOOST_AUTO_TEST_CASE(SeriesSortAsTheirLabelSetsDo) {
  const char* names[] = {"__name__", "a", "ab", "b", "job", "z"};
  const char* values[] = {"1", "10", "2", "a", "ab", "b", "z"};
  std::mt19937_64 random(5);
  LabelRanks ranks;
  struct Series {
    uint32_t first;
    uint32_t second;
  };
  std::vector<Series> series;
  std::vector<model::Labels> whole;
  for (int i = 0; i < 2000; ++i) {
    std::vector<std::pair<std::string, std::string>> all;
    std::vector<std::pair<std::string, std::string>> parts[2];
    for (const char* name : names) {
      if (random() % 3 == 0) continue;
      all.emplace_back(name, values[random() % std::size(values)]);
      parts[random() % 2].push_back(all.back());
    }
    whole.push_back(model::Labels::FromPairs(all));
    series.push_back({ranks.AddPart(model::Labels::FromPairs(parts[0])),
                      ranks.AddPart(model::Labels::FromPairs(parts[1]))});
  }
  ranks.Rank();
  for (const Series& s : series) ranks.AddSeries(s.first, s.second);
  std::vector<uint32_t> want(whole.size());
  for (uint32_t i = 0; i < want.size(); ++i) want[i] = i;
  std::stable_sort(want.begin(), want.end(),
                   [&](uint32_t x, uint32_t y) { return whole[x] < whole[y]; });
  BOOST_TEST(ranks.Order() == want, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::tsdb
