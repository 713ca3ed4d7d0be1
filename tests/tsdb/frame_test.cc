// Frames: every double comes back bit by bit, through whichever code, kind and reader.
#include "tsdb/head/frame.h"

#include <bit>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstring>
#include <initializer_list>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tsdb/head/page.h"
#include "tsdb/head/page_reader.h"

namespace tocsin::tsdb::frame_test {
namespace {

using model::Timestamp;

// A value the exporters of this world send: counters, gauges, durations, noise, oddities.
double NextValue(std::mt19937_64& random, int kind, double last) {
  switch (kind) {
    case 0:
      return last + static_cast<double>(random() % 3);
    case 1:
      return last + static_cast<double>(random() % 100000);
    case 2:
      return std::round((last + static_cast<double>(random() % 100) * 0.01) * 100) / 100;
    case 3:
      return last + static_cast<double>(random() >> 11) * 0x1.0p-53;
    case 4:
      return 4096.0 * static_cast<double>(random() % 1000000);
    case 5: {
      static const double kOdd[] = {0.0,
                                    -0.0,
                                    1e300,
                                    -1e-300,
                                    5e-324,
                                    INFINITY,
                                    -INFINITY,
                                    9007199254740991.0,
                                    9007199254740993.0,
                                    -9007199254740992.0,
                                    0.1,
                                    1e15,
                                    1e16,
                                    123456789.123456};
      return kOdd[random() % std::size(kOdd)];
    }
    case 6:
      return std::bit_cast<double>(random());
    case 7:
      return std::bit_cast<double>(model::kNormalNanBits);
    default:
      return random() % 10 == 0 ? static_cast<double>(random() % 1000) : last;
  }
}

std::string WithSlack(std::string_view body) {
  return std::string(body) + std::string(kFrameSlack, '\0');
}

}  // namespace

BOOST_AUTO_TEST_SUITE(FrameSuite)

BOOST_AUTO_TEST_CASE(RowsOfAllKindsDecodeToTheSameStates) {
  uint64_t samples = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    std::mt19937_64 random(seed);
    const auto slots = static_cast<uint32_t>(1 + random() % (seed % 5 == 0 ? 4096 : 300));
    SlotStates writer;
    writer.Resize(slots);
    SlotStates reader;
    std::vector<double> values(slots, 0);
    std::vector<int> kinds(slots);
    for (int& kind : kinds) kind = static_cast<int>(random() % 9);
    FrameEncoder encoder;
    const int rows = seed % 5 == 0 ? 20 : 150;
    for (int row = 0; row < rows; ++row) {
      const auto frame_kind = random() % 4 == 0   ? FrameKind::kPartial
                              : random() % 4 == 0 ? FrameKind::kCover
                                                  : FrameKind::kFull;
      const unsigned skip = random() % 3 == 0 ? 90 : 5;
      encoder.Begin(frame_kind, writer);
      std::vector<std::optional<uint64_t>> want(slots);
      for (uint32_t slot = 0; slot < slots; ++slot) {
        const bool absent = random() % 100 < skip;
        if (absent && frame_kind != FrameKind::kCover) {
          if (frame_kind == FrameKind::kFull && writer.is_live(slot)) encoder.AddAbsent(slot);
          continue;
        }
        if (random() % 50 == 0) {
          encoder.AddStale(slot);
          want[slot] = model::kStaleBits;
          continue;
        }
        double& value = values[slot];
        value = NextValue(random, kinds[slot], value);
        const auto bits = std::bit_cast<uint64_t>(value);
        if (bits == model::kStaleBits) value = 0;
        want[slot] = std::bit_cast<uint64_t>(value);
        const bool may_leave_out = frame_kind == FrameKind::kCover ||
                                   (frame_kind == FrameKind::kFull && writer.is_live(slot));
        const bool unchanged = may_leave_out && writer.bits[slot] == *want[slot];
        if (!unchanged) encoder.AddValue(slot, value);
      }
      const std::string body = WithSlack(encoder.Finish());
      const auto parsed =
          FrameView::Parse(std::string_view(body).substr(0, body.size() - kFrameSlack));
      BOOST_REQUIRE(parsed);
      ApplyFrame(*parsed, &reader);
      BOOST_REQUIRE(reader.bits == writer.bits);
      BOOST_REQUIRE(reader.live == writer.live);
      // What the frame says of each slot.
      std::vector<std::optional<uint64_t>> got(slots);
      if (frame_kind == FrameKind::kFull) {
        for (uint32_t slot = 0; slot < slots; ++slot) {
          if (reader.is_live(slot)) got[slot] = reader.bits[slot];
        }
      } else if (frame_kind == FrameKind::kCover) {
        for (uint32_t slot = 0; slot < slots; ++slot) got[slot] = reader.bits[slot];
      }
      ForEachItem(*parsed, [&](uint32_t, uint32_t slot, FrameCode code, const char*) {
        if (code == FrameCode::kStale) {
          got[slot] = model::kStaleBits;
        } else if (frame_kind == FrameKind::kPartial) {
          got[slot] = reader.bits[slot];
        }
      });
      for (uint32_t slot = 0; slot < slots; ++slot) {
        BOOST_REQUIRE_MESSAGE(got[slot] == want[slot],
                              "seed " << seed << " row " << row << " slot " << slot);
        ++samples;
      }
    }
  }
  BOOST_TEST_MESSAGE(samples << " samples, bit by bit");
}

