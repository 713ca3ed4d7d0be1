#include "tsdb/segment/reference_chooser.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "tsdb/segment/format.h"

namespace tocsin::tsdb {
namespace {

// Differences are compared on a sample of the rows.
constexpr size_t kSampledDifferences = 256;
// A residual must look this much smaller to be tried.
constexpr double kGainMin = 0.9;

bool SameBits(std::span<const double> a, std::span<const double> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

// Differences between neighbours, at evenly spread places; in units of the smallest, in bits.
class DifferenceSample {
 public:
  explicit DifferenceSample(std::span<const double> values) : values_(values) {
    step_ = std::max<size_t>(1, values.size() / kSampledDifferences);
    unit_ = std::numeric_limits<double>::infinity();
    for (size_t i = 1; i < values.size(); i += step_) {
      const double d = std::fabs(values[i] - values[i - 1]);
      if (d > 0 && d < unit_) unit_ = d;
    }
  }
  double Bits(std::span<const double> reference) const {
    double bits = 0;
    for (size_t i = 1; i < values_.size(); i += step_) {
      double d = values_[i] - values_[i - 1];
      if (!reference.empty()) d -= reference[i] - reference[i - 1];
      const double units = std::fabs(d) / unit_;
      // Written so that NaN counts most.
      bits += units < 0x1p62 ? static_cast<double>(std::bit_width(static_cast<uint64_t>(units * 2)))
                             : 64.0;
    }
    return bits;
  }

 private:
  std::span<const double> values_;
  size_t step_;
  double unit_;
};

}  // namespace

uint64_t ReferenceChooser::HashOf(uint32_t source, std::span<const double> values) {
  return XXH3_64bits_withSeed(values.data(), values.size_bytes(), source);
}

const ReferenceChooser::Candidate* ReferenceChooser::Choose(const Candidate& column) const {
  const auto fits = [&](const Candidate& c) {
    return c.source == column.source && c.axis == column.axis && c.depth < kReferenceDepthMax &&
           c.values.size() == column.values.size() && c.places.full == column.places.full &&
           c.places.rows == column.places.rows;
  };
  if (const auto equal = newest_.find(column.hash); equal != newest_.end()) {
    const Candidate& c = At(equal->second);
    if (fits(c) && SameBits(c.values, column.values)) return &c;
  }
  const auto in_family = [&](const Candidate& c) {
    return c.source == column.source && c.family == column.family;
  };
  if (columns_.empty() || !in_family(columns_.back())) return nullptr;
  const DifferenceSample sample(column.values);
  const Candidate* best = nullptr;
  double least = sample.Bits({}) * kGainMin;
  size_t tried = 0;
  for (auto at = columns_.rbegin();
       at != columns_.rend() && in_family(*at) && tried < kResidualCandidates; ++at) {
    if (!fits(*at)) continue;
    ++tried;
    const double bits = sample.Bits(at->values);
    if (bits >= least) continue;
    least = bits;
    best = &*at;
  }
  return best;
}

void ReferenceChooser::Add(Candidate candidate) {
  bytes_ += candidate.values.size() * sizeof(double);
  newest_[candidate.hash] = first_ + columns_.size();
  columns_.push_back(std::move(candidate));
  while (bytes_ > kReferenceBytesMax) {
    const Candidate& oldest = columns_.front();
    bytes_ -= oldest.values.size() * sizeof(double);
    const auto known = newest_.find(oldest.hash);
    if (known->second == first_) newest_.erase(known);
    columns_.pop_front();
    ++first_;
  }
}

}  // namespace tocsin::tsdb
