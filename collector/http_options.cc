#include "collector/http_options.h"

#include <curl/curl.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/env.h"

namespace tocsin::collector {
namespace {

constexpr uint64_t kSecretFileBytesMax = 1 << 20;

// A secret file without the white space around its text.
Result<std::string> ReadSecretFile(Env* env, const std::string& path, const char* what) {
  auto text = env->ReadFileUpTo(path, kSecretFileBytesMax);
  if (!text) {
    return Error(text.error().Annotate(std::string("unable to read ") + what + " file " + path));
  }
  const size_t first = text->find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return std::string();
  return text->substr(first, text->find_last_not_of(" \t\r\n") - first + 1);
}

Result<std::string> SecretText(Env* env, const std::string& text, const std::string& file,
                               const char* what) {
  if (file.empty()) return text;
  return ReadSecretFile(env, file, what);
}

void SetText(CURL* easy, CURLoption option, const std::string& value) {
  if (!value.empty()) curl_easy_setopt(easy, option, value.c_str());
}

void SetBlob(CURL* easy, CURLoption option, const std::string& pem) {
  if (pem.empty()) return;
  curl_blob blob{};
  blob.data = const_cast<char*>(pem.data());
  blob.len = pem.size();
  blob.flags = CURL_BLOB_COPY;
  curl_easy_setopt(easy, option, &blob);
}

long TlsVersion(const std::string& name, long fallback) {
  if (name == "TLS10") return CURL_SSLVERSION_TLSv1_0;
  if (name == "TLS11") return CURL_SSLVERSION_TLSv1_1;
  if (name == "TLS12") return CURL_SSLVERSION_TLSv1_2;
  if (name == "TLS13") return CURL_SSLVERSION_TLSv1_3;
  return fallback;
}

long MaxTlsVersion(const std::string& name) {
  if (name == "TLS10") return CURL_SSLVERSION_MAX_TLSv1_0;
  if (name == "TLS11") return CURL_SSLVERSION_MAX_TLSv1_1;
  if (name == "TLS12") return CURL_SSLVERSION_MAX_TLSv1_2;
  if (name == "TLS13") return CURL_SSLVERSION_MAX_TLSv1_3;
  return CURL_SSLVERSION_MAX_DEFAULT;
}

void SetTls(CURL* easy, const TlsClientConfig& tls) {
  SetText(easy, CURLOPT_CAINFO, tls.ca_file);
  SetBlob(easy, CURLOPT_CAINFO_BLOB, tls.ca_pem);
  SetText(easy, CURLOPT_SSLCERT, tls.cert_file);
  SetBlob(easy, CURLOPT_SSLCERT_BLOB, tls.cert_pem);
  SetText(easy, CURLOPT_SSLKEY, tls.key_file);
  SetBlob(easy, CURLOPT_SSLKEY_BLOB, tls.key_pem.Reveal());
  if (tls.insecure_skip_verify) {
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  curl_easy_setopt(
      easy, CURLOPT_SSLVERSION,
      TlsVersion(tls.min_version, CURL_SSLVERSION_TLSv1_2) | MaxTlsVersion(tls.max_version));
}

// Certificates are checked against `server_name` by asking for a URL with that host and connecting
// it to the real one. The Host header stays the real one's.
Status SetServerName(CURL* easy, const std::string& url, const std::string& server_name,
                     HttpHeaderList* headers) {
  CURLU* parsed = curl_url();
  char* host = nullptr;
  char* port = nullptr;
  char* renamed = nullptr;
  Status status;
  if (curl_url_set(parsed, CURLUPART_URL, url.c_str(), 0) == CURLUE_OK &&
      curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
      curl_url_get(parsed, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
      curl_url_set(parsed, CURLUPART_HOST, server_name.c_str(), 0) == CURLUE_OK &&
      curl_url_get(parsed, CURLUPART_URL, &renamed, 0) == CURLUE_OK) {
    headers->AddConnectTo(server_name + ":" + port + ":" + host + ":" + port);
    headers->Add("Host", std::string(host) + ":" + port);
    curl_easy_setopt(easy, CURLOPT_URL, renamed);
    curl_easy_setopt(easy, CURLOPT_CONNECT_TO, headers->connect_to());
  } else {
    status = Status(Code::kInvalidArgument, "cannot use server_name with " + url);
  }
  curl_free(host);
  curl_free(port);
  curl_free(renamed);
  curl_url_cleanup(parsed);
  return status;
}

Status SetCredentials(CURL* easy, const HttpClientConfig& config, Env* env,
                      HttpHeaderList* headers) {
  if (config.basic_auth.enabled) {
    const BasicAuthConfig& basic = config.basic_auth;
    TOCSIN_ASSIGN_OR_RETURN_STATUS(
        const std::string user, SecretText(env, basic.username, basic.username_file, "username"));
    TOCSIN_ASSIGN_OR_RETURN_STATUS(
        const std::string password,
        SecretText(env, basic.password.Reveal(), basic.password_file, "password"));
    curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    curl_easy_setopt(easy, CURLOPT_USERNAME, user.c_str());
    curl_easy_setopt(easy, CURLOPT_PASSWORD, password.c_str());
  }
  if (config.authorization.enabled) {
    const AuthorizationConfig& auth = config.authorization;
    TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::string credentials,
                                   SecretText(env, auth.credentials.Reveal(), auth.credentials_file,
                                              "authorization credentials"));
    headers->Add("Authorization", auth.type + " " + credentials);
  }
  return Status::Ok();
}

Status SetHeaders(const HttpClientConfig& config, Env* env, HttpHeaderList* headers) {
  for (const HttpHeaderConfig& header : config.headers) {
    for (const std::string& value : header.values) headers->Add(header.name, value);
    for (const Secret& value : header.secrets) headers->Add(header.name, value.Reveal());
    for (const std::string& file : header.files) {
      TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::string value, ReadSecretFile(env, file, "header"));
      headers->Add(header.name, value);
    }
  }
  return Status::Ok();
}

void SetProxy(CURL* easy, const HttpClientConfig& config, HttpHeaderList* headers) {
  // "" turns the environment's proxies off, which Prometheus does not follow unless told to.
  if (!config.proxy_from_environment) {
    curl_easy_setopt(easy, CURLOPT_PROXY, config.proxy_url.c_str());
    curl_easy_setopt(easy, CURLOPT_NOPROXY, config.no_proxy.c_str());
  }
  if (config.proxy_connect_headers.empty()) return;
  for (const auto& [name, value] : config.proxy_connect_headers) {
    headers->AddProxy(name, value.Reveal());
  }
  curl_easy_setopt(easy, CURLOPT_PROXYHEADER, headers->proxy_list());
  curl_easy_setopt(easy, CURLOPT_HEADEROPT, static_cast<long>(CURLHEADER_SEPARATE));
}

}  // namespace

HttpHeaderList::~HttpHeaderList() {
  curl_slist_free_all(list_);
  curl_slist_free_all(proxy_list_);
  curl_slist_free_all(connect_to_);
}

void HttpHeaderList::Append(curl_slist** list, const std::string& line) {
  curl_slist* const longer = curl_slist_append(*list, line.c_str());
  CHECK(longer != nullptr);
  *list = longer;
}

// A value cannot smuggle in further headers: line ends become blanks.
std::string HttpHeaderList::Line(std::string_view name, std::string_view value) {
  std::string line(name);
  line += value.empty() ? ";" : ": ";  // libcurl's spelling of an empty header
  line += value;
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c == '\r' || c == '\n' || c == '\0'; }, ' ');
  return line;
}

