// The documents of ../shared/conformance/exposition: same verdicts and sample counts as Prometheus'
// parsers, and no verdict changes when a page arrives byte by byte.
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "collector/exposition/format.h"

namespace tocsin::collector {
namespace {

BOOST_AUTO_TEST_SUITE(ExpositionCorpus_)

namespace fs = std::filesystem;

const fs::path kRoot = fs::path(TOCSIN_SHARED_DIR) / "conformance" / "exposition";

std::string ReadAll(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

struct Verdict {
  bool accepted = true;
  size_t samples = 0;
  std::string error;
  friend bool operator==(const Verdict&, const Verdict&) = default;
};

// Parses `page`, seeing only `step` more bytes each time the parser asks for more.
Verdict Parse(ExpositionFormat format, const std::string& page, size_t step) {
  Verdict verdict;
  Item item;
  size_t position = 0;
  size_t visible = std::min(step, page.size());
  bool ended = false;
  while (true) {
    const bool last = visible == page.size();
    if (last && position == page.size() && (ended || format == ExpositionFormat::kText)) break;
    if (ended) {
      verdict.accepted = false;
      verdict.error = "unexpected data after # EOF";
      break;
    }
    const std::string_view input = std::string_view(page).substr(position, visible - position);
    const ItemKind kind = ReadItem(format, input, last, &item);
    if (kind == ItemKind::kIncomplete) {
      BOOST_REQUIRE(!last);
      visible = std::min(visible + step, page.size());
      continue;
    }
    if (kind == ItemKind::kInvalid) {
      verdict.accepted = false;
      verdict.error = item.error;
      break;
    }
    BOOST_REQUIRE(item.length > 0);
    BOOST_REQUIRE(item.length <= input.size());
    position += item.length;
    verdict.samples += kind == ItemKind::kSample;
    ended = kind == ItemKind::kEnd;
    if (ended) visible = page.size();
  }
  return verdict;
}

Verdict ParseBothWays(ExpositionFormat format, const std::string& page) {
  const Verdict whole = Parse(format, page, page.size() + 1);
  const Verdict dripped = Parse(format, page, 1);
  BOOST_TEST(dripped.accepted == whole.accepted);
  BOOST_TEST(dripped.samples == whole.samples);
  return whole;
}

std::vector<std::vector<std::string>> ReadTable(const fs::path& path) {
  std::vector<std::vector<std::string>> rows;
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);  // head
  while (std::getline(in, line)) {
    std::vector<std::string> row;
    std::istringstream fields(line);
    for (std::string field; std::getline(fields, field, '\t');) row.push_back(field);
    row.resize(5);
    rows.push_back(row);
  }
  return rows;
}

bool Absent() {
  if (fs::exists(kRoot)) return false;
  BOOST_TEST_MESSAGE("skipped: " << kRoot << " is absent");
  return true;
}

BOOST_AUTO_TEST_CASE(OddTextInputsGetTheReferenceVerdict) {
  if (Absent()) return;
  for (const auto& row : ReadTable(kRoot / "expfmt-corpus-verdicts.tsv")) {
    BOOST_TEST_CONTEXT(row[0] << ": " << row[3]) {
      const Verdict got =
          ParseBothWays(ExpositionFormat::kText, ReadAll(kRoot / "expfmt-corpus" / row[0]));
      BOOST_TEST_CONTEXT("got: " << got.error) {
        BOOST_TEST(got.accepted == (row[1] == "accept"));
        BOOST_TEST(got.samples == std::stoul(row[2]));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(OpenMetricsCasesGetTheReferenceVerdict) {
  if (Absent()) return;
  for (const auto& row : ReadTable(kRoot / "openmetrics-verdicts.tsv")) {
    BOOST_TEST_CONTEXT(row[0] << ": " << row[4]) {
      const Verdict got =
          ParseBothWays(ExpositionFormat::kOpenMetrics,
                        ReadAll(kRoot / "openmetrics-parsers" / row[0] / "metrics"));
      BOOST_TEST_CONTEXT("got: " << got.error) {
        BOOST_TEST(got.accepted == (row[2] == "accept"));
        if (got.accepted) BOOST_TEST(got.samples == std::stoul(row[3]));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(RealPagesHaveTheKnownNumberOfSamples) {
  if (Absent()) return;
  struct Page {
    const char* path;
    ExpositionFormat format;
    size_t samples;
  };
  const Page pages[] = {
      {"prometheus/alltypes.237mfs.prom.txt", ExpositionFormat::kText, 1857},
      {"prometheus/alltypes.237mfs.nometa.prom.txt", ExpositionFormat::kText, 1857},
      {"prometheus/1histogram.om.txt", ExpositionFormat::kOpenMetrics, 42},
      {"prometheus/alltypes.5mfs.om.txt", ExpositionFormat::kOpenMetrics, 53},
      {"node_exporter/e2e-output.txt", ExpositionFormat::kText, 3027},
      {"expfmt/text", ExpositionFormat::kText, 248},
  };
  for (const Page& page : pages) {
    BOOST_TEST_CONTEXT(page.path) {
      const std::string text = ReadAll(kRoot / page.path);
      const Verdict got = Parse(page.format, text, text.size() + 1);
      BOOST_TEST_CONTEXT("got: " << got.error) {
        BOOST_TEST(got.accepted);
        BOOST_TEST(got.samples == page.samples);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(JsonOfOldIsRefused) {
  if (Absent()) return;
  for (const char* name : {"expfmt/json2", "expfmt/json2_bad"}) {
    BOOST_TEST_CONTEXT(name) {
      BOOST_TEST(!ParseBothWays(ExpositionFormat::kText, ReadAll(kRoot / name)).accepted);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::collector
