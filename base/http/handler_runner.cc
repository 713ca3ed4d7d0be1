#include "base/http/handler_runner.h"

#include <httplib.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <exception>
#include <utility>

#include "base/env.h"

namespace tocsin::http {
namespace {

// Feeds a request head to the library and takes the response head from it. Bodies do not pass
// through: handlers get the one from the front, and the answer's goes to the front in its pieces.
class MemoryStream final : public httplib::Stream {
 public:
  MemoryStream(std::string_view input, std::string* output) : input_(input), output_(*output) {}

  bool is_readable() const override { return !input_.empty(); }
  bool is_writable() const override { return true; }
  ssize_t read(char* bytes, size_t size) override {
    const size_t taken = std::min(size, input_.size());
    std::copy_n(input_.data(), taken, bytes);
    input_.remove_prefix(taken);
    return static_cast<ssize_t>(taken);
  }
  ssize_t write(const char* bytes, size_t size) override {
    output_.append(bytes, size);
    return static_cast<ssize_t>(size);
  }
  // Handlers take addresses from HttpRequest.
  void get_remote_ip_and_port(std::string& ip, int& port) const override {
    ip.clear();
    port = 0;
  }
  void get_local_ip_and_port(std::string& ip, int& port) const override {
    ip.clear();
    port = 0;
  }
  socket_t socket() const override { return 0; }

 private:
  std::string_view input_;
  std::string& output_;
};

// What is written between CRLFs must not hold any.
std::string CleanHeaderValue(std::string value) {
  std::replace_if(
      value.begin(), value.end(),
      [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; }, ' ');
  return value;
}

std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 417:
      return "Expectation Failed";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Error";
  }
}

bool StatusHasBody(int status) { return status >= 200 && status != 204 && status != 304; }

}  // namespace

// The library sees only what it has to act on: method, path and whether the connection closes. The
// rest of the request has been read, checked and decoded by the front.
class HandlerRunner::Processor final : public httplib::Server {
 public:
  explicit Processor(HandlerRunner* runner) : runner_(*runner) {
    set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
      Handle(request, &response);
      return HandlerResponse::Handled;
    });
    set_post_routing_handler([this](const httplib::Request&, httplib::Response& response) {
      // The front decides how long a connection lives and does not serve ranges.
      response.headers.erase("Keep-Alive");
      response.headers.erase("Accept-Ranges");
      if (!has_body_) response.headers.erase("Content-Length");
    });
  }

  void Process(Exchange* exchange) {
    exchange_ = exchange;
    std::string head = exchange->request.method;
    head += ' ';
    head += exchange->request.path;
    head += exchange->keep_alive ? " HTTP/1.1\r\n\r\n" : " HTTP/1.1\r\nConnection: close\r\n\r\n";
    exchange->response_head.reserve(512);
    MemoryStream stream(head, &exchange->response_head);
    bool closed = false;
    if (!process_request(stream, !exchange->keep_alive, closed, nullptr)) {
      exchange->response_head.clear();
    }
    exchange->close_after |= closed || exchange->response_head.empty();
  }

 private:
  void Handle(const httplib::Request& request, httplib::Response* to) {
    HttpResponse response(runner_.response_budget_);
    response.body.StopWhen(exchange_->request.client_gone);
    runner_.Answer(*exchange_, &response);
    if (response.body.overflowed()) {
      response = HttpResponse(runner_.response_budget_);
      AnswerOverload(runner_.options_, exchange_->request, Overload::kResponseMemory, &response);
    }
    has_body_ = StatusHasBody(response.status);
    if (!has_body_) response.body.Clear();
    runner_.Encode(exchange_->request, &response);

    to->status = response.status;
    for (const auto& [name, value] : response.headers.all()) {
      to->headers.emplace(name, CleanHeaderValue(value));
    }
    to->set_header("Content-Length", std::to_string(response.body.size()));
    to->set_header("Date", runner_.Date());
    if (response.close) {
      exchange_->close_after = true;
      to->headers.erase("Connection");
      to->set_header("Connection", "close");
    } else if (exchange_->version_minor == 0 && exchange_->keep_alive) {
      to->set_header("Connection", "keep-alive");
    }
    if (request.method == "HEAD") response.body.Clear();
    exchange_->response_body = std::move(response.body);
  }

  HandlerRunner& runner_;
  Exchange* exchange_ = nullptr;  // being processed
  bool has_body_ = true;
};

HandlerRunner::HandlerRunner(const ServerOptions* options, Budget* response_budget,
                             const RequestObserver* observer)
    : options_(*options),
      response_budget_(response_budget),
      observer_(*observer),
      processor_(std::make_unique<Processor>(this)) {}
