#include "alerting/route/time_intervals.h"

#include <date/tz.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>

#include "base/number.h"

namespace tocsin::alerting {
namespace {

constexpr std::array<std::string_view, 7> kWeekdays = {"sunday",   "monday", "tuesday", "wednesday",
                                                       "thursday", "friday", "saturday"};
constexpr std::array<std::string_view, 12> kMonths = {
    "january", "february", "march",     "april",   "may",      "june",
    "july",    "august",   "september", "october", "november", "december"};

const date::time_zone* FindZone(const std::string& location) {
  try {
    if (location == "Local") return date::current_zone();
    return date::locate_zone(location.empty() ? "UTC" : location);
  } catch (const std::exception&) {
    return nullptr;  // unknown name, or no zone files on this machine
  }
}

struct Moment {
  int minute_of_day, weekday, day, days_in_month, month, year;
};

std::optional<Moment> LocalMoment(model::Timestamp time_ms, const std::string& location) {
  const date::sys_seconds instant{
      std::chrono::floor<std::chrono::seconds>(std::chrono::milliseconds(time_ms))};
  date::local_seconds local;
  if (location.empty() || location == "UTC") {
    local = date::local_seconds(instant.time_since_epoch());
  } else {
    const date::time_zone* zone = FindZone(location);
    if (zone == nullptr) return std::nullopt;
    local = zone->to_local(instant);
  }
  const auto days = date::floor<date::days>(local);
  const date::year_month_day ymd{days};
  const date::year_month_day_last last{ymd.year() / ymd.month() / date::last};
  const auto since_midnight = std::chrono::duration_cast<std::chrono::minutes>(local - days);
  return Moment{static_cast<int>(since_midnight.count()),
                static_cast<int>(date::weekday(days).c_encoding()),
                static_cast<int>(static_cast<unsigned>(ymd.day())),
                static_cast<int>(static_cast<unsigned>(last.day())),
                static_cast<int>(static_cast<unsigned>(ymd.month())),
                static_cast<int>(ymd.year())};
}

bool Holds(const std::vector<IntRange>& ranges, int value) {
  return ranges.empty() || std::any_of(ranges.begin(), ranges.end(), [value](const IntRange& r) {
           return value >= r.begin && value <= r.end;
         });
}

bool HoldsDay(const std::vector<IntRange>& ranges, const Moment& moment) {
  if (ranges.empty()) return true;
  return std::any_of(ranges.begin(), ranges.end(), [&](const IntRange& range) {
    const auto from_start = [&](int day) { return day < 0 ? moment.days_in_month + day + 1 : day; };
    // What lies outside this month is cut to it.
    const int begin = std::max(from_start(range.begin), 1);
    const int end = std::min(from_start(range.end), moment.days_in_month);
    return begin <= moment.days_in_month && end >= 1 && moment.day >= begin && moment.day <= end;
  });
}

std::string Lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

template <size_t N>
std::optional<int> IndexOf(const std::array<std::string_view, N>& names, const std::string& name) {
  const auto it = std::find(names.begin(), names.end(), name);
  if (it == names.end()) return std::nullopt;
  return static_cast<int>(it - names.begin());
}

std::optional<int> ParseNumber(const std::string& text) {
  const auto number = ParseInt64(text);
  if (!number || *number < -100'000 || *number > 100'000) return std::nullopt;
  return static_cast<int>(*number);
}

std::optional<int> ParseWeekday(const std::string& text) { return IndexOf(kWeekdays, Lower(text)); }
std::optional<int> ParseMonth(const std::string& text) {
  if (const auto index = IndexOf(kMonths, Lower(text))) return *index + 1;
  const auto number = ParseNumber(text);
  return number && *number >= 1 && *number <= 12 ? number : std::nullopt;
}
std::optional<int> ParseDay(const std::string& text) {
  const auto day = ParseNumber(text);
  return day && *day != 0 && *day >= -31 && *day <= 31 ? day : std::nullopt;
}

// "a:b" or "a", each end by `parse`.
std::optional<IntRange> ParseRange(const std::string& text,
                                   std::optional<int> (*parse)(const std::string&)) {
  const size_t colon = text.find(':');
  const auto begin = parse(text.substr(0, colon));
  const auto end = colon == std::string::npos ? begin : parse(text.substr(colon + 1));
  if (!begin || !end) return std::nullopt;
  return IntRange{*begin, *end};
}

std::vector<IntRange> ReadRanges(const YamlNode& list, const std::string& what,
                                 std::optional<int> (*parse)(const std::string&),
                                 YamlErrors* errors) {
  std::vector<IntRange> ranges;
  for (const YamlNode& item : list.items()) {
    const auto range = ParseRange(item.text(), parse);
    if (!range) {
      errors->Add(item, item.text() + " is not a valid " + what);
      continue;
    }
    // Days of the month may mix both ways of counting.
    if (range->begin > range->end && (range->begin < 0) == (range->end < 0)) {
      errors->Add(item, "start " + what + " cannot be after end " + what);
      continue;
    }
    if (what == "day of the month" && range->begin < 0 && range->end > 0) {
      errors->Add(item, "end day must be negative if start day is negative");
      continue;
    }
    ranges.push_back(*range);
  }
  return ranges;
}

// "HH:MM", up to 24:00.
std::optional<int> ParseMinute(const std::string& text) {
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  const auto hours = ParseUint64(text.substr(0, 2));
  const auto minutes = ParseUint64(text.substr(3));
  if (!hours || !minutes || *minutes > 59 || *hours > 24 || (*hours == 24 && *minutes != 0)) {
    return std::nullopt;
  }
  return static_cast<int>(*hours * 60 + *minutes);
}

std::vector<IntRange> ReadTimes(const YamlNode& list, YamlErrors* errors) {
  std::vector<IntRange> ranges;
  for (const YamlNode& item : list.items()) {
    std::string start, end;
    YamlMapReader map(item, "type timeinterval.yamlTimeRange", errors);
    map.Read("start_time", &start);
    map.Read("end_time", &end);
    map.Finish();
    const auto begin_minute = ParseMinute(start);
    const auto end_minute = ParseMinute(end);
    if (start.empty() || end.empty()) {
      errors->Add(item, "both start and end times must be provided");
    } else if (!begin_minute || !end_minute) {
      errors->Add(item,
                  "couldn't parse timestamp " + (begin_minute ? end : start) + ", invalid format");
    } else if (*begin_minute >= *end_minute) {
      errors->Add(item, "start time cannot be equal or greater than end time");
    } else {
      ranges.push_back({*begin_minute, *end_minute});
    }
  }
  return ranges;
}

}  // namespace

bool TimeInterval::Contains(model::Timestamp time_ms) const {
  const auto moment = LocalMoment(time_ms, location);
  if (!moment) return false;
  const bool in_time =
      minutes_of_day.empty() ||
      std::any_of(minutes_of_day.begin(), minutes_of_day.end(), [&](const IntRange& range) {
        return moment->minute_of_day >= range.begin && moment->minute_of_day < range.end;
      });
  return in_time && HoldsDay(days_of_month, *moment) && Holds(months, moment->month) &&
         Holds(weekdays, moment->weekday) && Holds(years, moment->year);
}

TimeInterval ParseTimeInterval(const YamlNode& node, YamlErrors* errors) {
  TimeInterval interval;
  YamlMapReader map(node, "type timeinterval.TimeInterval", errors);
  interval.minutes_of_day = ReadTimes(map.Take("times"), errors);
  interval.weekdays = ReadRanges(map.Take("weekdays"), "weekday", ParseWeekday, errors);
  interval.days_of_month =
      ReadRanges(map.Take("days_of_month"), "day of the month", ParseDay, errors);
  interval.months = ReadRanges(map.Take("months"), "month", ParseMonth, errors);
  interval.years = ReadRanges(map.Take("years"), "year", ParseNumber, errors);
  map.Read("location", &interval.location);
  map.Finish();
  if (!interval.location.empty() && interval.location != "UTC" &&
      FindZone(interval.location) == nullptr) {
    errors->Add(node, "unknown time zone " + interval.location);
  }
  return interval;
}

}  // namespace tocsin::alerting
