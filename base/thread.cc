#include "base/thread.h"

#include <pthread.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <utility>

#include "base/check.h"

namespace tocsin {
namespace {

std::atomic<int> live_threads{0};

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

}  // namespace

Thread::Thread(std::string name, std::function<void()> body)
    : thread_([name = std::move(name), body = std::move(body)] { RunNamed(name, body); }) {}

Thread::~Thread() { CHECK(!thread_.joinable()); }

void Thread::Join() {
  if (thread_.joinable()) thread_.join();
}

int Thread::LiveCount() { return live_threads.load(); }

}  // namespace tocsin
