#include "query/operators/signature.h"

#include <algorithm>
#include <unordered_map>

namespace tocsin::query {

using model::Labels;
using model::LabelView;

namespace {

bool Contains(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

Labels SignatureOf(const VectorMatching& matching, const Labels& labels) {
  std::vector<LabelView> kept;
  for (const LabelView& label : labels) {
    const bool named = Contains(matching.labels, label.name);
    if (matching.on ? named : !named && label.name != model::kMetricName) kept.push_back(label);
  }
  return Labels::FromSorted(kept.data(), kept.size());
}

Result<size_t> HashSignatures(const VectorMatching& matching, const Operator& lhs,
                              const Operator& rhs, std::vector<uint32_t>* group_of_lhs,
                              std::vector<uint32_t>* group_of_rhs) {
  LabelsCharge charge(lhs.context());
  std::unordered_map<Labels, uint32_t, model::LabelsHash> ids;
  const auto hash_side = [&](const Operator& side, std::vector<uint32_t>* groups) -> Status {
    groups->clear();
    groups->reserve(side.series_count());
    for (size_t s = 0; s < side.series_count(); ++s) {
      const auto next = static_cast<uint32_t>(ids.size());
      const auto [it, added] = ids.try_emplace(SignatureOf(matching, side.LabelsAt(s)), next);
      if (added) TOCSIN_RETURN_IF_ERROR(charge.Add(it->first));
      groups->push_back(it->second);
    }
    return Status::Ok();
  };
  TOCSIN_TRY(hash_side(lhs, group_of_lhs));
  TOCSIN_TRY(hash_side(rhs, group_of_rhs));
  return ids.size();
}

}  // namespace tocsin::query
