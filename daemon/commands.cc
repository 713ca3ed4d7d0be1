#include "daemon/commands.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/check.h"

namespace tocsin::daemon {
namespace {

sigset_t HandledSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGHUP);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

int BlockAndOpen() {
  const sigset_t set = HandledSignals();
  CHECK(pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0);
  return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

}  // namespace

Commands::Commands()
    : signal_fd_(BlockAndOpen()), event_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  CHECK(signal_fd_ >= 0);
  CHECK(event_fd_ >= 0);
  // A peer that closes its connection is an error of write(), never the end of the daemon.
  signal(SIGPIPE, SIG_IGN);
}

Commands::~Commands() {
  close(signal_fd_);
  close(event_fd_);
}

void Commands::Wake() {
  const uint64_t one = 1;
  // Cannot fail but for a full counter, which wakes as well.
  [[maybe_unused]] const ssize_t written = write(event_fd_, &one, sizeof(one));
}

Status Commands::Reload() {
  auto request = std::make_shared<Request>();
  MutexLock lock(mu_);
  if (closed_) return Status(Code::kUnavailable, "the daemon is stopping");
  waiting_.push_back(request);
  Wake();
  while (!request->answered) answered_.Wait(mu_);
  return request->status;
}

void Commands::Quit() {
  MutexLock lock(mu_);
  quit_ = true;
  Wake();
}

Commands::Kind Commands::Wait(std::string* why) {
  while (true) {
    signalfd_siginfo info;
    if (read(signal_fd_, &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
      switch (info.ssi_signo) {
        case SIGHUP:
          *why = "SIGHUP";
          return Kind::kReload;
        case SIGTERM:
          *why = "SIGTERM";
          return Kind::kQuit;
        default:
          *why = "SIGINT";
          return Kind::kQuit;
      }
    }
    {
      MutexLock lock(mu_);
      *why = "HTTP";
      if (quit_) return Kind::kQuit;
      if (!waiting_.empty()) return Kind::kReload;
    }
    pollfd fds[] = {{signal_fd_, POLLIN, 0}, {event_fd_, POLLIN, 0}};
    poll(fds, 2, -1);
    uint64_t count;
    [[maybe_unused]] const ssize_t drained = read(event_fd_, &count, sizeof(count));
  }
}

void Commands::Answer(const Status& status) {
  MutexLock lock(mu_);
  for (const auto& request : waiting_) {
    request->status = status;
    request->answered = true;
  }
  waiting_.clear();
  answered_.NotifyAll();
}

void Commands::Close() {
  MutexLock lock(mu_);
  closed_ = true;
  for (const auto& request : waiting_) {
    request->status = Status(Code::kUnavailable, "the daemon is stopping");
    request->answered = true;
  }
  waiting_.clear();
  answered_.NotifyAll();
}

}  // namespace tocsin::daemon
