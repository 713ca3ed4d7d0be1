// SegmentFile: the bytes of an open segment, page by page verified before their first use, with the
// parsed footer, dictionaries and directory. What SegmentReader and SegmentCursor share.
//
// Opening reads the footer and the page table alone: ninety days are open before the first of them
// is asked for anything. The index (dictionaries, postings, directory) is verified whole, and
// unpacked if the file has it packed, when something of it is first wanted; when it is damaged,
// everybody who asks is told so. What was unpacked is let go of with the resident pages.
//
// Immutable but for the set of verified pages, which is atomic, and the index. Thread-safe.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/env.h"
#include "base/mutex.h"
#include "base/status.h"
#include "tsdb/segment/format.h"
#include "tsdb/segment/reader.h"
#include "tsdb/segment/segment_index.h"

namespace tocsin::tsdb {

class SegmentFile final : public SegmentReader {
 public:
  // `mapping` may be null when `bytes` live elsewhere.
  static Result<std::shared_ptr<const SegmentReader>> Create(
      std::unique_ptr<MappedFile> mapping, std::string_view bytes, std::string path, uint64_t seed,
      bool verify_checksums, std::shared_ptr<MatcherCache> cache = nullptr);

  const SegmentMeta& meta() const override { return footer_.meta; }
  const std::string& path() const override { return path_; }
  bool has_facts() const override {
    return footer_.extra.contains(static_cast<uint32_t>(ExtraSection::kFacts));
  }
  uint32_t source_count() const override {
    return static_cast<uint32_t>(footer_.meta.source_count);
  }
  uint32_t key_count() const override { return static_cast<uint32_t>(footer_.meta.key_count); }
  Status VerifyIndex() const override;
  Result<model::Labels> SourceLabels(uint32_t source) const override;
  Result<model::Origin> SourceOrigin(uint32_t source) const override;
  Result<Fingerprint> SourceFingerprint(uint32_t source) const override;
  Result<model::Labels> KeyLabels(uint32_t key) const override;
  Result<Fingerprint> KeyFingerprint(uint32_t key) const override;
  Status SeriesFingerprints(std::span<const ColumnRef> columns,
                            std::vector<Fingerprint>* prints) const override;
  Result<std::vector<ColumnRef>> Select(const model::MatcherSet& matchers,
                                        model::TimeRange range) const override;
  Status ForEachColumn(const std::function<bool(const ColumnRef&)>& visit) const override;
  Result<std::vector<std::string>> LabelNames(
      std::span<const model::MatcherSet> matcher_sets) const override;
  Result<std::vector<std::string>> LabelValues(
      std::string_view name, std::span<const model::MatcherSet> matcher_sets) const override;
  Status Verify() const override;
  void DropResidentPages() const override;

  // The bytes at a place of the paged part, their pages verified.
  Result<std::string_view> Bytes(uint64_t offset, uint64_t length) const;
  // They will be read soon. Any place is allowed.
  void Prefetch(uint64_t offset, uint64_t length) const {
    static constexpr uint64_t kLineBytes = 64;
    static constexpr uint64_t kLinesMax = 4;  // the rest follows by itself
    if (offset >= bytes_.size()) return;
    const uint64_t count = std::min({length, bytes_.size() - offset, kLinesMax * kLineBytes});
    for (uint64_t at = 0; at < count; at += kLineBytes) {
      __builtin_prefetch(bytes_.data() + offset + at);
    }
  }
  // Of axis `axis` of a source; 0 = its rows.
  Result<std::string_view> AxisBytes(uint32_t source, uint32_t axis) const;
  // The bytes of a section that not every file has, verified; empty when this one has it not.
  Result<std::string_view> ExtraBytes(ExtraSection number) const;
  Result<size_t> DirectoryBlockCount() const;
  // Columns of one directory block, in file order; replaces `columns`.
  Status ReadDirectoryBlock(size_t block, std::vector<ColumnRef>* columns) const;
  // Where bytes that Bytes or AxisBytes gave, or a part of them, lie in the file.
  uint64_t OffsetOf(std::string_view part) const {
    return static_cast<uint64_t>(part.data() - bytes_.data());
  }
  const Footer& footer() const { return footer_; }
  uint8_t version() const { return version_; }
  // kCorruption that names the file and the place.
  Status Damaged(uint64_t offset, std::string_view what) const;

 private:
  SegmentFile() = default;
  Status Open(bool verify_checksums);
  Result<std::shared_ptr<const SegmentIndex>> LoadIndex() const;
  Result<std::shared_ptr<const SegmentIndex>> Index() const;
  void ComputeKeyPrints() const;
  // Where the file has none that count.
  Result<Fingerprint> ComputedKeyPrint(uint32_t key) const;
  Status VerifyPage(uint64_t page) const;
  // Columns of the directory blocks that `wants_block(key min, max, source min, max)` lets through.
  Status VisitColumns(
      const std::function<bool(uint32_t, uint32_t, uint32_t, uint32_t)>& wants_block,
      const std::function<bool(const ColumnRef&)>& visit) const;
  // Marks the sources and keys of the series that a set selects.
  struct Participants {
    std::vector<bool> sources;
    std::vector<bool> keys;
  };
  Result<Participants> ParticipantsOf(std::span<const model::MatcherSet> matcher_sets) const;

  std::unique_ptr<MappedFile> mapping_;
  std::string_view bytes_;
  std::string path_;
  uint64_t seed_ = 0;
  std::shared_ptr<MatcherCache> matcher_cache_;
  uint8_t version_ = 0;
  Footer footer_;
  std::string_view page_table_;
  // One bit a page; null: nothing is to be verified.
  std::unique_ptr<std::atomic<uint64_t>[]> verified_;
  // Once it was asked for. Of a file that has it packed: until the next DropResidentPages.
  mutable Mutex index_mu_;
  mutable std::shared_ptr<const SegmentIndex> index_ GUARDED_BY(index_mu_);
  // Of small files, which hold none: computed for all keys when one is first asked for. Empty when
  // a key is damaged.
  mutable std::once_flag key_prints_once_;
  mutable std::vector<Fingerprint> key_prints_;
};

}  // namespace tocsin::tsdb
