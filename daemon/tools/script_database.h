// The real storage under PromQL test scripts: a tsdb::Database over files in memory.
#pragma once

#include <memory>

#include "query/testing/script_runner.h"

namespace tocsin::daemon {

// An empty store; kInternal and the like when the database does not open.
Result<std::unique_ptr<query::ScriptStorage>> NewScriptDatabase();

}  // namespace tocsin::daemon
