// OpenMetrics text 0.0.1 and 1.0.0 (https://prometheus.io/docs/specs/om/open_metrics_spec/), as
// strictly and as leniently as Prometheus reads it: the grammar of lines is exact (single spaces,
// no blank lines, "# EOF" at the end), what the lines say together (types, order, ranges) is not
// checked.
#pragma once

#include <string_view>

#include "collector/exposition/item.h"

namespace tocsin::collector {

// As ReadTextItem. At the page's end without "# EOF" it gives kInvalid, so the caller goes on
// until kEnd, then checks that nothing follows.
ItemKind ReadOpenMetricsItem(std::string_view input, bool last, Item* item);

// As ReadTextTail; `input` begins at the value, behind the space.
ItemKind ReadOpenMetricsTail(std::string_view input, const char* line, bool last, SampleTail* tail,
                             size_t* length, std::string* error);

}  // namespace tocsin::collector
