#include "alerting/template/go_time.h"

#include <array>
#include <cstdio>

namespace tocsin::alerting::tmpl {
namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;
constexpr int64_t kSecondsPerDay = 86'400;

constexpr std::array<std::string_view, 12> kMonths = {
    "January", "February", "March",     "April",   "May",      "June",
    "July",    "August",   "September", "October", "November", "December"};
constexpr std::array<std::string_view, 7> kWeekdays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                       "Thursday", "Friday", "Saturday"};

int64_t FloorDiv(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

std::string Padded(int64_t number, int width, char pad = '0') {
  std::string digits = std::to_string(number);
  while (static_cast<int>(digits.size()) < width) digits.insert(digits.begin(), pad);
  return digits;
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// ".000" keeps the zeros of the fraction, ".999" drops trailing ones. Gives the length of the
// fraction element at `layout`, 0 when there is none.
size_t FractionLength(std::string_view layout) {
  if (layout.size() < 2 || (layout[0] != '.' && layout[0] != ',')) return 0;
  const char digit = layout[1];
  if (digit != '0' && digit != '9') return 0;
  size_t n = 1;
  while (n < layout.size() && layout[n] == digit) ++n;
  if (n < layout.size() && IsDigit(layout[n])) return 0;
  return n - 1 <= 9 ? n : 0;
}

std::string Fraction(int nanosecond, std::string_view element) {
  std::string digits = Padded(nanosecond, 9).substr(0, element.size() - 1);
  if (element[1] == '9') {
    while (!digits.empty() && digits.back() == '0') digits.pop_back();
    if (digits.empty()) return "";
  }
  return element[0] + digits;
}

// Writes the layout element at the start of `layout` and gives its length; 0 when none begins here.
size_t FormatElement(const CivilTime& t, std::string_view layout, std::string* out) {
  const auto element = [&](std::string_view name, std::string_view text) -> size_t {
    if (!layout.starts_with(name)) return 0;
    out->append(text);
    return name.size();
  };
  const int hour12 = t.hour % 12 == 0 ? 12 : t.hour % 12;
  const std::string_view month = MonthName(t.month);
  const std::string_view weekday = WeekdayName(t.weekday);
  if (const size_t n = FractionLength(layout)) {
    *out += Fraction(t.nanosecond, layout.substr(0, n));
    return n;
  }
  size_t n = 0;
  if ((n = element("January", month))) return n;
  // "Jan" followed by a lower-case letter is part of a word.
  if ((n = element("Jan", month.substr(0, 3)))) return n;
  if ((n = element("Monday", weekday))) return n;
  if ((n = element("Mon", weekday.substr(0, 3)))) return n;
  if ((n = element("MST", "UTC"))) return n;
  if ((n = element("002", Padded(t.year_day, 3)))) return n;
  if ((n = element("__2", Padded(t.year_day, 3, ' ')))) return n;
  if ((n = element("2006", Padded(t.year, 4)))) return n;
  if (layout.starts_with("_2006")) {
    *out += "_" + Padded(t.year, 4);
    return 5;
  }
  if ((n = element("_2", Padded(t.day, 2, ' ')))) return n;
  if ((n = element("01", Padded(t.month, 2)))) return n;
  if ((n = element("02", Padded(t.day, 2)))) return n;
  if ((n = element("03", Padded(hour12, 2)))) return n;
  if ((n = element("04", Padded(t.minute, 2)))) return n;
  if ((n = element("05", Padded(t.second, 2)))) return n;
  if ((n = element("06", Padded(t.year % 100, 2)))) return n;
  if ((n = element("15", Padded(t.hour, 2)))) return n;
  if ((n = element("PM", t.hour >= 12 ? "PM" : "AM"))) return n;
  if ((n = element("pm", t.hour >= 12 ? "pm" : "am"))) return n;
  if ((n = element("-07:00:00", "+00:00:00"))) return n;
  if ((n = element("-07:00", "+00:00"))) return n;
  if ((n = element("-070000", "+000000"))) return n;
  if ((n = element("-0700", "+0000"))) return n;
  if ((n = element("-07", "+00"))) return n;
  if ((n = element("Z07:00:00", "Z"))) return n;
  if ((n = element("Z07:00", "Z"))) return n;
  if ((n = element("Z070000", "Z"))) return n;
  if ((n = element("Z0700", "Z"))) return n;
  if ((n = element("Z07", "Z"))) return n;
  if ((n = element("1", std::to_string(t.month)))) return n;
  if ((n = element("2", std::to_string(t.day)))) return n;
  if ((n = element("3", std::to_string(hour12)))) return n;
  if ((n = element("4", std::to_string(t.minute)))) return n;
  return element("5", std::to_string(t.second));
}

// Seconds with up to nine decimals, without trailing zeros: "3.5".
std::string Decimal(uint64_t value, uint64_t unit, int digits) {
  std::string out = std::to_string(value / unit);
  std::string fraction = Padded(static_cast<int64_t>(value % unit), digits);
  while (!fraction.empty() && fraction.back() == '0') fraction.pop_back();
  if (!fraction.empty()) out += "." + fraction;
  return out;
}

}  // namespace

std::string_view MonthName(int month) { return kMonths[static_cast<size_t>(month - 1)]; }
std::string_view WeekdayName(int weekday) { return kWeekdays[static_cast<size_t>(weekday)]; }

CivilTime ToCivil(Time time) {
  const int64_t seconds = FloorDiv(time.unix_ns, kNsPerSecond);
  const int64_t days = FloorDiv(seconds, kSecondsPerDay);
  const int64_t second_of_day = seconds - days * kSecondsPerDay;
  // Days to date in the proleptic Gregorian calendar, counted in eras of 400 years from 1 March.
  const int64_t z = days + 719468;
  const int64_t era = FloorDiv(z, 146097);
  const int64_t day_of_era = z - era * 146097;
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t shifted_month = (5 * day_of_year + 2) / 153;
  CivilTime t{};
  t.day = static_cast<int>(day_of_year - (153 * shifted_month + 2) / 5 + 1);
  t.month = static_cast<int>(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
  t.year = year_of_era + era * 400 + (t.month <= 2 ? 1 : 0);
  t.hour = static_cast<int>(second_of_day / 3600);
  t.minute = static_cast<int>(second_of_day / 60 % 60);
  t.second = static_cast<int>(second_of_day % 60);
  t.nanosecond = static_cast<int>(time.unix_ns - seconds * kNsPerSecond);
  t.weekday = static_cast<int>(((days + 4) % 7 + 7) % 7);
  const bool leap = (t.year % 4 == 0 && t.year % 100 != 0) || t.year % 400 == 0;
  constexpr std::array<int, 12> kBefore = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
  t.year_day = kBefore[static_cast<size_t>(t.month - 1)] + t.day + (leap && t.month > 2 ? 1 : 0);
  return t;
}

std::string FormatTime(Time time, std::string_view layout) {
  const CivilTime t = ToCivil(time);
  std::string out;
  while (!layout.empty()) {
    size_t n = FormatElement(t, layout, &out);
    if (n == 0) {
      out += layout[0];
      n = 1;
    }
    layout.remove_prefix(n);
  }
  return out;
}

std::string TimeString(Time time) {
  return FormatTime(time, "2006-01-02 15:04:05.999999999 -0700 MST");
}

std::string DurationString(Duration duration) {
  const bool negative = duration.ns < 0;
  const uint64_t ns =
      negative ? 0 - static_cast<uint64_t>(duration.ns) : static_cast<uint64_t>(duration.ns);
  std::string out;
  if (ns == 0) {
    return "0s";
  } else if (ns < 1'000) {
    out = std::to_string(ns) + "ns";
  } else if (ns < 1'000'000) {
    out = Decimal(ns, 1'000, 3) + "\u00b5s";
  } else if (ns < static_cast<uint64_t>(kNsPerSecond)) {
    out = Decimal(ns, 1'000'000, 6) + "ms";
  } else {
    const uint64_t minutes = ns / 60'000'000'000u;
    if (minutes >= 60) out += std::to_string(minutes / 60) + "h";
    if (minutes > 0) out += std::to_string(minutes % 60) + "m";
    out += Decimal(ns % 60'000'000'000u, static_cast<uint64_t>(kNsPerSecond), 9) + "s";
  }
  return negative ? "-" + out : out;
}

}  // namespace tocsin::alerting::tmpl
