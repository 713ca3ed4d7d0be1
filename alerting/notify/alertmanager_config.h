// AlertmanagerConfig: one entry of `alerting.alertmanagers`; AlertingConfig: the whole section.
// Plain structs: daemon/config.cc parses the file into them, AlertmanagerSender runs them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/http/client_config.h"
#include "discovery/provider.h"
#include "model/labels.h"
#include "model/relabel.h"

namespace tocsin::alerting {

struct AlertmanagerConfig {
  std::string scheme = "http";
  std::string path_prefix;  // "/api/v2/alerts" is added
  int64_t timeout_ms = 10'000;
  HttpClientConfig http;
  discovery::DiscoveryConfig discovery;                   // static groups; files are not built yet
  std::vector<model::RelabelRule> relabel_configs;        // on the Alertmanagers' own labels
  std::vector<model::RelabelRule> alert_relabel_configs;  // on alerts sent to these only
  friend bool operator==(const AlertmanagerConfig&, const AlertmanagerConfig&) = default;
};

struct AlertingConfig {
  std::vector<model::RelabelRule> alert_relabel_configs;
  std::vector<AlertmanagerConfig> alertmanagers;
  model::Labels external_labels;  // global.external_labels: added to every alert that lacks them
  friend bool operator==(const AlertingConfig&, const AlertingConfig&) = default;
};

}  // namespace tocsin::alerting