BOOST_AUTO_TEST_CASE(CutOrChangedBytesNeverCrash) {
  std::mt19937_64 random(3);
  SlotStates writer;
  writer.Resize(200);
  FrameEncoder encoder;
  encoder.Begin(FrameKind::kFull, writer);
  for (uint32_t slot = 0; slot < 200; slot += 1 + static_cast<uint32_t>(random() % 3)) {
    if (slot % 17 == 0) {
      encoder.AddHistogram(slot, "not decoded here");
    } else {
      encoder.AddValue(slot, NextValue(random, static_cast<int>(slot % 7), 3));
    }
    if (slot % 5 == 0) encoder.SetOwnTimestamp(-1000);
    if (slot % 7 == 0) encoder.SetStart(12345);
  }
  const std::string body(encoder.Finish());
  BOOST_REQUIRE(FrameView::Parse(body));
  for (size_t cut = 0; cut < body.size(); ++cut) {
    // A heap copy of the exact size, for the sanitizer.
    const std::vector<char> bytes(body.begin(), body.begin() + static_cast<ptrdiff_t>(cut));
    BOOST_TEST(!FrameView::Parse({bytes.data(), bytes.size()}).has_value());
  }
  for (int i = 0; i < 20000; ++i) {
    std::string changed = body;
    for (uint64_t n = 1 + random() % 3; n > 0; --n)
      changed[random() % changed.size()] ^= static_cast<char>(1 << random() % 8);
    const std::string padded = WithSlack(changed);
    const auto parsed = FrameView::Parse(std::string_view(padded).substr(0, changed.size()));
    if (!parsed) continue;
    SlotStates reader;
    ApplyFrame(*parsed, &reader);
  }
}

