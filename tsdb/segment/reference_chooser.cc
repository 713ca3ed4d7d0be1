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
// So much nearer must the steps of another column of the source come to be looked at closely.
constexpr float kNearer = 0.8f;
constexpr float kStepMax = 1e30f;
// Columns that stand still mostly are small anyway.
constexpr size_t kMovesMin = ReferenceChooser::kSteps / 8;
// One from elsewhere in the source may cause so many to be decoded besides.
constexpr unsigned kFarReferencesMax = 6;

bool SameBits(std::span<const double> a, std::span<const double> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

// Differences between neighbours, at evenly spread places; in units of the smallest, in bits.
class DifferenceSample {
 public:
  explicit DifferenceSample(std::span<const double> values)
      : values_(values), step_(std::max<size_t>(1, values.size() / kSampledDifferences)) {
    double unit = std::numeric_limits<double>::infinity();
    for (size_t i = 1; i < values.size(); i += step_) {
      const double d = std::fabs(values[i] - values[i - 1]);
      if (d > 0 && d < unit) unit = d;
    }
    per_unit_ = 1 / unit;
  }
  uint64_t Bits() const {
    return Sum([this](size_t i) { return values_[i] - values_[i - 1]; });
  }
  uint64_t Bits(std::span<const double> reference) const {
    return Sum([this, reference](size_t i) {
      return (values_[i] - values_[i - 1]) - (reference[i] - reference[i - 1]);
    });
  }

 private:
  template <typename Difference>
  uint64_t Sum(Difference difference) const {
    uint64_t bits = 0;
    for (size_t i = 1; i < values_.size(); i += step_) bits += Width(difference(i) * per_unit_);
    return bits;
  }
  // Bits of twice the magnitude, rounded down to whole; of what is not a number, 64.
  static uint64_t Width(double units) {
    const auto exponent =
        static_cast<int64_t>(std::bit_cast<uint64_t>(std::fabs(units)) >> kMantissaBits);
    return static_cast<uint64_t>(std::clamp<int64_t>(exponent - kExponentOfHalf + 1, 0, 64));
  }
  static constexpr unsigned kMantissaBits = 52;
  static constexpr int64_t kExponentOfHalf = 1022;  // biased

  std::span<const double> values_;
  size_t step_;
  double per_unit_;
};

using Steps = ReferenceChooser::Steps;

}  // namespace

ReferenceChooser::Steps ReferenceChooser::StepsOf(std::span<const double> values) {
  Steps steps{};
  if (values.size() < 2) return steps;
  for (size_t i = 0; i < steps.size(); ++i) {
    const size_t at = 1 + i * (values.size() - 1) / steps.size();
    const auto step = static_cast<float>(values[at] - values[at - 1]);
    // What is not a number would make all sums so.
    steps[i] = std::fabs(step) < kStepMax ? step : kStepMax;
  }
  return steps;
}

namespace {

// How much of the steps `a` the steps `b`, or their negatives, leave: |a ∓ b| as a part of |a|, at
// most 1, summed up. So a few leaps, as of garbage collections, do not hide what is equal between
// them.
struct Distances {
  float minus;
  float plus;
};
class StepComparison {
 public:
  explicit StepComparison(const Steps& a) : a_(a) {
    float unit = kStepMax;
    for (const float step : a) {
      if (step != 0) unit = std::min(unit, std::fabs(step));
    }
    for (size_t i = 0; i < a.size(); ++i) weights_[i] = 1 / (a[i] != 0 ? std::fabs(a[i]) : unit);
  }
  // Eight at a time, for the compiler to use its vectors.
  Distances To(const Steps& b) const;

 private:
  const Steps& a_;
  Steps weights_;
};

Distances StepComparison::To(const Steps& b) const {
  constexpr size_t kLanes = 8;
  std::array<float, kLanes> minus{};
  std::array<float, kLanes> plus{};
  const auto part = [this](float rest, size_t i) {
    const float weighted = std::fabs(rest) * weights_[i];
    return weighted < 1 ? weighted : 1.0f;
  };
  for (size_t i = 0; i < a_.size(); i += kLanes) {
    for (size_t l = 0; l < kLanes; ++l) minus[l] += part(a_[i + l] - b[i + l], i + l);
    for (size_t l = 0; l < kLanes; ++l) plus[l] += part(a_[i + l] + b[i + l], i + l);
  }
  Distances sum{0, 0};
  for (size_t l = 0; l < kLanes; ++l) {
    sum.minus += minus[l];
    sum.plus += plus[l];
  }
  return sum;
}

}  // namespace

uint64_t ReferenceChooser::HashOf(uint32_t source, std::span<const double> values) {
  return XXH3_64bits_withSeed(values.data(), values.size_bytes(), source);
}

namespace {

bool Fits(const ReferenceChooser::Candidate& c, const ReferenceChooser::Candidate& column) {
  return c.source == column.source && c.axis == column.axis && c.decodes < kReferencesMax &&
         c.values.size() == column.values.size() && c.places.full == column.places.full &&
         c.places.rows == column.places.rows;
}

}  // namespace

