// SegmentReader: one open segment file: selects through the file's own index and decodes columns.
//
//   auto segment = SegmentReader::Open(env, path, seed);        // checks header and footer
//   auto columns = (*segment)->Select(matchers, range);         // (source, key) pairs, file order
//   SegmentCursor cursor(**segment);                            // one per reading thread
//   cursor.Read((*columns)[i], range, &batch, &column);         // views into batch
//
// The file is mapped. Every 64 KiB page is checked against its CRC32C before its first use in this
// reader (those of the index together), and every decoder is bounded: damaged bytes give
// kCorruption naming file and offset, never a crash and never unbounded memory.
//
// SegmentReader is thread-safe, and immutable but for what is known of its pages; the mapping
// outlives unlinking the file. SegmentCursor: one thread at a time; must not outlive its reader.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/labels.h"
#include "model/matcher.h"
#include "model/sample.h"
#include "model/storage.h"
#include "tsdb/segment/meta.h"
#include "tsdb/types.h"

namespace tocsin {
class Env;
}

namespace tocsin::tsdb {

class MatcherCache;

// Where a column's bytes are. A plain value: valid for the reader that gave it.
struct ColumnRef {
  uint32_t source = 0;  // local ids
  uint32_t key = 0;
  uint64_t offset = 0;
  uint32_t length = 0;
  uint32_t flags = 0;   // kColumn… in segment/format.h
  uint32_t number = 0;  // place among the file's columns
};

class SegmentReader {
 public:
  // `fingerprint_seed`: of the data directory. When the file was written under another one,
  // fingerprints are computed from the labels instead of read. `cache`: or null.
  static Result<std::shared_ptr<const SegmentReader>> Open(
      Env& env, const std::string& path, uint64_t fingerprint_seed,
      std::shared_ptr<MatcherCache> cache = nullptr);
  // For tests and fuzzing: over bytes in memory, which must outlive the reader; with
  // `verify_checksums` false, damaged bytes reach the decoders.
  static Result<std::shared_ptr<const SegmentReader>> OpenBytes(std::string_view bytes,
                                                                const std::string& name,
                                                                uint64_t fingerprint_seed,
                                                                bool verify_checksums);
  virtual ~SegmentReader() = default;

  virtual const SegmentMeta& meta() const = 0;
  virtual const std::string& path() const = 0;

  // The file has column facts (facts.h).
  virtual bool has_facts() const = 0;

  // --- dictionaries, by local id. Ids at or past the count give kInvalidArgument. ---
  virtual uint32_t source_count() const = 0;
  virtual uint32_t key_count() const = 0;
  virtual Result<model::Labels> SourceLabels(uint32_t source) const = 0;
  virtual Result<model::Origin> SourceOrigin(uint32_t source) const = 0;
  virtual Result<Fingerprint> SourceFingerprint(uint32_t source) const = 0;
  virtual Result<model::Labels> KeyLabels(uint32_t key) const = 0;
  virtual Result<Fingerprint> KeyFingerprint(uint32_t key) const = 0;
  // The fingerprints of the columns' series, source and key together; replaces `prints`. Cheap
  // where neighbours are of one source.
  virtual Status SeriesFingerprints(std::span<const ColumnRef> columns,
                                    std::vector<Fingerprint>* prints) const = 0;

  // --- selection ---
  // Columns whose series match, in file order (by family, source, key). Empty when the segment's
  // range does not meet `range`; a column returned may still have no sample in it.
  virtual Result<std::vector<ColumnRef>> Select(const model::MatcherSet& matchers,
                                                model::TimeRange range) const = 0;
  // Every column, in file order, until `visit` returns false.
  virtual Status ForEachColumn(const std::function<bool(const ColumnRef&)>& visit) const = 0;
  // Sorted. `matcher_sets` are or-ed; none = all.
  virtual Result<std::vector<std::string>> LabelNames(
      std::span<const model::MatcherSet> matcher_sets) const = 0;
  virtual Result<std::vector<std::string>> LabelValues(
      std::string_view name, std::span<const model::MatcherSet> matcher_sets) const = 0;

  // Reads the index now instead of when it is first needed. Everything but meta, path and counts
  // gives kCorruption when this does.
  virtual Status VerifyIndex() const = 0;
  // Reads every page and decodes every column: the whole file is sound.
  virtual Status Verify() const = 0;

  // Lets go of the mapped pages that were read (base/resident_pages.h).
  virtual void DropResidentPages() const = 0;
};

// Decodes columns. Timestamps are decoded once per source (and axis) for all columns of it that are
// read into one batch over one range, however they lie between others.
class SegmentCursor {
 public:
  // `times_only`: values other than staleness markers may be anything (SelectHints::times_only).
  explicit SegmentCursor(const SegmentReader& reader, bool times_only = false);
  ~SegmentCursor();
  SegmentCursor(SegmentCursor&&) noexcept;

  // Sets `column` to the samples of `ref` within `range`. The views are into `batch` and live until
  // its Clear(), which must be followed by BatchCleared(). Columns of one source share their
  // timestamps span where they have all rows. Values are decoded into the front of `place` where it
  // has the room, so that those of several files can lie end to end.
  Status Read(const ColumnRef& ref, model::TimeRange range, model::ColumnBatch* batch,
              model::Column* column, std::span<double> place = {});
  // Words of the last Read's `place` that must stay as they are.
  size_t place_used() const;
  // Begins to bring the bytes of `ref` into the cache: neighbours in time lie in different files.
  void Prefetch(const ColumnRef& ref) const;
  // All row timestamps of a source: what a merge aligns columns to. `out` is replaced.
  Status ReadRowTimestamps(uint32_t source, std::vector<model::Timestamp>* out);
  // The batch was cleared: timestamps that view into it are forgotten.
  void BatchCleared();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tocsin::tsdb
