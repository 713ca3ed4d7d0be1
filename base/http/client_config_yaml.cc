#include "base/http/client_config_yaml.h"

#include <algorithm>
#include <array>

#include "base/env.h"

namespace tocsin {
namespace {

// Headers that belong to the transfer itself.
constexpr std::array<std::string_view, 17> kReservedHeaders = {"accept",
                                                               "accept-charset",
                                                               "accept-encoding",
                                                               "accept-language",
                                                               "authorization",
                                                               "connection",
                                                               "content-encoding",
                                                               "content-length",
                                                               "content-type",
                                                               "cookie",
                                                               "host",
                                                               "proxy-authorization",
                                                               "proxy-connection",
                                                               "te",
                                                               "trailer",
                                                               "transfer-encoding",
                                                               "upgrade"};

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower;
}

class FieldReader {
 public:
  FieldReader(YamlMapReader* map, HttpClientConfig* config, YamlErrors* errors,
              std::vector<std::string>* not_built)
      : map_(map), config_(config), errors_(errors), not_built_(not_built) {}

  void Read() {
    ReadBasicAuth();
    ReadAuthorization();
    ReadBearer();
    ReadTls();
    ReadProxy();
    ReadHeaders();
    if (const YamlNode node = map_->Take("oauth2"); node.present() && !node.is_null()) {
      ++kinds_;
      not_built_->push_back(node.ErrorHere("oauth2 is not built yet").message());
    }
    map_->Read("follow_redirects", &config_->follow_redirects);
    map_->Read("enable_http2", &config_->enable_http2);
    if (kinds_ > 1) {
      errors_->Add(map_->node(),
                   "at most one of basic_auth, oauth2 & authorization must be configured");
    }
  }

 private:
  // Complains when both are given.
  void AtMostOne(const YamlNode& place, bool first, bool second, std::string_view what) {
    if (first && second) {
      errors_->Add(place, "at most one of " + std::string(what) + " must be configured");
    }
  }

  void ReadBasicAuth() {
    const YamlNode node = map_->Take("basic_auth");
    if (!node.present() || node.is_null()) return;
    ++kinds_;
    BasicAuthConfig& auth = config_->basic_auth;
    auth.enabled = true;
    YamlMapReader map(node, "type config.plain", errors_);
    map.Read("username", &auth.username);
    map.Read("username_file", &auth.username_file);
    map.Read("password", &auth.password);
    map.Read("password_file", &auth.password_file);
    for (const std::string_view field : {"username_ref", "password_ref"}) map.Take(field);
    map.Finish();
    AtMostOne(node, !auth.username.empty(), !auth.username_file.empty(),
              "basic_auth username & username_file");
    AtMostOne(node, !auth.password.empty(), !auth.password_file.empty(),
              "basic_auth password & password_file");
  }

  void ReadAuthorization() {
    const YamlNode node = map_->Take("authorization");
    if (!node.present() || node.is_null()) return;
    ++kinds_;
    AuthorizationConfig& auth = config_->authorization;
    auth.enabled = true;
    YamlMapReader map(node, "type config.plain", errors_);
    map.Read("type", &auth.type);
    map.Read("credentials", &auth.credentials);
    map.Read("credentials_file", &auth.credentials_file);
    map.Take("credentials_ref");
    map.Finish();
    const size_t first = auth.type.find_first_not_of(' ');
    auth.type = first == std::string::npos
                    ? "Bearer"
                    : auth.type.substr(first, auth.type.find_last_not_of(' ') - first + 1);
    if (Lower(auth.type) == "basic") {
      errors_->Add(node,
                   "authorization type cannot be set to \"basic\", use \"basic_auth\" instead");
    }
    AtMostOne(node, !auth.credentials.empty(), !auth.credentials_file.empty(),
              "authorization credentials & credentials_file");
  }

  void ReadBearer() {
    Secret token;
    std::string file;
    map_->Read("bearer_token", &token);
    map_->Read("bearer_token_file", &file);
    if (token.empty() && file.empty()) return;
    AtMostOne(map_->node(), !token.empty(), !file.empty(), "bearer_token & bearer_token_file");
    if (config_->authorization.enabled) {
      errors_->Add(map_->node(),
                   "authorization is not compatible with bearer_token & bearer_token_file");
    } else if (kinds_ > 0) {
      errors_->Add(map_->node(),
                   "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be "
                   "configured");
    }
    ++kinds_;
    config_->authorization = {true, "Bearer", token, file};
    if (kinds_ > 1) kinds_ = 1;  // said already
  }

