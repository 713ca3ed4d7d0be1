// PageShape: everything of an exposition page but its values, remembered so that the next page is
// read by comparing bytes.
//
//   page  = gap 0, value 0 '\n', gap 1, value 1 '\n', …, rest
//   gap i = the comments since the last value, then name, labels and the blanks in front of value i
//
// A gap that equals the remembered one needs no parsing: HELP, TYPE, name and labels in one
// comparison. Targets with the same page (a fleet of one exporter) share one shape; it is also all
// that is kept of metadata, which the API parses out of it when asked.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "collector/exposition/format.h"
#include "collector/target.h"

namespace tocsin::collector {

struct ShapeLine {
  uint32_t end;            // of the gap, in PageShape::text
  uint32_t prefix_length;  // its last bytes that are the sample's name, labels and blanks
};

// Immutable once interned.
struct PageShape {
  ExpositionFormat format = ExpositionFormat::kText;
  bool ends_with_eof = false;  // OpenMetrics' "# EOF" is the end of the rest
  std::string text;            // gaps, then the rest
  std::vector<ShapeLine> lines;

  uint32_t GapBegin(size_t line) const { return line == 0 ? 0 : lines[line - 1].end; }
  std::string_view Gap(size_t line) const {
    return std::string_view(text).substr(GapBegin(line), lines[line].end - GapBegin(line));
  }
  std::string_view Prefix(size_t line) const {
    const ShapeLine& l = lines[line];
    return std::string_view(text).substr(l.end - l.prefix_length, l.prefix_length);
  }
  std::string_view Rest() const {
    return std::string_view(text).substr(lines.empty() ? 0 : lines.back().end);
  }
  size_t MemoryBytes() const { return text.capacity() + lines.capacity() * sizeof(ShapeLine); }
};

// The families that the page describes, in its order; the last word on a family wins.
std::vector<TargetMetadata> MetadataOf(const PageShape& shape);

// Shares equal shapes. Thread-safe.
class PageShapes {
 public:
  std::shared_ptr<const PageShape> Intern(PageShape shape);
  size_t MemoryBytes() const;  // of the shapes alive now

 private:
  mutable Mutex mu_;
  std::unordered_multimap<uint64_t, std::weak_ptr<const PageShape>> shapes_ GUARDED_BY(mu_);
  size_t sweep_at_ GUARDED_BY(mu_) = 64;  // entries at which the dead are dropped
};

}  // namespace tocsin::collector
