#include "base/http/front.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/check.h"
#include "base/env.h"
#include "base/http/handler_runner.h"

namespace tocsin::http {
namespace {

constexpr int kEventsPerWait = 256;
constexpr int kAcceptsPerTurn = 128;
// Epoll tags: the wake-up descriptor, listeners by number, else the address of a connection.
constexpr uint64_t kWakeTag = 1;
constexpr uint64_t kListenerTag = 2;
constexpr uint64_t kListenersMax = 62;

}  // namespace

Front::Front(const ServerOptions& options, const Router& router, std::vector<ListenSocket> sockets,
             Budget* request_budget, Dispatch dispatch)
    : options_(options),
      router_(router),
      limits_{.head_bytes_max = options.head_bytes_max,
              .target_bytes_max = options.target_bytes_max,
              .header_line_bytes_max = options.header_line_bytes_max,
              .header_count_max = options.header_count_max},
      request_budget_(*request_budget),
      dispatch_(std::move(dispatch)),
      listeners_(std::move(sockets)),
      read_buffer_(kReadBytes, '\0') {}

Front::~Front() {
  for (const std::unique_ptr<Connection>& c : connections_) {
    if (c->fd >= 0) close(c->fd);
  }
  for (const ListenSocket& listener : listeners_) close(listener.fd);
  if (epoll_fd_ >= 0) close(epoll_fd_);
  if (wake_fd_ >= 0) close(wake_fd_);
}

int64_t Front::NowMs() const { return options_.env->MonotonicNanos() / 1'000'000; }

Status Front::Open() {
  if (listeners_.size() > kListenersMax) {
    return Status(Code::kInvalidArgument, "too many listen addresses");
  }
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd_ < 0) return Status::FromErrno("epoll_create1", errno);
  wake_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (wake_fd_ < 0) return Status::FromErrno("eventfd", errno);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = kWakeTag;
  if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, wake_fd_, &event) != 0) {
    return Status::FromErrno("epoll_ctl", errno);
  }
  for (size_t i = 0; i < listeners_.size(); ++i) {
    event.events = EPOLLIN;
    event.data.u64 = kListenerTag + i;
    if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, listeners_[i].fd, &event) != 0) {
      return Status::FromErrno("epoll_ctl", errno);
    }
  }
  return Status::Ok();
}

// ------------------------------------------------------------------------------------------------
// the loop

void Front::Run() {
  std::array<epoll_event, kEventsPerWait> events;
  while (!stopping_ || (!connections_.empty() && NowMs() < stop_deadline_ms_)) {
    // Without connections there are no deadlines.
    const bool quiet = connections_.empty() && !stopping_ && accepting_;
    const int timeout_ms =
        !ready_again_.empty() ? 0 : (quiet ? -1 : static_cast<int>(options_.tick_ms));
    const int count = epoll_wait(epoll_fd_, events.data(), kEventsPerWait, timeout_ms);
    CHECK_MSG(count >= 0 || errno == EINTR, "epoll_wait");

    for (int i = 0; i < count; ++i) {
      const uint64_t tag = events[static_cast<size_t>(i)].data.u64;
      if (tag == kWakeTag) {
        uint64_t wakes = 0;
        // Edge triggered and non-blocking: there is nothing to do about an empty read.
        [[maybe_unused]] const ssize_t n = read(wake_fd_, &wakes, sizeof(wakes));
      } else if (tag < kListenerTag + kListenersMax) {
        Accept(tag - kListenerTag);
      } else {
        auto* c = static_cast<Connection*>(events[static_cast<size_t>(i)].data.ptr);
        if (c->fd >= 0) OnEvents(c, events[static_cast<size_t>(i)].events);
      }
    }
    std::vector<Connection*> again;
    again.swap(ready_again_);
    for (Connection* c : again) {
      c->queued_again = false;
      if (c->fd >= 0) Advance(c);
    }
    TakeCompletions();
    if (stop_grace_ms_.load() >= 0 && !stopping_) BeginStopping();
    if (const int64_t now_ms = NowMs(); now_ms >= next_tick_ms_ || count == 0) {
      next_tick_ms_ = now_ms + options_.tick_ms;
      CheckDeadlines();
    }
    graveyard_.clear();
  }
  for (const std::unique_ptr<Connection>& c : connections_) {
    if (c->client_gone != nullptr) c->client_gone->store(true);
  }
}

void Front::Complete(std::unique_ptr<Exchange> exchange) {
  bool wake = false;
  {
    MutexLock lock(mu_);
    wake = completions_.empty();
    completions_.push_back(std::move(exchange));
  }
  if (!wake) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = write(wake_fd_, &one, sizeof(one));
}

void Front::Stop(int64_t grace_ms) {
  stop_grace_ms_.store(std::max<int64_t>(grace_ms, 0));
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = write(wake_fd_, &one, sizeof(one));
}

void Front::BeginStopping() {
  stopping_ = true;
  stop_deadline_ms_ = NowMs() + stop_grace_ms_.load();
  for (const ListenSocket& listener : listeners_) close(listener.fd);
  listeners_.clear();
  // Backwards: Destroy moves the last connection into the gap.
  for (size_t i = connections_.size(); i-- > 0;) {
    Connection* c = connections_[i].get();
    c->close_after = true;
    if (c->state == Connection::State::kReading) Destroy(c);
  }
}

