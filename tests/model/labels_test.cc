#include "model/labels.h"

#include <boost/test/unit_test.hpp>

namespace tocsin::model {
namespace {

BOOST_AUTO_TEST_SUITE(Labels_)

BOOST_AUTO_TEST_CASE(FromPairsSortsDropsEmptyAndKeepsTheLastOfEqualNames) {
  const Labels labels = Labels::FromPairs({{"z", "1"}, {"a", "x"}, {"empty", ""}, {"a", "y"}});
  BOOST_TEST(labels.ToString() == R"({a="y", z="1"})");
  BOOST_TEST(labels.size() == 2u);
  BOOST_TEST(labels.Get("a") == "y");
  BOOST_TEST(labels.Get("empty") == "");
  BOOST_TEST(!labels.Has("missing"));
}

BOOST_AUTO_TEST_CASE(CompareOrdersByNameThenValueAndPrefixFirst) {
  const Labels a = Labels::FromPairs({{"a", "1"}});
  const Labels ab = Labels::FromPairs({{"a", "1"}, {"b", "1"}});
  const Labels a2 = Labels::FromPairs({{"a", "2"}});
  BOOST_TEST(Labels::Compare(a, a) == 0);
  BOOST_TEST((a < ab && ab < a2 && a < a2));
}

BOOST_AUTO_TEST_CASE(ToStringQuotesWhatIsNotLegacy) {
  BOOST_TEST(Labels::FromPairs({{"__name__", "up"}}).ToString() == "up");
  BOOST_TEST(Labels().ToString() == "{}");
  BOOST_TEST(Labels().ToBracedString() == "{}");
  BOOST_TEST(Labels::FromPairs({{"__name__", "up"}, {"Z", "1"}, {"a.b", "\""}}).ToBracedString() ==
             R"({Z="1", __name__="up", "a.b"="\""})");
  BOOST_TEST(Labels::FromPairs({{"__name__", "my.metric"}, {"my.label", "a\"b\n"}}).ToString() ==
             R"({"my.metric", "my.label"="a\"b\n"})");
}

BOOST_AUTO_TEST_CASE(PackedFormSurvivesLongValuesAndIsValidated) {
  const std::string longer(300, 'v');
  const Labels labels = Labels::FromPairs({{"name", longer}, {"x", "y"}});
  BOOST_TEST(Labels::ValidatePacked(labels.packed()));
  BOOST_TEST((Labels::FromPacked(labels.packed()) == labels));
  BOOST_TEST(labels.Get("name") == longer);
  for (size_t cut = 1; cut < labels.packed().size(); ++cut) {
    const std::string torn = labels.packed().substr(0, cut);
    if (torn.size() == 2 + 4 + longer.size() + 1) continue;  // a whole pair is a valid set
    BOOST_TEST(!Labels::ValidatePacked(torn), "cut at " << cut);
  }
}

BOOST_AUTO_TEST_CASE(BuilderSetsDeletesAndKeeps) {
  LabelsBuilder builder(Labels::FromPairs({{"a", "1"}, {"b", "2"}, {"c", "3"}}));
  builder.Set("b", "").Set("d", "4").Set("a", "9");
  BOOST_TEST(builder.Build().ToString() == R"({a="9", c="3", d="4"})");
  BOOST_TEST(builder.Keep({"d", "zz"}).Build().ToString() == R"({d="4"})");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::model
