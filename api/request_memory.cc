#include "api/request_memory.h"

#include "base/env.h"

namespace tocsin::api {

RequestMemory::RequestMemory(const Dependencies& dependencies, const http::HttpRequest& request)
    : dependencies_(dependencies),
      request_(request),
      budget_(dependencies.engine->NewRequestBudget()) {}

Status RequestMemory::Charge(uint64_t bytes) {
  if (request_.cancelled()) return Status(Code::kCancelled, "the client has gone");
  const int64_t now_ms = dependencies_.env->MonotonicNanos() / 1'000'000;
  if (now_ms - request_.received_monotonic_ms >= dependencies_.engine->options().timeout_ms) {
    return Status(Code::kDeadlineExceeded, "the request timed out while series were listed");
  }
  TOCSIN_RETURN_IF_ERROR(budget_->Charge(bytes));
  held_bytes_ += bytes;
  return Status::Ok();
}

model::LabelHints RequestMemory::Hints(size_t limit) {
  model::LabelHints hints(limit);
  hints.charge = charge();
  return hints;
}

}  // namespace tocsin::api
