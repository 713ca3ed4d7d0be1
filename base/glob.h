// File name patterns as Go's filepath.Match and Glob read them: `*` and `?` stand for characters
// but never for a slash, `[a-z]` and `[^a-z]` for one of a class, `\` takes the next character as
// it is.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace tocsin {

class Env;

bool HasGlobCharacters(std::string_view pattern);
// kInvalidArgument "syntax error in pattern" for an unclosed class or a trailing backslash.
Result<bool> GlobMatch(std::string_view pattern, std::string_view name);
// Existing paths that match, sorted. Directories that cannot be read count as empty.
Result<std::vector<std::string>> Glob(Env& env, const std::string& pattern);

}  // namespace tocsin
