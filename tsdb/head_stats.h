// HeadStats: the head's cardinality, for /api/v1/status/tsdb. Walks the whole index: for people,
// not for every scrape.
#pragma once

#include <cstddef>

#include "tsdb/database.h"
#include "tsdb/head/head.h"

namespace tocsin::tsdb {

DatabaseStats HeadStats(const Head& head, size_t limit);

}  // namespace tocsin::tsdb
