// CheckReadable: whether this program, as this user, may change a store. What a newer Tocsin wrote
// must be left as it is, down to the last file, for that to go on with; and a file that may not be
// read is not damaged. So all files are asked before the first is changed.
#pragma once

#include <string>

#include "base/env.h"
#include "base/status.h"

namespace tocsin::tsdb {

// Fails, naming the file, when one is of a newer version (kUnimplemented), or this user may not
// open it (kPermissionDenied): log, segment (also of an import that was broken off), rollup,
// manifest, or a tail's position. What is damaged or missing is for those to tell who open it.
// Under the store's lock.
Status CheckReadable(Env& env, const std::string& dir);

}  // namespace tocsin::tsdb
