// HttpRequest, HttpResponse: what a handler gets and gives. Whole messages: a request is complete
// before its handler runs, a response is sent after the handler returned, so no handler ever waits
// for a peer.
//
//   void Healthy(const HttpRequest&, HttpResponse* response) {
//     response->SetText(200, "I am well.\n");
//   }
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/budget.h"

namespace tocsin::http {

// Names compare without case, order is kept, a name may repeat.
class Headers {
 public:
  void Add(std::string name, std::string value);
  void Set(std::string name, std::string value);  // replaces all of that name
  // The first value of that name; "" when there is none.
  std::string_view Get(std::string_view name) const;
  bool Has(std::string_view name) const;
  size_t Count(std::string_view name) const;
  // All values of that name as one comma-separated list.
  std::string Joined(std::string_view name) const;
  void Remove(std::string_view name);

  const std::vector<std::pair<std::string, std::string>>& all() const { return all_; }
  size_t size() const { return all_.size(); }

 private:
  std::vector<std::pair<std::string, std::string>> all_;
};

bool EqualsIgnoreCase(std::string_view a, std::string_view b);

struct HttpRequest {
  std::string method;     // as sent: "GET"
  std::string path;       // as sent, still percent-encoded, without the server's route prefix
  std::string raw_query;  // behind the `?`, still encoded
  Headers headers;
  std::string body;  // de-chunked; a Content-Encoding is left to the handler
  // Decoded path segments that the route's `{}` took, in order.
  std::vector<std::string> captures;
  std::string remote_address;  // without port
  uint16_t remote_port = 0;
  // Monotonic time when the message was complete: waiting for a worker counts against a query's
  // timeout.
  int64_t received_monotonic_ms = 0;
  // Set by the front when the client closes its connection (or only its sending half).
  std::shared_ptr<std::atomic<bool>> client_gone;

  bool cancelled() const { return client_gone && client_gone->load(std::memory_order_relaxed); }
};

// The bytes of a response, kept in pieces so that a large answer neither is copied while it grows
// nor asks for one large allocation, and charged to a budget. Over budget everything is dropped and
// the server sends its "too large" answer instead: a producer need not check, but should stop when
// overflowed().
class ResponseBody {
 public:
  // A producer that writes through tail() calls Flush() at least this often.
  static constexpr size_t kPieceBytes = 64 * 1024;

  ResponseBody() = default;
  explicit ResponseBody(Budget* budget) : budget_(budget) {}
  ~ResponseBody();
  ResponseBody(ResponseBody&& other) noexcept;
  ResponseBody& operator=(ResponseBody&& other) noexcept;

  void Append(std::string_view bytes);
  // Takes over a finished string without copying it.
  void AppendPiece(std::string piece);
  // The piece being written, for producers that append to a std::string. MaybeFlush() after every
  // few hundred bytes.
  std::string& tail() { return tail_; }
  void MaybeFlush() {
    if (tail_.size() >= kPieceBytes) Flush();
  }
  // Once this is set (HttpRequest::client_gone) nobody wants an answer of more than one piece: as
  // over budget. Shorter ones are sent even so, to clients that closed their sending half only.
  void StopWhen(std::shared_ptr<const std::atomic<bool>> unwanted) {
    unwanted_ = std::move(unwanted);
  }
  void Flush();
  void Clear();

  size_t size() const { return sealed_bytes_ + tail_.size(); }
  bool empty() const { return size() == 0; }
  bool overflowed() const { return overflowed_; }
  // All bytes in one string (tests, small bodies).
  std::string ToString() const;

  // For the sender: the first piece, or "" at the end; PopFront frees it.
  std::string_view Front();
  void PopFront();

 private:
  Budget* budget_ = nullptr;
  std::shared_ptr<const std::atomic<bool>> unwanted_;  // may be null
  std::deque<std::string> sealed_;
  std::string tail_;
  size_t sealed_bytes_ = 0;
  size_t charged_bytes_ = 0;
  bool overflowed_ = false;
};

struct HttpResponse {
  int status = 200;
  Headers headers;
  ResponseBody body;
  // Close the connection after this answer.
  bool close = false;
  // The server may compress it (text and JSON answers); never when Content-Encoding is set.
  bool compressible = true;

  HttpResponse() = default;
  explicit HttpResponse(Budget* budget) : body(budget) {}

  // text/plain; charset=utf-8.
  void SetText(int http_status, std::string text);
  // As Go's http.Error writes it: the text, a newline, nosniff.
  void SetPlainError(int http_status, std::string_view text);
  void SetRedirect(int http_status, std::string location);
};

}  // namespace tocsin::http
