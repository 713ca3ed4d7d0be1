// Log files, records and frames of any bytes. The first byte picks the decoder.
// Seeds run as plain tests: tests/tsdb/{frame,log}_test.cc.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tsdb/head/frame.h"
#include "tsdb/head/page.h"
#include "tsdb/wal/log_packing.h"
#include "tsdb/wal/log_reader.h"
#include "tsdb/wal/records.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tocsin::tsdb;
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 5) {
    case 0: {
      const std::string padded = std::string(bytes) + std::string(kFrameSlack, '\0');
      const auto frame = FrameView::Parse(std::string_view(padded).substr(0, bytes.size()));
      SlotStates states;
      if (frame) ApplyFrame(*frame, &states);
      break;
    }
    case 1: {
      Page page(0, 0);
      (void)ApplyStateRecord(bytes, 0, &page);
      (void)ReadStateRecordHead(bytes);
      break;
    }
    case 2:
      (void)ReadSourceRecord(bytes);
      (void)ReadKeyRecord(bytes);
      (void)ReadLayoutRecord(bytes);
      (void)ReadFrameRecord(bytes, 0);
      (void)ReadCommitRecord(bytes);
      (void)ReadMarkRecord(bytes);
      (void)ReadExemplarRecord(bytes);
      (void)ReadSyncRecord(bytes);
      break;
    case 3: {
      std::string records;
      (void)UnpackRecords(bytes, &records);
      break;
    }
    default: {
      LogReader reader(bytes);
      std::string_view record;
      bool after_damage = false;
      while (reader.Next(&record, &after_damage)) {
      }
    }
  }
  return 0;
}
