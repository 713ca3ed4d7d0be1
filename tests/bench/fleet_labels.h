// Labels of the synthetic fleet that the benchmarks of the storage use: sources "host-N", keys with
// 50 metric names.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "model/labels.h"

namespace tocsin::tsdb {

inline std::string Text(int i) { return std::to_string(i); }

inline model::Labels SourceLabels(int i) {
  return model::Labels::FromPairs(std::vector<std::pair<std::string, std::string>>{
      {"job", "node"}, {"instance", "host-" + Text(i) + ".example.com:9100"}});
}

inline model::Labels KeyLabels(int i) {
  return model::Labels::FromPairs(std::vector<std::pair<std::string, std::string>>{
      {"__name__", "http_requests_" + Text(i % 50) + "_total"},
      {"method", i % 2 == 0 ? "GET" : "POST"},
      {"path", "/api/v1/resource/" + Text(i / 50)}});
}

}  // namespace tocsin::tsdb
