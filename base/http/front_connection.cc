// What the front does with one connection: read, parse, dispatch, refuse, write, linger.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/env.h"
#include "base/http/front.h"
#include "base/http/handler_runner.h"

namespace tocsin::http {
namespace {

// A connection that delivers more than this at once lets the others go first.
constexpr size_t kReadBytesPerTurn = 512 * 1024;
constexpr int64_t kLingerMs = 2000;
constexpr size_t kLingerBytesMax = 4 * 1024 * 1024;
// Capacity of `in` that an idle connection may keep.
constexpr size_t kIdleInputBytes = 4 * 1024;
// Of a body whose length is known, what is allocated before any of it came.
constexpr size_t kBodyReserveBytes = 64 * 1024;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

bool MethodKnown(std::string_view method) {
  static constexpr std::array<std::string_view, 7> kMethods = {"GET",    "POST",    "HEAD", "PUT",
                                                               "DELETE", "OPTIONS", "PATCH"};
  return std::find(kMethods.begin(), kMethods.end(), method) != kMethods.end();
}

// Holds at least `bytes` in all afterwards.
bool GrowTo(BudgetCharge* charge, size_t bytes) {
  return bytes <= charge->amount() || charge->Grow(bytes - charge->amount()).ok();
}

}  // namespace

void Front::OnEvents(Connection* c, uint32_t events) {
  if ((events & EPOLLIN) != 0) c->readable = true;
  if ((events & EPOLLOUT) != 0) c->writable = true;
  if ((events & EPOLLRDHUP) != 0) {
    c->peer_closed = true;
    c->readable = true;
    if (c->client_gone != nullptr) c->client_gone->store(true);
  }
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
    Break(c);
    return;
  }
  Advance(c);
}

// Does what can be done without waiting.
void Front::Advance(Connection* c) {
  while (c->fd >= 0) {
    bool progress = false;
    switch (c->state) {
      case Connection::State::kReading:
        progress = Read(c);
        break;
      case Connection::State::kHandling:
        return;
      case Connection::State::kWriting:
        progress = Write(c);
        break;
      case Connection::State::kLingering:
        progress = Linger(c);
        break;
    }
    if (!progress) return;
  }
}

// True when the state changed; false when there is nothing more to read now.
bool Front::Read(Connection* c) {
  if (!c->in.empty() && c->in_consumed == 0 && !c->in_body && c->scanner.fresh()) {
    ProcessInput(c);  // sent ahead by the client
    if (c->fd < 0 || c->state != Connection::State::kReading) return true;
  }
  size_t turn_bytes = 0;
  while (c->readable) {
    if (turn_bytes >= kReadBytesPerTurn) {
      if (!c->queued_again) ready_again_.push_back(c);
      c->queued_again = true;
      return false;
    }
    const ssize_t n = recv(c->fd, read_buffer_.data(), read_buffer_.size(), 0);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        c->readable = false;
        return false;
      }
      Break(c);
      return true;
    }
    if (n == 0) {
      Destroy(c);  // the client has finished, or gave up in the middle
      return true;
    }
    const auto received = static_cast<size_t>(n);
    turn_bytes += received;
    Count(&counters_.bytes_received, received);
    // A short read emptied the socket: whatever comes later raises another edge.
    if (received < read_buffer_.size() && !c->peer_closed) c->readable = false;
    Feed(c, std::string_view(read_buffer_).substr(0, received));
    if (c->fd < 0 || c->state != Connection::State::kReading) return true;
  }
  return false;
}

void Front::Feed(Connection* c, std::string_view bytes) {
  const int64_t now_ms = NowMs();
  c->last_active_ms = now_ms;
  if (c->in_body && c->in.empty()) {
    bytes = DecodeBody(c, bytes);
    if (bytes.empty() || c->state == Connection::State::kWriting) return;
  } else if (c->idle()) {
    c->request_start_ms = now_ms;
    c->deadline_ms = now_ms + options_.head_timeout_ms;
  }
  if (!GrowTo(&c->charge, c->in.size() + bytes.size() + c->body.capacity())) {
    Count(&counters_.refused_requests);
    // What was sent ahead of an answer under way is dropped with the connection, after the answer.
    c->close_after = true;
    if (c->state == Connection::State::kReading) {
      Refuse(c, {503, "no memory for more requests"});
    }
    return;
  }
  c->in.append(bytes);
  if (c->state == Connection::State::kReading) ProcessInput(c);
}

