// HttpFetcher: many HTTP GETs at once on one thread, over libcurl's multi interface and epoll.
// Connections are kept and reused; the deadline of a request covers everything from name resolution
// to the last byte; bodies are handed on as they arrive, inflated, so a fetch costs no memory of
// its own.
//
// Owned by one thread (but for Wake); sinks are called on it, from within Start and Poll.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/http/client_config.h"
#include "base/status.h"

namespace tocsin {
class Env;
}

namespace tocsin::collector {

// What the server said before the body; the last of them after redirects.
struct FetchAnswer {
  int status = 0;
  std::string reason;  // "Not Found"
  std::string content_type;
};

class FetchSink {
 public:
  virtual ~FetchSink() = default;
  // Once, before the body (or at the end, when there is none). An error ends the fetch with it.
  virtual Status OnAnswer(const FetchAnswer& answer) = 0;
  virtual Status OnBody(std::string_view bytes) = 0;
  // Last call: how the fetch ended. Not called after Cancel.
  virtual void OnDone(const Status& status) = 0;
};

struct FetchRequest {
  std::string url;
  int64_t timeout_ms = 0;
  bool accept_gzip = true;
  std::string accept;  // header values
  std::string user_agent;
  std::string timeout_header;                // X-Prometheus-Scrape-Timeout-Seconds
  const HttpClientConfig* client = nullptr;  // outlives the fetch
};

class HttpFetcher {
 public:
  HttpFetcher(Env* env, int wake_fd);
  ~HttpFetcher();
  HttpFetcher(const HttpFetcher&) = delete;
  HttpFetcher& operator=(const HttpFetcher&) = delete;

  // Connections kept open; should be above the number of servers, or each fetch connects anew.
  void SetConnectionsMax(size_t count);
  // An error: not started, no call will come.
  Status Start(const FetchRequest& request, FetchSink* sink);
  void Cancel(FetchSink* sink);
  size_t active() const;
  // Waits up to `timeout_ms` for something to do (or for `wake_fd` to be readable) and does it.
  void Poll(int64_t timeout_ms);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tocsin::collector