HandlerRunner::~HandlerRunner() = default;

void HandlerRunner::Run(Exchange* exchange) {
  processor_->Process(exchange);
  exchange->request.body = std::string();
  exchange->request_charge.ReleaseAll();
}

void HandlerRunner::Answer(const Exchange& exchange, HttpResponse* response) {
  const Router::Match& match = exchange.match;
  if (match.route == nullptr) {
    if (!match.redirect.empty()) {
      std::string location = match.redirect;
      if (!exchange.request.raw_query.empty()) location += "?" + exchange.request.raw_query;
      // 307 keeps the method and the body.
      response->SetRedirect(exchange.request.method == "GET" ? 302 : 307, std::move(location));
    } else if (match.path_known) {
      response->SetPlainError(405, "Method Not Allowed");
      response->headers.Set("Allow", match.allow);
    } else {
      response->SetPlainError(404, "404 page not found");
    }
    return;
  }
  const int64_t start_nanos = options_.env->MonotonicNanos();
  try {
    match.route->handler(exchange.request, response);
  } catch (const std::exception& e) {
    *response = HttpResponse(response_budget_);
    response->SetPlainError(500, std::string("internal error: ") + e.what());
  }
  if (!observer_) return;
  const double seconds = static_cast<double>(options_.env->MonotonicNanos() - start_nanos) * 1e-9;
  observer_({.route = match.route,
             .method = exchange.request.method,
             .status = response->status,
             .seconds = seconds,
             .response_bytes = response->body.size()});
}

// Compresses when the client takes it and the handler has not encoded the body itself.
void HandlerRunner::Encode(const HttpRequest& request, HttpResponse* response) {
  if (!response->compressible || response->headers.Has("Content-Encoding") ||
      response->body.empty()) {
    return;
  }
  response->headers.Add("Vary", "Accept-Encoding");
  if (response->body.size() < options_.compress_bytes_min) return;
  const ContentEncoding encoding = NegotiateEncoding(request.headers.Joined("Accept-Encoding"));
  if (encoding == ContentEncoding::kIdentity) return;
  ResponseBody compressed(response_budget_);
  compressed.StopWhen(request.client_gone);
  if (!compressor_.Compress(encoding, &response->body, &compressed) || compressed.overflowed()) {
    *response = HttpResponse(response_budget_);
    AnswerOverload(options_, request, Overload::kResponseMemory, response);
    return;
  }
  compressed.Flush();
  response->headers.Set("Content-Encoding", std::string(ContentEncodingName(encoding)));
  response->body = std::move(compressed);
}

const std::string& HandlerRunner::Date() {
  const int64_t second = options_.env->NowMs() / 1000;
  if (second != date_second_) {
    date_ = HttpDate(second);
    date_second_ = second;
  }
  return date_;
}

std::string HttpDate(int64_t unix_seconds) {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const time_t time = unix_seconds;
  tm utc{};
  gmtime_r(&time, &utc);
  char text[64];
  std::snprintf(text, sizeof(text), "%s, %02d %s %04d %02d:%02d:%02d GMT", kDays[utc.tm_wday],
                utc.tm_mday, kMonths[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min,
                utc.tm_sec);
  return text;
}

std::string_view OverloadText(Overload overload) {
  switch (overload) {
    case Overload::kLaneFull:
      return "too many requests are waiting";
    case Overload::kResponseMemory:
      return "the answer exceeds the memory for responses";
  }
  return "overloaded";
}

void AnswerOverload(const ServerOptions& options, const HttpRequest& request, Overload overload,
                    HttpResponse* response) {
  if (options.on_overload) {
    options.on_overload(request, overload, response);
  } else {
    response->SetPlainError(503, OverloadText(overload));
  }
}

std::string ClosingHeadBytes(int status, const Headers& headers, size_t body_bytes) {
  std::string bytes = "HTTP/1.1 " + std::to_string(status) + " ";
  bytes += ReasonPhrase(status);
  bytes += "\r\n";
  for (const auto& [name, value] : headers.all()) {
    bytes += name + ": " + CleanHeaderValue(value) + "\r\n";
  }
  bytes += "Connection: close\r\nContent-Length: " + std::to_string(body_bytes) + "\r\n\r\n";
  return bytes;
}

std::string RefusalBytes(const Refusal& refusal) {
  HttpResponse response;
  response.SetPlainError(refusal.status, refusal.reason);
  return ClosingHeadBytes(refusal.status, response.headers, response.body.size()) +
         response.body.ToString();
}

}  // namespace tocsin::http
