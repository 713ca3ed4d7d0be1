// HttpTransport: how alerts and notifications leave: a POST of JSON. The real one reads secrets
// from their files anew for each request; tests use their own.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/http/client_config.h"
#include "base/status.h"

namespace tocsin {
class Env;
}

namespace tocsin::alerting {

struct HttpAnswer {
  int status = 0;
  std::string body;  // the first part of it, for logs
};

// One thread at a time; Abort from any.
class HttpTransport {
 public:
  virtual ~HttpTransport() = default;
  // Any HTTP status is an answer; an error is everything that gave none.
  virtual Result<HttpAnswer> PostJson(const std::string& url, std::string_view body) = 0;
  // Ends a running request soon, and fails later ones (kCancelled).
  virtual void Abort() = 0;
};

using TransportFactory = std::function<std::unique_ptr<HttpTransport>(
    const HttpClientConfig& config, int64_t timeout_ms)>;

// Over base/http/client.h.
TransportFactory MakeTransportFactory(Env& env);

// kUnimplemented: the configuration asks for what the client cannot do yet.
Status CheckTransportBuilt(const HttpClientConfig& config);

}  // namespace tocsin::alerting
