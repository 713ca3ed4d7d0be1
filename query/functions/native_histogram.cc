#include "query/functions/native_histogram.h"

#include <cmath>

#include "query/histogram_math.h"

namespace tocsin::query {
namespace {

template <typename Function>
MapOperator::RowMap OfHistograms(Function f) {
  return [f](const MapOperator::Scalars&, Batch* batch, size_t row) {
    PointKind* kinds = batch->kinds(row);
    const HistogramPtr* histograms = batch->histograms(row);
    for (size_t t = 0; t < batch->steps(); ++t) {
      if (kinds[t] == PointKind::kHistogram) {
        batch->SetFloat(row, t, f(*histograms[t]));
      } else {
        kinds[t] = PointKind::kAbsent;
      }
    }
  };
}

}  // namespace

MapOperator::RowMap FindNativeHistogramFunction(std::string_view name) {
  using model::Histogram;
  if (name == "histogram_count") return OfHistograms([](const Histogram& h) { return h.count; });
  if (name == "histogram_sum") return OfHistograms([](const Histogram& h) { return h.sum; });
  if (name == "histogram_avg") {
    return OfHistograms([](const Histogram& h) { return h.sum / h.count; });
  }
  if (name == "histogram_stdvar") return OfHistograms(HistogramVariance);
  if (name == "histogram_stddev") {
    return OfHistograms([](const Histogram& h) { return std::sqrt(HistogramVariance(h)); });
  }
  return {};
}

}  // namespace tocsin::query
