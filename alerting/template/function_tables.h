// The tables that functions.cc searches; each lives beside its functions.
#pragma once

#include <vector>

#include "alerting/template/functions.h"

namespace tocsin::alerting::tmpl {

const std::vector<Function>& BuiltinFunctions();     // Go's
const std::vector<Function>& PrometheusFunctions();  // Prometheus' own
const std::vector<Function>& TimeMethods();
const std::vector<Function>& DurationMethods();

// url.QueryEscape: also what graph links use.
std::string QueryEscape(std::string_view text);

}  // namespace tocsin::alerting::tmpl
