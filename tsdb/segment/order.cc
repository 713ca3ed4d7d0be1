#include "tsdb/segment/order.h"

#include <algorithm>
#include <tuple>

namespace tocsin::tsdb {

using model::Labels;

std::string_view MetricFamily(std::string_view name) {
  for (const std::string_view suffix : {"_bucket", "_sum", "_count"}) {
    if (name.size() > suffix.size() && name.ends_with(suffix)) {
      return name.substr(0, name.size() - suffix.size());
    }
  }
  return name;
}

bool KeyOrder(const Labels& a, const Labels& b) {
  const std::string_view family_a = MetricFamily(a.MetricName());
  const std::string_view family_b = MetricFamily(b.MetricName());
  if (family_a != family_b) return family_a < family_b;
  return a < b;
}

bool SourceOrder(const Labels& a, const model::Origin& origin_a, const Labels& b,
                 const model::Origin& origin_b) {
  const int order = Labels::Compare(a, b);
  if (order != 0) return order < 0;
  return std::tie(origin_a.kind, origin_a.id) < std::tie(origin_b.kind, origin_b.id);
}

KeyPlaces SortKeys(std::vector<Labels>* keys) {
  // Most comparisons are of families: each is found once.
  struct Entry {
    std::string_view family;
    uint32_t before;
  };
  std::vector<Entry> order;
  order.reserve(keys->size());
  for (uint32_t i = 0; i < keys->size(); ++i) {
    order.push_back({MetricFamily((*keys)[i].MetricName()), i});
  }
  const auto less = [keys](const Entry& a, const Entry& b) {
    const int families = a.family.compare(b.family);
    return families != 0 ? families < 0 : (*keys)[a.before] < (*keys)[b.before];
  };
  // What comes from files is in order already.
  if (!std::is_sorted(order.begin(), order.end(), less)) {
    std::sort(order.begin(), order.end(), less);
  }
  KeyPlaces places;
  places.place.resize(keys->size());
  places.families.reserve(keys->size());
  for (uint32_t i = 0; i < order.size(); ++i) {
    places.place[order[i].before] = i;
    const bool rises = i > 0 && order[i - 1].family != order[i].family;
    places.families.push_back(i == 0 ? 0 : places.families.back() + (rises ? 1 : 0));
  }
  // Families are views into the keys: only now may these be moved.
  std::vector<Labels> sorted(keys->size());
  for (uint32_t i = 0; i < order.size(); ++i) sorted[i] = std::move((*keys)[order[i].before]);
  *keys = std::move(sorted);
  return places;
}

}  // namespace tocsin::tsdb
