// Finds and reads the files of `rule_files`.
#pragma once

#include <string>
#include <vector>

#include "alerting/rules/rule_file.h"
#include "base/status.h"

namespace tocsin {
class Env;
}

namespace tocsin::alerting {

// A rule file longer than this is refused.
inline constexpr uint64_t kRuleFileBytesMax = 64 << 20;

// Paths that match a pattern with *, ? and [] in any of its elements, sorted. A pattern without any
// of these stands for itself, whether the file exists or not. kInvalidArgument: a broken pattern.
Result<std::vector<std::string>> ExpandPattern(Env& env, const std::string& pattern);

// All groups of all files. kInvalidArgument with every complaint, one a line, when any file is bad.
// Warnings are logged.
Result<std::vector<RuleGroupDefinition>> LoadRuleFiles(Env& env,
                                                       const std::vector<std::string>& patterns,
                                                       const RuleFileOptions& options);

}  // namespace tocsin::alerting
