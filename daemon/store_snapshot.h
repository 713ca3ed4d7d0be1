// Snapshots of the store on request: POST /api/v1/admin/tsdb/snapshot.
#pragma once

#include <string>

#include "base/status.h"

namespace tocsin {
class Env;
}
namespace tocsin::collector {
class MetadataStore;
}
namespace tocsin::tsdb {
class Database;
}

namespace tocsin::daemon {

// Writes the store into DATA/snapshots/NAME and returns NAME: the time and 64 random bits, as
// Prometheus names them ("20261124T055221Z-26b5e1f9986f14e7"). Metadata goes with it, as far as
// that can be written: a snapshot of all samples is worth keeping without. Alert state does not.
Result<std::string> TakeSnapshot(Env& env, tsdb::Database& database,
                                 const collector::MetadataStore& metadata, bool skip_head);

}  // namespace tocsin::daemon
