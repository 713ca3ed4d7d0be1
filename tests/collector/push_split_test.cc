#include "collector/push/push_split.h"

#include <boost/test/unit_test.hpp>
#include <deque>
#include <string>
#include <vector>

namespace tocsin::collector {
namespace {

BOOST_AUTO_TEST_SUITE(push_split)

using Views = std::vector<model::LabelView>;

// Sorted, as PushSender hands them over.
Views Series(const std::string& metric, const std::string& own, const std::string& cluster = "c1") {
  static std::deque<std::string> texts;  // outlive the views
  const auto keep = [](std::string text) -> std::string_view {
    return texts.emplace_back(std::move(text));
  };
  return {{"__name__", keep(metric)},
          {"cluster", keep(cluster)},
          {"instance", "i"},
          {"job", "j"},
          {"own", keep(own)}};
}

void Lesson(PushSplit* split, const std::vector<Views>& series) {
  split->BeginLesson();
  for (const Views& labels : series) split->Teach(labels);
  split->EndLesson();
}

std::vector<Views> Page(size_t metrics, size_t series) {
  std::vector<Views> page;
  for (size_t i = 0; i < series; ++i)
    page.push_back(Series("m" + std::to_string(i % metrics), std::to_string(i)));
  return page;
}

BOOST_AUTO_TEST_CASE(LabelsThatAllSeriesShareNameTheSource) {
  PushSplit split;
  BOOST_TEST(split.SourceOf(Series("m", "1"), true) == nullptr);
  Lesson(&split, Page(3, 8));
  PushSplit::Source* source = split.SourceOf(Series("m", "1"), true);
  BOOST_REQUIRE(source != nullptr);
  BOOST_TEST(source->labels.ToString() == R"({cluster="c1", instance="i", job="j"})");
  BOOST_TEST(PushSplit::KeyOf(Series("m", "1"), *source).ToString() == R"(m{own="1"})");
}

BOOST_AUTO_TEST_CASE(ASeriesThatDiffersGoesToJobAndInstance) {
  PushSplit split;
  Lesson(&split, Page(3, 8));
  const Views other = Series("m", "1", "c2");
  BOOST_TEST(split.SourceOf(other, true) == nullptr);  // might be the first of many
  PushSplit::Source* source = split.SourceOf(other, false);
  BOOST_TEST(source->labels.ToString() == R"({instance="i", job="j"})");
  BOOST_TEST(PushSplit::KeyOf(other, *source).ToString() == R"(m{cluster="c2", own="1"})");
}

BOOST_AUTO_TEST_CASE(FewSeriesOrMetricsTeachNothing) {
  for (const auto& page : {Page(3, 7), Page(2, 20)}) {
    PushSplit split;
    Lesson(&split, page);
    BOOST_TEST(split.SourceOf(Series("m", "1"), false)->labels.ToString() ==
               R"({instance="i", job="j"})");
  }
}

BOOST_AUTO_TEST_CASE(LessonsEnd) {
  PushSplit split;
  for (uint32_t i = 0; i < PushSplit::kLessonsMax; ++i) {
    BOOST_TEST(split.SourceOf(Series("m", "1"), true) == nullptr);
    Lesson(&split, Page(1, 1));
  }
  BOOST_TEST(split.SourceOf(Series("m", "1"), true) != nullptr);
}

BOOST_AUTO_TEST_CASE(SourcesThatExistAreFoundAgain) {
  PushSplit split;
  split.AddSource(model::Labels::FromPairs({{"instance", "i"}, {"job", "j"}}));
  split.AddSource(model::Labels::FromPairs({{"cluster", "c1"}, {"instance", "i"}, {"job", "j"}}));
  PushSplit::Source* source = split.SourceOf(Series("m", "1"), true);
  BOOST_REQUIRE(source != nullptr);
  BOOST_TEST(source->labels.ToString() == R"({cluster="c1", instance="i", job="j"})");
  source->group = 7;
  // Closed and gone with its family: nothing is known of it.
  split.Close(model::Labels(source->labels));
  BOOST_TEST(split.SourceOf(Series("m", "1"), true) == nullptr);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::collector
