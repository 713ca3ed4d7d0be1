// Any bytes as a segment file, past the checksums: it opens or is refused, every column decodes or
// is refused, every selection answers.
//   segment_fuzz -rss_limit_mb=4096 corpus/     with sealed segments (*.seg) as corpus
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "model/matcher.h"
#include "tsdb/segment/reader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tocsin;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto reader = tsdb::SegmentReader::OpenBytes(bytes, "fuzz.seg", 1, false);
  if (!reader) return 0;
  static_cast<void>((*reader)->Verify());
  static const model::MatcherSet kMatchers = {
      model::Matcher::Equal("__name__", "up"),
      *model::Matcher::Create(model::MatchType::kRegex, "job", "a.*")};
  const auto columns = (*reader)->Select(kMatchers, model::TimeRange());
  if (columns) {
    tsdb::SegmentCursor cursor(**reader);
    model::ColumnBatch batch;
    for (const tsdb::ColumnRef& ref : *columns) {
      batch.Clear();
      cursor.BatchCleared();
      model::Column column;
      const model::TimeRange part{(*reader)->meta().range.min_ms + 1,
                                  (*reader)->meta().range.max_ms - 1};
      static_cast<void>(cursor.Read(ref, part, &batch, &column));
    }
  }
  static_cast<void>((*reader)->LabelNames({{kMatchers}}));
  static_cast<void>((*reader)->LabelValues("job", {}));
  return 0;
}
