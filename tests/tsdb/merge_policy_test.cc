// Which segments become one, and how fast.
#include "tsdb/merge_policy.h"

#include <boost/test/unit_test.hpp>
#include <memory>
#include <string>
#include <vector>

#include "base/mem_env.h"
#include "tsdb/pacer.h"

namespace tocsin::tsdb::merge_policy_test {
namespace {

constexpr int64_t kHour = 60 * 60 * 1000;
constexpr model::Timestamp kDay0 = MemEnv::kStartMs;

SegmentMeta Seg(uint8_t level, int64_t hours, uint64_t bytes = 100, uint64_t columns = 100) {
  static uint8_t next = 0;
  SegmentMeta meta;
  meta.id.bytes[0] = ++next;
  meta.level = level;
  meta.cuts = {{0, kDay0 + hours * kHour, 1}};
  meta.file_bytes = bytes;
  meta.column_count = columns;
  return meta;
}

std::vector<SegmentMeta> Many(size_t count, uint8_t level, int64_t hours, uint64_t bytes) {
  std::vector<SegmentMeta> segments;
  for (size_t i = 0; i < count; ++i) segments.push_back(Seg(level, hours, bytes));
  return segments;
}

std::vector<SegmentMeta> operator+(std::vector<SegmentMeta> a, const std::vector<SegmentMeta>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::vector<const SegmentMeta*> Pointers(const std::vector<SegmentMeta>& segments) {
  std::vector<const SegmentMeta*> pointers;
  for (const SegmentMeta& segment : segments) pointers.push_back(&segment);
  return pointers;
}

// "3→2" for three files that become one of level 2.
std::string Text(const std::vector<MergeChoice>& choices) {
  std::string text;
  for (const MergeChoice& choice : choices) {
    text += (text.empty() ? "" : " ") + std::to_string(choice.inputs.size()) + "→" +
            std::to_string(choice.level);
  }
  return text;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(MergePolicy_)

BOOST_AUTO_TEST_CASE(DaysCloseAndOverlaysWait) {
  constexpr int64_t kYoung = 10 * 60 * 1000;  // since the overlays came
  struct Case {
    const char* name;
    std::vector<SegmentMeta> segments;
    int64_t now_hours;
    int64_t idle_ms;
    int64_t rewritten_ago_ms;  // 0 = never
    const char* want;
  };
  const Case kCases[] = {
      {"an open day of noise", Many(3, 0, 1, 100'000), 23, kYoung, 0, ""},
      {"an open quarter", Many(3, 0, 1, 100), 6, kYoung, 0, ""},
      {"a closed quarter of short columns", Many(3, 0, 1, 100), 7, kYoung, 0, "3→1"},
      {"one file", {Seg(0, 1)}, 7, kYoung, 0, ""},
      {"late rows of a merged quarter", Many(15, 0, 1, 100) + Many(1, 1, 1, 900), 7, kYoung, 0, ""},
      {"many of them", Many(16, 0, 1, 100) + Many(1, 1, 1, 900), 7, kYoung, 0, "17→1"},
      {"a day compacted by hand stays out of it",
       {Seg(2, 0), Seg(0, 1), Seg(0, 2)},
       7,
       kYoung,
       0,
       "2→1"},
      {"midnight is not the end of the day", {Seg(0, 1), Seg(1, 7)}, 24, kYoung, 0, ""},
      {"a closed day", {Seg(0, 1), Seg(1, 7)}, 25, kYoung, 0, "2→2"},
      {"a closed day of one file", {Seg(0, 1)}, 25, kYoung, 0, "1→2"},
      {"a day that is done", {Seg(2, 1)}, 25, kYoung, 0, ""},
      {"a few late rows", {Seg(2, 1, 10'000), Seg(0, 5, 499)}, 25, kYoung, 0, ""},
      {"a twentieth", {Seg(2, 1, 10'000), Seg(0, 5, 500)}, 25, kYoung, 0, "2→2"},
      {"a few, and nothing came for an hour",
       {Seg(2, 1, 10'000), Seg(0, 5, 1)},
       25,
       kHour,
       0,
       "2→2"},
      {"a twentieth of a day just rewritten",
       {Seg(2, 1, 10'000), Seg(0, 5, 500)},
       25,
       kHour,
       23 * kHour,
       ""},
      {"a day later", {Seg(2, 1, 10'000), Seg(0, 5, 500)}, 49, kYoung, 24 * kHour, "2→2"},
      {"many overlays become one meanwhile", Many(16, 0, 5, 100) + Many(1, 2, 1, 10'000), 25,
       kYoung, kHour, "16→1"},
      {"two days, and a quarter after them",
       {Seg(0, 1), Seg(0, 2), Seg(0, 25), Seg(0, 26), Seg(0, 49), Seg(0, 50)},
       55,
       kYoung,
       0,
       "2→2 2→2 2→1"},
  };
  const std::set<SegmentId> none;
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      std::map<model::Timestamp, DayHistory> history;
      MergeRequest request{kDay0 + c.now_hours * kHour, 100 * kHour, kHour, &none};
      size_t overlays = 0;
      for (const auto& segment : c.segments) overlays += segment.level < 2 ? 1 : 0;
      history[kDay0] = {c.rewritten_ago_ms == 0 ? 0 : request.monotonic_ms - c.rewritten_ago_ms,
                        overlays, request.monotonic_ms - c.idle_ms};
      BOOST_TEST(Text(DueMerges(Pointers(c.segments), request, &history)) == c.want);
    }
  }
}

BOOST_AUTO_TEST_CASE(DamagedFilesAreLeftOut) {
  const std::vector<SegmentMeta> segments = {Seg(0, 1), Seg(0, 2), Seg(0, 3)};
  const std::set<SegmentId> damaged = {segments[1].id};
  std::map<model::Timestamp, DayHistory> history;
  BOOST_TEST(Text(DueMerges(Pointers(segments), {kDay0 + 30 * kHour, 1, kHour, &damaged},
                            &history)) == "2→2");
  BOOST_TEST(Text(AllMerges(Pointers(segments), damaged)) == "2→2");
}

BOOST_AUTO_TEST_CASE(ThePacerKeepsToItsShare) {
  struct Case {
    double share;
    int64_t cpu_ms_per_piece;
    int64_t wall_ms_per_piece;
    int64_t want_ms;  // for 100 pieces
  };
  static const Case kCases[] = {
      {1.0, 10, 10, 1000},
      {0.2, 10, 10, 5000},
      {0.5, 10, 10, 2000},
      {0.2, 10, 100, 10'000},  // waits for the disk anyway
  };
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.share) {
      MemEnv env;
      Pacer pacer(env);
      pacer.Start();
      env.SetCpuPerCall(c.cpu_ms_per_piece * 1'000'000);
      const int64_t began = env.MonotonicNanos();
      for (int i = 0; i < 100; ++i) {
        env.AdvanceMs(c.wall_ms_per_piece);
        pacer.Pace(c.share, [] { return true; });
      }
      const int64_t took_ms = (env.MonotonicNanos() - began) / 1'000'000;
      BOOST_TEST(std::abs(took_ms - c.want_ms) <= 60);  // the burst
    }
  }
}

BOOST_AUTO_TEST_CASE(ThePacerWakesWhenTold) {
  MemEnv env;
  Pacer pacer(env);
  pacer.Start();
  env.SetCpuPerCall(1'000'000'000);
  int asked = 0;
  pacer.Pace(0.1, [&] { return ++asked < 3; });
  BOOST_TEST(pacer.slept_ms() == 2 * Pacer::kNapMs);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tocsin::tsdb::merge_policy_test
