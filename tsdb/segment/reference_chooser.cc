#include "tsdb/segment/reference_chooser.h"

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

void ReferenceChooser::Enter(uint32_t source, uint32_t family) {
  if (source == source_ && family == family_) return;
  source_ = source;
  family_ = family;
  columns_.clear();
  bytes_ = 0;
}

const ReferenceChooser::Candidate* ReferenceChooser::Choose(uint32_t axis, const RowPlaces& places,
                                                            std::span<const double> values) const {
  const auto fits = [&](const Candidate& c) {
    return c.axis == axis && c.depth < kReferenceDepthMax && c.values.size() == values.size() &&
           c.places.full == places.full && c.places.rows == places.rows;
  };
  for (auto at = columns_.rbegin(); at != columns_.rend(); ++at) {
    if (SameBits(at->values, values) && fits(*at)) return &*at;
  }
  if (columns_.empty()) return nullptr;
  const DifferenceSample sample(values);
  const Candidate* best = nullptr;
  double least = sample.Bits({}) * kGainMin;
  size_t tried = 0;
  for (auto at = columns_.rbegin(); at != columns_.rend() && tried < kResidualCandidates; ++at) {
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
  columns_.push_back(std::move(candidate));
  while (bytes_ > kReferenceBytesMax) {
    bytes_ -= columns_.front().values.size() * sizeof(double);
    columns_.pop_front();
  }
}

}  // namespace tocsin::tsdb
