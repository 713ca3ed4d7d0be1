// Which external Alertmanagers are served: the answer of GET /api/v1/alertmanagers.
#pragma once

#include <string>
#include <vector>

namespace tocsin::alerting {

struct AlertmanagersView {
  std::vector<std::string> active;   // "http://host:9093/api/v2/alerts"
  std::vector<std::string> dropped;  // dropped by relabelling
};

// Thread-safe.
class AlertmanagerReader {
 public:
  virtual ~AlertmanagerReader() = default;
  virtual AlertmanagersView Alertmanagers() const = 0;
};

}  // namespace tocsin::alerting
