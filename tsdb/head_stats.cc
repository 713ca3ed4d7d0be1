#include "tsdb/head_stats.h"

#include <algorithm>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace tocsin::tsdb {
namespace {

// The `limit` largest, descending; of equal ones by name.
std::vector<NameCount> Largest(const std::unordered_map<std::string, uint64_t>& counts,
                               size_t limit) {
  std::vector<NameCount> list;
  list.reserve(counts.size());
  for (const auto& [name, value] : counts) list.push_back({name, value});
  const size_t kept = limit == 0 ? list.size() : std::min(limit, list.size());
  std::partial_sort(list.begin(), list.begin() + static_cast<ptrdiff_t>(kept), list.end(),
                    [](const NameCount& a, const NameCount& b) {
                      return a.value != b.value ? a.value > b.value : a.name < b.name;
                    });
  list.resize(kept);
  return list;
}

}  // namespace

DatabaseStats HeadStats(const Head& head, size_t limit) {
  DatabaseStats stats;
  const HeadIndex::Pin pin = head.index().NewPin();
  // Series per key and per source first: label sets are then looked at once each.
  std::unordered_map<KeyId, uint64_t> by_key;
  std::unordered_map<std::string, uint64_t> by_name;
  std::unordered_map<std::string, uint64_t> by_pair;
  std::unordered_map<std::string, uint64_t> pair_values;  // values of a label, counted once each
  std::unordered_map<std::string, uint64_t> bytes;
  const auto add = [&](const model::Labels& labels, uint64_t series) {
    for (const model::LabelView& label : labels) {
      std::string pair = std::string(label.name) + "=" + std::string(label.value);
      uint64_t& count = by_pair[std::move(pair)];
      if (count == 0) ++pair_values[std::string(label.name)];
      count += series;
      bytes[std::string(label.name)] += label.value.size() * series;
      if (label.name == model::kMetricName) by_name[std::string(label.value)] += series;
    }
  };
  for (SourceId id = 0; id < pin.source_id_end(); ++id) {
    if (!pin.SourceAlive(id)) continue;
    uint64_t series = 0;
    const uint32_t slots = pin.slot_count(id);
    for (uint32_t slot = 0; slot < slots; ++slot) {
      const KeyId key = pin.KeyAt(id, slot);
      if (key == kNoId) continue;
      ++by_key[key];
      ++series;
    }
    stats.series += series;
    ++stats.sources;
    add(pin.SourceLabels(id), series);
  }
  for (const auto& [key, series] : by_key) add(pin.KeyLabels(key), series);
  stats.keys = by_key.size();
  stats.label_pairs = by_pair.size();
  stats.runs = head.run_count();
  const model::TimeRange span = head.Span();
  stats.min_ms = span.min_ms;
  stats.max_ms = span.max_ms;
  stats.series_by_metric_name = Largest(by_name, limit);
  stats.values_by_label_name = Largest(pair_values, limit);
  stats.bytes_by_label_name = Largest(bytes, limit);
  stats.series_by_label_pair = Largest(by_pair, limit);
  return stats;
}

}  // namespace tocsin::tsdb
