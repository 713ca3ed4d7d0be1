// MetadataStore: what was last said about each metric family (HELP, TYPE, UNIT), kept in the state
// store, so that it is there after a restart, before the first scrape, and when the target is gone.
//
//   MetadataStore store(&env, {});
//   store.Load(&state);                         // once, before Start
//   store.Start([&] { … store.Note(family, metadata); … });
//   store.Visit("", …); store.TypeOf("http_requests_total");
//   store.Stop();                               // one more round, so that nothing is lost
//
// One entry a family: where two targets differ, the last word wins; the differences are the live
// targets' to tell (ScrapePools::VisitMetadata). Nothing is written where something is noted: the
// thread `metadata` asks `collect` for news and writes what changed, in batches of at most
// kFamiliesPerBatch, every kRoundMs. A kill -9 loses a round, which the next scrape says anew.
//
// State store: key "metadata/" + family; value, in the alphabet of base/bytes.h:
//   fixed8 version (1), fixed8 model::MetricType, varint last seen (ms since the epoch),
//   string unit, string help
// A value that cannot be read (damage, a newer version) is passed over and stays where it is until
// the family is seen again.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "base/env.h"
#include "base/mutex.h"
#include "base/state_store.h"
#include "base/thread.h"
#include "model/metadata.h"

namespace tocsin::collector {

struct MetadataStoreOptions {
  size_t families_max = 100'000;
  size_t bytes_max = size_t{64} << 20;  // of names, units and helps, in memory and on disk
  // Longer names and units are not kept; a longer help is cut.
  size_t name_bytes_max = 1024;
  size_t help_bytes_max = 4096;
  int64_t keep_ms = int64_t{30} * 86'400'000;  // after the family was last seen
};

// Thread-safe. `Note` waits for no I/O.
class MetadataStore {
 public:
  static constexpr int64_t kRoundMs = 5'000;
  static constexpr size_t kFamiliesPerBatch = 1'000;
  // Over a bound the families that were seen longest ago make room, but none of the last two hours:
  // what is alive is noted every hour and would only come back.
  static constexpr int64_t kAliveMs = 2 * 3'600'000;

  MetadataStore(Env* env, MetadataStoreOptions options) : env_(*env), options_(options) {}
  ~MetadataStore() { Stop(); }

  // `state` must outlive Stop().
  Status Load(StateStore* state);
  // `collect(all)`: notes what is new, or, once an hour, everything that is alive.
  void Start(std::function<void(bool all)> collect);
  void Stop();

  void Note(std::string_view family, const model::Metadata& metadata);
  // Writes what changed since; on failure it stays to be written.
  Status Flush();
  // Forgets what nobody has exposed for `keep_ms`.
  void Expire();

  // In the order of names; `family` "" = all. `visit` runs under no lock and may return false to
  // stop.
  void Visit(std::string_view family,
             const std::function<bool(const std::string&, const model::Metadata&)>& visit) const;
  // The type of the family that a series' name belongs to: its own name, or what is left of
  // "…_bucket", "…_total" and the like where the family's type has such series.
  model::MetricType TypeOf(std::string_view metric_name) const;
  size_t families() const;

 private:
  struct Entry {
    model::Metadata metadata;
    int64_t seen_ms = 0;
    int64_t stored_seen_ms = 0;  // as on disk
  };
  using Entries = std::map<std::string, Entry, std::less<>>;

  void Run();
  void Forget(Entries::iterator it) REQUIRES(mu_);
  bool MakeRoom(size_t bytes) REQUIRES(mu_);
  static size_t BytesOf(std::string_view family, const model::Metadata& metadata);

  Env& env_;
  const MetadataStoreOptions options_;
  StateStore* state_ = nullptr;  // set by Load
  std::function<void(bool)> collect_;

  mutable Mutex mu_;
  Entries entries_ GUARDED_BY(mu_);
  std::set<std::string> changed_ GUARDED_BY(mu_);  // to be written, or deleted where gone
  size_t bytes_ GUARDED_BY(mu_) = 0;
  int64_t room_made_ms_ GUARDED_BY(mu_) = INT64_MIN;
  bool stopping_ GUARDED_BY(mu_) = false;
  CondVar stop_;
  Thread thread_;
};

}  // namespace tocsin::collector
