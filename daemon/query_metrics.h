// What queries do and cost as metrics: under our names, and under Prometheus' where dashboards ask
// for those.
#pragma once

#include <vector>

#include "base/self_metrics.h"

namespace tocsin::query {
class QueryService;
}

namespace tocsin::daemon {

// The callbacks read `queries`, which must outlive them.
std::vector<MetricCallback> RegisterQueryMetrics(SelfMetrics* metrics,
                                                 query::QueryService* queries);

}  // namespace tocsin::daemon
