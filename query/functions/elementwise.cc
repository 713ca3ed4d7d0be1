#include "query/functions/elementwise.h"

#include <date/date.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numbers>

#include "query/functions/point_math.h"
#include "query/histogram_math.h"

namespace tocsin::query {
namespace {

using Scalars = MapOperator::Scalars;

// Applies f(t, value) to the floats of a row; whatever else is there goes.
template <typename Function>
void MapFloats(Batch* batch, size_t row, const Function& f) {
  double* values = batch->values(row);
  PointKind* kinds = batch->kinds(row);
  for (size_t t = 0; t < batch->steps(); ++t) {
    if (kinds[t] == PointKind::kFloat) {
      values[t] = f(t, values[t]);
    } else {
      kinds[t] = PointKind::kAbsent;
    }
  }
}

template <typename Function>
MapOperator::RowMap Simple(Function f) {
  return [f](const Scalars&, Batch* batch, size_t row) {
    MapFloats(batch, row, [f](size_t, double v) { return f(v); });
  };
}

double Sign(double v) {
  if (v < 0) return -1;
  return v > 0 ? 1 : v;
}

// Rounds half up: floor(v / nearest + 0.5) × nearest, dividing by the inverse to lose less.
MapOperator::RowMap Round(bool to_one) {
  return [to_one](const Scalars& scalars, Batch* batch, size_t row) {
    MapFloats(batch, row, [&](size_t t, double v) {
      const double inverse = 1.0 / (to_one ? 1.0 : scalars[0][t]);
      return std::floor(v * inverse + 0.5) / inverse;
    });
  };
}

// Where the lower bound lies above the upper one, nothing comes out.
void Clamp(const Scalars& scalars, Batch* batch, size_t row) {
  PointKind* kinds = batch->kinds(row);
  MapFloats(batch, row, [&](size_t t, double v) {
    return LargerOf(scalars[0][t], SmallerOf(scalars[1][t], v));
  });
  for (size_t t = 0; t < batch->steps(); ++t) {
    if (scalars[1][t] < scalars[0][t]) kinds[t] = PointKind::kAbsent;
  }
}

void ClampMin(const Scalars& scalars, Batch* batch, size_t row) {
  MapFloats(batch, row, [&](size_t t, double v) { return LargerOf(scalars[0][t], v); });
}
void ClampMax(const Scalars& scalars, Batch* batch, size_t row) {
  MapFloats(batch, row, [&](size_t t, double v) { return SmallerOf(scalars[0][t], v); });
}

// Seconds since the epoch as a UTC calendar date and time of day.
struct Calendar {
  int64_t year;
  date::year_month_day ymd;  // of a year with the same calendar
  date::sys_days day;        // of that year
  std::chrono::seconds time;
};

// The reference's conversion (Go's time.Unix on amd64): truncated to int64, what does not fit is
// the least of them; any year, and below the earliest one it wraps to the latest.
Calendar CalendarOf(double value) {
  static constexpr double kTwoTo63 = 9223372036854775808.0;
  const bool fits = value >= -kTwoTo63 && value < kTwoTo63;  // false for NaN
  const int64_t seconds = fits ? static_cast<int64_t>(value) : std::numeric_limits<int64_t>::min();
  // Counted from the first day of a year that begins a cycle of 400, as 2001 does.
  static constexpr int64_t kFirstYear = -292'277'022'399;
  static constexpr uint64_t kEpochFromFirstYear = 9'223'372'028'715'321'600u;
  static constexpr uint64_t kDaySeconds = 86'400;
  static constexpr uint64_t kCycleDays = 146'097;
  const uint64_t absolute = static_cast<uint64_t>(seconds) + kEpochFromFirstYear;
  const uint64_t days = absolute / kDaySeconds;
  Calendar calendar;
  calendar.day = date::sys_days(date::year(2001) / date::January / 1) +
                 date::days(static_cast<int>(days % kCycleDays));
  calendar.ymd = date::year_month_day(calendar.day);
  calendar.year = kFirstYear + static_cast<int64_t>(days / kCycleDays) * 400 +
                  (static_cast<int>(calendar.ymd.year()) - 2001);
  calendar.time = std::chrono::seconds(static_cast<int64_t>(absolute % kDaySeconds));
  return calendar;
}

template <typename Function>
MapOperator::RowMap Calendric(Function f) {
  return Simple([f](double v) { return static_cast<double>(f(CalendarOf(v))); });
}

int64_t DayOfYear(const Calendar& c) {
  return (c.day - date::sys_days(c.ymd.year() / date::January / 1)).count() + 1;
}
int64_t DaysInMonth(const Calendar& c) {
  return static_cast<unsigned>((c.ymd.year() / c.ymd.month() / date::last).day());
}

MapOperator::RowMap FindCalendar(std::string_view name) {
  if (name == "year") return Calendric([](const Calendar& c) { return c.year; });
  if (name == "month")
    return Calendric([](const Calendar& c) { return static_cast<unsigned>(c.ymd.month()); });
  if (name == "day_of_month")
    return Calendric([](const Calendar& c) { return static_cast<unsigned>(c.ymd.day()); });
  if (name == "day_of_week")
    return Calendric([](const Calendar& c) { return date::weekday(c.day).c_encoding(); });
  if (name == "day_of_year") return Calendric(DayOfYear);
  if (name == "days_in_month") return Calendric(DaysInMonth);
  if (name == "hour") return Calendric([](const Calendar& c) { return c.time.count() / 3600; });
  if (name == "minute")
    return Calendric([](const Calendar& c) { return c.time.count() / 60 % 60; });
  return {};
}

struct MathEntry {
  std::string_view name;
  double (*function)(double);
};

constexpr MathEntry kMath[] = {
    {"abs", [](double v) { return std::fabs(v); }},
    {"acos", [](double v) { return std::acos(v); }},
    {"acosh", [](double v) { return std::acosh(v); }},
    {"asin", [](double v) { return std::asin(v); }},
    {"asinh", [](double v) { return std::asinh(v); }},
    {"atan", [](double v) { return std::atan(v); }},
    {"atanh", [](double v) { return std::atanh(v); }},
    {"ceil", [](double v) { return std::ceil(v); }},
    {"cos", [](double v) { return std::cos(v); }},
    {"cosh", [](double v) { return std::cosh(v); }},
    {"deg", [](double v) { return v * 180 / std::numbers::pi; }},
    {"exp", [](double v) { return std::exp(v); }},
    {"floor", [](double v) { return std::floor(v); }},
    {"ln", [](double v) { return std::log(v); }},
    {"log10", [](double v) { return std::log10(v); }},
    {"log2", [](double v) { return std::log2(v); }},
    {"rad", [](double v) { return v * std::numbers::pi / 180; }},
    {"sgn", Sign},
    {"sin", [](double v) { return std::sin(v); }},
    {"sinh", [](double v) { return std::sinh(v); }},
    {"sqrt", [](double v) { return std::sqrt(v); }},
    {"tan", [](double v) { return std::tan(v); }},
    {"tanh", [](double v) { return std::tanh(v); }},
};

}  // namespace

MapOperator::RowMap FindElementwise(std::string_view name, size_t scalar_count) {
  for (const MathEntry& entry : kMath) {
    if (entry.name == name) return Simple(entry.function);
  }
  if (name == "round") return Round(scalar_count == 0);
  if (name == "clamp") return Clamp;
  if (name == "clamp_min") return ClampMin;
  if (name == "clamp_max") return ClampMax;
  return FindCalendar(name);
}

MapOperator::RowMap Negation() {
  return [](const Scalars&, Batch* batch, size_t row) {
    double* values = batch->values(row);
    const PointKind* kinds = batch->kinds(row);
    for (size_t t = 0; t < batch->steps(); ++t) {
      if (kinds[t] == PointKind::kFloat) values[t] = -values[t];
    }
    if (!batch->has_histograms(row)) return;
    for (size_t t = 0; t < batch->steps(); ++t) {
      if (kinds[t] != PointKind::kHistogram) continue;
      model::Histogram negated = *batch->histograms(row)[t];
      ScaleHistogram(-1, &negated);
      batch->SetHistogram(row, t, std::make_shared<const model::Histogram>(std::move(negated)));
    }
  };
}

}  // namespace tocsin::query
