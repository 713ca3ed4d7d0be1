#include "query/operators/info.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <unordered_map>

#include "query/operators/map.h"

namespace tocsin::query {

using model::Labels;
using model::LabelView;
using model::Matcher;
using model::MatchType;

namespace {

constexpr std::string_view kDefaultInfoMetric = "target_info";
constexpr std::string_view kAnyInfoMetric = ".+_info";

bool IsPositive(const Matcher& matcher) {
  return matcher.type() == MatchType::kEqual || matcher.type() == MatchType::kRegex;
}

Labels Identity(const Labels& labels) {
  return Labels::FromPairs({{model::kInstanceLabel, labels.Get(model::kInstanceLabel)},
                            {model::kJobLabel, labels.Get(model::kJobLabel)}});
}

}  // namespace

InfoOperator::InfoOperator(QueryContext* context, const Grid& grid, OperatorPtr base,
                           model::MatcherSet matchers, TimeShift shift)
    : MaterialisedOperator(context, grid),
      base_(std::move(base)),
      asked_(std::move(matchers)),
      shift_(shift),
      selected_(asked_) {
  bool named = false;
  bool positively_named = false;
  for (const Matcher& matcher : asked_) {
    if (matcher.name() == model::kMetricName) {
      named = true;
      positively_named |= IsPositive(matcher);
    } else {
      data_labels_.push_back(matcher.name());
      needs_info_ |= !matcher.MatchesEmpty();
    }
  }
  if (!named) {
    selected_.push_back(
        Matcher::Equal(std::string(model::kMetricName), std::string(kDefaultInfoMetric)));
  } else if (!positively_named) {
    Result<Matcher> any = Matcher::Create(MatchType::kRegex, std::string(model::kMetricName),
                                          std::string(kAnyInfoMetric));
    CHECK(any.has_value());
    selected_.push_back(std::move(*any));
  }
}

// Info series are not enriched themselves.
bool InfoOperator::IsInfoSeries(const Labels& labels) const {
  const std::string_view name = labels.MetricName();
  return std::all_of(selected_.begin(), selected_.end(), [&](const Matcher& matcher) {
    return matcher.name() != model::kMetricName || matcher.Matches(name);
  });
}

Status InfoOperator::ReadInfos() {
  VectorSelectorOperator values(context_, grid_, selected_, shift_, SelectorOutput::kValue, false,
                                false);
  VectorSelectorOperator times(context_, grid_, selected_, shift_, SelectorOutput::kSampleTime,
                               false, true);
  TOCSIN_RETURN_IF_ERROR(values.Open());
  TOCSIN_RETURN_IF_ERROR(times.Open());
  for (size_t s = 0; s < values.series_count(); ++s) {
    Labels labels = values.LabelsAt(s);
    std::string name(labels.MetricName());
    infos_.push_back({std::move(labels), std::move(name), static_cast<uint32_t>(s)});
  }
  const Status read = ForEachMorsel(values, [](size_t, size_t, Batch& batch) {
    for (size_t s = 0; s < batch.series(); ++s) {
      if (batch.has_histograms(s)) return Status(Code::kExecution, "info sample should be float");
    }
    return Status::Ok();
  });
  TOCSIN_RETURN_IF_ERROR(read);
  return ReadAll(times, &info_times_);
}

Status InfoOperator::Choose(const std::vector<uint32_t>& candidates, size_t t,
                            Chosen* chosen) const {
  chosen->clear();
  const auto time_of = [&](uint32_t info) { return info_times_.values(infos_[info].row)[t]; };
  const auto sample_ms = [&](uint32_t info) { return std::llround(time_of(info) * 1000); };
  for (const uint32_t info : candidates) {
    if (info_times_.kinds(infos_[info].row)[t] == PointKind::kAbsent) continue;
    const auto same_name = std::find_if(chosen->begin(), chosen->end(), [&](uint32_t other) {
      return infos_[other].name == infos_[info].name;
    });
    if (same_name == chosen->end()) {
      chosen->push_back(info);
    } else if (time_of(info) > time_of(*same_name)) {
      *same_name = info;
    } else if (time_of(info) == time_of(*same_name)) {
      return Status(Code::kExecution,
                    fmt::format("found duplicate series for info metric: existing {} @ {}, new {} "
                                "@ {}",
                                infos_[*same_name].labels.ToBracedString(), sample_ms(*same_name),
                                infos_[info].labels.ToBracedString(), sample_ms(info)));
    }
  }
  return Status::Ok();
}

Result<Labels> InfoOperator::Enrich(const Labels& base, const Chosen& chosen) const {
  std::map<std::string, std::string> added;
  for (const uint32_t info : chosen) {
    for (const LabelView& label : infos_[info].labels) {
      if (label.name == model::kMetricName) continue;
      const bool asked = data_labels_.empty() || std::find(data_labels_.begin(), data_labels_.end(),
                                                           label.name) != data_labels_.end();
      if (!asked) continue;
      if (const auto it = added.find(std::string(label.name));
          it != added.end() && it->second != label.value) {
        return Error(Code::kExecution, fmt::format("conflicting label: {}", label.name));
      }
      if (!base.Has(label.name)) added[std::string(label.name)] = label.value;
    }
  }
  model::LabelsBuilder builder(base);
  for (const auto& [name, value] : added) builder.Set(name, value);
  return builder.Build();
}

Status InfoOperator::Open() {
  TOCSIN_RETURN_IF_ERROR(base_->Open());
  Batch base;
  TOCSIN_RETURN_IF_ERROR(ReadAll(*base_, &base));
  TOCSIN_RETURN_IF_ERROR(ReadInfos());
  std::unordered_map<Labels, std::vector<uint32_t>, model::LabelsHash> by_identity;
  for (uint32_t i = 0; i < infos_.size(); ++i) {
    by_identity[Identity(infos_[i].labels)].push_back(i);
  }
  static const std::vector<uint32_t> kNone;
  std::unordered_map<Labels, size_t, model::LabelsHash> row_of;
  std::vector<Batch> rows;  // one row each
  for (size_t s = 0; s < base.series(); ++s) {
    const Labels labels = base_->LabelsAt(s);
    const Labels identity = Identity(labels);
    const auto found = by_identity.find(identity);
    const bool ignored = IsInfoSeries(labels);
    const std::vector<uint32_t>& candidates =
        ignored || identity.empty() || found == by_identity.end() ? kNone : found->second;
    std::map<Chosen, size_t> row_for;
    Chosen chosen;
    for (size_t t = 0; t < grid_.count; ++t) {
      if (base.kinds(s)[t] == PointKind::kAbsent) continue;
      TOCSIN_RETURN_IF_ERROR(Choose(candidates, t, &chosen));
      if (chosen.empty() && needs_info_ && !ignored) continue;
      const auto [it, added] = row_for.try_emplace(chosen, 0);
      if (added) {
        TOCSIN_ASSIGN_OR_RETURN_STATUS(Labels enriched, Enrich(labels, chosen));
        const auto [row, new_row] = row_of.try_emplace(enriched, rows.size());
        if (new_row) {
          TOCSIN_RETURN_IF_ERROR(labels_charge_.Add(enriched));  // the table of rows has it too
          TOCSIN_RETURN_IF_ERROR(AddLabels(std::move(enriched), base_->DropsName(s)));
          TOCSIN_RETURN_IF_ERROR(rows.emplace_back().Reset(1, grid_.count, &context_->memory));
        }
        it->second = row->second;
      }
      Batch& row = rows[it->second];
      if (row.kinds(0)[t] != PointKind::kAbsent) return DuplicateLabelsError();
      if (base.kinds(s)[t] == PointKind::kFloat) {
        row.SetFloat(0, t, base.values(s)[t]);
      } else {
        row.SetHistogram(0, t, base.histograms(s)[t]);
      }
    }
  }
  TOCSIN_RETURN_IF_ERROR(ResetData(rows.size()));
  for (size_t r = 0; r < rows.size(); ++r) data_.CopyRow(rows[r], 0, r);
  return Status::Ok();
}

}  // namespace tocsin::query
