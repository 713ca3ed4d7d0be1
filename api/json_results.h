// Query results and label sets as JSON (http-api.md §1.4, §2). Written by hand, without a document
// in between: a matrix of a million points is the API's heaviest answer.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/api_response.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "query/value.h"

namespace tocsin::api {

// {"__name__":"up","job":"x"}: escaped as little as JSON allows.
void AppendLabels(std::string& out, const model::Labels& labels);
// The same for a list sorted by name.
void AppendTexts(std::string& out, const std::vector<std::pair<std::string, std::string>>& texts);
// {"count":"…","sum":"…","buckets":[[b,"lower","upper","count"],…]}
void AppendHistogram(std::string& out, const model::Histogram& histogram);
// Always with an exponent, shortest mantissa: 1e+00. For alert values.
std::string FormatExponent(double v);
// A JSON string: RFC 3339, or 0001-01-01T00:00:00Z for 0.
void AppendWallTime(std::string& out, model::Timestamp time_ms);

enum class StatsMode : uint8_t { kNone, kTotals, kPerStep };

// The data of /query and /query_range: {"resultType":…,"result":…,"stats":…?}.
void WriteQueryData(DataWriter* out, const query::QueryResult& result, StatsMode stats);

}  // namespace tocsin::api
