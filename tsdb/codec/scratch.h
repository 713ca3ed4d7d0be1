// Scratch: an array for the time of one call. Columns come in chunks of 1,024 rows: those cost no
// allocation.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

namespace tocsin::tsdb {

template <typename T>
class Scratch {
 public:
  // What was taken before is gone. The values are not set.
  std::span<T> Take(size_t count) {
    if (count <= usual_.size()) return {usual_.data(), count};
    large_.resize(count);
    return large_;
  }

 private:
  std::array<T, 1024> usual_;
  std::vector<T> large_;
};

}  // namespace tocsin::tsdb
