// Fields and rules of Prometheus' HTTP client settings: authorization, TLS, proxies, headers.
#include <algorithm>
#include <string>

#include "daemon/config/schema.h"

namespace tocsin::daemon {
namespace {

// Set by ourselves or by the library; canonical form in lower case.
constexpr std::string_view kReservedHeaders[] = {
    "authorization",
    "host",
    "content-encoding",
    "content-length",
    "content-type",
    "user-agent",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "www-authenticate",
    "accept-encoding",
    "x-prometheus-remote-write-version",
    "x-prometheus-remote-read-version",
    "x-prometheus-scrape-timeout-seconds",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
};

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return lower;
}

void ValidateTls(SectionCheck& s) {
  for (const std::string_view what : {"ca", "cert", "key"}) {
    const std::string name(what);
    if (s.Count({name, name + "_file", name + "_ref"}) > 1) {
      s.Fail(name, "at most one of " + name + " and " + name + "_file must be configured");
    }
  }
  const bool has_cert = s.Count({"cert", "cert_file", "cert_ref"}) > 0;
  const bool has_key = s.Count({"key", "key_file", "key_ref"}) > 0;
  if (has_cert && !has_key) {
    s.Fail(
        "exactly one of key or key_file must be configured when a client certificate is "
        "configured");
  }
  if (has_key && !has_cert) {
    s.Fail("exactly one of cert or cert_file must be configured when a client key is configured");
  }
}

void ValidateBasicAuth(SectionCheck& s) {
  if (s.Count({"username", "username_file", "username_ref"}) > 1) {
    s.Fail("at most one of basic_auth username, username_file & username_ref must be configured");
  }
  if (s.Count({"password", "password_file", "password_ref"}) > 1) {
    s.Fail("at most one of basic_auth password, password_file & password_ref must be configured");
  }
}

void ValidateAuthorization(SectionCheck& s) {
  if (s.Count({"credentials", "credentials_file", "credentials_ref"}) > 1) {
    s.Fail("at most one of authorization credentials & credentials_file must be configured");
  }
  if (Lower(s.Text("type")) == "basic") {
    s.Fail("type", "authorization type cannot be set to \"basic\", use \"basic_auth\" instead");
  }
}

void ValidateProxy(SectionCheck& s) {
  const bool from_environment = s.Bool("proxy_from_environment");
  if (s.Set("proxy_connect_header") && !from_environment && !s.Set("proxy_url")) {
    s.Fail("proxy_connect_header",
           "if proxy_connect_header is configured, proxy_url or proxy_from_environment must also "
           "be configured");
  }
  if (from_environment && s.Set("proxy_url")) {
    s.Fail("proxy_url",
           "if proxy_from_environment is configured, proxy_url must not be configured");
  }
  if (from_environment && s.Set("no_proxy")) {
    s.Fail("no_proxy", "if proxy_from_environment is configured, no_proxy must not be configured");
  }
  if (s.Set("no_proxy") && !s.Set("proxy_url") && !from_environment) {
    s.Fail("no_proxy", "if no_proxy is configured, proxy_url must also be configured");
  }
}

constexpr std::string_view kJwtGrant = "urn:ietf:params:oauth:grant-type:jwt-bearer";

void ValidateOAuth2(SectionCheck& s) {
  s.Require("client_id", "oauth2 client_id must be configured");
  s.Require("token_url", "oauth2 token_url must be configured");
  if (s.Count({"client_secret", "client_secret_file", "client_secret_ref"}) > 1) {
    s.Fail(
        "at most one of oauth2 client_secret, client_secret_file & client_secret_ref must be "
        "configured");
  }
  const int keys = s.Count(
      {"client_certificate_key", "client_certificate_key_file", "client_certificate_key_ref"});
  if (keys > 1) {
    s.Fail(
        "at most one of oauth2 client_certificate_key, client_certificate_key_file & "
        "client_certificate_key_ref must be configured");
  }
  if (s.Text("grant_type") == kJwtGrant && keys == 0) {
    s.Fail("grant_type",
           "one of oauth2 client_certificate_key, client_certificate_key_file & "
           "client_certificate_key_ref must be configured");
  }
  ValidateProxy(s);
}

void ValidateHeaders(SectionCheck& s) {
  for (const YamlEntry& entry : s.Node("http_headers").entries()) {
    const std::string name = Lower(entry.key.text());
    if (std::find(std::begin(kReservedHeaders), std::end(kReservedHeaders), name) !=
        std::end(kReservedHeaders)) {
      s.context().errors->Add(entry.key,
                              "setting header \"" + entry.key.text() + "\" is not allowed");
    }
  }
}

void ValidateHttpClient(SectionCheck& s) {
  const bool basic = s.Given("basic_auth");
  const bool oauth = s.Given("oauth2");
  const bool bearer = s.Set("bearer_token");
  const bool bearer_file = s.Set("bearer_token_file");
  if (bearer && bearer_file) {
    s.Fail("bearer_token_file",
           "at most one of bearer_token & bearer_token_file must be configured");
  }
  if ((basic || oauth) && (bearer || bearer_file)) {
    s.Fail(bearer ? "bearer_token" : "bearer_token_file",
           "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be "
           "configured");
  }
  if (s.Given("authorization")) {
    if (bearer || bearer_file) {
      s.Fail("authorization",
             "authorization is not compatible with bearer_token & bearer_token_file");
    }
    if (basic || oauth) {
      s.Fail("authorization",
             "at most one of basic_auth, oauth2 & authorization must be configured");
    }
  } else if (basic && oauth) {
    s.Fail("oauth2", "at most one of basic_auth, oauth2 & authorization must be configured");
  }
  ValidateProxy(s);
  ValidateHeaders(s);
}

constexpr std::string_view kTlsVersions = "TLS10|TLS11|TLS12|TLS13";

constexpr Field kTlsFields[] = {
    Text("ca"),
    Text("cert"),
    SecretText("key"),
    FilePath("ca_file"),
    FilePath("cert_file"),
    FilePath("key_file"),
    NotBuilt(Text("ca_ref")),
    NotBuilt(Text("cert_ref")),
    NotBuilt(Text("key_ref")),
    Text("server_name"),
    Shown(Flag("insecure_skip_verify")),
    Enum("min_version", kTlsVersions),
    Enum("max_version", kTlsVersions),
};

constexpr Field kBasicAuthFields[] = {
    Text("username"),       FilePath("username_file"), NotBuilt(Text("username_ref")),
    SecretText("password"), FilePath("password_file"), NotBuilt(Text("password_ref")),
};
constexpr Section kBasicAuthSection{
    .name = "basic_auth", .fields = kBasicAuthFields, .validate = ValidateBasicAuth};

constexpr Field kAuthorizationFields[] = {
    Text("type", "Bearer"),
    SecretText("credentials"),
    FilePath("credentials_file"),
    NotBuilt(Text("credentials_ref")),
};
constexpr Section kAuthorizationSection{
    .name = "authorization", .fields = kAuthorizationFields, .validate = ValidateAuthorization};

constexpr Field kHeaderFields[] = {
    List("values"),
    {.name = "secrets", .type = FieldType::kSecretList},
    {.name = "files", .type = FieldType::kStringList, .is_file = true},
};
constexpr Section kHeaderSection{.name = "http_headers", .fields = kHeaderFields};

constexpr Field kProxyFields[] = {
    Url("proxy_url"),
    Text("no_proxy"),
    Flag("proxy_from_environment"),
    {.name = "proxy_connect_header", .type = FieldType::kSecretListMap},
};
constexpr Section kProxySection{.name = "proxy settings", .fields = kProxyFields};

constexpr Field kHttpHeadersField{
    .name = "http_headers", .type = FieldType::kSectionMap, .section = &kHeaderSection};

constexpr Field kOAuth2Fields[] = {
    Text("client_id"),
    SecretText("client_secret"),
    FilePath("client_secret_file"),
    Text("client_secret_ref"),
    Enum("grant_type", "client_credentials|urn:ietf:params:oauth:grant-type:jwt-bearer"),
    SecretText("client_certificate_key"),
    FilePath("client_certificate_key_file"),
    Text("client_certificate_key_ref"),
    Text("client_certificate_key_id"),
    Enum("signature_algorithm", "RS256|RS384|RS512"),
    Text("iss"),
    Text("audience"),
    Map("claims"),
    List("scopes"),
    Url("token_url"),
    Map("endpoint_params"),
    Sub("tls_config", &kTlsSection),
    kHttpHeadersField,
};
constexpr const Section* kOAuth2Inlined[] = {&kProxySection};
constexpr Section kOAuth2Section{.name = "oauth2",
                                 .fields = kOAuth2Fields,
                                 .inlined = kOAuth2Inlined,
                                 .validate = ValidateOAuth2};

constexpr Field kHttpClientFields[] = {
    Sub("basic_auth", &kBasicAuthSection),
    Sub("authorization", &kAuthorizationSection),
    NotBuilt(Sub("oauth2", &kOAuth2Section)),
    SecretText("bearer_token"),
    FilePath("bearer_token_file"),
    Sub("tls_config", &kTlsSection),
    Shown(Flag("follow_redirects", "true")),
    Shown(Flag("enable_http2", "true")),
    kHttpHeadersField,
};
constexpr Field kRemoteHttpClientFields[] = {
    Sub("basic_auth", &kBasicAuthSection),
    Sub("authorization", &kAuthorizationSection),
    NotBuilt(Sub("oauth2", &kOAuth2Section)),
    SecretText("bearer_token"),
    FilePath("bearer_token_file"),
    Sub("tls_config", &kTlsSection),
    Shown(Flag("follow_redirects", "true")),
    Shown(Flag("enable_http2")),
    kHttpHeadersField,
};
constexpr const Section* kHttpInlined[] = {&kProxySection};

}  // namespace

constinit const Section kTlsSection{
    .name = "tls_config", .fields = kTlsFields, .validate = ValidateTls};

constinit const Section kHttpClientSection{.name = "http_config",
                                           .fields = kHttpClientFields,
                                           .inlined = kHttpInlined,
                                           .validate = ValidateHttpClient};

constinit const Section kRemoteHttpClientSection{.name = "http_config",
                                                 .fields = kRemoteHttpClientFields,
                                                 .inlined = kHttpInlined,
                                                 .validate = ValidateHttpClient};

}  // namespace tocsin::daemon
