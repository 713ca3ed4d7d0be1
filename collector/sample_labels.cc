#include "collector/sample_labels.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "collector/exposition/number.h"
#include "model/relabel.h"

namespace tocsin::collector {
namespace {

using model::Labels;
using model::LabelsBuilder;
using model::LabelView;

constexpr std::string_view kExportedPrefix = "exported_";

using Pairs = std::vector<std::pair<std::string, std::string>>;

std::string PlainText(const RawText& raw) {
  return raw.escaped ? Unescape(raw.text) : std::string(raw.text);
}

bool IsBound(std::string_view name, BoundLabels bounds) {
  return (bounds == BoundLabels::kHistogram && name == model::kBucketLabel) ||
         (bounds == BoundLabels::kSummary && name == model::kQuantileLabel);
}

// The labels as the line has them, empty values included, in order of name.
Result<Pairs> LineLabels(const Item& item, BoundLabels bounds) {
  Pairs pairs;
  pairs.reserve(item.labels.size() + 1);
  pairs.emplace_back(model::kMetricName, PlainText(item.metric));
  for (const RawLabel& label : item.labels) {
    pairs.emplace_back(PlainText(label.name), PlainText(label.value));
    double bound = 0;
    if (IsBound(pairs.back().first, bounds) && ParseNumber(pairs.back().second, &bound).empty()) {
      pairs.back().second = FormatBound(bound);
    }
  }
  std::sort(pairs.begin(), pairs.end());
  const auto twice = std::adjacent_find(
      pairs.begin(), pairs.end(), [](const auto& a, const auto& b) { return a.first == b.first; });
  if (twice != pairs.end()) {
    return Error(Code::kInvalidArgument, "label name " + model::QuoteString(twice->first) +
                                             " is not unique: invalid sample");
  }
  return pairs;
}

// Target labels win; a line's own label of that name becomes exported_NAME.
void OverrideLabels(const Labels& target_labels, LabelsBuilder* labels) {
  Pairs displaced;
  for (const LabelView& label : target_labels) {
    if (const std::string_view own = labels->Get(label.name); !own.empty()) {
      displaced.emplace_back(label.name, own);
    }
    labels->Set(label.name, label.value);
  }
  std::stable_sort(displaced.begin(), displaced.end(),
                   [](const auto& a, const auto& b) { return a.first.size() < b.first.size(); });
  for (const auto& [name, value] : displaced) {
    std::string exported = name;
    do {
      exported.insert(0, kExportedPrefix);
    } while (!labels->Get(exported).empty());
    labels->Set(exported, value);
  }
}

// The line's labels win; one that it has with an empty value stays absent.
void HonorLabels(const Labels& target_labels, const Pairs& line, LabelsBuilder* labels) {
  for (const LabelView& label : target_labels) {
    const auto it =
        std::lower_bound(line.begin(), line.end(), label.name,
                         [](const auto& pair, std::string_view name) { return pair.first < name; });
    if (it == line.end() || it->first != label.name) labels->Set(label.name, label.value);
  }
}

Status CheckNames(const Labels& series, model::NameScheme scheme) {
  bool valid = true;
  for (const LabelView& label : series) {
    if (label.name == model::kMetricName) {
      valid = valid && model::IsValidMetricName(label.value, scheme);
    } else {
      valid =
          valid && model::IsValidLabelName(label.name, scheme) && model::IsValidUtf8(label.value);
    }
  }
  if (valid) return Status::Ok();
  return Status(Code::kInvalidArgument,
                "invalid metric name or label names: " + series.ToBracedString());
}

std::string Clip(std::string_view text) { return std::string(text.substr(0, 50)); }

Status CheckLimits(const Labels& series, const ScrapeConfig& config) {
  if (config.label_limit == 0 && config.label_name_length_limit == 0 &&
      config.label_value_length_limit == 0) {
    return Status::Ok();
  }
  const std::string metric = "metric: " + Clip(series.MetricName());
  const auto exceeded = [&](const char* limit, const std::string& facts, uint64_t bound) {
    return Status(Code::kResourceExhausted, std::string(limit) + " exceeded (" + metric + facts +
                                                ", limit: " + std::to_string(bound) + ")");
  };
  const size_t count = series.size();
  if (config.label_limit > 0 && count > config.label_limit) {
    return exceeded("label_limit", ", number of labels: " + std::to_string(count),
                    config.label_limit);
  }
  for (const LabelView& label : series) {
    const std::string name = ", label name: " + Clip(label.name);
    if (config.label_name_length_limit > 0 && label.name.size() > config.label_name_length_limit) {
      return exceeded("label_name_length_limit",
                      name + ", length: " + std::to_string(label.name.size()),
                      config.label_name_length_limit);
    }
    if (config.label_value_length_limit > 0 &&
        label.value.size() > config.label_value_length_limit) {
      return exceeded("label_value_length_limit",
                      name + ", value: " + model::QuoteString(Clip(label.value)) +
                          ", length: " + std::to_string(label.value.size()),
                      config.label_value_length_limit);
    }
  }
  return Status::Ok();
}

bool KeepsAll(const Labels& target_labels, const Labels& series) {
  return std::all_of(target_labels.begin(), target_labels.end(),
                     [&](const LabelView& label) { return series.Get(label.name) == label.value; });
}

}  // namespace

Labels UntouchedSource(const Labels& target_labels, const Labels& series) {
  std::vector<LabelView> kept;
  for (const LabelView& label : target_labels) {
    if (series.Get(label.name) == label.value) kept.push_back(label);
  }
  return Labels::FromSorted(kept.data(), kept.size());
}

Labels KeyWithout(const Labels& series, const Labels& source) {
  std::vector<LabelView> own;
  for (const LabelView& label : series) {
    if (!source.Has(label.name)) own.push_back(label);
  }
  return Labels::FromSorted(own.data(), own.size());
}

Result<SeriesAddress> AddressOf(const Item& item, BoundLabels bounds, const ScrapeConfig& config,
                                const Labels& target_labels) {
  TOCSIN_ASSIGN_OR_RETURN(const Pairs line, LineLabels(item, bounds));
  LabelsBuilder labels;
  for (const auto& [name, value] : line) labels.Set(name, value);
  if (config.honor_labels) {
    HonorLabels(target_labels, line, &labels);
  } else {
    OverrideLabels(target_labels, &labels);
  }
  SeriesAddress address;
  address.kept = model::ApplyRelabelRules(config.metric_relabel_configs, &labels);
  const Labels series = address.kept ? labels.Build() : Labels();
  if (series.empty()) {
    address.kept = false;
    return address;
  }
  if (!series.Has(model::kMetricName)) {
    return Error(Code::kInvalidArgument, "missing metric name (__name__ label)");
  }
  TOCSIN_TRY(CheckNames(series, config.name_scheme));
  TOCSIN_TRY(CheckLimits(series, config));

  address.derived = !KeepsAll(target_labels, series);
  if (!address.derived) {
    address.source = target_labels;
  } else {
    LabelsBuilder source(UntouchedSource(target_labels, series));
    source.Set(model::kJobLabel, series.Get(model::kJobLabel));
    source.Set(model::kInstanceLabel, series.Get(model::kInstanceLabel));
    address.source = source.Build();
  }
  address.key = KeyWithout(series, address.source);
  return address;
}

}  // namespace tocsin::collector