// Consumes `in` as far as it goes.
void Front::ProcessInput(Connection* c) {
  while (c->state == Connection::State::kReading && c->in_consumed < c->in.size()) {
    if (c->in_body) {
      const std::string_view rest = DecodeBody(c, c->unconsumed());
      c->in_consumed = c->in.size() - rest.size();
      continue;
    }
    Refusal refusal;
    const size_t head_bytes = c->scanner.Scan(c->unconsumed(), limits_, &refusal);
    if (refusal) {
      Refuse(c, refusal);
    } else if (head_bytes == HeadScanner::kNotYet) {
      break;
    } else {
      refusal = ParseHead(c->unconsumed().substr(0, head_bytes), limits_, &c->head);
      c->in_consumed += head_bytes;
      if (refusal) {
        Refuse(c, refusal);
      } else {
        BeginRequest(c);
      }
    }
  }
  c->in.erase(0, c->in_consumed);
  c->in_consumed = 0;
  if (c->in.empty() && c->in.capacity() > kIdleInputBytes) c->in = std::string();
}

bool Front::HostAllowed(const Connection& c) const {
  if (!c.loopback_listener || c.head.host.empty()) return true;
  const std::string host = HostWithoutPort(c.head.host);
  return IsLoopbackHost(host) ||
         std::find(options_.allowed_hosts.begin(), options_.allowed_hosts.end(), host) !=
             options_.allowed_hosts.end();
}

// The head is complete.
void Front::BeginRequest(Connection* c) {
  if (!MethodKnown(c->head.method)) return Refuse(c, {501, "method not implemented"});
  if (!HostAllowed(*c)) {
    return Refuse(c, {403, "host not allowed (set --web.external-url to the name in use)"});
  }
  c->match = router_.Find(c->head.method, c->head.path);
  const size_t body_bytes_max =
      c->match.route != nullptr ? c->match.route->body_bytes_max : Route().body_bytes_max;
  const Refusal refusal = c->decoder.Start(c->head.framing, c->head.content_length, body_bytes_max);
  if (refusal) return Refuse(c, refusal);
  c->in_body = true;
  c->body_start_ms = NowMs();
  c->deadline_ms = c->request_start_ms + options_.read_timeout_ms;
  if (c->decoder.done()) return DispatchRequest(c);
  if (c->head.expect_continue && c->in_consumed == c->in.size()) {
    size_t sent = 0;
    // A fresh request's socket has room for 25 bytes, or the client does not read.
    if (!WriteBytes(c, kContinue, &sent, false) && c->fd >= 0) Break(c);
  }
}

// Takes body bytes from the front of `bytes`; returns the rest.
std::string_view Front::DecodeBody(Connection* c, std::string_view bytes) {
  while (!bytes.empty() && !c->decoder.done()) {
    std::string_view content;
    Refusal refusal;
    bytes.remove_prefix(c->decoder.Consume(bytes, &content, &refusal));
    if (!refusal && !GrowBody(c, content)) {
      Count(&counters_.refused_requests);
      refusal = {503, "no memory for more requests"};
    }
    if (refusal) {
      Refuse(c, refusal);
      return bytes;
    }
  }
  if (c->decoder.done()) DispatchRequest(c);
  return bytes;
}

// Appends, having charged the memory first. Grows by doubling, and to no more than what is to come.
bool Front::GrowBody(Connection* c, std::string_view content) {
  if (content.empty()) return true;
  const size_t needed = c->body.size() + content.size();
  if (needed > c->body.capacity()) {
    size_t capacity = std::max({needed, 2 * c->body.capacity(), kBodyReserveBytes});
    if (c->head.framing == BodyFraming::kLength) {
      capacity = std::min(capacity, static_cast<size_t>(c->head.content_length));
    }
    if (!GrowTo(&c->charge, c->in.size() + capacity)) return false;
    c->body.reserve(capacity);
  }
  c->body.append(content);
  return true;
}

void Front::DispatchRequest(Connection* c) {
  auto exchange =
      std::make_unique<Exchange>(std::exchange(c->charge, BudgetCharge(request_budget_)));
  HttpRequest& request = exchange->request;
  request.method = std::move(c->head.method);
  request.path = std::move(c->head.path);
  const std::string& prefix = router_.prefix();
  if (c->match.route != nullptr && !prefix.empty()) request.path.erase(0, prefix.size());
  request.raw_query = std::move(c->head.raw_query);
  request.headers = std::move(c->head.headers);
  request.body = std::move(c->body);
  request.captures = std::move(c->match.captures);
  request.remote_address = c->remote_address;
  request.remote_port = c->remote_port;
  request.received_monotonic_ms = NowMs();
  request.client_gone = std::make_shared<std::atomic<bool>>(c->peer_closed);
  exchange->connection = c;
  exchange->match = std::move(c->match);
  exchange->version_minor = c->head.version_minor;
  exchange->keep_alive = c->head.keep_alive && !stopping_;

  c->client_gone = request.client_gone;
  c->body = std::string();
  c->in_body = false;
  c->scanner.Reset();
  c->state = Connection::State::kHandling;
  c->deadline_ms = kNoDeadline;
  if (!dispatch_(&exchange)) RefuseLane(c, std::move(exchange));
}