ReferenceChooser::Choice ReferenceChooser::Chosen(const Candidate& column, const Pick& pick,
                                                  std::span<const double> values) const {
  const auto referenced = [&](const Candidate& c) {
    return ReferencedColumn{column.offset - c.offset, c.length, c.flags};
  };
  Choice choice{.values = values, .reference = {}, .decodes = 1 + pick.first->decodes};
  choice.reference.way = pick.way;
  choice.reference.first = referenced(*pick.first);
  if (pick.second != nullptr) {
    choice.reference.second = referenced(*pick.second);
    choice.decodes += 1 + pick.second->decodes;
  }
  return choice;
}

std::span<const double> ReferenceChooser::ValuesOf(const Pick& pick,
                                                   std::vector<double>* scratch) const {
  if (pick.way == ReferenceWay::kOne) return pick.first->values;
  scratch->resize(pick.first->values.size());
  CombineReferences(
      pick.way, pick.first->values,
      pick.second == nullptr ? std::span<const double>() : std::span(pick.second->values),
      scratch->data());
  return *scratch;
}

void ReferenceChooser::PickFromFamily(const Candidate& column, std::vector<Pick>* picks) const {
  for (auto at = columns_.rbegin();
       at != columns_.rend() && at->source == column.source && at->family == column.family &&
       picks->size() < kResidualCandidates;
       ++at) {
    if (Fits(*at, column)) picks->push_back({ReferenceWay::kOne, &*at, nullptr});
  }
}

void ReferenceChooser::PickFromSource(const Candidate& column, std::vector<Pick>* picks) const {
  const Steps& steps = column.steps;
  const auto moves = static_cast<size_t>(
      std::count_if(steps.begin(), steps.end(), [](float step) { return step != 0; }));
  if (moves < kMovesMin) return;
  const size_t screened = std::min(kScreenedMax, column.values.size() / kRowsPerScreened);
  float nearest = static_cast<float>(moves) * kNearer;
  const auto each = [&](auto look) {
    size_t left = screened;
    for (size_t i = columns_.size(); i-- > 0 && left > 0;) {
      const Candidate& c = columns_[i];
      if (c.source != column.source) continue;
      --left;
      if (c.decodes < kFarReferencesMax && Fits(c, column)) look(c, c.steps);
    }
  };
  Pick one;
  const Steps* one_steps = nullptr;
  const StepComparison to_steps(steps);
  each([&](const Candidate& c, const Steps& other) {
    const Distances distances = to_steps.To(other);
    const float distance = std::min(distances.minus, distances.plus);
    if (!(distance < nearest)) return;
    nearest = distance;
    one = {distances.plus < distances.minus ? ReferenceWay::kNegative : ReferenceWay::kOne, &c,
           nullptr};
    one_steps = &other;
  });
  if (one.first == nullptr) return;
  picks->push_back(one);
  if (nearest == 0) return;
  const bool negative = one.way == ReferenceWay::kNegative;
  Steps rest;
  for (size_t i = 0; i < rest.size(); ++i) {
    rest[i] = negative ? steps[i] + (*one_steps)[i] : steps[i] - (*one_steps)[i];
  }
  const StepComparison to_rest(rest);
  nearest = kNearer * static_cast<float>(std::count_if(rest.begin(), rest.end(),
                                                       [](float step) { return step != 0; }));
  Pick two;
  each([&](const Candidate& c, const Steps& other) {
    if (&c == one.first || c.decodes + one.first->decodes + 2 > kFarReferencesMax) return;
    const Distances distances = to_rest.To(other);
    // The negatives of two are not on offer.
    if (distances.minus < nearest) {
      nearest = distances.minus;
      two = negative ? Pick{ReferenceWay::kDifference, &c, one.first}
                     : Pick{ReferenceWay::kSum, one.first, &c};
    }
    if (!negative && distances.plus < nearest) {
      nearest = distances.plus;
      two = {ReferenceWay::kDifference, one.first, &c};
    }
  });
  if (two.first != nullptr) picks->push_back(two);
}

ReferenceChooser::Choice ReferenceChooser::Choose(const Candidate& column) {
  if (const auto equal = newest_.find(column.hash); equal != newest_.end()) {
    const Candidate& c = At(equal->second);
    if (Fits(c, column) && SameBits(c.values, column.values)) {
      Choice choice = Chosen(column, {ReferenceWay::kOne, &c, nullptr}, c.values);
      choice.equal = true;
      return choice;
    }
  }
  std::vector<Pick> picks;
  PickFromFamily(column, &picks);
  PickFromSource(column, &picks);
  if (picks.empty()) return {};
  const DifferenceSample sample(column.values);
  double least = static_cast<double>(sample.Bits()) * kGainMin;
  const Pick* best = nullptr;
  for (const Pick& pick : picks) {
    const auto bits = static_cast<double>(sample.Bits(ValuesOf(pick, &trial_)));
    if (bits >= least) continue;
    least = bits;
    best = &pick;
  }
  if (best == nullptr) return {};
  return Chosen(column, *best, ValuesOf(*best, &combined_));
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
