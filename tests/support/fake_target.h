// FakeTarget: an HTTP server on loopback whose answers are whatever a test wants, well-formed or
// not. Plain sockets, a thread a connection.
//
//   FakeTarget target([](FakeTarget::Request& r) { r.Answer("a 1\n"); });
//   target.address();   // "127.0.0.1:PORT"
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <list>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/mutex.h"
#include "base/thread.h"

namespace tocsin::testing {

class FakeTarget {
 public:
  class Request {
   public:
    Request(int fd, std::string head) : fd_(fd), head_(std::move(head)) {}
    const std::string& head() const { return head_; }  // request line and headers, as sent
    std::string path() const {
      const size_t begin = head_.find(' ') + 1;
      return head_.substr(begin, head_.find(' ', begin) - begin);
    }
    std::string Header(const std::string& name) const {
      const size_t at = head_.find("\r\n" + name + ": ");
      if (at == std::string::npos) return {};
      const size_t begin = at + name.size() + 4;
      return head_.substr(begin, head_.find("\r\n", begin) - begin);
    }
    // False once the other side is gone.
    bool Send(std::string_view bytes) {
      while (!bytes.empty()) {
        const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) return false;
        bytes.remove_prefix(static_cast<size_t>(sent));
      }
      return true;
    }
    void Answer(std::string_view body, const std::string& type = "text/plain; version=0.0.4",
                const std::string& more_headers = "", const std::string& status = "200 OK") {
      Send("HTTP/1.1 " + status + "\r\nContent-Type: " + type +
           "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + more_headers + "\r\n");
      Send(body);
    }
    // Waits until the other side hangs up.
    void WaitForHangup() {
      char byte;
      while (recv(fd_, &byte, 1, 0) > 0) {
      }
    }

   private:
    const int fd_;
    const std::string head_;
  };
  using Handler = std::function<void(Request&)>;

  explicit FakeTarget(Handler handler) : handler_(std::move(handler)) {
    listen_fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(listen_fd_ >= 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    CHECK(bind(listen_fd_, reinterpret_cast<sockaddr*>(&address), length) == 0);
    CHECK(listen(listen_fd_, 128) == 0);
    CHECK(getsockname(listen_fd_, reinterpret_cast<sockaddr*>(&address), &length) == 0);
    port_ = ntohs(address.sin_port);
    accept_thread_ = Thread("fake-target", [this] { Accept(); });
  }
  ~FakeTarget() {
    {
      MutexLock lock(mu_);
      stopping_ = true;
      for (const int fd : open_) shutdown(fd, SHUT_RDWR);
    }
    shutdown(listen_fd_, SHUT_RDWR);
    accept_thread_.Join();
    for (Thread& thread : connection_threads_) thread.Join();
    close(listen_fd_);
  }
  FakeTarget(const FakeTarget&) = delete;
  FakeTarget& operator=(const FakeTarget&) = delete;

  int port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  int connections() const { return connections_; }
  int requests() const { return requests_; }

 private:
  void Accept() {
    while (true) {
      const int fd = accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      MutexLock lock(mu_);
      if (stopping_) {
        close(fd);
        return;
      }
      ++connections_;
      open_.insert(fd);
      connection_threads_.emplace_back("fake-conn", [this, fd] { Serve(fd); });
    }
  }
  void Serve(int fd) {
    std::string received;
    char buffer[4096];
    while (true) {
      size_t end = received.find("\r\n\r\n");
      if (end == std::string::npos) {
        const ssize_t count = recv(fd, buffer, sizeof buffer, 0);
        if (count <= 0) break;
        received.append(buffer, static_cast<size_t>(count));
        continue;
      }
      ++requests_;
      Request request(fd, received.substr(0, end + 2));
      received.erase(0, end + 4);
      handler_(request);
    }
    MutexLock lock(mu_);
    open_.erase(fd);
    close(fd);
  }

  const Handler handler_;
  int listen_fd_;
  int port_;
  std::atomic<int> connections_{0};
  std::atomic<int> requests_{0};
  Thread accept_thread_;
  std::list<Thread> connection_threads_;
  Mutex mu_;
  bool stopping_ GUARDED_BY(mu_) = false;
  std::set<int> open_ GUARDED_BY(mu_);
};

}  // namespace tocsin::testing
