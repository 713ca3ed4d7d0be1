// Snapshots of the store on request: POST /api/v1/admin/tsdb/snapshot.
#pragma once

#include <string>

#include "base/status.h"

namespace tocsin {
class Env;
}
namespace tocsin::tsdb {
class Database;
}

namespace tocsin::daemon {

// Writes the store into DATA/snapshots/NAME and returns NAME: the time and 64 random bits, as
// Prometheus names them ("20261124T055221Z-26b5e1f9986f14e7").
Result<std::string> TakeSnapshot(Env& env, tsdb::Database& database, bool skip_head);

}  // namespace tocsin::daemon
