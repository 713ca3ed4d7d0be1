// budget.h, thread_pool.h, state_store.h, self_metrics.h.
#include <unistd.h>

#include <atomic>

#include <boost/test/unit_test.hpp>
#include <thread>

#include "base/budget.h"
#include "base/env.h"
#include "base/log.h"
#include "base/self_metrics.h"
#include "base/state_store.h"
#include "base/thread_pool.h"

namespace tocsin {
namespace services_test {
namespace {

class TempDir {
 public:
  TempDir() {
    char path[] = "/tmp/tocsin-state-XXXXXX";
    BOOST_REQUIRE(mkdtemp(path) != nullptr);
    path_ = path;
  }
  ~TempDir() { BOOST_TEST(Env::Default().RemoveTree(path_).ok()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

void CheckStore(StateStore& store) {
  BOOST_TEST(!store.Get("a").value().has_value());
  BOOST_REQUIRE(
      store.Write(StateBatch().Put("a/1", "x").Put("b/1", "y").Put("a/2", "").Put("a0", "z")).ok());
  BOOST_TEST(store.Get("a/1").value().value() == "x");
  BOOST_TEST(store.Get("a/2").value().value() == "");
  BOOST_REQUIRE(store.Write(StateBatch().Put("a/1", "new").Delete("a/2").Put("a/3", "w")).ok());
  std::string seen;
  const auto visit = [&](std::string_view key, std::string_view value) {
    seen += std::string(key) + "=" + std::string(value) + ";";
    return true;
  };
  BOOST_REQUIRE(store.ForEach("a/", visit).ok());
  BOOST_TEST(seen == "a/1=new;a/3=w;");
  seen.clear();
  BOOST_REQUIRE(store
                    .ForEach("",
                             [&](std::string_view key, std::string_view) {
                               seen += key;
                               return false;
                             })
                    .ok());
  BOOST_TEST(seen == "a/1");
  BOOST_TEST((store.recovery().kind == StateRecovery::Kind::kNone));
}

BOOST_AUTO_TEST_SUITE(Services)

BOOST_AUTO_TEST_CASE(BudgetsRefuseWhatDoesNotFitAndNameThemselves) {
  Budget all("all queries", 100);
  Budget one("one query", 80, &all);
  BudgetCharge a(one);
  BOOST_TEST(a.Grow(60).ok());
  const Status refused = a.Grow(30);
  BOOST_TEST((refused.code() == Code::kResourceExhausted));
  BOOST_TEST(refused.message().find("one query") != std::string::npos);
  BudgetCharge b(all);
  BOOST_TEST(b.Grow(30).ok());
  BOOST_TEST(a.Grow(15).message().find("all queries") != std::string::npos);
  BOOST_TEST(one.used() == 60u);  // the refused charge counts in neither
  BOOST_TEST(all.used() == 90u);
  a.Shrink(20);
  BOOST_TEST(all.used() == 70u);
  BudgetCharge moved = std::move(a);
  BOOST_TEST(moved.amount() == 40u);
  moved.ReleaseAll();
  b.ReleaseAll();
  BOOST_TEST(all.used() == 0u);
  BOOST_TEST(all.peak() == 90u);
}

BOOST_AUTO_TEST_CASE(PoolRunsEverythingPostedAndBoundsItsQueue) {
  std::atomic<int> done{0};
  Mutex gate;
  gate.Lock();
  ThreadPool pool("test", 1, 2);
  std::atomic<bool> started{false};
  BOOST_TEST(pool.Post([&] {
                   started = true;
                   MutexLock wait(gate);
                   ++done;
                 })
                 .ok());
  while (!started) std::this_thread::yield();
  BOOST_TEST(pool.Post([&] { ++done; }).ok());
  BOOST_TEST(pool.Post([&] { ++done; }).ok());
  BOOST_TEST((pool.Post([&] { ++done; }).code() == Code::kResourceExhausted));
  BOOST_TEST(pool.queued() == 2u);
  BOOST_TEST(pool.running() == 1);
  gate.Unlock();
  pool.Stop();
  BOOST_TEST(done == 3);
  BOOST_TEST((pool.Post([] {}).code() == Code::kUnavailable));
}

BOOST_AUTO_TEST_CASE(BothStoresBehaveTheSame) {
  MemoryStateStore memory;
  CheckStore(memory);
  TempDir dir;
  const auto store = OpenStateStore(Env::Default(), dir.path() + "/state", {});
  BOOST_REQUIRE(store.has_value());
  CheckStore(**store);
  BOOST_TEST(!OpenStateStore(Env::Default(), dir.path() + "/state", {}).has_value());  // locked
  BOOST_TEST(!Env::Default().Exists(dir.path() + "/state.damaged-1"));
}

BOOST_AUTO_TEST_CASE(StateSurvivesReopening) {
  TempDir dir;
  for (int round = 0; round < 3; ++round) {
    const auto store = OpenStateStore(Env::Default(), dir.path(), {.sync = false});
    BOOST_REQUIRE(store.has_value());
    if (round > 0) {
      BOOST_TEST((*store)->Get("round").value().value() == std::to_string(round - 1));
    }
    BOOST_REQUIRE((*store)->Put("round", std::to_string(round)).ok());
  }
}

BOOST_AUTO_TEST_CASE(DamageOfAnyFileDoesNotStopOpening) {
  SetLogSink([](std::string_view) {});
  TempDir master;
  {
    const auto store = OpenStateStore(Env::Default(), master.path(), {});
    const std::string value(1000, 'v');
    for (int i = 0; i < 50; ++i) BOOST_REQUIRE((*store)->Put("k" + std::to_string(i), value).ok());
  }
  {
    BOOST_REQUIRE(OpenStateStore(Env::Default(), master.path(), {}).has_value());
  }  // makes a table
  Env& env = Env::Default();
  int reported = 0;
  const std::vector<std::string> files = env.ListDir(master.path()).value();
  for (const std::string& victim : files) {
    for (const char* how : {"flip", "empty", "remove"}) {
      BOOST_TEST_CONTEXT(how << " " << victim) {
        TempDir dir;
        for (const std::string& name : files) {
          std::string bytes = env.ReadFile(JoinPath(master.path(), name)).value();
          if (name == victim && std::string_view(how) == "remove") continue;
          if (name == victim && std::string_view(how) == "empty") bytes.clear();
          if (name == victim && std::string_view(how) == "flip" && !bytes.empty()) {
            bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 0x55);
          }
          BOOST_REQUIRE(env.WriteFileAtomically(JoinPath(dir.path(), name), bytes).ok());
        }
        const auto store = OpenStateStore(env, dir.path(), {});
        BOOST_REQUIRE_MESSAGE(store.has_value(), store.error().message());
        int left = 0;
        const Status scan = (*store)->ForEach("", [&](std::string_view, std::string_view) {
          ++left;
          return true;
        });
        BOOST_TEST(scan.ok());
        // Whatever is missing is said.
        const bool said = (*store)->recovery().kind != StateRecovery::Kind::kNone;
        BOOST_TEST((left == 50 || said));
        if (said) ++reported;
        for (int n = 1; env.Exists(dir.path() + ".damaged-" + std::to_string(n)); ++n) {
          BOOST_TEST(env.RemoveTree(dir.path() + ".damaged-" + std::to_string(n)).ok());
        }
      }
    }
  }
  BOOST_TEST(reported >= 4);
  SetLogSink(nullptr);
}

BOOST_AUTO_TEST_CASE(MetricsRenderAsText) {
  SelfMetrics metrics;
  Counter& counter = metrics.GetCounter("t_total", "Help text.", {{"b", "2"}, {"a", "x\"y"}});
  counter.Add(2);
  metrics.GetCounter("t_total", "Help text.", {{"a", "x\"y"}, {"b", "2"}}).Add();
  metrics.GetGauge("t_gauge", "G.").Set(1.5);
  metrics.GetDoubleCounter("t_seconds_total", "S.").Add(0.25);
  MetricHistogram& histogram = metrics.GetHistogram("t_size", "H.", {1, 10});
  for (const double v : {0.5, 1.0, 5.0, 100.0}) histogram.Observe(v);
  MetricCallback callback = metrics.AddCallback("t_live", "L.", {}, [] { return 7.0; });
  const std::string text = metrics.RenderText();
  for (const char* want :
       {"# HELP t_total Help text.\n# TYPE t_total counter\nt_total{a=\"x\\\"y\",b=\"2\"} 3\n",
        "# TYPE t_gauge gauge\nt_gauge 1.5\n", "t_seconds_total 0.25\n",
        "t_size_count 4\nt_size_sum 106.5\nt_size_bucket{le=\"1\"} 2\n",
        "t_size_bucket{le=\"10\"} 3\n", "t_size_bucket{le=\"+Inf\"} 4\n", "t_live 7\n",
        "# TYPE process_cpu_seconds_total counter\n", "process_resident_memory_bytes ",
        "process_open_fds ", "process_start_time_seconds 1"}) {
    BOOST_TEST_CONTEXT(want) { BOOST_TEST(text.find(want) != std::string::npos, text); }
  }
  callback.Reset();
  BOOST_TEST(metrics.RenderText().find("t_live") == std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace services_test
}  // namespace tocsin
