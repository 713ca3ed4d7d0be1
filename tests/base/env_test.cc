#include "base/env.h"

#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include "base/fault_env.h"
#include "base/mem_env.h"

namespace tocsin {
namespace env_test {
namespace {

void Write(Env& env, const std::string& path, std::string_view bytes, bool sync = false) {
  auto file = env.NewWritableFile(path, WriteMode::kTruncate);
  BOOST_REQUIRE(file.has_value());
  BOOST_REQUIRE((*file)->Append(bytes).ok());
  if (sync) BOOST_REQUIRE((*file)->Sync().ok());
  BOOST_REQUIRE((*file)->Close().ok());
}

// What every Env must do alike, in `root`, an empty directory.
void CheckFiles(Env& env, const std::string& root) {
  const std::string deep = JoinPath(root, "a/b");
  const std::string path = JoinPath(deep, "file");
  BOOST_TEST((env.NewWritableFile(path, WriteMode::kTruncate).error().code() == Code::kNotFound));
  BOOST_REQUIRE(env.CreateDirs(deep).ok());
  BOOST_REQUIRE(env.CreateDirs(deep).ok());

  {
    auto file = env.NewWritableFile(path, WriteMode::kTruncate);
    BOOST_REQUIRE(file.has_value());
    BOOST_REQUIRE((*file)->Append("hello ").ok());
    BOOST_TEST(env.ReadFile(path).value() == "");  // buffered
    BOOST_REQUIRE((*file)->Flush().ok());
    BOOST_TEST(env.ReadFile(path).value() == "hello ");
    BOOST_REQUIRE((*file)->Append("lost").ok());
    BOOST_TEST((*file)->size() == 10u);
  }  // destroyed without Close
  BOOST_TEST(env.ReadFile(path).value() == "hello ");

  const std::string large(200'000, 'x');
  {
    auto file = env.NewWritableFile(path, WriteMode::kAppend);
    BOOST_REQUIRE(file.has_value());
    BOOST_TEST((*file)->size() == 6u);
    BOOST_REQUIRE((*file)->Append(large).ok());
    BOOST_REQUIRE((*file)->Sync().ok());
    BOOST_REQUIRE((*file)->Close().ok());
    BOOST_REQUIRE((*file)->Close().ok());
  }
  BOOST_TEST((env.ReadFile(path).value() == "hello " + large));
  BOOST_TEST((env.ReadFileUpTo(path, 100).error().code() == Code::kResourceExhausted));
  BOOST_TEST(env.FileSize(path).value() == 200'006u);

  const auto reader = env.NewRandomAccessFile(path);
  BOOST_REQUIRE(reader.has_value());
  char buffer[10];
  BOOST_TEST((*reader)->Read(4, buffer, 4).value() == 4u);
  BOOST_TEST(std::string(buffer, 4) == "o xx");
  BOOST_TEST((*reader)->Read(200'000, buffer, 10).value() == 6u);
  BOOST_TEST((*reader)->Read(300'000, buffer, 10).value() == 0u);

  const auto mapped = env.MapFile(path);
  BOOST_REQUIRE(mapped.has_value());
  BOOST_TEST((*mapped)->bytes().substr(0, 7) == "hello x");

  BOOST_REQUIRE(env.Truncate(path, 5).ok());
  BOOST_TEST(env.ReadFile(path).value() == "hello");
  BOOST_REQUIRE(env.WriteFileAtomically(JoinPath(root, "state"), "one").ok());
  BOOST_REQUIRE(env.WriteFileAtomically(JoinPath(root, "state"), "two").ok());
  BOOST_TEST(env.ReadFile(JoinPath(root, "state")).value() == "two");
  BOOST_TEST((env.ListDir(root).value() == std::vector<std::string>{"a", "state"}));
  BOOST_TEST(!env.Remove(JoinPath(root, "a")).ok());  // not empty
  BOOST_REQUIRE(env.Rename(JoinPath(root, "a"), JoinPath(root, "c")).ok());
  BOOST_TEST(env.ReadFile(JoinPath(root, "c/b/file")).value() == "hello");
  BOOST_REQUIRE(env.RemoveTree(JoinPath(root, "c")).ok());
  BOOST_REQUIRE(env.RemoveTree(JoinPath(root, "c")).ok());
  BOOST_TEST((env.ListDir(root).value() == std::vector<std::string>{"state"}));
  BOOST_TEST((env.Stat(path).error().code() == Code::kNotFound));
  BOOST_TEST(env.FreeSpace(root).value() > 0u);

  auto lock = env.LockFile(JoinPath(root, "lock"));
  BOOST_REQUIRE(lock.has_value());
  BOOST_TEST((env.LockFile(JoinPath(root, "lock")).error().code() == Code::kUnavailable));
  lock->reset();
  BOOST_TEST(env.LockFile(JoinPath(root, "lock")).has_value());
}

BOOST_AUTO_TEST_SUITE(Env_)

BOOST_AUTO_TEST_CASE(PosixFilesBehave) {
  char root[] = "/tmp/tocsin-env-XXXXXX";
  BOOST_REQUIRE(mkdtemp(root) != nullptr);
  CheckFiles(Env::Default(), root);
  BOOST_TEST(Env::Default().RemoveTree(root).ok());
}

BOOST_AUTO_TEST_CASE(FilesInMemoryBehaveTheSame) {
  MemEnv env;
  BOOST_REQUIRE(env.CreateDirs("/data").ok());
  CheckFiles(env, "/data");
}

BOOST_AUTO_TEST_CASE(FilesBehindFaultEnvBehaveTheSame) {
  MemEnv memory;
  FaultEnv env(memory);
  BOOST_REQUIRE(env.CreateDirs("/data").ok());
  CheckFiles(env, "/data");
}

BOOST_AUTO_TEST_CASE(FakeClockMovesOnlyWhenTold) {
  MemEnv env;
  BOOST_TEST(env.NowMs() == MemEnv::kStartMs);
  env.AdvanceMs(1500);
  env.SetNowMs(42);
  env.SleepFor(8);
  BOOST_TEST(env.NowMs() == 50);
  BOOST_TEST(env.MonotonicNanos() == 1'508'000'000);
}

BOOST_AUTO_TEST_CASE(TheNthOperationFails) {
  MemEnv memory;
  FaultEnv env(memory);
  const Status full(Code::kNoSpace, "no space left on device");
  env.FailAfter(2, full, kWriteOps);  // open, append, …
  auto file = env.NewWritableFile("f", WriteMode::kTruncate);
  BOOST_REQUIRE((*file)->Append("a").ok());
  BOOST_TEST(!env.fault_hit());
  BOOST_TEST(((*file)->Sync().code() == Code::kNoSpace));
  BOOST_TEST(env.fault_hit());
  BOOST_TEST((*file)->Sync().ok());

  env.FailAfter(0, full, kSpaceOps, Repeat::kFromThenOn);
  BOOST_TEST(!(*file)->Append("b").ok());
  BOOST_TEST(!(*file)->Append("c").ok());
  BOOST_TEST(env.Remove("f").ok());
  env.ClearFault();
  BOOST_TEST((*file)->Append("d").ok());
  BOOST_TEST(env.operations(kAppendOp) == 4u);
}

BOOST_AUTO_TEST_CASE(KillLosesOnlyWhatWasNotFlushed) {
  MemEnv memory;
  FaultEnv env(memory);
  auto file = env.NewWritableFile("f", WriteMode::kTruncate);
  BOOST_REQUIRE((*file)->Append("flushed").ok());
  BOOST_REQUIRE((*file)->Flush().ok());
  BOOST_REQUIRE((*file)->Append("buffered").ok());
  env.Kill();
  BOOST_TEST(((*file)->Flush().code() == Code::kIo));
  BOOST_TEST(env.ReadFile("f").value() == "flushed");
}

BOOST_AUTO_TEST_CASE(PowerCutKeepsWhatWasSynced) {
  MemEnv memory;
  FaultEnv env(memory);
  auto file = env.NewWritableFile("f", WriteMode::kTruncate);
  BOOST_REQUIRE((*file)->Append("synced").ok());
  BOOST_REQUIRE((*file)->Sync().ok());
  BOOST_REQUIRE(env.SyncDir(".").ok());
  BOOST_REQUIRE((*file)->Append("not").ok());
  BOOST_REQUIRE((*file)->Flush().ok());
  Write(env, "unnamed", "synced, but not its name", true);
  env.PowerCut(FaultEnv::Cut::kDropUnsynced);
  BOOST_TEST(env.ReadFile("f").value() == "synced");
  BOOST_TEST(!env.Exists("unnamed"));
}

BOOST_AUTO_TEST_CASE(PowerCutUndoesRenamesAndRemovesOfAnUnsyncedDirectory) {
  MemEnv memory;
  FaultEnv env(memory);
  Write(env, "old", "old", true);
  Write(env, "new", "new", true);
  Write(env, "gone", "gone", true);
  BOOST_REQUIRE(env.SyncDir(".").ok());
  BOOST_REQUIRE(env.Rename("new", "old").ok());
  BOOST_REQUIRE(env.Remove("gone").ok());
  BOOST_TEST(env.ReadFile("old").value() == "new");
  env.PowerCut(FaultEnv::Cut::kDropUnsynced);
  BOOST_TEST(env.ReadFile("old").value() == "old");
  BOOST_TEST(env.ReadFile("new").value() == "new");
  BOOST_TEST(env.ReadFile("gone").value() == "gone");
}

BOOST_AUTO_TEST_CASE(TornCutKeepsTheSyncedPrefixForEverySeed) {
  size_t longer = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    MemEnv memory;
    FaultEnv env(memory);
    auto file = env.NewWritableFile("f", WriteMode::kTruncate);
    BOOST_REQUIRE((*file)->Append(std::string(1000, 's')).ok());
    BOOST_REQUIRE((*file)->Sync().ok());
    BOOST_REQUIRE(env.SyncDir(".").ok());
    BOOST_REQUIRE((*file)->Append(std::string(1000, 'u')).ok());
    BOOST_REQUIRE((*file)->Flush().ok());
    env.PowerCut(FaultEnv::Cut::kTorn, seed);
    const std::string left = env.ReadFile("f").value();
    BOOST_TEST(left.size() >= 1000u);
    BOOST_TEST((left.substr(0, 1000) == std::string(1000, 's')));
    if (left.size() > 1000) ++longer;
  }
  BOOST_TEST(longer > 50u);
}

BOOST_AUTO_TEST_CASE(AtomicWritesAreWholeAtEveryCrashPoint) {
  MemEnv counting_memory;
  FaultEnv counting(counting_memory);
  BOOST_REQUIRE(counting.WriteFileAtomically("f", "one").ok());
  const uint64_t steps = counting.operations();
  BOOST_TEST(steps == 6u);
  for (uint64_t step = 0; step < steps; ++step) {
    for (const auto cut : {FaultEnv::Cut::kDropUnsynced, FaultEnv::Cut::kTorn}) {
      BOOST_TEST_CONTEXT("crash before operation " << step) {
        MemEnv memory;
        FaultEnv env(memory);
        BOOST_REQUIRE(env.WriteFileAtomically("f", "one").ok());
        env.FailAfter(step, Status(Code::kIo, "crash"), kWriteOps, Repeat::kFromThenOn);
        BOOST_TEST(!env.WriteFileAtomically("f", "two").ok());
        env.ClearFault();
        env.PowerCut(cut, step);
        const std::string bytes = env.ReadFile("f").value();
        BOOST_TEST((bytes == "one" || bytes == "two"));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(PathsJoinAndSplit) {
  BOOST_TEST(JoinPath("a", "b") == "a/b");
  BOOST_TEST(JoinPath("a/", "b") == "a/b");
  BOOST_TEST(JoinPath("", "b") == "b");
  BOOST_TEST(JoinPath("a", "/b") == "/b");
  BOOST_TEST(DirName("a/b") == "a");
  BOOST_TEST(DirName("b") == ".");
  BOOST_TEST(DirName("/b") == "/");
  BOOST_TEST(BaseName("a/b") == "b");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace env_test
}  // namespace tocsin
