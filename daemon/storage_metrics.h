// The database's counters and sizes as metrics: under our names, and under Prometheus' where
// dashboards, alerts and Thanos ask for those.
#pragma once

#include <vector>

#include "base/self_metrics.h"

namespace tocsin::tsdb {
class Database;
}

namespace tocsin::daemon {

// The callbacks read `database`, which must outlive them.
std::vector<MetricCallback> RegisterStorageMetrics(SelfMetrics* metrics,
                                                   const tsdb::Database* database);

}  // namespace tocsin::daemon
