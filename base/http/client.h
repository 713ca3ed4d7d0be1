// HttpClient: one request, one whole answer, over libcurl. For senders (alerts, webhooks) that may
// block: the deadline covers everything from name resolution to the last byte, the answer is
// bounded, redirects are not followed unless asked for (and then never carry credentials to another
// host).
//
//   HttpClient client(options);
//   Result<ClientResponse> r = client.Post(url, "application/json", body);
//   if (r && r->status / 100 == 2) …
//
// kDeadlineExceeded: timeout; kUnavailable: no connection, name not found, TLS refused, connection
// broken; kResourceExhausted: answer too large; kInvalidArgument: bad URL or option. Any HTTP
// status is a success here.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace tocsin::http {

// Every field has its default written down, so that designated initializers may leave it out.
struct ClientTlsOptions {
  std::string ca_file{};    // "": the system's
  std::string cert_file{};  // client certificate
  std::string key_file{};
  std::string server_name{};  // expected in the certificate instead of the URL's host
  bool insecure_skip_verify = false;
};

struct ClientOptions {
  int64_t timeout_ms = 10'000;
  size_t response_bytes_max = 1024 * 1024;
  bool follow_redirects = false;
  std::string user_agent = "tocsin";
  std::string proxy_url{};
  // At most one of the two kinds of credentials.
  std::string basic_username{};
  std::string basic_password{};
  std::string bearer_token{};  // sent as "Authorization: Bearer …"
  ClientTlsOptions tls{};
  std::vector<std::pair<std::string, std::string>> headers{};  // added to every request
};

struct ClientResponse {
  int status = 0;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;  // names as received
  double seconds = 0;

  std::string_view Header(std::string_view name) const;  // "" when absent
};

// Keeps connections for the next request. One thread at a time; `Abort` from any.
class HttpClient {
 public:
  explicit HttpClient(ClientOptions options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  Result<ClientResponse> Get(const std::string& url);
  Result<ClientResponse> Post(const std::string& url, std::string_view content_type,
                              std::string_view body);
  Result<ClientResponse> Send(std::string_view method, const std::string& url,
                              const std::vector<std::pair<std::string, std::string>>& headers,
                              std::string_view body);

  // Makes the running request, and any later one, end with kCancelled within about a second
  // (shutdown).
  void Abort();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tocsin::http