  void ReadTls() {
    const YamlNode node = map_->Take("tls_config");
    if (!node.present() || node.is_null()) return;
    TlsClientConfig& tls = config_->tls;
    YamlMapReader map(node, "type config.TLSConfig", errors_);
    map.Read("ca", &tls.ca_pem);
    map.Read("ca_file", &tls.ca_file);
    map.Read("cert", &tls.cert_pem);
    map.Read("cert_file", &tls.cert_file);
    map.Read("key", &tls.key_pem);
    map.Read("key_file", &tls.key_file);
    map.Read("server_name", &tls.server_name);
    map.Read("insecure_skip_verify", &tls.insecure_skip_verify);
    map.Read("min_version", &tls.min_version);
    map.Read("max_version", &tls.max_version);
    for (const std::string_view field : {"ca_ref", "cert_ref", "key_ref"}) map.Take(field);
    map.Finish();
    AtMostOne(node, !tls.ca_pem.empty(), !tls.ca_file.empty(), "ca and ca_file");
    AtMostOne(node, !tls.cert_pem.empty(), !tls.cert_file.empty(), "cert and cert_file");
    AtMostOne(node, !tls.key_pem.empty(), !tls.key_file.empty(), "key and key_file");
    const bool cert = !tls.cert_pem.empty() || !tls.cert_file.empty();
    const bool key = !tls.key_pem.empty() || !tls.key_file.empty();
    if (cert && !key) {
      errors_->Add(node,
                   "exactly one of key or key_file must be configured when a client certificate is "
                   "configured");
    } else if (key && !cert) {
      errors_->Add(node,
                   "exactly one of cert or cert_file must be configured when a client key is "
                   "configured");
    }
    for (const std::string& version : {tls.min_version, tls.max_version}) {
      constexpr std::array<std::string_view, 5> kVersions = {"", "TLS10", "TLS11", "TLS12",
                                                             "TLS13"};
      if (std::find(kVersions.begin(), kVersions.end(), version) == kVersions.end()) {
        errors_->Add(node, "unknown TLS version: " + version);
      }
    }
  }

  void ReadProxy() {
    map_->Read("proxy_url", &config_->proxy_url);
    map_->Read("no_proxy", &config_->no_proxy);
    map_->Read("proxy_from_environment", &config_->proxy_from_environment);
    const YamlNode connect = map_->Take("proxy_connect_header");
    for (const YamlEntry& entry : connect.entries()) {
      for (const YamlNode& value : entry.value.items()) {
        config_->proxy_connect_headers.emplace_back(entry.key.text(), Secret(value.text()));
      }
    }
    const bool url = !config_->proxy_url.empty();
    const YamlNode& at = map_->node();
    if (config_->proxy_from_environment && url) {
      errors_->Add(at, "if proxy_from_environment is configured, proxy_url must not be configured");
    }
    if (config_->proxy_from_environment && !config_->no_proxy.empty()) {
      errors_->Add(at, "if proxy_from_environment is configured, no_proxy must not be configured");
    }
    if (!url && !config_->no_proxy.empty() && !config_->proxy_from_environment) {
      errors_->Add(at, "if no_proxy is configured, proxy_url must also be configured");
    }
    if (connect.present() && !connect.entries().empty() && !url &&
        !config_->proxy_from_environment) {
      errors_->Add(
          at,
          "if proxy_connect_header is configured, proxy_url or proxy_from_environment must "
          "also be configured");
    }
  }

  void ReadHeaders() {
    const YamlNode node = map_->Take("http_headers");
    if (!node.present() || node.is_null()) return;
    if (!node.is_map()) errors_->Add(node, "cannot unmarshal " + node.Describe() + " into a map");
    for (const YamlEntry& entry : node.entries()) {
      HttpHeaderConfig header;
      header.name = entry.key.text();
      YamlMapReader map(entry.value, "type config.Header", errors_);
      map.Read("values", &header.values);
      std::vector<std::string> secrets;
      map.Read("secrets", &secrets);
      for (std::string& secret : secrets) header.secrets.emplace_back(std::move(secret));
      map.Read("files", &header.files);
      map.Finish();
      if (std::find(kReservedHeaders.begin(), kReservedHeaders.end(), Lower(header.name)) !=
          kReservedHeaders.end()) {
        errors_->Add(entry.key, "setting header \"" + header.name + "\" is not allowed");
      }
      config_->headers.push_back(std::move(header));
    }
  }

  YamlMapReader* const map_;
  HttpClientConfig* const config_;
  YamlErrors* const errors_;
  std::vector<std::string>* const not_built_;
  int kinds_ = 0;  // of authentication
};

}  // namespace

void ReadHttpClientFields(YamlMapReader* map, HttpClientConfig* config, YamlErrors* errors,
                          std::vector<std::string>* not_built) {
  FieldReader(map, config, errors, not_built).Read();
}

void ResolveHttpClientPaths(const std::string& directory, HttpClientConfig* config) {
  const auto resolve = [&](std::string* path) {
    if (!path->empty()) *path = JoinPath(directory, *path);
  };
  resolve(&config->basic_auth.username_file);
  resolve(&config->basic_auth.password_file);
  resolve(&config->authorization.credentials_file);
  resolve(&config->tls.ca_file);
  resolve(&config->tls.cert_file);
  resolve(&config->tls.key_file);
  for (HttpHeaderConfig& header : config->headers) {
    for (std::string& file : header.files) resolve(&file);
  }
}

}  // namespace tocsin
