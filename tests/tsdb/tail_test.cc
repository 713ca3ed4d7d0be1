// Tails give every committed sample once, in commit order, whatever the log goes through meanwhile.
#include <algorithm>
#include <atomic>
#include <bit>
#include <boost/test/unit_test.hpp>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "base/mem_env.h"
#include "base/thread.h"
#include "model/histogram.h"
#include "model/tail.h"
#include "tsdb/database.h"
#include "tsdb/named_tails.h"

namespace tocsin::tsdb::tail_test {
namespace {

using model::Labels;
using model::RowKind;
using model::Timestamp;

constexpr Timestamp kNow = MemEnv::kStartMs;

Labels L(std::vector<std::pair<std::string, std::string>> pairs) {
  return Labels::FromPairs(std::move(pairs));
}

// Key labels, time, start, bits of the value or the histogram's sum, histogram or not.
using Sample = std::tuple<std::string, Timestamp, Timestamp, uint64_t, bool>;
using Batches = std::map<uint64_t, std::multiset<Sample>>;

class Collector final : public model::TailVisitor {
 public:
  void Row(const model::TailRow& row) override {
    BOOST_REQUIRE(row.commit_number >= last_commit);
    last_commit = row.commit_number;
    const std::string name = row.source_labels->ToString() + row.key_labels->ToString();
    const auto [known, fresh] = series.try_emplace(row.series, name);
    BOOST_REQUIRE(known->second == name);
    const double value = row.histogram == nullptr ? row.value : row.histogram->sum;
    batches[row.commit_number].insert({name, row.timestamp_ms, row.start_timestamp_ms,
                                       std::bit_cast<uint64_t>(value), row.histogram != nullptr});
  }
  void Exemplar(const model::TailExemplar& exemplar) override {
    exemplars += exemplar.exemplar->value == 0.25 ? 1 : 0;
  }
  void Restarted() { series.clear(); }

  uint64_t last_commit = 0;
  uint64_t exemplars = 0;
  Batches batches;
  std::map<uint64_t, std::string> series;
};

struct Source {
  std::unique_ptr<model::SourceWriter> writer;
  std::vector<model::Slot> slots;
  std::string name;
};

// A database, its writers, and what they committed.
struct Life {
  MemEnv env{9};
  DatabaseOptions options;
  std::unique_ptr<Database> db;
  std::vector<Source> sources;
  Batches committed;
  uint64_t exemplars = 0;
  std::mt19937_64 random;
  Timestamp t = kNow;

  explicit Life(uint64_t seed, bool compress) : random(seed) {
    options.dir = "/db";
    options.env = &env;
    options.background = false;
    options.shards = 4;
    options.replay_threads = 1;
    options.wal_compression = compress;
    Open();
  }
  void Open() {
    sources.clear();
    db.reset();
    auto opened = Database::Open(options);
    BOOST_REQUIRE_MESSAGE(opened, (opened ? "" : opened.error().ToString()));
    db = *std::move(opened);
    for (int s = 0; s < 6; ++s) {
      Source source;
      const std::string job = "j" + std::to_string(s);
      source.writer =
          *db->OpenSource({s % 2 == 0 ? model::OriginKind::kScrape : model::OriginKind::kPush, job},
                          L({{"job", job}}));
      source.name = source.writer->source_labels().ToString();
      for (int k = 0; k < 10; ++k) source.slots.push_back(*source.writer->AddSlot(Key(k)));
      sources.push_back(std::move(source));
    }
  }
  static Labels Key(int k) { return L({{"__name__", "m"}, {"k", std::to_string(k)}}); }