void HttpHeaderList::Add(std::string_view name, std::string_view value) {
  Append(&list_, Line(name, value));
}

void HttpHeaderList::AddProxy(std::string_view name, std::string_view value) {
  Append(&proxy_list_, Line(name, value));
}

void HttpHeaderList::AddConnectTo(const std::string& entry) { Append(&connect_to_, entry); }

Status SetClientOptions(void* handle, const std::string& url, const HttpClientConfig& config,
                        Env* env, HttpHeaderList* headers) {
  CURL* const easy = handle;
  curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  // Credentials stay with the host they were meant for: libcurl drops them (the Authorization
  // header included) when a redirect leads elsewhere.
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, config.follow_redirects ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_UNRESTRICTED_AUTH, 0L);
  curl_easy_setopt(
      easy, CURLOPT_HTTP_VERSION,
      static_cast<long>(config.enable_http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
  SetProxy(easy, config, headers);
  if (url.starts_with("https:")) {
    SetTls(easy, config.tls);
    if (!config.tls.server_name.empty()) {
      TOCSIN_RETURN_IF_ERROR(SetServerName(easy, url, config.tls.server_name, headers));
    }
  }
  TOCSIN_RETURN_IF_ERROR(SetCredentials(easy, config, env, headers));
  return SetHeaders(config, env, headers);
}

}  // namespace tocsin::collector
