// HistogramSum: adds native histograms up, one group at one step.
#pragma once

#include <optional>

#include "query/annotations.h"
#include "query/histogram_math.h"

namespace tocsin::query {

class HistogramSum {
 public:
  // False when it does not fit to what was added before; there is no result then.
  bool Add(const model::Histogram& histogram);
  // Floats were there too: no result. Histograms that only come after them are not looked at, and
  // after a misfit nothing counts any more.
  void MeetFloats() { meets_floats_ = meets_floats_ || !incompatible_; }
  // Nothing when floats were met or something did not fit.
  std::optional<model::Histogram> Finish(bool average, AnnotationSink* annotations,
                                         PositionRange position) const;

 private:
  std::optional<CompensatedHistogram> total_;
  double count_ = 0;
  bool meets_floats_ = false;
  bool incompatible_ = false;
  bool bounds_reconciled_ = false;
  bool has_reset_ = false;
  bool has_not_reset_ = false;
};

}  // namespace tocsin::query
