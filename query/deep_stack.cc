#include "query/deep_stack.h"

#include <atomic>

#include "base/thread.h"

namespace tocsin::query {
namespace {

// A level of the tree is walked by up to four nested calls. Measured
// (tests/query/bad_input_test.cc, 100,000 levels): 0.4 to 1.3 KiB a level in optimised code;
// sanitizers need several times as much.
#if defined(__SANITIZE_ADDRESS__) || !defined(NDEBUG)
constexpr size_t kBytesByLevel = 16 * 1024;
#else
constexpr size_t kBytesByLevel = 4 * 1024;
#endif
constexpr size_t kBytesBase = size_t{1} << 20;
// Of all walks at once: as many as the highest tree has (ast.h), so that one of those takes all the
// memory that is meant for stacks.
constexpr int64_t kDeepLevelsMax = 200'000;

std::atomic<int64_t> deep_levels = 0;
thread_local bool on_deep_stack = false;

}  // namespace

Status WithStackFor(int32_t height, const std::function<void()>& body) {
  if (height <= kShallowHeight || on_deep_stack) {
    body();
    return Status::Ok();
  }
  if (deep_levels.fetch_add(height) + height > kDeepLevelsMax) {
    deep_levels.fetch_sub(height);
    return Status(Code::kResourceExhausted, "too many deeply nested queries at once");
  }
  const ThreadOptions options{.stack_bytes =
                                  kBytesBase + static_cast<size_t>(height) * kBytesByLevel};
  Result<Thread> thread = Thread::TryStart(
      "query-deep",
      [&body] {
        on_deep_stack = true;
        body();
      },
      options);
  if (thread) thread->Join();
  deep_levels.fetch_sub(height);
  if (thread) return Status::Ok();
  return Status(Code::kResourceExhausted,
                "no stack for a query nested so deeply: " + std::string(thread.error().message()));
}

}  // namespace tocsin::query
