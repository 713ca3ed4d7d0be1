// Log files: what LogWriter writes LogReader reads, and what is damaged stays without consequence
// for the rest.
#include <boost/test/unit_test.hpp>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/fault_env.h"
#include "base/mem_env.h"
#include "tsdb/head/frame.h"
#include "tsdb/wal/log_packing.h"
#include "tsdb/wal/log_reader.h"
#include "tsdb/wal/log_writer.h"
#include "tsdb/wal/records.h"

namespace tocsin::tsdb::log_test {
namespace {

constexpr char kPath[] = "/wal/00-00000001.log";

LogFileHeader Header() {
  LogFileHeader header;
  header.shard_count = 1;
  header.epoch = 42;
  header.number = 1;
  header.base_ms = 1000;
  return header;
}

std::string Record(size_t i, size_t size) {
  std::string record = std::to_string(i) + ":";
  record.resize(std::max(size, record.size()), static_cast<char>('a' + i % 26));
  return record;
}

struct Log {
  std::vector<std::string> records;
  std::string bytes;
};

// Records of all sizes, some over several blocks, written a few at a time.
Log MakeLog(uint64_t seed, size_t count) {
  std::mt19937_64 random(seed);
  MemEnv env;
  BOOST_REQUIRE(env.CreateDirs("/wal").ok());
  LogWriter writer(env, kPath, Header());
  Log log;
  for (size_t i = 0; i < count;) {
    std::string stream;
    for (uint64_t n = 1 + random() % 5; n > 0 && i < count; --n, ++i) {
      const size_t size = random() % 20 == 0 ? random() % 100'000 : random() % 300;
      log.records.push_back(Record(i, size));
      PutString(stream, log.records.back());
    }
    BOOST_REQUIRE(writer.Write(stream).ok());
  }
  BOOST_REQUIRE(writer.Close().ok());
  log.bytes = *env.ReadFile(kPath);
  BOOST_TEST(log.bytes.size() == writer.size());
  return log;
}

struct Read {
  std::vector<std::string> records;
  size_t gaps = 0;
  uint64_t damaged_places = 0;
  bool torn = false;
};

Read ReadAll(std::string_view bytes) {
  Read read;
  // A heap copy of the exact size, for the sanitizer.
  const std::vector<char> copy(bytes.begin(), bytes.end());
  LogReader reader({copy.data(), copy.size()});
  std::string_view record;
  bool after_damage = false;
  while (reader.Next(&record, &after_damage)) {
    read.gaps += after_damage ? 1 : 0;
    read.records.emplace_back(record);
  }
  read.damaged_places = reader.damaged_places();
  read.torn = reader.torn_tail();
  return read;
}

// `got` is `all` without some: in order and unchanged.
bool IsSubsequence(const std::vector<std::string>& got, const std::vector<std::string>& all) {
  size_t next = 0;
  for (const std::string& record : got) {
    while (next < all.size() && all[next] != record) ++next;
    if (next++ == all.size()) return false;
  }
  return true;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(LogSuite)

BOOST_AUTO_TEST_CASE(WhatIsWrittenIsRead) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Log log = MakeLog(seed, 300);
    const Read read = ReadAll(log.bytes);
    BOOST_TEST((read.records == log.records));
    BOOST_TEST(read.damaged_places == 0u);
    BOOST_TEST(!read.torn);
  }
}

BOOST_AUTO_TEST_CASE(ACutFileEndsCleanly) {
  const Log log = MakeLog(5, 40);
  for (size_t cut = 0; cut < log.bytes.size(); cut += 1 + cut / 60) {
    const Read read = ReadAll(std::string_view(log.bytes).substr(0, cut));
    BOOST_REQUIRE(std::equal(read.records.begin(), read.records.end(), log.records.begin()));
    BOOST_REQUIRE_EQUAL(read.damaged_places, 0u);
  }
}

BOOST_AUTO_TEST_CASE(DamageInTheMiddleCostsABlockAndIsCounted) {
  const Log log = MakeLog(6, 3000);
  BOOST_REQUIRE(log.bytes.size() > 10 * kLogBlockBytes);
  std::string bytes = log.bytes;
  bytes[4 * kLogBlockBytes + 1000] ^= 1;
  const Read read = ReadAll(bytes);
  BOOST_TEST(read.damaged_places == 1u);
  BOOST_TEST(read.gaps == 1u);
  BOOST_TEST(!read.torn);
  BOOST_TEST(IsSubsequence(read.records, log.records));
  BOOST_TEST(read.records.back() == log.records.back());
  size_t kept_bytes = 0;
  for (const std::string& record : read.records) kept_bytes += record.size();
  BOOST_TEST(kept_bytes + 2 * kLogBlockBytes + 200'000 > log.bytes.size());
}

BOOST_AUTO_TEST_CASE(AnyChangedBytesAreSkippedNotInvented) {
  const Log log = MakeLog(7, 1500);
  std::mt19937_64 random(9);
  for (int round = 0; round < 300; ++round) {
    std::string bytes = log.bytes;
    for (uint64_t n = 1 + random() % 6; n > 0; --n)
      bytes[random() % bytes.size()] ^= static_cast<char>(1 + random() % 255);
    const Read read = ReadAll(bytes);
    BOOST_REQUIRE(IsSubsequence(read.records, log.records));
    BOOST_REQUIRE(read.records.size() == log.records.size() || read.damaged_places > 0 ||
                  read.torn);
  }
}

BOOST_AUTO_TEST_CASE(ABlockOfAnotherFileIsNotReadAsOurs) {
  const Log log = MakeLog(8, 2000);
  std::string bytes = log.bytes;
  BOOST_REQUIRE(bytes.size() > 6 * kLogBlockBytes);
  bytes.replace(2 * kLogBlockBytes, kLogBlockBytes,
                log.bytes.substr(4 * kLogBlockBytes, kLogBlockBytes));
  const Read read = ReadAll(bytes);
  BOOST_TEST(read.damaged_places == 1u);
  BOOST_TEST(IsSubsequence(read.records, log.records));
}

BOOST_AUTO_TEST_CASE(AFailedWriteIsCutBackAndWrittenAgain) {
  for (const FileOps op : {kOpenOp, kAppendOp, kFlushOp}) {
    for (uint64_t n = 0; n < 6; ++n) {
      MemEnv memory;
      FaultEnv env(memory);
      BOOST_REQUIRE(env.CreateDirs("/wal").ok());
      LogWriter writer(env, kPath, Header());
      env.FailAfter(n, Status(Code::kNoSpace, "full"), op);
      std::vector<std::string> want;
      for (size_t i = 0; i < 10; ++i) {
        std::string stream;
        want.push_back(Record(i, 20'000));
        PutString(stream, want.back());
        Status status = writer.Write(stream);
        if (!status.ok()) status = writer.Write(stream);
        BOOST_REQUIRE(status.ok());
      }
      BOOST_REQUIRE(writer.Close().ok());
      const Read read = ReadAll(*memory.ReadFile(kPath));
      BOOST_TEST((read.records == want));
      BOOST_TEST(read.damaged_places == 0u);
    }
  }
}

BOOST_AUTO_TEST_CASE(AFileIsReadBlockByBlockAndFollowedWhileItGrows) {
  MemEnv env;
  BOOST_REQUIRE(env.CreateDirs("/wal").ok());
  LogWriter writer(env, kPath, Header());
  std::mt19937_64 random(3);
  std::vector<std::string> want;
  std::vector<std::string> got;
  std::unique_ptr<RandomAccessFile> file;
  std::unique_ptr<LogReader> reader;
  for (size_t i = 0; i < 400; ++i) {
    std::string stream;
    for (uint64_t n = random() % 4; n > 0; --n) {
      want.push_back(Record(want.size(), random() % 15 == 0 ? random() % 90'000 : random() % 500));
      PutString(stream, want.back());
    }
    BOOST_REQUIRE(writer.Write(stream).ok());
    if (writer.size() == 0) continue;
    if (reader == nullptr) {
      file = *env.NewRandomAccessFile(kPath);
      reader = std::make_unique<LogReader>(*file, writer.size());
    }
    reader->Extend(writer.size());
    std::string_view record;
    bool after_damage = false;
    while (reader->Next(&record, &after_damage)) got.emplace_back(record);
    BOOST_REQUIRE_EQUAL(got.size(), want.size());
  }
  BOOST_TEST((got == want));
  BOOST_TEST(reader->damaged_places() == 0u);
  BOOST_TEST(!reader->torn_tail());
}

BOOST_AUTO_TEST_CASE(PackedRecordsComeBack) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 30; ++round) {
    MemEnv env;
    BOOST_REQUIRE(env.CreateDirs("/wal").ok());
    LogWriter writer(env, kPath, Header());
    std::vector<std::string> want;
    size_t plain_bytes = 0;
    for (int i = 0; i < 40; ++i) {
      std::string stream;
      for (uint64_t n = random() % 200; n > 0; --n) {
        want.push_back(
            Record(want.size(), random() % 100 == 0 ? random() % 3'000'000 : random() % 500));
        PutString(stream, want.back());
      }
      plain_bytes += stream.size();
      std::string packed;
      PackRecords(stream, i % 2 == 0 ? LogPacking::kFast : LogPacking::kSmall, &packed);
      BOOST_REQUIRE(packed.size() <= stream.size());
      BOOST_REQUIRE(writer.Write(packed).ok());
    }
    const std::string bytes = *env.ReadFile(kPath);
    const Read read = ReadAll(bytes);
    BOOST_TEST((read.records == want));
    BOOST_TEST(read.damaged_places == 0u);
    BOOST_TEST(bytes.size() < plain_bytes);
    std::string hurt = bytes;
    for (int n = 0; n < 3; ++n) hurt[random() % hurt.size()] ^= 0x10;
    BOOST_TEST(IsSubsequence(ReadAll(hurt).records, want));
  }
  // Sound fragments with nonsense in them.
  for (int round = 0; round < 2000; ++round) {
    std::string payload(1, round % 2 == 0 ? kPackedRecordType : kPackedSmallRecordType);
    PutVarint(payload, random() % 3'000'000);
    for (uint64_t n = random() % 50; n > 0; --n) payload += static_cast<char>(random());
    std::string records;
    (void)UnpackRecords(payload, &records);
  }
}

BOOST_AUTO_TEST_CASE(R12FilesOfVersionOneAreReadAndNewerOnesNamed) {
  const Log log = MakeLog(12, 500);
  const auto of_version = [&log](char version) {
    std::string bytes = log.bytes;
    for (size_t at = 0; at < bytes.size(); at += kLogBlockBytes) {
      bytes[at + 4] = version;
      SetFixed32(bytes, at + kLogBlockHeaderBytes - 4,
                 Crc32c(std::string_view(bytes).substr(at, kLogBlockHeaderBytes - 4)));
    }
    return bytes;
  };
  BOOST_TEST((ReadAll(of_version(1)).records == log.records));
  LogReader newer(of_version(kLogVersion + 1));
  BOOST_TEST(newer.newer());
  BOOST_TEST(!newer.header());
}

BOOST_AUTO_TEST_CASE(AStateRecordGivesThePageBack) {
  std::mt19937_64 random(4);
  for (int round = 0; round < 50; ++round) {
    Page page(3, 1);
    const auto slots = static_cast<uint32_t>(1 + random() % 500);
    page.Resize(slots);
    page.sequence = static_cast<uint32_t>(random());
    page.last_full_ms = random() % 2 == 0 ? model::kMinTimestamp : 5'000;
    for (uint32_t slot = 0; slot < slots; ++slot) {
      page.states.mode[slot] = static_cast<uint8_t>(random() % 11);
      page.states.bits[slot] =
          random() % 2 == 0
              ? random()
              : BitsOfDecimal(static_cast<int64_t>(random() % 100'000), page.states.mode[slot]);
      if (random() % 2 == 0) page.states.SetLive(slot);
      if (random() % 9 == 0)
        page.NoteSample(slot, static_cast<int64_t>(random() % 9000), true, random() % 2 == 0,
                        random());
      if (round % 3 == 0 && random() % 5 == 0) page.states.SetStart(slot, 77);
    }
    std::string stream;
    PutStateRecord(stream, page, 1000);
    ByteReader reader(stream);
    const std::string record(reader.String());
    BOOST_REQUIRE(reader.ok() && record[0] == static_cast<char>(RecordType::kState));
    Page read(3, 1);
    BOOST_REQUIRE(ApplyStateRecord(std::string_view(record).substr(1), 1000, &read).ok());
    BOOST_TEST((read.states.bits == page.states.bits));
    BOOST_TEST((read.states.mode == page.states.mode));
    BOOST_TEST((read.states.live == page.states.live));
    BOOST_TEST((read.states.starts_ms == page.states.starts_ms));
    BOOST_TEST((read.last_ms == page.last_ms));
    BOOST_TEST((read.stale == page.stale));
    BOOST_TEST((read.histogram_hashes == page.histogram_hashes));
    BOOST_TEST(read.last_full_ms == page.last_full_ms);
    BOOST_TEST(read.sequence == page.sequence);
    BOOST_TEST(read.newest_ms() == page.newest_ms());
    for (size_t cut = 1; cut < record.size(); cut += 1 + cut / 20) {
      Page other(3, 1);
      BOOST_REQUIRE(
          !ApplyStateRecord(std::string_view(record).substr(1, cut - 1), 1000, &other).ok());
    }
  }
}

// Found by the fuzz target `wal`: sums of numbers in the record beyond 64 bits.
BOOST_AUTO_TEST_CASE(NumbersOfAnySizeInARecordAreNoOverflow) {
  std::string layout;
  for (const uint64_t v : {1u, 0u, 0u, 2u}) PutVarint(layout, v);
  PutVarint(layout, ZigZag(18) + 1);
  PutVarint(layout, ZigZag(INT64_MAX) + 1);
  BOOST_TEST(!ReadLayoutRecord(layout));
  std::string frame;
  for (const uint64_t v : {1u, 0u, 1u}) PutVarint(frame, v);
  PutSignedVarint(frame, INT64_MAX);
  (void)ReadFrameRecord(frame, INT64_MAX);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tocsin::tsdb::log_test
