// FactsPlan: what of a selection may be answered with facts instead of samples (model/facts.h),
// decided once for all its series by the pinned version.
//
// A segment's column facts stand for its columns where the whole file lies in one tile of the
// caller's wish and nothing else (another file, the head) has samples in its time: then every
// column of it is all there is of its series there.
#pragma once

#include <vector>

#include "model/facts.h"
#include "model/sample.h"
#include "tsdb/version.h"

namespace tocsin::tsdb {

class FactsPlan {
 public:
  FactsPlan() = default;
  // `head`: holds every sample of the head that the selection may meet.
  FactsPlan(const Version& version, model::TimeRange range, model::TimeRange head,
            const model::FactsWish& wish);

  bool any() const { return any_; }
  const model::FactsWish& wish() const { return wish_; }
  // By number of the segment in the version.
  bool UsesColumnFacts(uint32_t segment) const {
    return segment < column_facts_.size() && column_facts_[segment];
  }

 private:
  model::FactsWish wish_;
  bool any_ = false;
  std::vector<bool> column_facts_;
};

}  // namespace tocsin::tsdb
