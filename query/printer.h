// Printer: syntax tree → text. What Print gives parses to an equal tree; it is what /rules, alerts
// and annotations show. Prettify breaks what is longer than 100 characters over several lines.
#pragma once

#include <string>

#include "query/ast.h"

namespace tocsin::query {

std::string Print(const Expr& expr);
std::string Prettify(const Expr& expr);

// The selector alone, without offset and @: up{job="x"}.
std::string PrintMatchers(const VectorSelector& selector);

}  // namespace tocsin::query