BOOST_AUTO_TEST_CASE(ACounterCostsAboutAByteAndAConstantABit) {
  SlotStates writer;
  writer.Resize(1000);
  FrameEncoder encoder;
  std::mt19937_64 random(5);
  std::vector<double> values(1000);
  size_t bytes = 0;
  for (int row = 0; row < 100; ++row) {
    encoder.Begin(FrameKind::kFull, writer);
    for (uint32_t slot = 0; slot < 1000; ++slot) {
      const double before = values[slot];
      if (slot % 10 < 3) values[slot] += static_cast<double>(random() % 100);
      if (values[slot] != before || row == 0) encoder.AddValue(slot, values[slot]);
    }
    bytes += encoder.Finish().size();
  }
  BOOST_TEST(static_cast<double>(bytes) / 100'000 < 0.65);
}

// The rank directory and the restarts lead to the same samples as decoding everything.
BOOST_AUTO_TEST_CASE(OneSlotReadsLikeTheWholePage) {
  std::mt19937_64 random(11);
  constexpr uint32_t kSlots = 700;
  Page page(0, 0);
  page.Resize(kSlots);
  FrameEncoder encoder;
  std::vector<std::vector<std::pair<Timestamp, uint64_t>>> want(kSlots);
  std::vector<double> values(kSlots);
  uint64_t commit = 0;
  for (int row = 0; row < 700; ++row) {
    const Timestamp t = 1'700'000'000'000 + row * 15'000;
    page.PrepareRow(t);
    const bool full = random() % 5 != 0;
    encoder.Begin(full ? FrameKind::kFull : FrameKind::kPartial, page.states);
    for (uint32_t slot = 0; slot < kSlots; ++slot) {
      const bool set = random() % (full ? 30 : 3) != 0;
      if (!set) {
        if (full && page.states.is_live(slot)) encoder.AddAbsent(slot);
        continue;
      }
      if (random() % 4 == 0)
        values[slot] = NextValue(random, static_cast<int>(slot % 7), values[slot]);
      if (std::bit_cast<uint64_t>(values[slot]) == model::kStaleBits) values[slot] = 1;
      want[slot].emplace_back(t, std::bit_cast<uint64_t>(values[slot]));
      if (full && page.states.is_live(slot) &&
          page.states.bits[slot] == std::bit_cast<uint64_t>(values[slot]))
        continue;
      encoder.AddValue(slot, values[slot]);
    }
    const std::string body(encoder.Finish());
    const auto view = FrameView::ParseTrusted(body.data(), static_cast<uint32_t>(body.size()),
                                              encoder.sections_offset());
    FrameHeader* header = page.Store(body, encoder.sections_offset(), view, t, t, t);
    header->commit.store(++commit);
  }
  BOOST_TEST(page.run_count() > 2u);
  const SealedCuts nothing;
  PageReader reader(page, {commit, &nothing, {}});
  model::ColumnBatch batch;
  std::vector<uint32_t> all(kSlots);
  for (uint32_t slot = 0; slot < kSlots; ++slot) all[slot] = slot;
  std::vector<model::Column> columns(kSlots);
  reader.ReadSlots(all, &batch, columns.data());
  for (uint32_t slot = 0; slot < kSlots; ++slot) {
    model::Column one;
    reader.ReadSlot(slot, &batch, &one);
    for (const model::Column& column : {one, columns[slot]}) {
      BOOST_REQUIRE_EQUAL(column.values.size(), want[slot].size());
      for (size_t i = 0; i < want[slot].size(); ++i) {
        BOOST_REQUIRE_EQUAL(column.timestamps[i], want[slot][i].first);
        BOOST_REQUIRE_EQUAL(std::bit_cast<uint64_t>(column.values[i]), want[slot][i].second);
      }
    }
  }
}

// Late rows of some slots or all, stale ones and ones that come twice: each slot's samples ascend,
// and of two at a timestamp the first stays.
BOOST_AUTO_TEST_CASE(LateRowsAreReadInTheirPlaces) {
  for (const bool whole : {true, false}) {
    std::mt19937_64 random(whole ? 21 : 22);
    constexpr uint32_t kSlots = 150;
    Page page(0, 0);
    page.Resize(kSlots);
    FrameEncoder encoder;
    std::vector<std::map<Timestamp, uint64_t>> want(kSlots);
    std::vector<double> values(kSlots);
    std::vector<Timestamp> missing;  // rows that come late, some of them twice
    uint64_t commit = 0;
    uint64_t equal = 0;
    uint64_t unequal = 0;
    const auto put = [&](FrameKind kind, Timestamp t) {
      page.PrepareRow(t);
      encoder.Begin(kind, page.states);
      for (uint32_t slot = 0; slot < kSlots; ++slot) {
        if (!whole && random() % 4 == 0) {
          if (kind == FrameKind::kFull && page.states.is_live(slot)) encoder.AddAbsent(slot);
          continue;
        }
        if (random() % 3 == 0)
          values[slot] = NextValue(random, static_cast<int>(slot % 7), values[slot]);
        const bool stale = kind == FrameKind::kLate && random() % 40 == 0;
        const uint64_t bits = stale ? model::kStaleBits : std::bit_cast<uint64_t>(values[slot]);
        const auto [known, fresh] = want[slot].emplace(t, bits);
        if (!fresh) ++(known->second == bits ? equal : unequal);
        if (stale) {
          encoder.AddStale(slot);
        } else {
          encoder.AddValue(slot, values[slot]);
        }
      }
      const std::string body(encoder.Finish());
      const auto view = FrameView::ParseTrusted(body.data(), static_cast<uint32_t>(body.size()),
                                                encoder.sections_offset());
      page.Store(body, encoder.sections_offset(), view, t, t, t)->commit.store(++commit);
    };
    for (int row = 0; row < 400; ++row) {
      const Timestamp t = 1'700'000'000'000 + row * 15'000;
      if (random() % 8 == 0) {
        missing.push_back(t);
      } else {
        put(whole || random() % 2 == 0 ? FrameKind::kFull : FrameKind::kPartial, t);
      }
      if (missing.empty() || random() % 8 != 0) continue;
      const size_t at = random() % missing.size();
      if (missing[at] == t) continue;
      put(FrameKind::kLate, missing[at]);
      if (whole || random() % 3 != 0) missing.erase(missing.begin() + static_cast<ptrdiff_t>(at));
    }
    const SealedCuts nothing;
    std::vector<uint32_t> all(kSlots);
    for (uint32_t slot = 0; slot < kSlots; ++slot) all[slot] = slot;
    std::vector<model::Column> columns(kSlots);
    model::ColumnBatch batch;
    PageReader together(page, {commit, &nothing, {}});
    together.ReadSlots(all, &batch, columns.data());
    PageReader one_by_one(page, {commit, &nothing, {}});
    for (uint32_t slot = 0; slot < kSlots; ++slot) {
      model::Column one;
      one_by_one.ReadSlot(slot, &batch, &one);
      for (const model::Column& column : {one, columns[slot]}) {
        BOOST_REQUIRE_EQUAL(column.values.size(), want[slot].size());
        size_t i = 0;
        for (const auto& [t, bits] : want[slot]) {
          BOOST_REQUIRE_EQUAL(column.timestamps[i], t);
          BOOST_REQUIRE_EQUAL(std::bit_cast<uint64_t>(column.values[i++]), bits);
        }
      }
    }
    BOOST_TEST((equal > 0 && unequal > 0) != whole);
    for (const PageReader* reader : {&together, &one_by_one}) {
      BOOST_TEST(reader->equal_dropped() == equal);
      BOOST_TEST(reader->unequal_dropped() == unequal);
    }
  }
}

// Rows that come in pieces, as sharded pushes do: each piece names its slots by ranges, and is read
// whole, in part and by single slots, from the writer's page and from one that the log gave back.
BOOST_AUTO_TEST_CASE(PiecesThatNameTheirSlotsByRangesAreReadByAllReaders) {
  for (const uint32_t slots : {90u, 700u, kFrameSlotsMax}) {
    std::mt19937_64 random(slots);
    Page page(0, 0);
    Page replayed(0, 0);
    page.Resize(slots);
    FrameEncoder encoder;
    std::vector<std::map<Timestamp, uint64_t>> want(slots);
    std::vector<double> values(slots);
    std::vector<WindowUse> uses;
    uint64_t items = 0;
    uint64_t commit = 0;
    uint32_t with_ranges = 0;
    const auto put = [&](FrameKind kind, Timestamp t, uint32_t begin, uint32_t end) {
      page.PrepareRow(t);
      encoder.Begin(kind, page.states);
      const uint32_t gap_every = 40 + static_cast<uint32_t>(random() % 100);
      for (uint32_t slot = begin; slot < end; ++slot) {
        if (slot % gap_every == 1) continue;
        if (random() % 3 == 0)
          values[slot] = NextValue(random, static_cast<int>(slot % 7), values[slot]);
        const bool stale = random() % 50 == 0;
        const uint64_t bits = stale ? model::kStaleBits : std::bit_cast<uint64_t>(values[slot]);
        want[slot].emplace(t, bits);
        if (stale) {
          encoder.AddStale(slot);
        } else {
          encoder.AddValue(slot, values[slot]);
        }
      }
      const std::string body(encoder.Finish());
      const std::string padded = WithSlack(body);
      const auto parsed = FrameView::Parse(std::string_view(padded).substr(0, body.size()));
      BOOST_REQUIRE(parsed);
      with_ranges += parsed->ranges > 0 ? 1 : 0;
      const auto view = FrameView::ParseTrusted(body.data(), static_cast<uint32_t>(body.size()),
                                                encoder.sections_offset());
      BOOST_REQUIRE_EQUAL(view.ranges, parsed->ranges);
      page.Store(body, encoder.sections_offset(), view, t, t, t)->commit.store(++commit);
      BOOST_REQUIRE(replayed
                        .Replay(
                            std::string_view(padded).substr(0, body.size()), t, commit,
                            [](Timestamp) { return false; }, false, &uses, &items)
                        .ok());
    };
    constexpr uint32_t kPieces = 4;
    for (int row = 0; row < 60; ++row) {
      const Timestamp t = 1'700'000'000'000 + row * 15'000;
      const bool late = row % 9 == 8;
      for (uint32_t p = 0; p < kPieces; ++p) {
        put(late ? FrameKind::kLate : FrameKind::kPartial, late ? t - 7 * 15'000 - 7'500 : t,
            p * slots / kPieces, (p + 1) * slots / kPieces);
      }
    }
    BOOST_TEST(with_ranges > 200u);
    BOOST_TEST(page.states.bits == replayed.states.bits, boost::test_tools::per_element());
    const SealedCuts nothing;
    std::vector<uint32_t> all(slots);
    for (uint32_t slot = 0; slot < slots; ++slot) all[slot] = slot;
    std::vector<uint32_t> some;
    for (uint32_t slot = 5; slot < slots; slot += 7) some.push_back(slot);
    const std::vector<uint32_t> last_piece(all.end() - 20, all.end());
    for (const Page* read : {&page, &replayed}) {
      for (const auto& wanted : {all, some, last_piece}) {
        PageReader reader(*read, {commit, &nothing, {}});
        model::ColumnBatch batch;
        std::vector<model::Column> columns(wanted.size());
        std::vector<model::Column> times(wanted.size());
        reader.ReadSlots(wanted, &batch, columns.data());
        reader.ReadSlots(wanted, &batch, times.data(), nullptr, /*times_only=*/true);
        for (size_t i = 0; i < wanted.size(); ++i) {
          model::Column one;
          reader.ReadSlot(wanted[i], &batch, &one);
          const auto& expected = want[wanted[i]];
          BOOST_REQUIRE_EQUAL(times[i].timestamps.size(), expected.size());
          for (const model::Column& column : {one, columns[i]}) {
            BOOST_REQUIRE_EQUAL(column.values.size(), expected.size());
            size_t at = 0;
            for (const auto& [t, bits] : expected) {
              BOOST_REQUIRE_EQUAL(column.timestamps[at], t);
              BOOST_REQUIRE_EQUAL(times[i].timestamps[at], t);
              BOOST_REQUIRE_EQUAL(std::bit_cast<uint64_t>(column.values[at++]), bits);
            }
          }
        }
      }
    }
  }
}

// Ranges that are not what a writer makes of a set are damage, whatever the rest of the frame says.
BOOST_AUTO_TEST_CASE(RangesThatOverlapTouchOrLeaveThePageAreRefused) {
  using Ranges = std::vector<std::pair<uint16_t, uint16_t>>;
  const auto parses = [](char flags, uint8_t slots, uint8_t items, const Ranges& ranges) {
    std::string body{flags, static_cast<char>(slots), static_cast<char>(items),
                     static_cast<char>(ranges.size())};
    for (const auto& [first, count] : ranges) {
      body.append(reinterpret_cast<const char*>(&first), sizeof first);
      body.append(reinterpret_cast<const char*>(&count), sizeof count);
    }
    body.append((items + 1u) / 2, '\x33');  // + 1 each
    const std::string padded = WithSlack(body);
    return FrameView::Parse(std::string_view(padded).substr(0, body.size())).has_value();
  };
  constexpr char kPartial = 0x21;
  constexpr char kLate = 0x22;
  BOOST_TEST(parses(kPartial, 100, 9, {{3, 4}, {8, 5}}));
  BOOST_TEST(parses(kLate, 100, 4, {{96, 4}}));
  BOOST_TEST(!parses(kPartial, 100, 9, {{3, 5}, {8, 4}}));      // touch
  BOOST_TEST(!parses(kPartial, 100, 9, {{3, 6}, {8, 3}}));      // overlap
  BOOST_TEST(!parses(kPartial, 100, 9, {{8, 5}, {3, 4}}));      // descend
  BOOST_TEST(!parses(kPartial, 100, 4, {{97, 4}}));             // end behind the page
  BOOST_TEST(!parses(kPartial, 100, 4, {{65535, 4}}));          // so far that 16 bits wrap
  BOOST_TEST(!parses(kPartial, 100, 4, {{3, 4}, {9, 0}}));      // empty
  BOOST_TEST(!parses(kPartial, 100, 8, {{3, 4}, {8, 5}}));      // other number of items
  BOOST_TEST(!parses(kPartial, 100, 0, {}));                    // none
  BOOST_TEST(!parses(0x20, 100, 9, {{3, 4}, {8, 5}}));          // full
  BOOST_TEST(!parses(0x23, 100, 9, {{3, 4}, {8, 5}}));          // cover
  BOOST_TEST(!parses(kPartial | 4, 100, 9, {{3, 4}, {8, 5}}));  // list as well
  Ranges many;
  for (uint16_t r = 0; r < 33; ++r) many.push_back({static_cast<uint16_t>(2 * r), 1});
  BOOST_TEST(!parses(kPartial, 100, 33, many));  // more than a writer makes
  many.pop_back();
  BOOST_TEST(parses(kPartial, 100, 32, many));
}

// A log that is sound by its checksums may still be one that nobody wrote.
BOOST_AUTO_TEST_CASE(WholeRowsOfALogOnlyGoForward) {
  const auto frame_of = [](FrameKind kind, std::initializer_list<uint32_t> slots) {
    SlotStates states;
    states.Resize(2);
    FrameEncoder encoder;
    encoder.Begin(kind, states);
    for (const uint32_t slot : slots) encoder.AddValue(slot, 1.5);
    return WithSlack(encoder.Finish());
  };
  const std::string full = frame_of(FrameKind::kFull, {0, 1});
  const std::string cover = frame_of(FrameKind::kCover, {0, 1});
  const std::string partial = frame_of(FrameKind::kPartial, {1});
  const std::string late = frame_of(FrameKind::kLate, {0});
  struct Step {
    const std::string& frame;
    Timestamp row_ms;
    bool taken;
    bool told = true;  // also where only rows are wanted
  };
  const Step steps[] = {
      {full, 1000, true},    {full, 2000, true},  {full, 2000, false},         {full, 1999, false},
      {cover, 2000, false},  {cover, 3000, true}, {full, 3000, false},         {late, 500, true},
      {partial, 5000, true}, {full, 4000, true},  {cover, 5000, false, false}, {cover, 6000, true},
      {full, 6000, false},   {full, 7000, true},
  };
  for (const bool rows_only : {false, true}) {
    Page page(0, 0);
    std::vector<WindowUse> uses;
    uint64_t items = 0;
    uint32_t kept = 0;
    for (const Step& step : steps) {
      if (rows_only && !step.told) continue;
      const std::string_view body(step.frame.data(), step.frame.size() - kFrameSlack);
      const Status status = page.Replay(
          body, step.row_ms, kept + 1, [](Timestamp) { return false; }, rows_only, &uses, &items);
      BOOST_TEST_CONTEXT("row at " << step.row_ms << (rows_only ? ", rows only" : "")) {
        BOOST_TEST(status.ok() == step.taken);
        kept += step.taken ? 1 : 0;
        BOOST_TEST(page.sequence == kept);
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tocsin::tsdb::frame_test
