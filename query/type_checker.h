// Type checker: the rules of PromQL that grammar alone does not hold: types of operands and
// arguments, vector matching, at least one matcher that does not match the empty string. Also
// settles what depends on types: Binary::matching is dropped between scalars and becomes
// many-to-many for set operators.
#pragma once

#include <string_view>

#include "base/status.h"
#include "query/ast.h"

namespace tocsin::query {

// `text` is what the tree was parsed from, for positions.
Status CheckTypes(std::string_view text, Expr* expr);

}  // namespace tocsin::query
