// Time and duration texts as Go's package time writes them, in UTC.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "alerting/template/value.h"

namespace tocsin::alerting::tmpl {

struct CivilTime {
  int64_t year;
  int month;  // 1…12
  int day;    // 1…31
  int hour, minute, second, nanosecond;
  int weekday;   // 0 = Sunday
  int year_day;  // 1…366
};
CivilTime ToCivil(Time time);
std::string_view MonthName(int month);
std::string_view WeekdayName(int weekday);

// Go's Time.Format: the layout is written in terms of "Mon Jan 2 15:04:05 MST 2006".
std::string FormatTime(Time time, std::string_view layout);
// "2015-06-23 13:19:44.128 +0000 UTC"
std::string TimeString(Time time);
// "1h2m3.5s", "1.5ms", "0s"
std::string DurationString(Duration duration);

}  // namespace tocsin::alerting::tmpl
