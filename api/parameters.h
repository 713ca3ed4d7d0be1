// Parameters of API requests: times, durations, limits, selectors. Every function's error is ready
// to be answered, in Prometheus' words.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "api/api_response.h"
#include "base/http/form.h"
#include "model/matcher.h"
#include "model/sample.h"
#include "model/storage.h"

namespace tocsin::api {

template <typename T>
using Parsed = std::expected<T, ApiError>;

// Unix seconds as a float, or RFC 3339; rounded to milliseconds. The error is the bare reason.
std::expected<model::Timestamp, std::string> ParseTimeText(std::string_view text);
// Seconds as a float, or a duration such as 1h30m. In milliseconds, rounded down; may be negative.
std::expected<int64_t, std::string> ParseDurationText(std::string_view text);

// The parameter `name`, or `fallback` when it is absent or empty.
Parsed<model::Timestamp> TimeParameter(const http::FormParams& params, std::string_view name,
                                       model::Timestamp fallback);
// The same without fallback: an absent one is an error.
Parsed<model::Timestamp> RequiredTime(const http::FormParams& params, std::string_view name);
// `limit`; 0 = none.
Parsed<size_t> LimitParameter(const http::FormParams& params);
// `start` and `end`, by default everything.
Parsed<model::TimeRange> RangeParameters(const http::FormParams& params);
// The selectors of `match[]`. Errors are bare ("1:3: parse error: …"); /series puts a prefix
// before.
Parsed<std::vector<model::MatcherSet>> MatchParameters(const http::FormParams& params);

// Shortens `items` to `limit` (0 = all) and says so in `warnings`.
template <typename T>
void CutToLimit(size_t limit, std::vector<T>* items, std::vector<std::string>* warnings) {
  if (limit == 0 || items->size() <= limit) return;
  items->resize(limit);
  warnings->push_back("results truncated due to limit");
}
// What to ask the store for, so that one too many shows that there are more.
inline size_t LimitToAskFor(size_t limit) { return limit == 0 ? 0 : limit + 1; }

// A label name of the path: `U__http_2e_code` is "http.code".
std::string UnescapeLabelName(std::string_view escaped);

}  // namespace tocsin::api

// Binds `lhs` to the value of a Parsed<T>, or answers with its error and returns.
#define TOCSIN_API_ASSIGN(lhs, response, expr) \
  TOCSIN_API_ASSIGN_IMPL_(TOCSIN_CONCAT_(tocsin_parsed_, __LINE__), lhs, response, expr)
#define TOCSIN_API_ASSIGN_IMPL_(parsed, lhs, response, expr)  \
  auto parsed = (expr);                                       \
  if (!parsed) return RespondError(response, parsed.error()); \
  lhs = *std::move(parsed)
