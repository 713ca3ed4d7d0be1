// Methods of what toTime and toDuration give: those of Go's time.Time and time.Duration that
// notification texts use.
#include "alerting/template/function_tables.h"
#include "alerting/template/go_time.h"

namespace tocsin::alerting::tmpl {
namespace {

using Args = std::span<const Value>;
constexpr int64_t kNsPerDay = 86'400'000'000'000;

Value Int(int64_t v) { return Value(v); }

Result<Value> Format(const FunctionContext&, Args args) {
  return Value(FormatTime(args[0].AsTime(), args[1].AsString()));
}
Result<Value> Text(const FunctionContext&, Args args) { return Value(args[0].Print()); }
Result<Value> Same(const FunctionContext&, Args args) { return args[0]; }
Result<Value> Unix(const FunctionContext&, Args args) {
  const int64_t ns = args[0].AsTime().unix_ns;
  return Int(ns / 1'000'000'000 - (ns % 1'000'000'000 < 0 ? 1 : 0));
}
Result<Value> UnixMilli(const FunctionContext&, Args args) {
  const int64_t ns = args[0].AsTime().unix_ns;
  return Int(ns / 1'000'000 - (ns % 1'000'000 < 0 ? 1 : 0));
}
Result<Value> UnixNano(const FunctionContext&, Args args) { return Int(args[0].AsTime().unix_ns); }
Result<Value> Year(const FunctionContext&, Args args) {
  return Int(ToCivil(args[0].AsTime()).year);
}
Result<Value> Month(const FunctionContext&, Args args) {
  return Value(std::string(MonthName(ToCivil(args[0].AsTime()).month)));
}
Result<Value> Day(const FunctionContext&, Args args) { return Int(ToCivil(args[0].AsTime()).day); }
Result<Value> Hour(const FunctionContext&, Args args) {
  return Int(ToCivil(args[0].AsTime()).hour);
}
Result<Value> Minute(const FunctionContext&, Args args) {
  return Int(ToCivil(args[0].AsTime()).minute);
}
Result<Value> Second(const FunctionContext&, Args args) {
  return Int(ToCivil(args[0].AsTime()).second);
}
Result<Value> Nanosecond(const FunctionContext&, Args args) {
  return Int(ToCivil(args[0].AsTime()).nanosecond);
}
Result<Value> Weekday(const FunctionContext&, Args args) {
  return Value(std::string(WeekdayName(ToCivil(args[0].AsTime()).weekday)));
}
Result<Value> YearDay(const FunctionContext&, Args args) {
  return Int(ToCivil(args[0].AsTime()).year_day);
}

Result<Value> TimePlus(int64_t start_ns, int64_t change_ns) {
  int64_t sum = 0;
  if (__builtin_add_overflow(start_ns, change_ns, &sum)) {
    return Error(Code::kExecution, "time is out of range");
  }
  return Value(Time{sum});
}
Result<Value> Add(const FunctionContext&, Args args) {
  return TimePlus(args[0].AsTime().unix_ns, args[1].AsDuration().ns);
}
Result<Value> Sub(const FunctionContext&, Args args) {
  int64_t difference = 0;
  if (__builtin_sub_overflow(args[0].AsTime().unix_ns, args[1].AsTime().unix_ns, &difference)) {
    return Error(Code::kExecution, "duration is out of range");
  }
  return Value(Duration{difference});
}
// Years and months are counted on the calendar, as in Go: 31 January + 1 month is 3 March (or 2).
Result<Value> AddDate(const FunctionContext&, Args args) {
  constexpr int64_t kMostYears = 292;
  const CivilTime t = ToCivil(args[0].AsTime());
  const int64_t years = args[1].AsInt();
  const int64_t months = args[2].AsInt();
  const int64_t days = args[3].AsInt();
  if (std::abs(years) > kMostYears || std::abs(months) > 12 * kMostYears ||
      std::abs(days) > 366 * kMostYears) {
    return Error(Code::kExecution, "time is out of range");
  }
  const int64_t month0 = t.year * 12 + (t.month - 1) + years * 12 + months;
  const int64_t year = month0 / 12;
  const int64_t month = month0 % 12 + 1;
  const int64_t shifted_year = month <= 2 ? year - 1 : year;
  const int64_t era = shifted_year / 400;
  const int64_t year_of_era = shifted_year - era * 400;
  const int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + t.day - 1;
  const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  const int64_t epoch_day = era * 146097 + day_of_era - 719468 + days;
  const int64_t rest = ((args[0].AsTime().unix_ns % kNsPerDay) + kNsPerDay) % kNsPerDay;
  int64_t start = 0;
  if (__builtin_mul_overflow(epoch_day, kNsPerDay, &start)) {
    return Error(Code::kExecution, "time is out of range");
  }
  return TimePlus(start, rest);
}
Result<Value> After(const FunctionContext&, Args args) {
  return Value(args[0].AsTime().unix_ns > args[1].AsTime().unix_ns);
}
Result<Value> Before(const FunctionContext&, Args args) {
  return Value(args[0].AsTime().unix_ns < args[1].AsTime().unix_ns);
}
Result<Value> TimeEqual(const FunctionContext&, Args args) {
  return Value(args[0].AsTime().unix_ns == args[1].AsTime().unix_ns);
}

double InUnits(const Value& duration, double unit_ns) {
  return static_cast<double>(duration.AsDuration().ns) / unit_ns;
}
Result<Value> Hours(const FunctionContext&, Args args) { return Value(InUnits(args[0], 3.6e12)); }
Result<Value> Minutes(const FunctionContext&, Args args) { return Value(InUnits(args[0], 6e10)); }
Result<Value> Seconds(const FunctionContext&, Args args) { return Value(InUnits(args[0], 1e9)); }
Result<Value> Milliseconds(const FunctionContext&, Args args) {
  return Int(args[0].AsDuration().ns / 1'000'000);
}
Result<Value> Nanoseconds(const FunctionContext&, Args args) {
  return Int(args[0].AsDuration().ns);
}
Result<Value> Truncate(const FunctionContext&, Args args) {
  const int64_t unit = args[1].AsDuration().ns;
  const int64_t ns = args[0].AsDuration().ns;
  return Value(Duration{unit <= 0 ? ns : ns - ns % unit});
}

}  // namespace

