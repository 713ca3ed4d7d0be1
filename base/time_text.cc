#include "base/time_text.h"

#include <chrono>
#include <cstdio>

namespace tocsin {
namespace {

using std::chrono::days;
using std::chrono::sys_days;
using std::chrono::year_month_day;

int64_t FloorDiv(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

std::string DateAndClock(int64_t seconds) {
  const int64_t day = FloorDiv(seconds, 86'400);
  const auto in_day = static_cast<int>(seconds - day * 86'400);
  const year_month_day date{sys_days{days{day}}};
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                in_day / 3600, in_day / 60 % 60, in_day % 60);
  return text;
}

// Reads digits from the front of a text.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  bool ok() const { return ok_; }
  bool at_end() const { return text_.empty(); }
  bool TryChar(char c) {
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  void Char(char c) {
    if (!TryChar(c)) ok_ = false;
  }
  int Digits(int count) {
    int v = 0;
    for (int i = 0; i < count; ++i) {
      const int digit = Digit();
      if (digit < 0) {
        ok_ = false;
        return 0;
      }
      v = v * 10 + digit;
    }
    return v;
  }
  // Milliseconds of a fraction of one digit or more.
  int FractionMs() {
    int ms = 0;
    int count = 0;
    for (int digit = Digit(); digit >= 0; digit = Digit()) {
      if (count++ < 3) ms = ms * 10 + digit;
    }
    if (count == 0) ok_ = false;
    for (; count < 3; ++count) ms *= 10;
    return ms;
  }

 private:
  int Digit() {
    if (text_.empty() || text_.front() < '0' || text_.front() > '9') return -1;
    const int digit = text_.front() - '0';
    text_.remove_prefix(1);
    return digit;
  }

  std::string_view text_;
  bool ok_ = true;
};

}  // namespace

std::string FormatTimeMs(int64_t time_ms) {
  const int64_t seconds = FloorDiv(time_ms, 1000);
  char fraction[16];
  std::snprintf(fraction, sizeof fraction, ".%03dZ", static_cast<int>(time_ms - seconds * 1000));
  return DateAndClock(seconds) + fraction;
}

std::string FormatTime(int64_t time_ms) {
  std::string text = FormatTimeMs(time_ms);
  text.pop_back();
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text + "Z";
}

Result<int64_t> ParseTime(std::string_view text) {
  Scanner in(text);
  const int year = in.Digits(4);
  in.Char('-');
  const int month = in.Digits(2);
  in.Char('-');
  const int day = in.Digits(2);
  if (!in.TryChar('T')) in.Char('t');
  const int hour = in.Digits(2);
  in.Char(':');
  const int minute = in.Digits(2);
  in.Char(':');
  const int second = in.Digits(2);
  const int fraction_ms = in.TryChar('.') ? in.FractionMs() : 0;
  int64_t offset_minutes = 0;
  if (!in.TryChar('Z') && !in.TryChar('z')) {
    const bool east = in.TryChar('+');
    if (!east) in.Char('-');
    const int offset_hour = in.Digits(2);
    in.Char(':');
    const int offset_minute = in.Digits(2);
    if (offset_hour > 23 || offset_minute > 59) return Error(Code::kInvalidArgument, "bad offset");
    offset_minutes = (east ? 1 : -1) * (offset_hour * 60 + offset_minute);
  }
  const year_month_day date{std::chrono::year{year},
                            std::chrono::month{static_cast<unsigned>(month)},
                            std::chrono::day{static_cast<unsigned>(day)}};
  if (!in.ok() || !in.at_end() || !date.ok() || hour > 23 || minute > 59 || second > 59) {
    return Error(Code::kInvalidArgument, "not an RFC 3339 time: \"" + std::string(text) + "\"");
  }
  const int64_t day_number = sys_days{date}.time_since_epoch().count();
  const int64_t seconds =
      day_number * 86'400 + hour * 3600 + minute * 60 + second - offset_minutes * 60;
  return seconds * 1000 + fraction_ms;
}

}  // namespace tocsin
