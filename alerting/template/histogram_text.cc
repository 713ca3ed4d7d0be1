#include <cmath>

#include "alerting/template/go_format.h"
#include "base/number.h"
#include "model/histogram_arithmetic.h"

namespace tocsin::alerting::tmpl {
namespace {

struct Bucket {
  double lower, upper, count;
  bool lower_closed, upper_closed;
};

// Upper bound of bucket `index`; index - 1 gives its lower bound.
double Bound(const model::Histogram& h, int64_t index) {
  if (!h.uses_custom_buckets())
    return model::ExponentialBound(static_cast<int32_t>(index), h.schema);
  if (index < 0) return -HUGE_VAL;
  const auto i = static_cast<size_t>(index);
  return i < h.custom_values.size() ? h.custom_values[i] : HUGE_VAL;
}

void AddBuckets(const model::Histogram& h, bool negative, std::vector<Bucket>* buckets) {
  const auto& spans = negative ? h.negative_spans : h.positive_spans;
  const auto& counts = negative ? h.negative_buckets : h.positive_buckets;
  int64_t index = 0;
  size_t next = 0;
  for (const model::BucketSpan& span : spans) {
    index += span.offset;
    for (uint32_t i = 0; i < span.length && next < counts.size(); ++i, ++index) {
      const double low = Bound(h, index - 1);
      const double high = Bound(h, index);
      const double count = counts[next++];
      if (count == 0) continue;
      if (negative) {
        buckets->insert(buckets->begin(), {-high, -low, count, true, false});
      } else {
        buckets->push_back({low, high, count, false, true});
      }
    }
  }
}

}  // namespace

std::string HistogramText(const model::Histogram& h) {
  std::vector<Bucket> buckets;
  AddBuckets(h, true, &buckets);
  if (h.zero_count != 0) {
    buckets.push_back({-h.zero_threshold, h.zero_threshold, h.zero_count, true, true});
  }
  AddBuckets(h, false, &buckets);
  std::string out = "{count:" + FormatFloatGo(h.count) + ", sum:" + FormatFloatGo(h.sum);
  for (const Bucket& b : buckets) {
    out += ", ";
    out += b.lower_closed ? "[" : "(";
    out += FormatFloatGo(b.lower) + "," + FormatFloatGo(b.upper);
    out += b.upper_closed ? "]" : ")";
    out += ":" + FormatFloatGo(b.count);
  }
  return out + "}";
}

}  // namespace tocsin::alerting::tmpl
