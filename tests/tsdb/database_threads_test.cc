// Database under many hands: appenders, readers, the compactor and the log threads at once (for the
// thread sanitizer), and a process that is really killed.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <bit>
#include <boost/test/unit_test.hpp>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/mem_env.h"
#include "base/thread.h"
#include "model/storage.h"
#include "tsdb/database.h"

namespace tocsin::tsdb::database_threads_test {
namespace {

using model::Labels;
using model::RowKind;
using model::Timestamp;

constexpr int kSlots = 64;

Labels L(std::vector<std::pair<std::string, std::string>> pairs) {
  return Labels::FromPairs(std::move(pairs));
}

struct Target {
  std::unique_ptr<model::SourceWriter> writer;
  std::vector<model::Slot> slots;

  Target(Database& db, int number) {
    const std::string job = "j" + std::to_string(number);
    writer = *db.OpenSource({model::OriginKind::kScrape, job}, L({{"job", job}}));
    for (int k = 0; k < kSlots; ++k)
      slots.push_back(*writer->AddSlot(L({{"__name__", "m"}, {"k", std::to_string(k)}})));
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(DatabaseThreadsSuite)

// Every batch writes the same value to all slots of two sources. A reader that ever sees two values
// at one instant has seen half a batch.
BOOST_AUTO_TEST_CASE(ReadersSeeWholeBatchesWhileEverythingRuns) {
  MemEnv env;
  DatabaseOptions options;
  options.dir = "/db";
  options.env = &env;
  options.shards = 4;
  options.wal_write_interval_ms = 1;
  options.wal_sync_interval_ms = 2;
  // An appender that the scheduler holds back falls behind the other by up to the whole run.
  options.out_of_order_window_ms = 24 * 60 * 60 * 1000;
  auto db = *Database::Open(options);
  constexpr int kPairs = 2;
  constexpr int kBatches = 400;
  std::atomic<int> running{kPairs};
  std::atomic<uint64_t> torn{0};
  std::atomic<uint64_t> reads{0};
  std::vector<Thread> threads;
  for (int p = 0; p < kPairs; ++p) {
    threads.emplace_back("append-" + std::to_string(p), [&, p] {
      Target a(*db, 2 * p);
      Target b(*db, 2 * p + 1);
      for (int i = 0; i < kBatches; ++i) {
        env.AdvanceMs(10'000);
        const Timestamp t = MemEnv::kStartMs + i * 10'000;
        auto batch = db->NewBatch();
        for (Target* target : {&a, &b}) {
          batch->BeginRow(*target->writer, t, i % 3 == 0 ? RowKind::kPartial : RowKind::kFull);
          for (const model::Slot slot : target->slots) batch->Set(slot, i, model::kRowTimestamp);
        }
        model::CommitOptions commit;
        commit.durability = static_cast<model::Durability>(i % 3);
        const auto result = batch->Commit(commit);
        if (!result.status.ok() || !result.refusals.empty()) ++torn;
      }
      --running;
    });
  }
  for (int r = 0; r < 2; ++r) {
    threads.emplace_back("read-" + std::to_string(r), [&] {
      model::ColumnBatch batch;
      // Once at least, however late the scheduler lets it begin.
      do {
        const auto snapshot = db->Pin();
        const auto selection = *snapshot->Select({}, {}, {});
        const auto reader = selection->NewReader();
        std::map<std::pair<int, Timestamp>, std::map<uint64_t, int>> seen;
        for (size_t i = 0; i < selection->size(); ++i) {
          if (!reader->Read(i, 1, &batch).ok()) ++torn;
          const std::string job(selection->LabelsAt(i).Get("job"));
          const int pair = (job.back() - '0') / 2;
          const model::Column& column = batch.columns[0];
          for (size_t s = 0; s < column.values.size(); ++s)
            ++seen[{pair, column.timestamps[s]}][std::bit_cast<uint64_t>(column.values[s])];
        }
        for (const auto& [place, values] : seen) {
          if (values.size() != 1 || values.begin()->second != 2 * kSlots) ++torn;
        }
        ++reads;
      } while (running > 0);
    });
  }
  threads.emplace_back("maintain", [&] {
    std::mt19937_64 random(1);
    while (running > 0) {
      const Status status = random() % 5 == 0   ? db->Compact()
                            : random() % 2 == 0 ? db->Seal({})
                                                : db->RunMaintenance();
      if (!status.ok()) ++torn;
      (void)db->sizes();
      (void)db->Stats(3);
    }
  });
  for (Thread& thread : threads) thread.Join();
  BOOST_TEST(torn == 0u);
  BOOST_TEST(reads >= 2u);
  BOOST_TEST(db->Close().ok());
}

// A child process appends and reports each acknowledged row through a pipe; it is killed at a
// random moment, and what it had acknowledged must be there.
BOOST_AUTO_TEST_CASE(R1KillNineLosesNothingAcknowledged) {
  char directory[] = "/tmp/tocsin_kill9.XXXXXX";
  BOOST_REQUIRE(mkdtemp(directory) != nullptr);
  std::mt19937_64 random(static_cast<uint64_t>(getpid()));
  std::vector<uint32_t> acknowledged;
  uint32_t next = 0;
  const Timestamp base = Env::Default().NowMs() - 3'000'000;
  for (int round = 0; round < 8; ++round) {
    int pipe_fds[2];
    BOOST_REQUIRE(pipe(pipe_fds) == 0);
    const pid_t child = fork();
    BOOST_REQUIRE(child >= 0);
    if (child == 0) {
      close(pipe_fds[0]);
      DatabaseOptions options;
      options.dir = directory;
      options.head_bytes_max = 300'000;  // seals now and then
      auto db = Database::Open(options);
      if (!db) _exit(1);
      Target target(**db, 0);
      for (uint32_t i = next; i < next + 100'000; ++i) {
        auto batch = (*db)->NewBatch();
        batch->BeginRow(*target.writer, base + i, RowKind::kFull);
        for (const model::Slot slot : target.slots)
          batch->Set(slot, i * (slot % 5), model::kRowTimestamp);
        model::CommitOptions commit;
        commit.durability = model::Durability::kKernel;
        if (!batch->Commit(commit).status.ok()) _exit(1);
        if (write(pipe_fds[1], &i, sizeof i) != sizeof i) _exit(1);
      }
      _exit(0);
    }
    close(pipe_fds[1]);
    const auto wanted = acknowledged.size() + 50 + random() % 1500;
    uint32_t i = 0;
    while (acknowledged.size() < wanted && read(pipe_fds[0], &i, sizeof i) == sizeof i)
      acknowledged.push_back(i);
    kill(child, SIGKILL);
    while (read(pipe_fds[0], &i, sizeof i) == sizeof i) acknowledged.push_back(i);
    close(pipe_fds[0]);
    int status = 0;
    waitpid(child, &status, 0);
    BOOST_REQUIRE(WIFSIGNALED(status));

    DatabaseOptions options;
    options.dir = directory;
    options.background = false;
    auto opened = Database::Open(options);
    BOOST_REQUIRE_MESSAGE(opened, (opened ? "" : opened.error().ToString()));
    const auto snapshot = (*opened)->Pin();
    const auto selection = *snapshot->Select({}, {}, {});
    BOOST_REQUIRE_EQUAL(selection->size(), static_cast<size_t>(kSlots));
    const auto reader = selection->NewReader();
    model::ColumnBatch batch;
    for (size_t s = 0; s < selection->size(); ++s) {
      BOOST_REQUIRE(reader->Read(s, 1, &batch).ok());
      const model::Column& column = batch.columns[0];
      std::map<Timestamp, double> samples;
      for (size_t n = 0; n < column.values.size(); ++n)
        samples[column.timestamps[n]] = column.values[n];
      const auto k =
          static_cast<uint32_t>(std::stoul(std::string(selection->LabelsAt(s).Get("k"))));
      for (const uint32_t row : acknowledged) {
        const auto found = samples.find(base + row);
        BOOST_REQUIRE_MESSAGE(found != samples.end(), "lost row " << row << " of slot " << k);
        BOOST_REQUIRE(found->second == row * (k % 5));
      }
    }
    next = acknowledged.back() + 2;
  }
  BOOST_TEST(acknowledged.size() > 400u);
  BOOST_TEST_MESSAGE(acknowledged.size() << " acknowledged rows, none lost in 8 kills");
  BOOST_TEST(Env::Default().RemoveTree(directory).ok());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tocsin::tsdb::database_threads_test
