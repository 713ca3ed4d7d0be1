// Records of the log: what the stream of a log file says. Layouts: docs/format/wal.md.
//
//   source    id, origin, labels            key      id, labels
//   layout    keys of the slots of a page   state    every slot's last value and history
//   frame     one row of one page           commit   closes the batch of the frames before it
//   mark      opaque bytes of a batch       exemplar of a slot, part of a batch
//   sync      how much of which file of the shard is on the disk
//
// Dictionary records (source, key, layout, state) take effect at once; frames, marks and exemplars
// when their commit record comes. Ids are those of the process run that wrote the file
// (LogFileHeader::epoch). Timestamps are relative to the file's base.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/labels.h"
#include "model/metadata.h"
#include "model/sample.h"
#include "model/storage.h"
#include "tsdb/head/page.h"
#include "tsdb/types.h"

namespace tocsin::tsdb {

enum class RecordType : uint8_t {
  kSource = 1,
  kKey = 2,
  kLayout = 3,
  kState = 4,
  kFrame = 5,
  kCommit = 6,
  kMark = 7,
  kExemplar = 8,
  kSync = 9,
  kPacked = 10,  // other records, compressed; LogReader gives those
  // Spoken for: 11 tombstone, 12 clean stop.
  kPackedSmall = 13,  // as kPacked, by another algorithm
};

// --- writing: each appends one record, its length in front, to `out` ---
void PutSourceRecord(std::string& out, SourceId id, uint64_t incarnation,
                     const model::Origin& origin, const model::Labels& labels);
void PutKeyRecord(std::string& out, KeyId id, const model::Labels& labels);
// `keys[i]`: of slot first_slot + i of the page; kNoId for a slot that stands for nothing.
void PutLayoutRecord(std::string& out, SourceId source, uint32_t page, uint32_t first_slot,
                     const std::vector<KeyId>& keys);
void PutStateRecord(std::string& out, const Page& page, model::Timestamp base_ms);
void PutFrameRecord(std::string& out, const Page& page, model::Timestamp row_ms,
                    model::Timestamp base_ms, std::string_view body);
// `shards`: one bit for each shard that has a part of the batch.
void PutCommitRecord(std::string& out, uint64_t commit, uint64_t shards);
void PutMarkRecord(std::string& out, std::string_view key, std::string_view bytes);
void PutExemplarRecord(std::string& out, SourceId source, model::Slot slot,
                       const model::Exemplar& exemplar);

// The first `bytes` of the shard's file `number` are on the disk.
void PutSyncRecord(std::string& out, uint32_t number, uint64_t bytes);

// --- reading ---
struct LoggedSource {
  SourceId id = 0;
  uint64_t incarnation = 0;
  model::Origin origin;
  model::Labels labels;
};
struct LoggedKey {
  KeyId id = 0;
  model::Labels labels;
};
struct LoggedLayout {
  SourceId source = 0;
  uint32_t page = 0;
  uint32_t first_slot = 0;
  std::vector<KeyId> keys;
};
struct LoggedFrame {
  SourceId source = 0;
  uint32_t page = 0;
  uint32_t sequence = 0;
  model::Timestamp row_ms = 0;
  std::string_view body;  // into the record
};
struct LoggedCommit {
  uint64_t commit = 0;
  uint64_t shards = 0;
};
struct LoggedMark {
  std::string_view key;
  std::string_view bytes;
};
struct LoggedSync {
  uint32_t number = 0;
  uint64_t bytes = 0;
};
struct LoggedExemplar {
  SourceId source = 0;
  model::Slot slot = 0;
  model::Exemplar exemplar;
};
// Each takes what follows the type byte; kCorruption when that makes no sense.
Result<LoggedSource> ReadSourceRecord(std::string_view payload);
Result<LoggedKey> ReadKeyRecord(std::string_view payload);
Result<LoggedLayout> ReadLayoutRecord(std::string_view payload);
Result<LoggedFrame> ReadFrameRecord(std::string_view payload, model::Timestamp base_ms);
Result<LoggedCommit> ReadCommitRecord(std::string_view payload);
Result<LoggedMark> ReadMarkRecord(std::string_view payload);
Result<LoggedSync> ReadSyncRecord(std::string_view payload);
Result<LoggedExemplar> ReadExemplarRecord(std::string_view payload);

struct StateRecordHead {
  SourceId source = 0;
  uint32_t page = 0;
};
Result<StateRecordHead> ReadStateRecordHead(std::string_view payload);
// Replaces the page's state by the record's, its sequence number included.
Status ApplyStateRecord(std::string_view payload, model::Timestamp base_ms, Page* page);

}  // namespace tocsin::tsdb
