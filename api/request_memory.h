// RequestMemory: what bounds an answer that is not a query's but grows with the series that are
// selected (label calls, federation): memory, as a user's query has it; time, as --query.timeout
// says from the request's arrival on; and the client's patience. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "api/dependencies.h"
#include "base/budget.h"
#include "base/http/message.h"

namespace tocsin::api {

class RequestMemory {
 public:
  // Both outlive it.
  RequestMemory(const Dependencies& dependencies, const http::HttpRequest& request);
  ~RequestMemory() { budget_->Release(held_bytes_); }
  RequestMemory(const RequestMemory&) = delete;
  RequestMemory& operator=(const RequestMemory&) = delete;

  // Before so many bytes more are taken; 0 only asks whether to go on. kResourceExhausted,
  // kDeadlineExceeded or kCancelled.
  Status Charge(uint64_t bytes);
  // For the store's hints; not longer than this.
  std::function<Status(uint64_t bytes)> charge() {
    return [this](uint64_t bytes) { return Charge(bytes); };
  }
  model::LabelHints Hints(size_t limit);

 private:
  const Dependencies& dependencies_;
  const http::HttpRequest& request_;
  const std::unique_ptr<Budget> budget_;
  uint64_t held_bytes_ = 0;
};

}  // namespace tocsin::api