  // A row of every series of a source, any if < 0. How many these are.
  uint64_t CommitWhole(int which = -1);
  void Commit() {
    t += 1 + static_cast<Timestamp>(random() % 20'000);
    env.SetNowMs(t);
    auto batch = db->NewBatch();
    std::vector<std::tuple<uint32_t, model::Slot, Sample>> staged;
    uint32_t row = 0;
    uint64_t with_exemplars = 0;
    for (uint64_t n = 1 + random() % 3; n > 0; --n, ++row) {
      Source& source = sources[(random() % 2) * 3 + n - 1];
      const bool full = random() % 2 == 0;
      const Timestamp row_ms =
          t - (random() % 8 == 0 ? static_cast<Timestamp>(random() % 60'000) : 0);
      batch->BeginRow(*source.writer, row_ms, full ? RowKind::kFull : RowKind::kPartial);
      for (size_t k = 0; k < source.slots.size(); ++k) {
        if (random() % 4 == 0) continue;
        const model::Slot slot = source.slots[k];
        const Timestamp own =
            k == 3 ? row_ms - static_cast<Timestamp>(random() % 3) : model::kRowTimestamp;
        const Timestamp at = own == model::kRowTimestamp ? row_ms : own;
        Timestamp start = 0;
        double value = static_cast<double>(random() % 4);
        const bool histogram = k == 5;
        if (histogram) {
          model::Histogram h;
          h.integer = true;
          h.count = 1;
          h.zero_count = 1;
          h.sum = value;
          batch->SetHistogram(slot, h, own);
        } else {
          if (random() % 15 == 0) value = std::bit_cast<double>(model::kStaleBits);
          batch->Set(slot, value, own);
        }
        if (k == 7) batch->SetStartTimestamp(slot, start = kNow - 5);
        if (k == 8) {
          batch->AddExemplar(slot, {L({{"trace_id", std::to_string(random())}}).packed(), 0.25});
          ++with_exemplars;
        }
        staged.push_back({row, slot,
                          Sample{source.name + Key(static_cast<int>(k)).ToString(), at, start,
                                 std::bit_cast<uint64_t>(value), histogram}});
      }
    }
    const auto result = batch->Commit({});
    BOOST_REQUIRE(result.status.ok());
    std::set<std::tuple<uint32_t, model::Slot, Timestamp>> refused;
    for (const model::Refusal& refusal : result.refusals)
      refused.insert({refusal.row, refusal.slot, refusal.timestamp_ms});
    auto& kept = committed[result.commit_number];
    for (const auto& [r, slot, sample] : staged) {
      if (!refused.contains({r, slot, std::get<1>(sample)})) kept.insert(sample);
    }
    if (kept.empty()) {
      committed.erase(result.commit_number);
    } else {
      exemplars += with_exemplars;
    }
  }
};

uint64_t Life::CommitWhole(int which) {
  t += 1 + static_cast<Timestamp>(random() % 20'000);
  env.SetNowMs(std::max(env.NowMs(), t));
  Source& source = sources[which < 0 ? random() % sources.size() : static_cast<size_t>(which)];
  auto batch = db->NewBatch();
  batch->BeginRow(*source.writer, t, random() % 2 == 0 ? RowKind::kFull : RowKind::kPartial);
  for (const model::Slot slot : source.slots)
    batch->Set(slot, static_cast<double>(random() % 4), model::kRowTimestamp);
  const auto result = batch->Commit({});
  BOOST_REQUIRE(result.status.ok());
  BOOST_REQUIRE(result.refusals.empty());
  // Lost rows are as long as their page has live series: a part of a row makes none live.
  return source.slots.size();
}

void RequireEqual(const Batches& got, const Batches& want, uint64_t from) {
  for (const auto& [commit, samples] : want) {
    if (commit <= from) continue;
    const auto found = got.find(commit);
    BOOST_REQUIRE_MESSAGE(found != got.end(), "batch " << commit << " is missing");
    BOOST_REQUIRE_MESSAGE(found->second == samples,
                          "batch " << commit << ": " << found->second.size()
                                   << " samples instead of " << samples.size());
  }
  for (const auto& [commit, samples] : got) BOOST_REQUIRE(want.contains(commit));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(TailSuite)

BOOST_AUTO_TEST_CASE(EverySampleComesOnceOverSealsRotationsAndRestarts) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    Life life(seed, seed % 2 == 0);
    Collector collector;
    auto tail = *life.db->OpenTail(0);
    uint64_t position = 0;
    uint64_t gaps = 0;
    const auto follow = [&](size_t most) {
      const auto progress = tail->Next(most, collector);
      BOOST_REQUIRE(progress);
      gaps += progress->gaps;
      position = tail->position();
    };
    for (int step = 0; step < 400; ++step) {
      life.Commit();
      switch (life.random() % 40) {
        case 0:
          BOOST_REQUIRE(life.db->Compact().ok());
          break;
        case 1:
          BOOST_REQUIRE(life.db->RunMaintenance().ok());
          break;
        case 2:
          tail.reset();
          life.Open();
          collector.Restarted();
          tail = *life.db->OpenTail(position);
          break;
        case 3:
          tail->Release(position);
          break;
        default:
          if (life.random() % 3 == 0) BOOST_REQUIRE(life.db->FlushWal(false).ok());
          if (life.random() % 3 == 0) follow(1 + life.random() % 50);
      }
    }
    BOOST_REQUIRE(life.db->FlushWal(false).ok());
    follow(SIZE_MAX);
    RequireEqual(collector.batches, life.committed, 0);
    BOOST_TEST(gaps == 0u);
    BOOST_TEST(collector.exemplars > 0u);
    BOOST_TEST(collector.exemplars <= life.exemplars);
    BOOST_TEST(life.db->counters().tail_lost_samples == 0u);
    // From anywhere, a second one gives the same.
    auto middle = life.committed.begin();
    std::advance(middle, static_cast<ptrdiff_t>(life.committed.size() / 2));
    Collector again;
    auto second = *life.db->OpenTail(std::max(position / 2, middle->first));
    const uint64_t from = second->position();
    BOOST_REQUIRE(second->Next(SIZE_MAX, again));
    for (const auto& [commit, samples] : again.batches) BOOST_REQUIRE(commit > from);
  }
}

BOOST_AUTO_TEST_CASE(TheLogIsKeptForTheSlowestTailUpToItsBound) {
  for (const bool bounded : {false, true}) {
    Life life(77, false);
    if (bounded) {
      life.options.tail_log_bytes_max = 4 * 20'000;
      life.Open();
    }
    auto tail = *life.db->OpenTail(0);
    for (int step = 0; step < 600; ++step) {
      life.Commit();
      if (step % 50 == 49) BOOST_REQUIRE(life.db->Compact().ok());
    }
    Collector collector;
    const auto progress = tail->Next(SIZE_MAX, collector);
    BOOST_REQUIRE(progress);
    uint64_t committed = 0;
    for (const auto& [commit, samples] : life.committed) committed += samples.size();
    if (!bounded) {
      BOOST_TEST(progress->samples == committed);
      BOOST_TEST(progress->gaps == 0u);
      tail->Release(tail->position());
      const uint64_t before = life.db->sizes().wal_bytes;
      life.Commit();
      BOOST_REQUIRE(life.db->Compact().ok());
      BOOST_TEST(life.db->sizes().wal_bytes < before / 2);
    } else {
      BOOST_TEST(progress->samples < committed);
      // Every row that does come is right.
      for (const auto& [commit, samples] : collector.batches) {
        for (const Sample& sample : samples) BOOST_REQUIRE(life.committed[commit].contains(sample));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(ATailThatLagsBehindTheBoundCountsItsGap) {
  Life life(78, false);
  life.options.tail_log_bytes_max = 4 * 10'000;
  life.Open();
  auto tail = *life.db->OpenTail(0);
  Collector collector;
  for (int step = 0; step < 30; ++step) life.Commit();
  BOOST_REQUIRE(life.db->FlushWal(false).ok());
  BOOST_REQUIRE(tail->Next(SIZE_MAX, collector));
  for (int step = 0; step < 800; ++step) {
    life.Commit();
    if (step % 50 == 49) BOOST_REQUIRE(life.db->Compact().ok());
  }
  const auto progress = tail->Next(SIZE_MAX, collector);
  BOOST_REQUIRE(progress);
  BOOST_TEST(progress->gaps > 0u);
  BOOST_TEST(progress->lost_samples > 0u);
  BOOST_TEST(life.db->counters().tail_lost_samples == progress->lost_samples);
}

// A row that is pushed in pieces is a frame each; a lost one of them is no lost row.
BOOST_AUTO_TEST_CASE(LostPiecesOfRowsCountAsPieces) {
  Life life(79, false);
  life.options.tail_log_bytes_max = 4 * 10'000;
  life.Open();
  auto tail = *life.db->OpenTail(0);
  uint64_t committed = 0;
  const auto push_in_pieces = [&life, &committed] {
    life.env.SetNowMs(life.t += 1000);
    for (const model::Slot slot : life.sources[1].slots) {
      auto batch = life.db->NewBatch();
      batch->BeginRow(*life.sources[1].writer, life.t, RowKind::kPartial);
      batch->Set(slot, static_cast<double>(life.random()), model::kRowTimestamp);
      BOOST_REQUIRE(batch->Commit({}).status.ok());
      ++committed;
    }
  };
  for (int step = 0; step < 20; ++step) push_in_pieces();
  BOOST_REQUIRE(life.db->FlushWal(false).ok());
  Collector collector;
  auto progress = tail->Next(SIZE_MAX, collector);
  BOOST_REQUIRE(progress);
  uint64_t given = progress->samples;
  for (int step = 0; step < 800; ++step) {
    push_in_pieces();
    if (step % 50 == 49) BOOST_REQUIRE(life.db->Compact().ok());
  }
  progress = tail->Next(SIZE_MAX, collector);
  BOOST_REQUIRE(progress);
  given += progress->samples;
  BOOST_TEST(progress->gaps > 0u);
  BOOST_TEST(given + progress->lost_samples == committed);
}

// What a named tail was given, and what it was told is lost, is what was committed: over restarts
// and crashes, whatever the log keeps. Rows sample every slot, so that lost ones can be counted
// exactly.
BOOST_AUTO_TEST_CASE(ReceivedAndLostOfANamedTailIsWhatWasCommitted) {
  uint64_t lost_at_all = 0;
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    for (const bool short_log : {false, true}) {
      BOOST_TEST_CONTEXT("seed " << seed << (short_log ? ", short log" : "")) {
        Life life(seed, seed % 2 == 0);
        life.options.tail_log_bytes_max = short_log ? 4 * 10'000 : uint64_t{1} << 30;
        life.Open();
        auto tail = *life.db->OpenNamedTail("remote-1");
        BOOST_TEST((life.db->OpenNamedTail("remote-1").error().code() == Code::kUnavailable));
        Collector collector;
        uint64_t committed = 0;
        uint64_t given = 0;
        uint64_t lost = 0;
        const auto follow = [&] {
          const auto progress = tail->Next(1 + life.random() % 2000, collector);
          BOOST_REQUIRE(progress);
          given += progress->samples;
          lost += progress->lost_samples;
          life.env.AdvanceMs(2 * 1000);
          tail->Release(tail->position());
          return progress->samples;
        };
        for (int step = 0; step < 600; ++step) {
          committed += life.CommitWhole();
          switch (life.random() % 60) {
            case 0:
              BOOST_REQUIRE(life.db->Compact().ok());
              break;
            case 1:
              BOOST_REQUIRE(life.db->RunMaintenance().ok());
              break;
            case 2:
              // Nothing follows for a while, and a restart is in between.
              BOOST_REQUIRE(life.db->FlushWal(false).ok());
              tail.reset();
              for (uint64_t n = life.random() % 400; n > 0; --n) committed += life.CommitWhole();
              BOOST_REQUIRE(life.db->Compact().ok());
              life.Open();
              if (life.random() % 2 == 0) BOOST_REQUIRE(life.db->Compact().ok());
              collector.Restarted();
              tail = *life.db->OpenNamedTail("remote-1");
              break;
            default:
              if (life.random() % 3 == 0) BOOST_REQUIRE(life.db->FlushWal(false).ok());
              if (life.random() % 3 == 0) follow();
          }
        }
        for (int source = 0; source < 6; ++source) committed += life.CommitWhole(source);
        BOOST_REQUIRE(life.db->FlushWal(false).ok());
        while (follow() > 0) {
        }
        BOOST_TEST(given + lost == committed);
        BOOST_TEST((short_log || lost == 0u));
        lost_at_all += lost;
        tail.reset();
        BOOST_REQUIRE(life.db->ForgetTail("remote-1").ok());
        BOOST_TEST((life.db->ForgetTail("remote-1").code() == Code::kNotFound));
      }
    }
  }
  BOOST_TEST(lost_at_all > 0u);
}

BOOST_AUTO_TEST_CASE(APositionThatCannotBeReadIsPutAsideAndNamesAreChecked) {
  Life life(3, false);
  {
    auto tail = *life.db->OpenNamedTail("a_B-9");
    for (int i = 0; i < 20; ++i) life.Commit();
    BOOST_REQUIRE(life.db->FlushWal(false).ok());
    Collector collector;
    BOOST_REQUIRE(tail->Next(SIZE_MAX, collector));
    tail->Release(tail->position());
  }
  std::string bytes = *life.env.ReadFile("/db/tails/a_B-9");
  const auto position = DecodeTailPosition(bytes);
  BOOST_REQUIRE(position);
  BOOST_TEST(EncodeTailPosition(*position) == bytes);
  for (size_t cut = 0; cut < bytes.size(); ++cut)
    BOOST_REQUIRE(!DecodeTailPosition(std::string_view(bytes).substr(0, cut)));
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    BOOST_REQUIRE(!DecodeTailPosition(damaged));
  }
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  BOOST_REQUIRE(life.env.WriteFileAtomically("/db/tails/a_B-9", bytes).ok());
  life.Open();
  BOOST_TEST(life.db->Damages().size() == 1u);
  for (const char* name : {"", "..", "a/b", "a.tmp", "x y"})
    BOOST_TEST((life.db->OpenNamedTail(name).error().code() == Code::kInvalidArgument));
  BOOST_TEST(
      (life.db->OpenNamedTail(std::string(65, 'a')).error().code() == Code::kInvalidArgument));
  BOOST_REQUIRE(life.db->OpenNamedTail(std::string(64, 'a')));
}

BOOST_AUTO_TEST_CASE(ATailRunsBesideWritersAndSeals) {
  Life life(5, false);
  std::atomic<bool> running{true};
  std::atomic<uint64_t> given{0};
  Thread follower("tail", [&] {
    auto tail = *life.db->OpenTail(0);
    Collector collector;
    bool last = false;
    while (!last) {
      last = !running;
      const auto progress = tail->Next(100'000, collector);
      if (!progress || progress->gaps > 0) break;
      given += progress->samples;
      tail->Release(tail->position());
    }
  });
  Thread sealer("seal", [&] {
    while (running) {
      if (!life.db->Seal({}).ok()) break;
    }
  });
  for (int step = 0; step < 1500; ++step) life.Commit();
  BOOST_REQUIRE(life.db->FlushWal(false).ok());
  running = false;
  sealer.Join();
  follower.Join();
  uint64_t committed = 0;
  for (const auto& [commit, samples] : life.committed) committed += samples.size();
  BOOST_TEST(given == committed);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tocsin::tsdb::tail_test
