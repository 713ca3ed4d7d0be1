// Parser: PromQL text → syntax tree. Recursive descent; the language, the words of the error
// messages and their positions are those of Prometheus 3.14 ("1:3: parse error: unexpected end of
// input"). Only the first error is reported. All errors have the code kInvalidArgument. Thread-safe
// (no state).
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/labels.h"
#include "model/matcher.h"
#include "query/ast.h"
#include "query/language_options.h"

namespace tocsin::query {

// Longer texts are refused: positions are 32 bits, and no dashboard comes near it.
inline constexpr size_t kMaxQueryBytes = size_t{16} << 20;

// A whole expression, type-checked.
Result<ExprPtr> ParseExpr(std::string_view text, const LanguageOptions& options);

// The same for those who evaluate it: arithmetic of number literals is one number already, so that
// a megabyte of 1+1+… is as deep as 1.
Result<ExprPtr> ParseForEvaluation(std::string_view text, const LanguageOptions& options);

// A selector as in match[]: up, up{job="x"}, {__name__=~"a.*"}. The metric name becomes a matcher.
// The list may be empty or match everything: whether that is allowed is the caller's to say.
Result<std::vector<model::Matcher>> ParseMetricSelector(std::string_view text);

// A metric as it is written in rules' unit tests and scripts: up{job="x"}, {"my.metric", a="b"}.
Result<model::Labels> ParseMetric(std::string_view text);

// "LINE:COLUMN: parse error: MESSAGE" for a place in `text`.
Status ParseErrorAt(std::string_view text, PositionRange position, std::string_view message);

}  // namespace tocsin::query
