// PushSplit: which labels of a sender's series name their source, and which are left to their key.
//
// The series of one (job, instance) are a family. A family's first requests tell which labels all
// of its series have in common; a source takes these, so that what remains is the same for every
// target of the job and the index holds it once. Labels that two sources of a family do not share
// never move: a series' source is the one with the most labels among those that its labels contain,
// at worst (job, instance) alone. Two splits of one label set are two addresses of one series
// (model/storage.h): a wrong guess costs memory, never an answer.
//
// One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/labels.h"

namespace tocsin::collector {

class PushSplit {
 public:
  static constexpr uint32_t kNoGroup = UINT32_MAX;
  // A lesson needs so many series, of so many metrics: a histogram's series alone, or one metric's,
  // have labels in common that the target's others lack.
  static constexpr size_t kLessonSeriesMin = 8;
  static constexpr size_t kLessonMetricsMin = 3;
  // A family that teaches nothing by then, or is split this often, is taken as it is.
  static constexpr uint32_t kLessonsMax = 4;

  struct Source {
    model::Labels labels;
    uint32_t group = kNoGroup;  // the caller's number for it
  };

  // A source that exists already.
  void AddSource(const model::Labels& labels);
  // The source of a series (labels sorted). Null when a lesson may give it a better one; never when
  // `may_learn` is false. Valid until the next call.
  Source* SourceOf(const std::vector<model::LabelView>& labels, bool may_learn);
  // The source's group was closed, or could not be opened.
  void Close(const model::Labels& labels);
  // The series' other labels.
  static model::Labels KeyOf(const std::vector<model::LabelView>& labels, const Source& source);

  // A lesson: every series of one request. The views must live until EndLesson.
  void BeginLesson() { lesson_.clear(); }
  void Teach(const std::vector<model::LabelView>& labels);
  void EndLesson();

 private:
  struct Family {
    std::vector<Source> sources;  // most labels first
    uint32_t lessons = 0;
  };
  struct Seen {
    size_t series = 0;
    std::vector<std::string_view> metrics;  // at most kLessonMetricsMin
    std::vector<model::LabelView> common;   // sorted, without the metric's name
  };

  static model::Labels FamilyOf(const std::vector<model::LabelView>& labels);
  static Source* Insert(Family* family, model::Labels labels);
  // Whether a source with more than (job, instance) takes the series.
  static Source* Fitting(Family* family, const std::vector<model::LabelView>& labels);

  std::unordered_map<model::Labels, Family, model::LabelsHash> families_;
  std::unordered_map<model::Labels, Seen, model::LabelsHash> lesson_;
};

}  // namespace tocsin::collector
