// A database that opens before its older rows are in: everything works meanwhile, and afterwards
// nothing shows that anything happened meanwhile.
#include <atomic>
#include <bit>
#include <boost/test/unit_test.hpp>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/mem_env.h"
#include "base/mutex.h"
#include "base/thread.h"
#include "tests/support/forwarding_env.h"
#include "tests/tsdb/delete_store.h"

namespace tocsin::tsdb::open_early_test {
namespace {

using delete_store::Contents;
using delete_store::kHour;
using delete_store::kNow;
using delete_store::L;
using delete_store::Read;
using delete_store::RequireEqual;
using model::RowKind;
using model::Timestamp;

// Only the thread that made it may read log files, until Release: the loader waits.
class GatedEnv final : public ForwardingEnv {
 public:
  explicit GatedEnv(Env& target) : ForwardingEnv(target), opener_(std::this_thread::get_id()) {}

  Result<std::unique_ptr<RandomAccessFile>> NewRandomAccessFile(const std::string& path) override {
    if (path.ends_with(".log") && std::this_thread::get_id() != opener_) {
      MutexLock lock(mutex_);
      while (!released_) changed_.Wait(mutex_);
    }
    return ForwardingEnv::NewRandomAccessFile(path);
  }
  void Release() {
    MutexLock lock(mutex_);
    released_ = true;
    changed_.NotifyAll();
  }

 private:
  const std::thread::id opener_;
  Mutex mutex_;
  CondVar changed_;
  bool released_ GUARDED_BY(mutex_) = false;
};

struct Life {
  MemEnv memory{5};
  Contents want;
  std::mt19937_64 random;
  std::unique_ptr<Database> db;
  std::vector<std::unique_ptr<model::SourceWriter>> writers;
  Timestamp t = 0;

  explicit Life(uint64_t seed) : random(seed) {}

  void Open(Env& env, bool early) {
    writers.clear();
    db.reset();
    DatabaseOptions options;
    options.dir = "/db";
    options.env = &env;
    options.shards = 4;
    options.replay_threads = 1;
    options.background = early;
    options.open_early = early;
    auto opened = Database::Open(options);
    BOOST_REQUIRE_MESSAGE(opened, (opened ? "" : opened.error().ToString()));
    db = *std::move(opened);
    for (int s = 0; s < 4; ++s) {
      const std::string job = "j" + std::to_string(s);
      writers.push_back(*db->OpenSource({model::OriginKind::kPush, job}, L({{"job", job}})));
    }
  }

