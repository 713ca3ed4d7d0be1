#include "tsdb/index/epoch.h"

namespace tocsin::tsdb {

class EpochDomain::Generation {
 public:
  struct Garbage {
    void* memory;
    Deleter deleter;
  };

  // The successor may die with this one, and its successor with it: a long chain must not become a
  // deep recursion, so the outermost destructor of a thread drops them one after another.
  ~Generation() {
    for (const Garbage& g : garbage) g.deleter(g.memory);
    static thread_local std::vector<std::shared_ptr<Generation>>* dropping = nullptr;
    if (dropping != nullptr) {
      dropping->push_back(std::move(next));
      return;
    }
    std::vector<std::shared_ptr<Generation>> chain;
    dropping = &chain;
    chain.push_back(std::move(next));
    while (!chain.empty()) {
      std::shared_ptr<Generation> successor = std::move(chain.back());
      chain.pop_back();
      successor.reset();
    }
    dropping = nullptr;
  }

  std::vector<Garbage> garbage;      // written while current, by the writer
  std::shared_ptr<Generation> next;  // set once, when it stops being current
};

EpochDomain::EpochDomain(size_t collect_bytes)
    : collect_bytes_(collect_bytes), current_(std::make_shared<Generation>()) {
  open_ = current_.get();
}

EpochDomain::~EpochDomain() = default;

EpochDomain::Pin EpochDomain::NewPin() const {
  MutexLock lock(mu_);
  return current_;
}

void EpochDomain::Retire(void* memory, size_t bytes, Deleter deleter) {
  open_->garbage.push_back({memory, deleter});
  retired_bytes_ += bytes;
  if (retired_bytes_ >= collect_bytes_) Collect();
}

void EpochDomain::Collect() {
  auto fresh = std::make_shared<Generation>();
  std::shared_ptr<Generation> old;
  {
    MutexLock lock(mu_);
    current_->next = fresh;
    open_ = fresh.get();
    old = std::move(current_);
    current_ = std::move(fresh);
  }
  retired_bytes_ = 0;
  // `old` may be the last reference: its garbage is freed here, outside the lock.
}

}  // namespace tocsin::tsdb
