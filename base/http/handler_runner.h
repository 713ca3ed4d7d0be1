// HandlerRunner: what a worker does with one exchange: run the handler through cpp-httplib's
// request processing over memory, compress, and make the response's head. One per worker thread.
// Private to base/http.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/http/content_encoding.h"
#include "base/http/exchange.h"
#include "base/http/request_parser.h"
#include "base/http/server.h"

namespace tocsin::http {

class HandlerRunner {
 public:
  // All must outlive the runner.
  HandlerRunner(const ServerOptions* options, Budget* response_budget,
                const RequestObserver* observer);
  ~HandlerRunner();
  HandlerRunner(const HandlerRunner&) = delete;
  HandlerRunner& operator=(const HandlerRunner&) = delete;

  void Run(Exchange* exchange);

 private:
  class Processor;  // the httplib::Server

  void Answer(const Exchange& exchange, HttpResponse* response);

  void Encode(const HttpRequest& request, HttpResponse* response);
  const std::string& Date();

  const ServerOptions& options_;
  Budget* const response_budget_;
  const RequestObserver& observer_;
  Compressor compressor_;
  std::unique_ptr<Processor> processor_;
  int64_t date_second_ = -1;
  std::string date_;
};

// "Tue, 24 Nov 2026 08:00:00 GMT"
std::string HttpDate(int64_t unix_seconds);

// What takes the place of the handler's answer.
void AnswerOverload(const ServerOptions& options, const HttpRequest& request, Overload overload,
                    HttpResponse* response);

// For answers that the front gives by itself: a head with "Connection: close", and a whole answer.
std::string ClosingHeadBytes(int status, const Headers& headers, size_t body_bytes);
std::string RefusalBytes(const Refusal& refusal);

}  // namespace tocsin::http
