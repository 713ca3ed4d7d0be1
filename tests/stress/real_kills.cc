#include "real_kills.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "base/env.h"
#include "base/thread.h"
#include "expected_state.h"
#include "store_checks.h"
#include "stress_writer.h"
#include "tests/support/forwarding_env.h"
#include "tsdb/database.h"

namespace tocsin::stress {

namespace {

constexpr model::Timestamp kStartMs = 1'767'225'600'000 + int64_t{20} * 60 * 60 * 1000;
constexpr int kBroken = 3;    // exit code of a child that found a broken promise
constexpr int kFinished = 4;  // of one that wrote all rows

// What a life that was killed left of a snapshot that it was taking, too.
Status RemoveSnapshot(const std::string& dir) {
  TOCSIN_RETURN_IF_ERROR(Env::Default().RemoveTree(dir + ".tmp"));
  return Env::Default().RemoveTree(dir);
}

// The process' files, and a clock that follows the rows: an hour of samples takes seconds.
class FastClockEnv final : public ForwardingEnv {
 public:
  void set_now_ms(int64_t now_ms) { now_ms_.store(now_ms); }

  int64_t NowMs() override { return now_ms_.load(); }

 private:
  std::atomic<int64_t> now_ms_ = kStartMs;
};

// In shared memory, before the units' bytes.
struct Shared {
  std::atomic<uint64_t> batches;
  std::atomic<uint64_t> samples;
  std::atomic<uint64_t> late_units;
  std::atomic<uint64_t> repeated_units;
  std::atomic<uint64_t> deletes;
  std::atomic<uint64_t> comparisons;
  std::atomic<uint64_t> seals;
  std::atomic<uint64_t> merges;
  std::atomic<uint64_t> snapshots;
  std::atomic<bool> opened;  // by the child that lives
  char message[512];
  std::atomic<bool> broken;
};

class Child {
 public:
  Child(const RealKillsOptions& options, const Universe& universe, Shared* shared,
        ExpectedState* expected, uint64_t seed)
      : options_(options),
        universe_(universe),
        shared_(shared),
        expected_(expected),
        seed_(seed),
        progress_(universe.sources()) {}

  // Runs until killed; returns the exit code otherwise.
  int Run() {
    for (int source = 0; source < universe_.sources(); ++source) {
      progress_.set_next_row(source, NextRow(source));
    }
    SetClock();
    const tsdb::DatabaseOptions options = Options();
    auto opened = tsdb::Database::Open(options);
    if (!opened) return Broken(opened.error());
    database_ = *std::move(opened);
    shared_->opened.store(true);
    if (Status status = CompareAfterKill(); !status.ok()) return Broken(status);
    std::vector<std::thread> threads;
    for (int w = 0; w < options_.writers; ++w) threads.emplace_back([this, w] { Write(w); });
    for (int r = 0; r < options_.readers; ++r) threads.emplace_back([this] { Read(); });
    threads.emplace_back([this] { Maintain(); });
    for (auto& thread : threads) thread.join();
    if (shared_->broken.load()) return kBroken;
    shared_->opened.store(false);
    if (Status status = database_->Close(); !status.ok()) return Broken(status);
    return kFinished;
  }

 private:
  tsdb::DatabaseOptions Options() {
    tsdb::DatabaseOptions options;
    options.dir = options_.dir;
    options.env = &env_;
    options.shards = 4;
    options.wal_compression = seed_ % 2 == 0;
    options.policy.rollups = {{int64_t{5} * 60 * 1000, 0}, {int64_t{60} * 60 * 1000, 0}};
    return options;
  }

  int Broken(const Status& status) {
    if (!shared_->broken.exchange(true)) {
      std::snprintf(shared_->message, sizeof shared_->message, "%s", status.ToString().c_str());
    }
    stop_.store(true);
    return kBroken;
  }

