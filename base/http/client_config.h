// HttpClientConfig: how we talk to somebody else's HTTP server (targets, Alertmanagers, receivers).
// A plain struct, filled from Prometheus' `http_config` fields (authorization, basic_auth,
// tls_config, proxy_url, http_headers, …); base/http/curl_options.h puts it on a transfer.
//
// Secrets may come from files, which are read anew for each transfer, so that rotating one needs no
// reload.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/secret.h"

namespace tocsin {

struct BasicAuthConfig {
  bool enabled = false;
  std::string username;
  std::string username_file;
  Secret password;
  std::string password_file;
  friend bool operator==(const BasicAuthConfig&, const BasicAuthConfig&) = default;
};

// `Authorization: TYPE CREDENTIALS`. bearer_token and bearer_token_file are the same with type
// "Bearer".
struct AuthorizationConfig {
  bool enabled = false;
  std::string type = "Bearer";
  Secret credentials;
  std::string credentials_file;
  friend bool operator==(const AuthorizationConfig&, const AuthorizationConfig&) = default;
};

struct TlsClientConfig {
  std::string ca_file;
  std::string ca_pem;  // inline `ca`
  std::string cert_file;
  std::string cert_pem;
  std::string key_file;
  Secret key_pem;
  std::string server_name;
  bool insecure_skip_verify = false;
  std::string min_version;  // "TLS10" … "TLS13"; "" = the default (TLS12)
  std::string max_version;
  friend bool operator==(const TlsClientConfig&, const TlsClientConfig&) = default;
};

struct HttpHeaderConfig {
  std::string name;
  std::vector<std::string> values;
  std::vector<Secret> secrets;
  std::vector<std::string> files;
  friend bool operator==(const HttpHeaderConfig&, const HttpHeaderConfig&) = default;
};

struct HttpClientConfig {
  BasicAuthConfig basic_auth;
  AuthorizationConfig authorization;
  TlsClientConfig tls;
  std::string proxy_url;  // "" = none
  std::string no_proxy;   // comma separated hosts
  bool proxy_from_environment = false;
  std::vector<std::pair<std::string, Secret>> proxy_connect_headers;
  bool follow_redirects = true;
  bool enable_http2 = true;
  std::vector<HttpHeaderConfig> headers;
  friend bool operator==(const HttpClientConfig&, const HttpClientConfig&) = default;
};

}  // namespace tocsin
