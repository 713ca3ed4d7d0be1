// SampleLabels: from the labels of an exposition line to a series of storage. Done once per line;
// the line memo remembers the outcome.
//
//   line labels → + target labels (honor_labels or exported_ prefix) → metric_relabel_configs
//   → checks and limits → split into source and key
//
// The split (TSDB.md §6.1): a line that left all target labels as they are belongs to the target's
// own source, its other labels are the key. Where a target label was changed or removed the line
// goes to a derived source: the target labels that are left untouched, and the line's own job and
// instance, so that a federation page or a Pushgateway makes one derived source per pair.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "collector/exposition/item.h"
#include "collector/scrape_config.h"
#include "model/labels.h"

namespace tocsin::collector {

// Which families `le` and `quantile` values are brought to one spelling for ("1" → "1.0").
enum class BoundLabels : uint8_t { kNone, kHistogram, kSummary };

struct SeriesAddress {
  bool kept = false;     // false: relabelling dropped the line
  bool derived = false;  // true: `source` is not the target's own
  model::Labels source;
  model::Labels key;
};

// kInvalidArgument refuses the whole scrape, in Prometheus' words: no name, a repeated label, names
// that the scheme does not allow, a label limit.
Result<SeriesAddress> AddressOf(const Item& item, BoundLabels bounds, const ScrapeConfig& config,
                                const model::Labels& target_labels);

// The derived source without the line's own job and instance: used once a target has too many
// pairs.
model::Labels UntouchedSource(const model::Labels& target_labels, const model::Labels& series);

// Splits a full label set over `source`, which is a subset of it.
model::Labels KeyWithout(const model::Labels& series, const model::Labels& source);

}  // namespace tocsin::collector
