#include "base/thread.h"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <utility>

#include "base/check.h"

namespace tocsin {
namespace {

std::atomic<int> live_threads{0};

struct Start {
  std::string name;
  std::function<void()> body;
  int nice = 0;
};

// Linux keeps a niceness for each thread. Making it worse is always allowed.
void BeNice(int nice) {
  const int now = getpriority(PRIO_PROCESS, static_cast<id_t>(gettid()));
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), now + nice);
}

void RunNamed(const std::string& name, const std::function<void()>& body) {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
  live_threads.fetch_add(1);
  try {
    body();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "level=error msg=\"exception escaped a thread\" thread=%s err=\"%s\"\n",
                 name.c_str(), e.what());
    std::abort();
  } catch (...) {
    std::fprintf(stderr, "level=error msg=\"exception escaped a thread\" thread=%s\n",
                 name.c_str());
    std::abort();
  }
  live_threads.fetch_sub(1);
}

void* RunStart(void* argument) {
  const std::unique_ptr<Start> start(static_cast<Start*>(argument));
  if (start->nice != 0) BeNice(start->nice);
  RunNamed(start->name, start->body);
  return nullptr;
}

}  // namespace

Thread::Thread(std::string name, std::function<void()> body, const ThreadOptions& options) {
  Result<Thread> started = TryStart(std::move(name), std::move(body), options);
  CHECK_MSG(started.has_value(), "pthread_create");
  *this = *std::move(started);
}

Result<Thread> Thread::TryStart(std::string name, std::function<void()> body,
                                const ThreadOptions& options) {
  auto start = std::make_unique<Start>(std::move(name), std::move(body), options.nice);
  pthread_attr_t attributes;
  CHECK(pthread_attr_init(&attributes) == 0);
  int error = 0;
  if (options.stack_bytes > 0) error = pthread_attr_setstacksize(&attributes, options.stack_bytes);
  Thread thread;
  if (error == 0) error = pthread_create(&thread.thread_, &attributes, RunStart, start.get());
  pthread_attr_destroy(&attributes);
  if (error != 0) return Error(Status::FromErrno("pthread_create", error));
  (void)start.release();  // the thread's now
  thread.joinable_ = true;
  return thread;
}

Thread::~Thread() { CHECK(!joinable_); }

Thread& Thread::operator=(Thread&& other) noexcept {
  if (this == &other) return *this;
  CHECK(!joinable_);
  thread_ = other.thread_;
  joinable_ = std::exchange(other.joinable_, false);
  return *this;
}

void Thread::Join() {
  if (!joinable_) return;
  CHECK(pthread_join(thread_, nullptr) == 0);
  joinable_ = false;
}

int Thread::LiveCount() { return live_threads.load(); }

}  // namespace tocsin
