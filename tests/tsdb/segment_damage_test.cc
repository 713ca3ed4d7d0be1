// Segments damaged anywhere, of a newer format, or not written to the end.
#include <boost/test/unit_test.hpp>

#include "base/fault_env.h"
#include "base/mem_env.h"
#include "tests/tsdb/segment_model.h"
#include "tsdb/segment/segment_file.h"
#include "tsdb/segment/writer.h"

namespace tocsin::tsdb::segment_test {
namespace {

BOOST_AUTO_TEST_SUITE(SegmentDamage_)

// R3: a flip anywhere is found, named, and never crashes.
BOOST_AUTO_TEST_CASE(AnyFlippedOrMissingByteIsFound) {
  const uint64_t seed = std::random_device()();
  Generator random(seed);
  MemEnv env;
  Write(env, "a.seg", random.Make(4, 12, 1500, kStart), NewMeta(env, 0, kStart, 1));
  const std::string good = *env.ReadFile("a.seg");
  const auto check = [&](const std::string& bytes) {
    const auto reader = SegmentReader::OpenBytes(bytes, "x.seg", kSeed, true);
    const Status status = reader ? (*reader)->Verify() : reader.error();
    BOOST_TEST(!status.ok());
    BOOST_TEST((status.code() == Code::kCorruption));
    BOOST_TEST(status.message().find("segment x.seg: offset ") == 0u);
  };
  BOOST_TEST_CONTEXT("seed " << seed << ", " << good.size() << " bytes") {
    for (int round = 0; round < 300; ++round) {
      std::string bytes = good;
      const size_t at = random.Below(bytes.size());
      bytes[at] = static_cast<char>(bytes[at] ^ (1 + random.Below(255)));
      BOOST_TEST_CONTEXT("at " << at) { check(bytes); }
    }
    for (size_t at = good.size() - 400; at < good.size(); ++at) {  // footer and trailer
      std::string bytes = good;
      bytes[at] = static_cast<char>(bytes[at] ^ 1);
      BOOST_TEST_CONTEXT("at " << at) { check(bytes); }
    }
    for (int round = 0; round < 100; ++round) check(good.substr(0, random.Below(good.size())));
    check("");
  }
}

BOOST_AUTO_TEST_CASE(TheIndexIsVerifiedWhenItIsFirstAskedForAndDamageIsToldByEveryCall) {
  MemEnv env;
  Generator random(3);
  Write(env, "a.seg", random.Make(8, 60, 1500, kStart), NewMeta(env, 0, kStart, 1));
  std::string bytes = *env.ReadFile("a.seg");
  const std::string good = bytes;
  const auto sound = SegmentReader::OpenBytes(good, "x.seg", kSeed, true);
  RequireOk(sound);
  BOOST_TEST((*sound)->VerifyIndex().ok());
  const SectionPlace symbols =
      static_cast<const SegmentFile&>(**sound).footer().section(Section::kSymbols);
  BOOST_REQUIRE(symbols.offset > kPageBytes);  // the first page is read by opening
  bytes[symbols.offset + symbols.length / 2] ^= 1;
  const auto reader = SegmentReader::OpenBytes(bytes, "x.seg", kSeed, true);
  RequireOk(reader);
  BOOST_TEST((*reader)->key_count() == (*sound)->key_count());
  for (int again = 0; again < 2; ++again) {
    const auto told = [](const Status& status) {
      BOOST_TEST((status.code() == Code::kCorruption));
      BOOST_TEST(status.message().find("segment x.seg: offset ") == 0u);
    };
    told((*reader)->Select({}, TimeRange()).error());
    told((*reader)->KeyLabels(0).error());
    told((*reader)->KeyFingerprint(0).error());
    told((*reader)->SourceLabels(0).error());
    told((*reader)->SourceFingerprint(0).error());
    told((*reader)->LabelNames({}).error());
    told((*reader)->LabelValues("mode", {}).error());
    told((*reader)->ForEachColumn([](const ColumnRef&) { return true; }));
    told((*reader)->VerifyIndex());
    told((*reader)->Verify());
  }
}

// What the fuzz target does at length: damage behind the checksums' back.
BOOST_AUTO_TEST_CASE(UncheckedDamageNeverCrashes) {
  const uint64_t seed = std::random_device()();
  Generator random(seed);
  MemEnv env;
  Write(env, "a.seg", random.Make(3, 12, 1100, kStart), NewMeta(env, 0, kStart, 1));
  const std::string good = *env.ReadFile("a.seg");
  BOOST_TEST_CONTEXT("seed " << seed) {
    for (int round = 0; round < 1000; ++round) {
      std::vector<char> bytes(good.begin(), good.end());
      for (uint64_t flips = 1 + random.Below(4); flips > 0; --flips) {
        // The index is small and at the end: aim there half of the time.
        const size_t at = random.Chance(50) ? random.Below(bytes.size())
                                            : bytes.size() - 1 - random.Below(bytes.size() / 8);
        bytes[at] = static_cast<char>(random.Below(256));
      }
      const auto reader =
          SegmentReader::OpenBytes({bytes.data(), bytes.size()}, "x.seg", kSeed, false);
      if (!reader) continue;
      static_cast<void>((*reader)->Verify());
      for (const MatcherSet& matchers : SomeMatchers()) {
        static_cast<void>((*reader)->Select(matchers, TimeRange()));
      }
      static_cast<void>((*reader)->LabelValues("mode", {}));
    }
  }
}

BOOST_AUTO_TEST_CASE(AReferenceToAColumnOfAnotherAxisIsDamageThoughThatWasJustRead) {
  MemEnv env;
  std::vector<Timestamp> rows;
  std::vector<Timestamp> own;
  std::vector<double> values;
  for (int r = 0; r < 300; ++r) {
    rows.push_back(kStart + r * 15000);
    own.push_back(rows.back() + 1);
    values.push_back(r * 7919 % 10007);
  }
  std::vector<double> others(values.rbegin(), values.rend());
  SegmentWriter::Options options;
  options.sorted_input = true;
  SegmentWriter writer(env, "day.seg", NewMeta(env, kMaxSegmentLevel, kStart, 1), options);
  BOOST_REQUIRE(writer.Open().ok());
  const uint32_t source = writer.AddSource({OriginKind::kScrape, "a"}, Labels(), rows);
  const auto add = [&](const char* name, const std::vector<Timestamp>& timestamps,
                       const std::vector<double>& column_values) {
    Column column;
    column.timestamps = timestamps;
    column.values = column_values;
    writer.AddColumn(source, writer.AddKey(Labels::FromPairs({{"__name__", name}})), column);
  };
  add("a", own, others);
  add("b", rows, values);
  add("c", rows, values);
  RequireOk(writer.Finish());
  std::string bytes = *env.ReadFile("day.seg");
  std::vector<ColumnRef> refs;
  {
    const auto reader = SegmentReader::OpenBytes(bytes, "x.seg", kSeed, true);
    RequireOk(reader);
    refs = *(*reader)->Select({}, TimeRange());
    BOOST_TEST((*reader)->Verify().ok());
  }
  BOOST_REQUIRE(refs.size() == 3u);
  BOOST_REQUIRE((refs[0].flags & kColumnOwnAxis) != 0);
  BOOST_REQUIRE((refs[2].flags & kColumnReference) != 0);
  const auto distance_to = [&refs](size_t other) {
    std::string distance;
    PutVarint(distance, refs[2].offset - refs[other].offset);
    return distance;
  };
  const std::string distance = distance_to(1);
  BOOST_REQUIRE(bytes.compare(refs[2].offset, distance.size(), distance) == 0);
  BOOST_REQUIRE(distance_to(0).size() == distance.size());
  bytes.replace(refs[2].offset, distance.size(), distance_to(0));
  const auto reader = SegmentReader::OpenBytes(bytes, "x.seg", kSeed, false);
  RequireOk(reader);
  SegmentCursor cursor(**reader);
  ColumnBatch batch;
  Column column;
  BOOST_TEST(cursor.Read(refs[0], TimeRange(), &batch, &column).ok());
  BOOST_TEST((cursor.Read(refs[2], TimeRange(), &batch, &column).code() == Code::kCorruption));
}

BOOST_AUTO_TEST_CASE(R12NewerFormatIsRefusedByName) {
  MemEnv env;
  Generator random(1);
  Write(env, "a.seg", random.Make(1, 1, 3, kStart), NewMeta(env, 0, kStart, 1));
  std::string bytes = *env.ReadFile("a.seg");
  bytes[bytes.size() - 16] = kSegmentFormatVersion + 1;
  bytes[8] = kSegmentFormatVersion + 1;
  const auto reader = SegmentReader::OpenBytes(bytes, "x.seg", kSeed, true);
  BOOST_REQUIRE(!reader);
  BOOST_TEST(reader.error().message().find("format version 6, this program reads 1 to 5") !=
             std::string::npos);
  BOOST_TEST((reader.error().code() == Code::kUnimplemented));
}

BOOST_AUTO_TEST_CASE(AFailedWriteLeavesNoFileAndSaysSo) {
  MemEnv memory;
  Generator random(1);
  const Model model = random.Make(2, 6, 100, kStart);
  for (uint64_t operation = 0;; ++operation) {
    FaultEnv env(memory);
    env.FailAfter(operation, Status(Code::kNoSpace, "no space left"), kSpaceOps);
    const Result<SegmentMeta> written = TryWrite(env, "a.seg", model, NewMeta(env, 0, kStart, 1));
    if (!env.fault_hit()) {
      BOOST_TEST(written.has_value());
      BOOST_TEST(operation > 3u);
      break;
    }
    BOOST_REQUIRE(!written.has_value());
    BOOST_TEST((written.error().code() == Code::kNoSpace));
    BOOST_TEST(!memory.Exists("a.seg"));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::tsdb::segment_test
