// Classic histograms made into native ones with custom buckets, as load_with_nhcb does.
#pragma once

#include <vector>

#include "base/status.h"
#include "query/testing/test_script.h"

namespace tocsin::query {

// The native series of all float series named …_bucket, …_count or …_sum. Fails when the buckets of
// a histogram do not add up.
Result<std::vector<LoadSeries>> ConvertClassicHistograms(const std::vector<LoadSeries>& series);

}  // namespace tocsin::query
