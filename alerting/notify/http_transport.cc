#include "alerting/notify/http_transport.h"

#include "base/env.h"
#include "base/http/client.h"
#include "base/mutex.h"

namespace tocsin::alerting {
namespace {

constexpr uint64_t kSecretFileBytesMax = 1 << 20;
constexpr size_t kResponseBytesMax = 1 << 20;
constexpr size_t kAnswerBodyShown = 512;

std::string Trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

// The text, or what its file holds now.
Result<std::string> TextOrFile(Env& env, const std::string& text, const std::string& file) {
  if (file.empty()) return text;
  TOCSIN_ASSIGN_OR_RETURN(const std::string bytes, env.ReadFileUpTo(file, kSecretFileBytesMax));
  return Trimmed(bytes);
}

Result<http::ClientOptions> ToOptions(Env& env, const HttpClientConfig& config,
                                      int64_t timeout_ms) {
  http::ClientOptions options;
  options.timeout_ms = timeout_ms;
  options.response_bytes_max = kResponseBytesMax;
  options.follow_redirects = config.follow_redirects;
  options.user_agent = "Tocsin";
  options.proxy_url = config.proxy_url;
  if (config.basic_auth.enabled) {
    TOCSIN_ASSIGN_OR_RETURN(options.basic_username, TextOrFile(env, config.basic_auth.username,
                                                               config.basic_auth.username_file));
    TOCSIN_ASSIGN_OR_RETURN(
        options.basic_password,
        TextOrFile(env, config.basic_auth.password.Reveal(), config.basic_auth.password_file));
  }
  if (config.authorization.enabled) {
    TOCSIN_ASSIGN_OR_RETURN(const std::string credentials,
                            TextOrFile(env, config.authorization.credentials.Reveal(),
                                       config.authorization.credentials_file));
    options.headers.emplace_back("Authorization", config.authorization.type + " " + credentials);
  }
  for (const HttpHeaderConfig& header : config.headers) {
    for (const std::string& value : header.values) options.headers.emplace_back(header.name, value);
    for (const Secret& secret : header.secrets) {
      options.headers.emplace_back(header.name, secret.Reveal());
    }
    for (const std::string& file : header.files) {
      TOCSIN_ASSIGN_OR_RETURN(std::string value, TextOrFile(env, "", file));
      options.headers.emplace_back(header.name, std::move(value));
    }
  }
  options.tls.ca_file = config.tls.ca_file;
  options.tls.cert_file = config.tls.cert_file;
  options.tls.key_file = config.tls.key_file;
  options.tls.server_name = config.tls.server_name;
  options.tls.insecure_skip_verify = config.tls.insecure_skip_verify;
  return options;
}

bool ReadsFiles(const HttpClientConfig& config) {
  bool reads = !config.basic_auth.username_file.empty() ||
               !config.basic_auth.password_file.empty() ||
               !config.authorization.credentials_file.empty();
  for (const HttpHeaderConfig& header : config.headers) reads = reads || !header.files.empty();
  return reads;
}

class ClientTransport final : public HttpTransport {
 public:
  ClientTransport(Env& env, const HttpClientConfig& config, int64_t timeout_ms)
      : env_(env), config_(config), timeout_ms_(timeout_ms) {}

  Result<HttpAnswer> PostJson(const std::string& url, std::string_view body) override {
    TOCSIN_ASSIGN_OR_RETURN(const std::shared_ptr<http::HttpClient> client, Client());
    auto response = client->Post(url, "application/json", body);
    if (!response) return Error(response.error());
    return HttpAnswer{response->status, response->body.substr(0, kAnswerBodyShown)};
  }

  void Abort() override {
    MutexLock lock(mu_);
    aborted_ = true;
    if (client_) client_->Abort();
  }

 private:
  // Kept, and with it the connection, unless secrets come from files.
  Result<std::shared_ptr<http::HttpClient>> Client() {
    MutexLock lock(mu_);
    if (aborted_) return Error(Code::kCancelled, "shutting down");
    if (client_ && !ReadsFiles(config_)) return client_;
    TOCSIN_ASSIGN_OR_RETURN(http::ClientOptions options, ToOptions(env_, config_, timeout_ms_));
    client_ = std::make_shared<http::HttpClient>(std::move(options));
    return client_;
  }

  Env& env_;
  const HttpClientConfig config_;
  const int64_t timeout_ms_;
  Mutex mu_;
  bool aborted_ GUARDED_BY(mu_) = false;
  std::shared_ptr<http::HttpClient> client_ GUARDED_BY(mu_);
};

}  // namespace

TransportFactory MakeTransportFactory(Env& env) {
  return [&env](const HttpClientConfig& config, int64_t timeout_ms) {
    return std::make_unique<ClientTransport>(env, config, timeout_ms);
  };
}

Status CheckTransportBuilt(const HttpClientConfig& config) {
  const auto missing = [](const std::string& what) {
    return Status(Code::kUnimplemented,
                  what + " of an HTTP client for notifications is not built yet");
  };
  if (!config.tls.ca_pem.empty() || !config.tls.cert_pem.empty() || !config.tls.key_pem.empty()) {
    return missing("an inline certificate or key (use a file)");
  }
  if (!config.tls.min_version.empty() || !config.tls.max_version.empty()) {
    return missing("min_version or max_version");
  }
  if (!config.no_proxy.empty() || config.proxy_from_environment ||
      !config.proxy_connect_headers.empty()) {
    return missing("no_proxy, proxy_from_environment or proxy_connect_header");
  }
  return Status::Ok();
}

}  // namespace tocsin::alerting
