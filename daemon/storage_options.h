// StorageOptions: what flags, prometheus.yml and tocsin.yml say about storage, put together. Field
// by field tocsin.yml wins over prometheus.yml, which wins over flags (Prometheus calls its own
// retention flags deprecated and does the same).
#pragma once

#include <string>

#include "daemon/config/config.h"
#include "daemon/config/tocsin_config.h"
#include "daemon/flags.h"
#include "tsdb/database.h"

namespace tocsin::daemon {

tsdb::DatabaseOptions StorageOptions(const ServeFlags& flags, const Config& config,
                                     const TocsinConfig& tocsin);
// The part that a reload may change. 15 days when nobody names a time, a size or a percentage.
tsdb::StoragePolicy StoragePolicyOf(const ServeFlags& flags, const Config& config,
                                    const TocsinConfig& tocsin);

// "15d or 50GB or 80%", as /status/runtimeinfo words it.
std::string DescribeRetention(const tsdb::StoragePolicy& policy);

}  // namespace tocsin::daemon