  int NextRow(int source) const {
    for (int row = kRows; row > 0; --row) {
      for (int part = 0; part < kParts; ++part) {
        if (expected_->Get(Unit{source, row - 1, part}) != kNever) return row;
      }
    }
    return 0;
  }

  void SetClock() { env_.set_now_ms(universe_.start_ms() + (progress_.highest() + 1) * kRowMs); }

  Status CompareAfterKill() {
    const auto observed = Observe(universe_, *database_->Pin());
    if (!observed) return observed.error();
    const auto known = expected_->Copy();
    if (Status s = Compare(universe_, known, known, *observed, kKernel); !s.ok()) return s;
    Settle(expected_, *observed);
    return {};
  }

  void Write(int index) {
    StressWriter writer(expected_, &progress_, &counts_, database_.get(), index * 2, index * 2 + 1,
                        seed_ * 31 + static_cast<uint64_t>(index));
    while (!stop_.load()) {
      SetClock();
      const Status status = writer.Step(/*may_fail=*/false);
      if (status.code() == Code::kResourceExhausted) {
        stop_.store(true);
      } else if (!status.ok()) {
        Broken(status);
      }
      Publish();
    }
  }

  // Snapshots hold what was acknowledged before them, whole units only, and do not change.
  void Read() {
    while (!stop_.load()) {
      const auto before = expected_->Copy();
      const auto snapshot = database_->Pin();
      const auto first = Observe(universe_, *snapshot);
      if (!first) {
        Broken(first.error());
        return;
      }
      const auto after = expected_->Copy();
      if (Status s = Compare(universe_, before, after, *first, kVisible); !s.ok()) Broken(s);
      const auto again = Observe(universe_, *snapshot);
      if (!again) {
        Broken(again.error());
        return;
      }
      if (*again != *first) Broken(Status(Code::kCorruption, "a pinned snapshot changed"));
      ++shared_->comparisons;
    }
  }

  void Maintain() {
    std::mt19937_64 random(seed_);
    while (!stop_.load()) {
      Status status = database_->RunMaintenance();
      if (status.ok() && random() % 8 == 0) status = database_->Compact();
      if (status.ok() && random() % 20 == 0) status = database_->CleanTombstones();
      if (status.ok() && random() % 5 == 0) status = TakeSnapshot();
      if (!status.ok()) Broken(status);
      shared_->seals.fetch_add(database_->counters().seals - seals_);
      shared_->merges.fetch_add(database_->counters().merges - merges_);
      seals_ = database_->counters().seals;
      merges_ = database_->counters().merges;
      std::this_thread::sleep_for(std::chrono::milliseconds(random() % 50));
    }
  }

  // Under load, and restored: it has what was acknowledged before it.
  Status TakeSnapshot() {
    const std::string dir = options_.dir + ".snapshot";
    TOCSIN_RETURN_IF_ERROR(RemoveSnapshot(dir));
    const auto before = expected_->Copy();
    TOCSIN_RETURN_IF_ERROR(database_->Snapshot(dir, /*skip_head=*/false));
    const auto after = expected_->Copy();
    const auto restored = ObserveSnapshotDirectory(universe_, Options(), dir);
    if (!restored) return restored.error();
    ++shared_->snapshots;
    return Compare(universe_, before, after, *restored, kVisible);
  }

  void Publish() {
    shared_->batches.fetch_add(counts_.batches.exchange(0));
    shared_->samples.fetch_add(counts_.samples.exchange(0));
    shared_->late_units.fetch_add(counts_.late_units.exchange(0));
    shared_->repeated_units.fetch_add(counts_.repeated_units.exchange(0));
    shared_->deletes.fetch_add(counts_.deletes.exchange(0));
  }