const std::vector<Function>& TimeMethods() {
  constexpr Param integer = Param::kInt;
  static const auto* const table = new std::vector<Function>{
      {"Format", {Param::kString}, false, Format},
      {"String", {}, false, Text},
      {"UTC", {}, false, Same},
      {"Unix", {}, false, Unix},
      {"UnixMilli", {}, false, UnixMilli},
      {"UnixNano", {}, false, UnixNano},
      {"Year", {}, false, Year},
      {"Month", {}, false, Month},
      {"Day", {}, false, Day},
      {"Hour", {}, false, Hour},
      {"Minute", {}, false, Minute},
      {"Second", {}, false, Second},
      {"Nanosecond", {}, false, Nanosecond},
      {"Weekday", {}, false, Weekday},
      {"YearDay", {}, false, YearDay},
      {"Add", {Param::kDuration}, false, Add},
      {"AddDate", {integer, integer, integer}, false, AddDate},
      {"Sub", {Param::kTime}, false, Sub},
      {"After", {Param::kTime}, false, After},
      {"Before", {Param::kTime}, false, Before},
      {"Equal", {Param::kTime}, false, TimeEqual},
  };
  return *table;
}

const std::vector<Function>& DurationMethods() {
  static const auto* const table = new std::vector<Function>{
      {"String", {}, false, Text},
      {"Hours", {}, false, Hours},
      {"Minutes", {}, false, Minutes},
      {"Seconds", {}, false, Seconds},
      {"Milliseconds", {}, false, Milliseconds},
      {"Nanoseconds", {}, false, Nanoseconds},
      {"Truncate", {Param::kDuration}, false, Truncate},
  };
  return *table;
}

}  // namespace tocsin::alerting::tmpl
