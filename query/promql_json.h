// The syntax tree as JSON, for /api/v1/parse_query and the tree view of the pages. Shapes and order
// of keys (alphabetical) are the reference's: http-api.md §2.2.
#pragma once

#include <string>

#include "base/status.h"
#include "query/ast.h"

namespace tocsin::query {

// Appends one JSON value to `out`. kResourceExhausted: no stack for so deep a tree now.
Status AppendExprJson(const Expr& expr, std::string* out);

}  // namespace tocsin::query
