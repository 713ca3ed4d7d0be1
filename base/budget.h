// Budget: a named bound on bytes (or anything counted) that many holders share. Charged before the
// memory is taken, so the bound is never passed; who is refused gets kResourceExhausted naming the
// budget and answers with an error instead of growing. A budget may hang below another (a query's
// below all queries'): a charge then counts in both, or in neither. Thread-safe.
//
//   Budget queries("query memory", 2 << 30);
//   Budget arena("this query", 256 << 20, &queries);
//   BudgetCharge charge(arena);
//   TOCSIN_RETURN_IF_ERROR(charge.Grow(samples * 16));   // given back when `charge` dies
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/status.h"

namespace tocsin {

class Budget {
 public:
  static constexpr uint64_t kUnlimited = UINT64_MAX;

  // `parent` outlives this budget.
  Budget(std::string name, uint64_t limit, Budget* parent = nullptr)
      : name_(std::move(name)), parent_(parent), limit_(limit) {}
  ~Budget() { DCHECK(used() == 0); }
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  Status Charge(uint64_t amount) {
    if (!TryTake(amount)) return Refusal(amount);
    if (parent_ != nullptr) {
      if (Status status = parent_->Charge(amount); !status.ok()) {
        used_.fetch_sub(amount, std::memory_order_relaxed);
        return status;
      }
    }
    return Status::Ok();
  }
  void Release(uint64_t amount) {
    const uint64_t before = used_.fetch_sub(amount, std::memory_order_relaxed);
    DCHECK(before >= amount);
    if (parent_ != nullptr) parent_->Release(amount);
  }

  const std::string& name() const { return name_; }
  uint64_t used() const { return used_.load(std::memory_order_relaxed); }
  uint64_t peak() const { return peak_.load(std::memory_order_relaxed); }
  uint64_t limit() const { return limit_.load(std::memory_order_relaxed); }
  // What is already charged stays, even above a lowered limit.
  void set_limit(uint64_t limit) { limit_.store(limit, std::memory_order_relaxed); }

 private:
  bool TryTake(uint64_t amount) {
    uint64_t used = used_.load(std::memory_order_relaxed);
    uint64_t after = 0;
    do {
      const uint64_t limit = limit_.load(std::memory_order_relaxed);
      if (amount > limit || used > limit - amount) return false;
      after = used + amount;
    } while (!used_.compare_exchange_weak(used, after, std::memory_order_relaxed));
    uint64_t peak = peak_.load(std::memory_order_relaxed);
    while (peak < after && !peak_.compare_exchange_weak(peak, after, std::memory_order_relaxed)) {
    }
    return true;
  }
  Status Refusal(uint64_t amount) const {
    return Status(Code::kResourceExhausted, "budget \"" + name_ +
                                                "\" is exhausted: " + std::to_string(used()) +
                                                " of " + std::to_string(limit()) + " in use, " +
                                                std::to_string(amount) + " more wanted");
  }

  const std::string name_;
  Budget* const parent_;
  std::atomic<uint64_t> limit_;
  std::atomic<uint64_t> used_{0};
  std::atomic<uint64_t> peak_{0};
};

// What one holder has charged; gives it back when destroyed. One thread at a time.
class BudgetCharge {
 public:
  explicit BudgetCharge(Budget& budget) : budget_(&budget) {}
  ~BudgetCharge() { ReleaseAll(); }
  BudgetCharge(BudgetCharge&& other) noexcept
      : budget_(other.budget_), amount_(std::exchange(other.amount_, 0)) {}
  BudgetCharge& operator=(BudgetCharge&& other) noexcept {
    if (this != &other) {
      ReleaseAll();
      budget_ = other.budget_;
      amount_ = std::exchange(other.amount_, 0);
    }
    return *this;
  }

  Status Grow(uint64_t amount) {
    TOCSIN_RETURN_IF_ERROR(budget_->Charge(amount));
    amount_ += amount;
    return Status::Ok();
  }
  void Shrink(uint64_t amount) {
    CHECK(amount <= amount_);
    budget_->Release(amount);
    amount_ -= amount;
  }
  void ReleaseAll() { Shrink(amount_); }
  uint64_t amount() const { return amount_; }

 private:
  Budget* budget_;
  uint64_t amount_ = 0;
};

}  // namespace tocsin
