// Any bytes as a page, in both text formats: items are read within their bounds, and a page that
// arrives in pieces gets the same verdict as one that comes whole.
//   exposition_fuzz corpus/    with ../shared/conformance/exposition as corpus
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "collector/scrape_recorder.h"
#include "tests/support/recording_appender.h"

namespace {

using namespace tocsin;
using namespace tocsin::collector;

struct Verdict {
  bool good = true;
  uint64_t samples = 0;
  friend bool operator==(const Verdict&, const Verdict&) = default;
};

Verdict Scrape(ScrapeRecorder& recorder, ExpositionFormat format, std::string_view page,
               size_t step) {
  CHECK(recorder.Begin(1000, format).ok());
  size_t position = 0;
  size_t visible = std::min(step, page.size());
  Verdict verdict;
  while (true) {
    const bool last = visible == page.size();
    // A block of just this size, so that the sanitizer sees one byte too many.
    const std::vector<char> exact(page.begin() + position, page.begin() + visible);
    const auto used = recorder.Feed({exact.data(), exact.size()}, last);
    if (!used) {
      (void)recorder.Fail(1000, 0, 0);
      verdict.good = false;
      return verdict;
    }
    position += *used;
    if (last) break;
    visible += std::min(step, page.size() - visible);
  }
  verdict.samples = recorder.samples_scraped();
  CHECK(recorder.Commit(0, 0).status.ok());
  (void)MetadataOf(*recorder.shape());
  return verdict;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view page(reinterpret_cast<const char*>(data), size);
  const ScrapeConfig config;
  auto target = std::make_shared<Target>();
  target->labels = model::Labels::FromPairs({{"instance", "i"}, {"job", "j"}});
  for (const auto format : {ExpositionFormat::kText, ExpositionFormat::kOpenMetrics}) {
    // A store each: two recorders of one source would release each other's slots.
    testing::RecordingAppender appender;
    testing::RecordingAppender other_appender;
    PageShapes shapes;
    ScrapeRecorder whole(&config, target, &appender, &shapes);
    ScrapeRecorder pieces(&config, target, &other_appender, &shapes);
    const Verdict first = Scrape(whole, format, page, page.size() + 1);
    CHECK(Scrape(whole, format, page, page.size() + 1) == first);  // the page is known now
    CHECK(Scrape(pieces, format, page, 3) == first);
    CHECK(Scrape(pieces, format, page, 1) == first);
    CHECK(Scrape(pieces, format, page.substr(size / 2), 7) ==
          Scrape(whole, format, page.substr(size / 2), page.size() + 1));
  }
  return 0;
}
