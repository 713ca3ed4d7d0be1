// histogram_quantile, histogram_quantiles and histogram_fraction, over native histograms and the
// buckets of classic ones. Buckets find each other by their labels without le once, when opened.
#pragma once

#include <string>
#include <vector>

#include "query/functions/classic_histogram.h"
#include "query/operators/operator.h"

namespace tocsin::query {

struct HistogramFunctionSpec {
  enum class Kind : uint8_t { kQuantile, kQuantiles, kFraction };
  Kind kind = Kind::kQuantile;
  std::string label;  // of histogram_quantiles
  PositionRange vector_position;
  std::vector<PositionRange> scalar_positions;
};

class HistogramFunctionOperator final : public MaterialisedOperator {
 public:
  // `scalars`: quantiles, or lower and upper bound.
  HistogramFunctionOperator(QueryContext* context, const Grid& grid, HistogramFunctionSpec spec,
                            OperatorPtr child, std::vector<OperatorPtr> scalars)
      : MaterialisedOperator(context, grid),
        spec_(std::move(spec)),
        child_(std::move(child)),
        scalar_operators_(std::move(scalars)) {}
  Status Open() override;

 private:
  // The child's series that make one histogram.
  struct Family {
    struct Bound {
      uint32_t series;
      double upper_bound;
    };
    model::Labels labels;
    bool drops_name = false;
    std::vector<Bound> bounds;
    std::vector<uint32_t> whole;  // series without an own bound: native histograms
  };

  // What annotations call a histogram; nothing when its name is dropped at once. `labels` outlives
  // it.
  std::string_view NameOf(const model::Labels& labels) const;
  Status FindFamilies();
  void AnnotateBadBounds(const Batch& all);
  // The quantile labels that occur, and for each quantile and step which of them it has.
  void FindQuantileLabels();
  Status AddOutputs();
  Status Evaluate(const Batch& all, const Family& family, size_t first_row);
  Status SetOutput(size_t row, size_t t, double value);
  double Classic(const Family& family, size_t scalar, size_t t, std::vector<ClassicBucket> buckets);
  double Native(const model::Histogram& histogram, const Family& family, size_t scalar, size_t t);
  size_t OutputsPerFamily() const {
    return spec_.kind == HistogramFunctionSpec::Kind::kQuantiles ? quantile_labels_.size() : 1;
  }

  const HistogramFunctionSpec spec_;
  const OperatorPtr child_;
  const std::vector<OperatorPtr> scalar_operators_;
  std::vector<std::vector<double>> scalars_;
  // Of histogram_quantiles: a quantile may change from step to step, and so does its series then.
  std::vector<std::string> quantile_labels_;
  std::vector<std::vector<uint32_t>> label_of_;  // quantile × step: index of quantile_labels_
  std::vector<Family> families_;
  LabelsCharge families_charge_{context_};
  std::vector<uint32_t> bad_bounds_;  // series whose le is missing or no number
};

}  // namespace tocsin::query