void Front::TakeCompletions() {
  std::vector<std::unique_ptr<Exchange>> done;
  {
    MutexLock lock(mu_);
    done.swap(completions_);
  }
  for (std::unique_ptr<Exchange>& exchange : done) {
    Connection* c = exchange->connection;
    CHECK(c->state == Connection::State::kHandling);
    Count(&counters_.handled);
    c->client_gone.reset();
    c->out_head = std::move(exchange->response_head);
    c->out_body = std::move(exchange->response_body);
    c->close_after |= exchange->close_after || c->out_head.empty();
    exchange.reset();
    if (c->broken) {
      Destroy(c);
      continue;
    }
    StartWriting(c);
    Advance(c);
  }
}

bool Front::BodyTooSlow(const Connection& c, int64_t now_ms) const {
  const int64_t paid_ms = now_ms - c.body_start_ms - options_.rate_grace_ms;
  if (!c.in_body || paid_ms <= 0) return false;
  const auto due = static_cast<uint64_t>(paid_ms) * options_.body_rate_min_bytes_per_s / 1000;
  return c.body.size() < due;
}

void Front::CheckDeadlines() {
  const int64_t now_ms = NowMs();
  for (size_t i = connections_.size(); i-- > 0;) {
    Connection* c = connections_[i].get();
    const bool slow = c->state == Connection::State::kReading && BodyTooSlow(*c, now_ms);
    if (now_ms < c->deadline_ms && !slow) continue;
    if (c->state != Connection::State::kReading || c->idle()) {
      if (!c->idle() && c->state != Connection::State::kLingering) Count(&counters_.timed_out);
      Destroy(c);
      continue;
    }
    Count(&counters_.timed_out);
    Refuse(c, {408, "the request arrives too slowly"});
    Advance(c);
  }
  if (!accepting_ && !stopping_) WatchListeners(true);
}

// ------------------------------------------------------------------------------------------------
// accepting

void Front::WatchListeners(bool on) {
  accepting_ = on;
  for (size_t i = 0; i < listeners_.size(); ++i) {
    epoll_event event{};
    event.events = on ? uint32_t{EPOLLIN} : 0;
    event.data.u64 = kListenerTag + i;
    epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, listeners_[i].fd, &event);
  }
}

void Front::Accept(size_t listener) {
  if (stopping_) return;
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    sockaddr_storage peer{};
    socklen_t length = sizeof(peer);
    const int fd = accept4(listeners_[listener].fd, reinterpret_cast<sockaddr*>(&peer), &length,
                           SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      // Out of descriptors or memory: make room if possible, and look again at the next tick.
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        EvictLongestIdle();
        WatchListeners(false);
      }
      return;
    }
    uint16_t port = 0;
    const std::string address = AddressText(reinterpret_cast<sockaddr*>(&peer), &port);
    AcceptOne(fd, address, port, listeners_[listener].loopback);
  }
}

void Front::AcceptOne(int fd, const std::string& address, uint16_t port, bool loopback) {
  const auto connections_max = static_cast<size_t>(std::max(options_.connections_max, 1));
  if (connections_.size() >= connections_max && !EvictLongestIdle()) {
    Count(&counters_.refused_connections);
    const std::string bytes = RefusalBytes({503, "too many connections"});
    [[maybe_unused]] const ssize_t n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    close(fd);
    return;
  }
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  auto connection = std::make_unique<Connection>(request_budget_);
  Connection* c = connection.get();
  c->fd = fd;
  c->remote_address = address;
  c->remote_port = port;
  c->loopback_listener = loopback;
  c->last_active_ms = NowMs();
  c->deadline_ms = c->last_active_ms + options_.read_timeout_ms;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = c;
  if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) != 0) {
    Count(&counters_.refused_connections);
    close(fd);
    return;
  }
  c->index = connections_.size();
  connections_.push_back(std::move(connection));
  Count(&counters_.accepted);
  counters_.open.store(static_cast<int64_t>(connections_.size()), std::memory_order_relaxed);
}

// A client that keeps a connection without using it gives way to one that wants something.
bool Front::EvictLongestIdle() {
  Connection* longest = nullptr;
  for (const std::unique_ptr<Connection>& c : connections_) {
    if (!c->idle()) continue;
    if (longest == nullptr || c->last_active_ms < longest->last_active_ms) longest = c.get();
  }
  if (longest == nullptr) return false;
  Destroy(longest);
  return true;
}

void Front::Destroy(Connection* c) {
  if (c->fd >= 0) close(c->fd);  // also leaves the epoll set
  c->fd = -1;
  if (c->queued_again) std::erase(ready_again_, c);
  const size_t index = c->index;
  CHECK(index < connections_.size() && connections_[index].get() == c);
  // Later events of this batch may still point to it.
  graveyard_.push_back(std::move(connections_[index]));
  if (index + 1 < connections_.size()) {
    connections_[index] = std::move(connections_.back());
    connections_[index]->index = index;
  }
  connections_.pop_back();
  counters_.open.store(static_cast<int64_t>(connections_.size()), std::memory_order_relaxed);
}

void Front::Break(Connection* c) {
  if (c->state != Connection::State::kHandling) {
    Destroy(c);
    return;
  }
  // The worker's answer finds it and destroys it then.
  c->broken = true;
  if (c->client_gone != nullptr) c->client_gone->store(true);
  close(c->fd);
  c->fd = -1;
}

}  // namespace tocsin::http
