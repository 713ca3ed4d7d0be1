#include "tsdb/label_ranks.h"

#include <algorithm>
#include <numeric>

namespace tocsin::tsdb {

uint32_t LabelRanks::AddPart(model::Labels labels) {
  parts_.push_back(std::move(labels));
  return static_cast<uint32_t>(parts_.size() - 1);
}

void LabelRanks::Rank() {
  std::unordered_map<std::string_view, uint32_t> ranks;
  for (const model::Labels& labels : parts_) {
    for (const model::LabelView& label : labels) {
      ranks.try_emplace(label.name, 0);
      ranks.try_emplace(label.value, 0);
    }
  }
  std::vector<std::string_view> texts;
  texts.reserve(ranks.size());
  for (const auto& [text, rank] : ranks) texts.push_back(text);
  std::sort(texts.begin(), texts.end());
  for (uint32_t i = 0; i < texts.size(); ++i) ranks[texts[i]] = i;
  for (const model::Labels& labels : parts_) {
    std::vector<Pair>& ranked = ranked_.emplace_back();
    for (const model::LabelView& label : labels)
      ranked.emplace_back(ranks[label.name], ranks[label.value]);
  }
}

void LabelRanks::AddSeries(uint32_t part_a, uint32_t part_b) {
  const std::vector<Pair>& a = ranked_[part_a];
  const std::vector<Pair>& b = ranked_[part_b];
  std::merge(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(pairs_));
  ends_.push_back(pairs_.size());
}

std::vector<uint32_t> LabelRanks::Order() const {
  std::vector<uint32_t> order(ends_.size());
  std::iota(order.begin(), order.end(), 0);
  const auto begin_of = [this](uint32_t series) {
    return pairs_.begin() + static_cast<ptrdiff_t>(series == 0 ? 0 : ends_[series - 1]);
  };
  const auto end_of = [this](uint32_t series) {
    return pairs_.begin() + static_cast<ptrdiff_t>(ends_[series]);
  };
  std::stable_sort(order.begin(), order.end(), [&](uint32_t x, uint32_t y) {
    return std::lexicographical_compare(begin_of(x), end_of(x), begin_of(y), end_of(y));
  });
  return order;
}

}  // namespace tocsin::tsdb
