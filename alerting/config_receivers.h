// The receivers of an Alertmanager configuration: their fields, and Alertmanager's checks on them.
// Webhooks become structs; the others are checked and named as not built yet.
#pragma once

#include <string>
#include <vector>

#include "alerting/config.h"
#include "base/yaml.h"

namespace tocsin::alerting {

// What receivers take over from the `global` section.
struct GlobalDefaults {
  YamlNode node;  // the section; absent when there is none
  HttpClientConfig http;
};

// Reads the `global` section into `config` and complains about it.
GlobalDefaults ReadGlobal(const YamlNode& node, NotifierConfig* config, YamlErrors* errors);

// Reads one entry of `receivers`.
ReceiverConfig ReadReceiver(const YamlNode& node, const GlobalDefaults& global,
                            std::vector<std::string>* not_built, YamlErrors* errors);

}  // namespace tocsin::alerting
