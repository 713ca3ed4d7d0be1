#include "api/parameters.h"

#include <cmath>
#include <limits>
#include <optional>

#include "base/duration.h"
#include "base/number.h"
#include "base/time_text.h"
#include "query/parser.h"

namespace tocsin::api {
namespace {

// The two ends of Go's time axis, which its own parser cannot read back. Clients send them.
constexpr std::string_view kMinTimeText = "-292273086-05-16T16:47:06Z";
constexpr std::string_view kMaxTimeText = "292277025-08-18T07:12:54.999999999Z";
constexpr int64_t kMaxTimeSeconds = 9'223'309'901'257'974;

std::string Quoted(std::string_view text) { return model::QuoteString(text); }

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void AppendUtf8(std::string& out, uint32_t rune) {
  if (rune < 0x80) {
    out += static_cast<char>(rune);
    return;
  }
  const int continuation_bytes = rune < 0x800 ? 1 : (rune < 0x10000 ? 2 : 3);
  static constexpr uint32_t kFirst[] = {0, 0xc0, 0xe0, 0xf0};
  out += static_cast<char>(kFirst[continuation_bytes] | rune >> (6 * continuation_bytes));
  for (int i = continuation_bytes - 1; i >= 0; --i) {
    out += static_cast<char>(0x80 | (rune >> (6 * i) & 0x3f));
  }
}

bool MatchesSomethingOnly(const model::MatcherSet& matchers) {
  for (const model::Matcher& matcher : matchers) {
    if (!matcher.MatchesEmpty()) return true;
  }
  return false;
}

}  // namespace

std::expected<model::Timestamp, std::string> ParseTimeText(std::string_view text) {
  const auto fail = [&] {
    return std::unexpected("cannot parse " + Quoted(text) + " to a valid timestamp");
  };
  if (const std::optional<double> seconds = ParseFloat(text)) {
    if (!(std::fabs(*seconds) <= static_cast<double>(kMaxTimeSeconds))) return fail();
    // Whole seconds and fraction apart: seconds × 1000 as one double would lose milliseconds.
    double whole = 0;
    const double fraction = std::modf(*seconds, &whole);
    return static_cast<int64_t>(whole) * 1000 + static_cast<int64_t>(std::round(fraction * 1000));
  }
  if (const Result<int64_t> time = ParseTime(text)) return *time;
  if (text == kMinTimeText) return -kMaxTimeSeconds * 1000;
  if (text == kMaxTimeText) return kMaxTimeSeconds * 1000 + 999;
  return fail();
}

std::expected<int64_t, std::string> ParseDurationText(std::string_view text) {
  if (const std::optional<double> seconds = ParseFloat(text)) {
    // Go holds durations in 64 bits of nanoseconds.
    constexpr double kSecondsMax = static_cast<double>(std::numeric_limits<int64_t>::max()) / 1e9;
    if (!(std::fabs(*seconds) <= kSecondsMax)) {
      return std::unexpected("cannot parse " + Quoted(text) +
                             " to a valid duration. It overflows int64");
    }
    return static_cast<int64_t>(*seconds * 1000);
  }
  if (const Result<int64_t> duration = ParseDuration(text)) return *duration;
  return std::unexpected("cannot parse " + Quoted(text) + " to a valid duration");
}

Parsed<model::Timestamp> TimeParameter(const http::FormParams& params, std::string_view name,
                                       model::Timestamp fallback) {
  if (params.Get(name).empty()) return fallback;
  return RequiredTime(params, name);
}

Parsed<model::Timestamp> RequiredTime(const http::FormParams& params, std::string_view name) {
  const auto time = ParseTimeText(params.Get(name));
  if (!time) return std::unexpected(InvalidParameter(name, time.error()));
  return *time;
}

Parsed<size_t> LimitParameter(const http::FormParams& params) {
  const std::string_view text = params.Get("limit");
  if (text.empty()) return 0;
  std::string_view digits = text;
  if (digits.front() == '+') digits.remove_prefix(1);
  const std::optional<int64_t> limit = ParseInt64(digits);
  if (!limit) {
    const bool all_digits = digits.find_first_not_of("0123456789", digits[0] == '-' ? 1 : 0) ==
                                std::string_view::npos &&
                            digits.size() > 1;
    return std::unexpected(
        InvalidParameter("limit", "strconv.Atoi: parsing " + Quoted(text) +
                                      (all_digits ? ": value out of range" : ": invalid syntax")));
  }
  if (*limit < 0) {
    return std::unexpected(InvalidParameter("limit", "limit must be non-negative"));
  }
  return static_cast<size_t>(*limit);
}

Parsed<model::TimeRange> RangeParameters(const http::FormParams& params) {
  model::TimeRange range;
  const auto start = TimeParameter(params, "start", range.min_ms);
  if (!start) return std::unexpected(start.error());
  const auto end = TimeParameter(params, "end", range.max_ms);
  if (!end) return std::unexpected(end.error());
  return model::TimeRange{*start, *end};
}

Parsed<std::vector<model::MatcherSet>> MatchParameters(const http::FormParams& params) {
  std::vector<model::MatcherSet> sets;
  for (const std::string_view text : params.GetAll("match[]")) {
    Result<model::MatcherSet> matchers = query::ParseMetricSelector(text);
    if (!matchers) {
      return std::unexpected(ApiError{ErrorType::kBadData, matchers.error().message()});
    }
    sets.push_back(std::move(*matchers));
  }
  for (const model::MatcherSet& matchers : sets) {
    if (!MatchesSomethingOnly(matchers)) {
      return std::unexpected(
          ApiError{ErrorType::kBadData, "match[] must contain at least one non-empty matcher"});
    }
  }
  return sets;
}

// U__ marks an escaped name: `__` stands for `_`, `_HEX_` for a rune. A name that is not
// well-formed is taken as it is.
std::string UnescapeLabelName(std::string_view escaped) {
  static constexpr std::string_view kMark = "U__";
  static constexpr int kHexDigitsMax = 6;
  if (!escaped.starts_with(kMark)) return std::string(escaped);
  std::string name;
  const std::string_view text = escaped.substr(kMark.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      name += text[i];
      continue;
    }
    if (i + 1 < text.size() && text[i + 1] == '_') {
      name += '_';
      ++i;
      continue;
    }
    uint32_t rune = 0;
    int digits = 0;
    for (++i; i < text.size() && HexDigit(text[i]) >= 0 && digits < kHexDigitsMax; ++i, ++digits) {
      rune = rune << 4 | static_cast<uint32_t>(HexDigit(text[i]));
    }
    const bool valid = digits > 0 && i < text.size() && text[i] == '_' && rune <= 0x10ffff &&
                       (rune < 0xd800 || rune > 0xdfff);
    if (!valid) return std::string(escaped);
    AppendUtf8(name, rune);
  }
  return name;
}

}  // namespace tocsin::api
