#include "collector/push/push_split.h"

#include <algorithm>
#include <iterator>

namespace tocsin::collector {
namespace {

bool IsFamilyLabel(std::string_view name) {
  return name == model::kJobLabel || name == model::kInstanceLabel;
}

size_t CountOf(const model::Labels& labels) {
  return static_cast<size_t>(std::distance(labels.begin(), labels.end()));
}

// Every label of `part` is among `labels`, both sorted by name.
bool Contains(const std::vector<model::LabelView>& labels, const model::Labels& part) {
  auto at = labels.begin();
  for (const model::LabelView wanted : part) {
    while (at != labels.end() && at->name < wanted.name) ++at;
    if (at == labels.end() || *at != wanted) return false;
  }
  return true;
}

}  // namespace

model::Labels PushSplit::FamilyOf(const std::vector<model::LabelView>& labels) {
  std::vector<model::LabelView> family;
  for (const model::LabelView& label : labels) {
    if (IsFamilyLabel(label.name)) family.push_back(label);
  }
  return model::Labels::FromSorted(family.data(), family.size());
}

PushSplit::Source* PushSplit::Insert(Family* family, model::Labels labels) {
  const size_t count = CountOf(labels);
  auto at = family->sources.begin();
  for (; at != family->sources.end() && CountOf(at->labels) >= count; ++at) {
    if (at->labels == labels) return &*at;
  }
  return &*family->sources.insert(at, {std::move(labels), kNoGroup});
}

PushSplit::Source* PushSplit::Fitting(Family* family, const std::vector<model::LabelView>& labels) {
  for (Source& source : family->sources) {
    if (Contains(labels, source.labels)) return &source;
  }
  return nullptr;
}

void PushSplit::AddSource(const model::Labels& labels) {
  const std::vector<model::LabelView> views(labels.begin(), labels.end());
  Insert(&families_[FamilyOf(views)], labels);
}

PushSplit::Source* PushSplit::SourceOf(const std::vector<model::LabelView>& labels,
                                       bool may_learn) {
  model::Labels name = FamilyOf(labels);
  Family& family = families_[name];
  Source* const fitting = Fitting(&family, labels);
  const bool plain = fitting == nullptr || fitting->labels == name;
  if (plain && may_learn && family.lessons < kLessonsMax) return nullptr;
  return fitting != nullptr ? fitting : Insert(&family, std::move(name));
}

void PushSplit::Close(const model::Labels& labels) {
  const auto family = families_.find(FamilyOf({labels.begin(), labels.end()}));
  if (family == families_.end()) return;
  bool open = false;
  for (Source& source : family->second.sources) {
    if (source.labels == labels) source.group = kNoGroup;
    open = open || source.group != kNoGroup;
  }
  if (!open) families_.erase(family);
}

model::Labels PushSplit::KeyOf(const std::vector<model::LabelView>& labels, const Source& source) {
  std::vector<model::LabelView> key;
  auto taken = source.labels.begin();
  for (const model::LabelView& label : labels) {
    while (taken != source.labels.end() && taken->name < label.name) ++taken;
    if (taken == source.labels.end() || taken->name != label.name) key.push_back(label);
  }
  return model::Labels::FromSorted(key.data(), key.size());
}

void PushSplit::Teach(const std::vector<model::LabelView>& labels) {
  model::Labels name = FamilyOf(labels);
  if (const auto family = families_.find(name); family != families_.end()) {
    if (family->second.lessons >= kLessonsMax) return;
    const Source* const fitting = Fitting(&family->second, labels);
    if (fitting != nullptr && fitting->labels != name) return;
  }
  Seen& seen = lesson_[std::move(name)];
  if (seen.series++ == 0) {
    std::copy_if(labels.begin(), labels.end(), std::back_inserter(seen.common),
                 [](const model::LabelView& label) { return label.name != model::kMetricName; });
  } else {
    std::erase_if(seen.common, [&](const model::LabelView& label) {
      return !std::binary_search(labels.begin(), labels.end(), label,
                                 [](const auto& a, const auto& b) { return a.name < b.name; }) ||
             std::find(labels.begin(), labels.end(), label) == labels.end();
    });
  }
  for (const model::LabelView& label : labels) {
    if (label.name == model::kMetricName && seen.metrics.size() < kLessonMetricsMin &&
        std::find(seen.metrics.begin(), seen.metrics.end(), label.value) == seen.metrics.end()) {
      seen.metrics.push_back(label.value);
    }
  }
}

void PushSplit::EndLesson() {
  for (auto& [name, seen] : lesson_) {
    Family& family = families_[name];
    ++family.lessons;
    if (seen.series < kLessonSeriesMin || seen.metrics.size() < kLessonMetricsMin) continue;
    model::Labels common = model::Labels::FromSorted(seen.common.data(), seen.common.size());
    // Nothing but job and instance: there is nothing to learn.
    if (common == name) family.lessons = kLessonsMax;
    Insert(&family, std::move(common));
  }
  lesson_.clear();
}

}  // namespace tocsin::collector
