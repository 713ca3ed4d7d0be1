// SegmentWriter: writes one segment file (docs/format/segment.md), from head rows at a seal or from
// other segments at a merge.
//
//   SegmentWriter writer(env, dir + "/" + SegmentFileName(meta), meta, {});
//   TOCSIN_RETURN_IF_ERROR(writer.Open());
//   uint32_t source = writer.AddSource(origin, labels, row_timestamps);   // its shared timestamps
//   uint32_t key = writer.AddKey(key_labels);                             // once, for all sources
//   writer.AddColumn(source, key, column);
//   Result<SegmentMeta> written = writer.Finish();                        // synced; dir is not
//
// Columns come as model::Column, the form in which they are read, each in ascending time. A column
// whose float timestamps are a subset of its source's rows costs at most a bitmap; where they are
// not (own timestamps), the column gets an axis of its own, stored once for all columns of the
// source that share it. Passing the very span given to AddSource as `column.timestamps` is the fast
// path: "every row has a value" is then seen without comparing.
//
// Memory: encoded columns wait in memory until Finish (they are stored metric by metric and come
// source by source), or until WriteWaiting, for which the dictionary must come in its order. With
// Options::sorted_input, which promises file order, as merging has it, only 64 KiB is buffered.
// File order: by metric family, source, key.
//
// One thread at a time. Failures stick: after the first, Finish returns it, and removes the file.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/labels.h"
#include "model/sample.h"
#include "model/storage.h"
#include "tsdb/segment/meta.h"
#include "tsdb/segment/order.h"
#include "tsdb/types.h"

namespace tocsin {
class Env;
}

namespace tocsin::tsdb {

enum class ExtraSection : uint32_t;  // format.h

class SegmentWriter {
 public:
  struct Options {
    // AddSource was called in SourceOrder, AddKey in KeyOrder, and then AddColumn in file order: by
    // family, source and key.
    bool sorted_input = false;
    // Keep column facts (facts.h). Only with sorted input.
    bool facts = false;
    // AddSource was called in SourceOrder and AddKey in KeyOrder, all before the first AddColumn;
    // columns may come in any order between two calls of WriteWaiting.
    bool sorted_dictionary = false;
    // Gives a source's rows again, whenever columns of another source came in between: then those
    // given to AddSource need not stay. `rows` comes empty.
    std::function<Status(uint32_t source, std::vector<model::Timestamp>* rows)> rows_of = nullptr;
  };

  // `meta`: id, level, shard, generation, seed, cuts, replaces. The rest is filled in.
  SegmentWriter(Env& env, std::string path, SegmentMeta meta, Options options);
  ~SegmentWriter();  // without Finish: the unfinished file is removed
  SegmentWriter(const SegmentWriter&) = delete;
  SegmentWriter& operator=(const SegmentWriter&) = delete;

  Status Open();

  // `row_timestamps`: strictly ascending; without Options::rows_of, the bytes must stay where they
  // are until the source's last AddColumn. Returns the id for AddColumn; files have ids of their
  // own, in order. Each (origin, labels) at most once.
  uint32_t AddSource(const model::Origin& origin, const model::Labels& labels,
                     std::span<const model::Timestamp> row_timestamps);
  // Likewise; the same one for the same labels.
  uint32_t AddKey(const model::Labels& labels);
  // At most once per (source, key). A column without samples is left out.
  void AddColumn(uint32_t source, uint32_t key, const model::Column& column);
  // The rows of a source, until those of another one are asked for. A column that has a sample at
  // each had better have this very span.
  std::span<const model::Timestamp> RowsOf(uint32_t source);
  // A column of `value`, no staleness marker, at every row of its source, which has some. Only with
  // sorted input.
  void AddConstant(uint32_t source, uint32_t key, double value);

  // Writes the columns that wait. Those of the metric families written are complete; what comes
  // later is behind them in file order. Only with sorted_dictionary.
  void WriteWaiting();
  // A column in bytes of the caller's own form (rollups), only with sorted input. `range` holds its
  // `samples`.
  void AddEncodedColumn(uint32_t source, uint32_t key, uint8_t flags, std::string_view bytes,
                        uint64_t samples, model::TimeRange range);

  // A section that not every file has; each at most once, and before Finish.
  void AddSection(ExtraSection number, std::string bytes);

  // Writes what waits, index, footer; syncs and closes the file. The caller syncs the directory.
  Result<SegmentMeta> Finish();

  // Encoded bytes that wait in memory.
  size_t buffered_bytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tocsin::tsdb
