// ActiveQueries: what runs now, for people who ask why the machine is busy, and a way to stop it.
// Thread-safe.
//
//   ActiveQueries::Ticket ticket = active.Begin(description);   // listed for as long as it lives
//   options.probe = ticket.probe();
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "model/sample.h"
#include "query/engine.h"

namespace tocsin {
class Env;
}

namespace tocsin::query {

// Who asks. Empty strings: not known.
struct QueryOrigin {
  std::string client;  // address
  std::string method;
  std::string path;
  std::string rule_file;
  std::string rule_group;
};

struct QueryDescription {
  std::string text;
  model::Timestamp start_ms = 0;
  model::Timestamp end_ms = 0;
  int64_t step_ms = 0;  // 0: instant
  QueryLane lane = QueryLane::kUser;
  QueryOrigin origin;
};

struct ActiveQuery {
  uint64_t id = 0;
  QueryDescription description;  // its text cut to kShownTextBytes
  int64_t started_ms = 0;
  double seconds = 0;
  uint64_t memory_bytes = 0;
  int64_t samples_read = 0;
  bool cancelled = false;  // asked to stop
};

// A query's text in lists; logs have it whole.
inline constexpr size_t kShownTextBytes = 4096;

class ActiveQueries {
 private:
  struct Entry;

 public:
  explicit ActiveQueries(Env* env) : env_(env) {}

  class Ticket {
   public:
    Ticket(ActiveQueries* owner, uint64_t id, std::shared_ptr<Entry> entry)
        : owner_(owner), id_(id), entry_(std::move(entry)) {}
    ~Ticket() { owner_->End(id_); }
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;
    QueryProbe* probe();
    uint64_t id() const { return id_; }

   private:
    ActiveQueries* const owner_;
    const uint64_t id_;
    const std::shared_ptr<Entry> entry_;
  };

  Ticket Begin(const QueryDescription& description) EXCLUDES(mu_);
  // Longest running first.
  std::vector<ActiveQuery> List() const EXCLUDES(mu_);
  // False: there is none of this id (any more).
  bool Cancel(uint64_t id) EXCLUDES(mu_);
  size_t count() const EXCLUDES(mu_);

 private:
  void End(uint64_t id) EXCLUDES(mu_);

  Env* const env_;
  mutable Mutex mu_;
  uint64_t next_id_ GUARDED_BY(mu_) = 1;
  std::map<uint64_t, std::shared_ptr<Entry>> entries_ GUARDED_BY(mu_);
};

}  // namespace tocsin::query