  const RealKillsOptions& options_;
  const Universe& universe_;
  Shared* shared_;
  ExpectedState* expected_;
  const uint64_t seed_;
  FastClockEnv env_;
  Progress progress_;
  StressCounts counts_;
  std::unique_ptr<tsdb::Database> database_;
  std::atomic<bool> stop_ = false;
  uint64_t seals_ = 0;
  uint64_t merges_ = 0;
};

}  // namespace

Status RunRealKills(const RealKillsOptions& options) {
  if (Status status = Env::Default().RemoveTree(options.dir); !status.ok()) return status;
  if (Status status = Env::Default().CreateDirs(options.dir); !status.ok()) return status;
  const Universe universe(options.seed, options.writers * 2, kStartMs);
  const size_t bytes = sizeof(Shared) + universe.units();
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return Status(Code::kIo, "no shared memory");
  auto* shared = new (memory) Shared();
  auto* units =
      reinterpret_cast<std::atomic<uint8_t>*>(static_cast<char*>(memory) + sizeof(Shared));
  ExpectedState expected(universe, units);

  std::mt19937_64 random(options.seed);
  int kills = 0;
  for (bool finished = false; !finished;) {
    std::fflush(nullptr);
    shared->opened.store(false);
    const pid_t pid = fork();
    if (pid < 0) return Status(Code::kIo, "fork failed");
    if (pid == 0) {
      _exit(Child(options, universe, shared, &expected, random()).Run());
    }
    (void)random();
    bool tried_second = false;
    // Until it dies by itself or its time has come.
    const auto until =
        std::chrono::steady_clock::now() +
        std::chrono::milliseconds(50 + random() % static_cast<uint64_t>(options.longest_life_ms));
    int wait_status = 0;
    pid_t dead = 0;
    while ((dead = waitpid(pid, &wait_status, WNOHANG)) == 0 &&
           std::chrono::steady_clock::now() < until) {
      if (shared->opened.load() && !tried_second) {
        tried_second = true;
        tsdb::DatabaseOptions second;
        second.dir = options.dir;
        second.background = false;
        const Status refused = CheckLock(second);
        // Or it had just stopped by itself.
        if (!refused.ok() && shared->opened.load() && waitpid(pid, &wait_status, WNOHANG) == 0) {
          kill(pid, SIGKILL);
          waitpid(pid, &wait_status, 0);
          return refused;
        }
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    if (dead == 0) {
      kill(pid, SIGKILL);
      waitpid(pid, &wait_status, 0);
      ++kills;
    }
    if (WIFEXITED(wait_status)) {
      const int code = WEXITSTATUS(wait_status);
      if (code != kFinished) {
        return Status(Code::kCorruption,
                      "after " + std::to_string(kills) + " kills: " + std::string(shared->message));
      }
      finished = true;
    } else if (WTERMSIG(wait_status) != SIGKILL) {
      return Status(Code::kCorruption, "after " + std::to_string(kills) + " kills: signal " +
                                           std::to_string(WTERMSIG(wait_status)));
    }
    if (shared->broken.load()) return Status(Code::kCorruption, shared->message);
    finished = finished || std::chrono::steady_clock::now() >= options.end;
  }
  std::printf(
      "disk: %d kills, %llu batches, %llu samples, %llu late units, %llu again, %llu deletes, "
      "%llu seals, %llu merges, %llu comparisons by readers, %llu snapshots\n",
      kills, static_cast<unsigned long long>(shared->batches.load()),
      static_cast<unsigned long long>(shared->samples.load()),
      static_cast<unsigned long long>(shared->late_units.load()),
      static_cast<unsigned long long>(shared->repeated_units.load()),
      static_cast<unsigned long long>(shared->deletes.load()),
      static_cast<unsigned long long>(shared->seals.load()),
      static_cast<unsigned long long>(shared->merges.load()),
      static_cast<unsigned long long>(shared->comparisons.load()),
      static_cast<unsigned long long>(shared->snapshots.load()));
  const bool idle = shared->batches.load() == 0;
  munmap(memory, bytes);
  if (idle) return Status(Code::kCorruption, "the run did not do its work");
  TOCSIN_RETURN_IF_ERROR(RemoveSnapshot(options.dir + ".snapshot"));
  return Env::Default().RemoveTree(options.dir);
}

}  // namespace tocsin::stress
