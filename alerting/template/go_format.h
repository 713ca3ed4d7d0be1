// Texts as Go's package fmt writes them: %v of a float, Print, Println and Printf over template
// values, with Go's verbs, flags, argument indexes and "%!d(string=x)" complaints.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "alerting/template/value.h"
#include "model/histogram.h"

namespace tocsin::alerting::tmpl {

// Widths and precisions beyond this are refused with "%!(BADWIDTH)", as in Go.
inline constexpr int kMaxWidth = 1'000'000;

// Go's fmt.Sprint: operands side by side, a space between two that are both no strings.
std::string GoSprint(std::span<const Value> values);
std::string GoSprintln(std::span<const Value> values);
// Stops adding once the result is longer than `max_bytes` (the caller then refuses it).
std::string GoSprintf(std::string_view format, std::span<const Value> values, size_t max_bytes);

// "text" or `text` as Go's %q and %#q.
std::string GoQuote(std::string_view text);

// {count:3, sum:4.5, [0.5,1):1, …}: how a histogram reads as a template value.
std::string HistogramText(const model::Histogram& histogram);

}  // namespace tocsin::alerting::tmpl
