// Which format a page has, and what is asked for: Accept header, Content-Type, fallback.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "collector/exposition/item.h"
#include "collector/exposition/openmetrics.h"
#include "collector/exposition/text.h"
#include "collector/scrape_config.h"

namespace tocsin::collector {

enum class ExpositionFormat : uint8_t { kText, kOpenMetrics };

// The Accept header of a scrape: the protocols in order, with falling q, then */*.
std::string AcceptHeader(std::span<const ScrapeProtocol> protocols, model::NameScheme scheme);

// The format named by a Content-Type; `fallback` is used for what is blank or unknown. Without one:
// kInvalidArgument in Prometheus' words.
Result<ExpositionFormat> ChooseFormat(std::string_view content_type, ScrapeProtocol fallback);

inline ItemKind ReadItem(ExpositionFormat format, std::string_view input, bool last, Item* item) {
  return format == ExpositionFormat::kText ? ReadTextItem(input, last, item)
                                           : ReadOpenMetricsItem(input, last, item);
}
inline ItemKind ReadTail(ExpositionFormat format, std::string_view input, const char* line,
                         bool last, SampleTail* tail, size_t* length, std::string* error) {
  return format == ExpositionFormat::kText
             ? ReadTextTail(input, line, last, tail, length, error)
             : ReadOpenMetricsTail(input, line, last, tail, length, error);
}

}  // namespace tocsin::collector