// The lane is full: the API's error in place of the handler's answer.
void Front::RefuseLane(Connection* c, std::unique_ptr<Exchange> exchange) {
  Count(&counters_.refused_requests);
  HttpResponse response;
  AnswerOverload(options_, exchange->request, Overload::kLaneFull, &response);
  c->client_gone.reset();
  c->out_head = ClosingHeadBytes(response.status, response.headers, response.body.size());
  c->out_body = std::move(response.body);
  c->close_after = true;
  StartWriting(c);
}

void Front::Refuse(Connection* c, Refusal refusal) {
  if (refusal.status == 400) Count(&counters_.malformed);
  c->refused = true;
  c->body = std::string();
  c->in_body = false;
  c->charge.ReleaseAll();
  c->out_head = RefusalBytes(refusal);
  c->out_body = ResponseBody();
  c->close_after = true;
  StartWriting(c);
}

void Front::StartWriting(Connection* c) {
  c->state = Connection::State::kWriting;
  c->out_head_sent = 0;
  c->out_piece_sent = 0;
  const size_t bytes = c->out_head.size() + c->out_body.size();
  const size_t rate = std::max<size_t>(options_.write_rate_min_bytes_per_s, 1);
  c->deadline_ms = NowMs() + options_.write_timeout_ms + static_cast<int64_t>(bytes / rate) * 1000;
}

// False when not everything went out; the connection may be gone then.
bool Front::WriteBytes(Connection* c, std::string_view bytes, size_t* sent, bool more) {
  while (*sent < bytes.size()) {
    const ssize_t n = send(c->fd, bytes.data() + *sent, bytes.size() - *sent,
                           MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    if (n >= 0) {
      *sent += static_cast<size_t>(n);
      Count(&counters_.bytes_sent, static_cast<uint64_t>(n));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      c->writable = false;
      return false;
    } else if (errno != EINTR) {
      Break(c);
      return false;
    }
  }
  return true;
}

// True when the answer is out and the state has changed.
bool Front::Write(Connection* c) {
  if (!c->writable) return false;
  std::string_view piece = c->out_body.Front();
  // A small answer goes out in one call, head and body together.
  if (c->out_head_sent == 0 && piece.size() < kReadBytes / 4) {
    c->out_head.append(piece);
    if (!piece.empty()) c->out_body.PopFront();
    piece = c->out_body.Front();
  }
  if (!WriteBytes(c, c->out_head, &c->out_head_sent, !piece.empty())) return false;
  for (; !piece.empty(); piece = c->out_body.Front()) {
    if (!WriteBytes(c, piece, &c->out_piece_sent, false)) return false;
    c->out_body.PopFront();
    c->out_piece_sent = 0;
  }
  FinishResponse(c);
  return true;
}

void Front::FinishResponse(Connection* c) {
  c->out_head = std::string();
  c->out_body = ResponseBody();
  const int64_t now_ms = NowMs();
  if (c->close_after) {
    if ((!c->refused && c->in.empty()) || c->peer_closed || shutdown(c->fd, SHUT_WR) != 0) {
      Destroy(c);
      return;
    }
    c->in = std::string();
    c->state = Connection::State::kLingering;
    c->deadline_ms = now_ms + kLingerMs;
    return;
  }
  c->state = Connection::State::kReading;
  c->last_active_ms = now_ms;
  c->request_start_ms = now_ms;
  c->deadline_ms = now_ms + (c->in.empty() ? options_.read_timeout_ms : options_.head_timeout_ms);
}

bool Front::Linger(Connection* c) {
  while (c->readable) {
    const ssize_t n = recv(c->fd, read_buffer_.data(), read_buffer_.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      c->readable = false;
      return false;
    }
    if (n > 0) c->lingered_bytes += static_cast<size_t>(n);
    if (n <= 0 || c->lingered_bytes > kLingerBytesMax) {
      Destroy(c);
      return true;
    }
  }
  return false;
}

}  // namespace tocsin::http
