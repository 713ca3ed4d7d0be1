// Reads Prometheus' HTTP client fields (basic_auth, authorization, bearer_token, tls_config,
// proxy_url, follow_redirects, http_headers, …) from a YAML map into an HttpClientConfig. In
// scrape_configs and alertmanagers they stand among the section's own fields, in Alertmanager's
// http_config alone; both ways go through here, with Prometheus' checks and sentences.
#pragma once

#include <string>
#include <vector>

#include "base/http/client_config.h"
#include "base/yaml.h"

namespace tocsin {

// Takes the HTTP fields of `map`; what is missing stays as it is in `config`. What is valid and not
// built (oauth2) is added to `not_built` as a sentence that names its place.
void ReadHttpClientFields(YamlMapReader* map, HttpClientConfig* config, YamlErrors* errors,
                          std::vector<std::string>* not_built);

// Paths of files in the configuration are relative to the file's folder.
void ResolveHttpClientPaths(const std::string& directory, HttpClientConfig* config);

}  // namespace tocsin
