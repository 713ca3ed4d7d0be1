// Time intervals: named spans of the calendar in which a route is muted or active.
//
// A TimeInterval holds a moment when every given part holds it: times of day, weekdays, days of the
// month (negative: from its end), months, years, in its time zone. A part that is not given holds
// always.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/yaml.h"
#include "model/sample.h"

namespace tocsin::alerting {

// Both ends belong to it, but for times of day, whose end does not.
struct IntRange {
  int begin = 0;
  int end = 0;
  friend bool operator==(const IntRange&, const IntRange&) = default;
};

struct TimeInterval {
  std::vector<IntRange> minutes_of_day;  // [begin, end)
  std::vector<IntRange> weekdays;        // 0 = Sunday
  std::vector<IntRange> days_of_month;   // 1…31, -31…-1
  std::vector<IntRange> months;          // 1…12
  std::vector<IntRange> years;
  std::string location;  // IANA name; "" = UTC, "Local" = the machine's

  // False also when the location is not known here (checked when the file is read).
  bool Contains(model::Timestamp time_ms) const;
  friend bool operator==(const TimeInterval&, const TimeInterval&) = default;
};

// One entry of `time_intervals`. Complaints go to `errors`.
TimeInterval ParseTimeInterval(const YamlNode& node, YamlErrors* errors);

}  // namespace tocsin::alerting
