// Ledger: what happened to an alert, step by step: its transitions, what was sent to whom, the
// answers. "Why did this (not) notify?" is answered from here.
//
// Kept in the second, unsynced state store; never needed for correctness, so a failed write is
// counted and nothing else. The oldest entries go when there are more than kLedgerEntriesMax.
//   key    ledger/<time: 16 hex ms>/<number: 16 hex>
//   value  JSON {"at":ms,"event":"…","alert":"<fingerprint>","labels":{…},"detail":"…"}
// Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "base/state_store.h"
#include "model/labels.h"
#include "model/sample.h"

namespace tocsin::alerting {

inline constexpr size_t kLedgerEntriesMax = 100'000;

struct LedgerEntry {
  model::Timestamp at_ms = 0;
  std::string event;  // "pending", "firing", "resolved", "sent", "delivered", "undelivered", …
  model::Labels labels;
  std::string detail;
};

class Ledger {
 public:
  explicit Ledger(StateStore& store);

  void Add(const LedgerEntry& entry) EXCLUDES(mu_);
  // The newest entries of one alert, oldest first, at most `limit`.
  std::vector<LedgerEntry> Of(const model::Labels& labels, size_t limit) const;

 private:
  void Prune() REQUIRES(mu_);

  StateStore& store_;
  Mutex mu_;
  uint64_t next_number_ GUARDED_BY(mu_) = 0;
  size_t entries_ GUARDED_BY(mu_) = 0;
};

}  // namespace tocsin::alerting