  // A row, up to half an hour late.
  void Put() {
    t += static_cast<Timestamp>(random() % 20'000);
    memory.SetNowMs(kNow + t);
    const size_t s = random() % writers.size();
    const Timestamp late = random() % 3 == 0 ? static_cast<Timestamp>(random() % (kHour / 2)) : 0;
    const Timestamp at = std::max<Timestamp>(t - late, 0);
    auto batch = db->NewBatch();
    batch->BeginRow(*writers[s], kNow + at, s % 2 == 0 ? RowKind::kFull : RowKind::kPartial);
    std::map<model::Slot, std::pair<std::string, uint64_t>> puts;
    for (int k = 0; k < 8; ++k) {
      if (random() % 4 == 0) continue;
      const Labels key = L({{"__name__", "m" + std::to_string(k)}});
      const model::Slot slot = *writers[s]->AddSlot(key);
      const double v = k < 3 ? 1 : static_cast<double>(random() % 1000) / 8;
      batch->Set(slot, v, model::kRowTimestamp);
      puts[slot] = {
          L({{"__name__", "m" + std::to_string(k)}, {"job", "j" + std::to_string(s)}}).ToString(),
          std::bit_cast<uint64_t>(v)};
    }
    model::CommitOptions commit;
    commit.durability = model::Durability::kKernel;
    const auto result = batch->Commit(commit);
    BOOST_REQUIRE(result.status.ok());
    for (const model::Refusal& refusal : result.refusals) puts.erase(refusal.slot);
    for (const auto& [slot, put] : puts) want[put.first].emplace(at, put.second);
  }
  using Labels = model::Labels;
};

// Whatever is there is right.
void RequirePartOf(const Contents& got, const Contents& want) {
  for (const auto& [name, samples] : got) {
    const auto found = want.find(name);
    BOOST_REQUIRE_MESSAGE(found != want.end(), name);
    for (const auto& [t, bits] : samples) {
      const auto at = found->second.find(t);
      BOOST_REQUIRE(at != found->second.end());
      BOOST_REQUIRE(at->second == bits);
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(OpenEarlySuite)

BOOST_AUTO_TEST_CASE(AppendsQueriesAndSealsBesideLoadingLeaveWhatTheOracleHas) {
  uint64_t with_rows_missing = 0;
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Life life(seed);
      // Several log files a shard, of which some half hours are sealed.
      life.Open(life.memory, false);
      for (int files = 0; files < 5; ++files) {
        for (int i = 0; i < 150; ++i) life.Put();
        if (life.random() % 3 == 0)
          BOOST_REQUIRE(life.db->Seal({kNow, kNow + life.t - kHour}).ok());
        if (life.random() % 2 == 0) life.Open(life.memory, false);
      }
      GatedEnv gated(life.memory);
      life.Open(gated, true);
      BOOST_REQUIRE(!life.db->load_progress().complete);
      // Seals, deletes' neighbours and snapshots wait; rows and queries do not.
      std::atomic<bool> sealed{false};
      Thread sealer("seal", [&] {
        if (life.db->Seal({}).ok()) sealed = true;
      });
      auto pinned = life.db->Pin();
      const Contents before = Read(*pinned);
      RequirePartOf(before, life.want);
      with_rows_missing += before != life.want ? 1 : 0;
      for (int i = 0; i < 200; ++i) {
        life.Put();
        if (i % 40 == 0) RequirePartOf(Read(*life.db->Pin()), life.want);
      }
      BOOST_TEST(!sealed);
      BOOST_TEST(!life.db->AwaitLoaded(0));
      gated.Release();
      // While it loads.
      for (int i = 0; i < 50; ++i) life.Put();
      RequirePartOf(Read(*life.db->Pin()), life.want);
      while (!life.db->AwaitLoaded(100)) {
      }
      RequireEqual(Read(*life.db->Pin()), life.want);
      pinned.reset();
      sealer.Join();
      BOOST_TEST(sealed);
      RequireEqual(Read(*life.db->Pin()), life.want);
      for (int i = 0; i < 50; ++i) life.Put();
      BOOST_REQUIRE(life.db->Compact().ok());
      RequireEqual(Read(*life.db->Pin()), life.want);
      life.Open(life.memory, false);
      RequireEqual(Read(*life.db->Pin()), life.want);
    }
  }
  BOOST_TEST(with_rows_missing > 0u);
}

// Closing while rows are being loaded costs none of them.
BOOST_AUTO_TEST_CASE(ClosedWhileLoadingAllRowsAreThereAtTheNextStart) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    Life life(seed);
    for (int files = 0; files < 4; ++files) {
      life.Open(life.memory, false);
      for (int i = 0; i < 100; ++i) life.Put();
    }
    for (int lives = 0; lives < 3; ++lives) {
      GatedEnv gated(life.memory);
      life.Open(gated, true);
      for (int i = 0; i < 30; ++i) life.Put();
      Thread release("release", [&] { gated.Release(); });
      life.writers.clear();
      life.db.reset();
      release.Join();
    }
    life.Open(life.memory, false);
    RequireEqual(Read(*life.db->Pin()), life.want);
    BOOST_TEST(life.db->counters().replay_lost_samples == 0u);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tocsin::tsdb::open_early_test
