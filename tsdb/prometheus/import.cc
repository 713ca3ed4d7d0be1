#include "tsdb/prometheus/import.h"

#include <algorithm>
#include <set>

#include "base/bytes.h"
#include "base/time_text.h"
#include "tsdb/compactor.h"
#include "tsdb/database.h"
#include "tsdb/prometheus/import_staging.h"
#include "tsdb/quarantine.h"
#include "tsdb/readable.h"
#include "tsdb/segment_store.h"
#include "tsdb/store_directory.h"

namespace tocsin::tsdb {
namespace {

using model::TimeRange;
using model::Timestamp;

constexpr std::string_view kHeadSnapshotPrefix = "chunk_snapshot.";

std::string DayText(Timestamp day) { return FormatTime(day).substr(0, 10); }

// Seals what the store's log holds, so that a commit number above all of it is free for the
// imported segments: at equal timestamps the lower commit's sample counts, and a cut hides no row
// of the head.
Result<uint64_t> SealAndNumber(Env& env, const std::string& dir) {
  DatabaseOptions options;
  options.dir = dir;
  options.env = &env;
  options.background = false;
  options.policy.retention_ms = 0;
  TOCSIN_ASSIGN_OR_RETURN(const std::unique_ptr<Database> database, Database::Open(options));
  TOCSIN_TRY(database->Seal({}));
  const uint64_t commit = database->Pin()->commit_number() + 1;
  TOCSIN_TRY(database->Close());
  return commit;
}

// Writes the segments of one import into the staging directory.
class Importer {
 public:
  Importer(Env& env, const ImportOptions& options, SampleStores stores, ImportReport* report)
      : env_(env), options_(options), stores_(stores), report_(*report) {}

  Status Run() {
    ImportStaging staging(env_, options_.dir);
    TOCSIN_RETURN_IF_ERROR(env_.CreateDirs(options_.dir));
    {
      TOCSIN_ASSIGN_OR_RETURN_STATUS(const auto lock, Lock());
      TOCSIN_RETURN_IF_ERROR(CheckReadable(env_, options_.dir));
      TOCSIN_RETURN_IF_ERROR(staging.Recover(&report_.finished_earlier));
    }
    TOCSIN_ASSIGN_OR_RETURN_STATUS(commit_, SealAndNumber(env_, options_.dir));
    TOCSIN_ASSIGN_OR_RETURN_STATUS(const auto lock, Lock());
    Status status = Stage(staging);
    if (status.ok()) status = staging.Publish();
    if (!status.ok() && !staging.IsComplete()) {
      // Nothing was changed. What cannot be removed now the next start or import removes.
      static_cast<void>(env_.RemoveTree(staging.directory()));
    }
    TOCSIN_RETURN_IF_ERROR(status);
    // Into the manifest: from now on it is told when one of them is lost.
    Quarantine quarantine(env_, JoinPath(options_.dir, "quarantine"));
    SegmentStore segments(env_, JoinPath(options_.dir, "segments"), seed_, quarantine);
    return segments.Open();
  }

 private:
  Result<std::unique_ptr<FileLock>> Lock() {
    auto lock = env_.LockFile(JoinPath(options_.dir, "lock"));
    if (!lock) {
      return Error(Status(lock.error()).Annotate("the store is in use; an import needs it alone"));
    }
    return lock;
  }

  Status Stage(const ImportStaging& staging) {
    TOCSIN_RETURN_IF_ERROR(staging.Begin());
    TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::string seed,
                                   env_.ReadFile(JoinPath(options_.dir, kSeedFile)));
    if (seed.size() != sizeof(uint64_t)) return Status(Code::kCorruption, "seed: not 8 bytes");
    Quarantine quarantine(env_, JoinPath(options_.dir, "quarantine"));
    seed_ = LoadFixed<uint64_t>(seed.data());
    SegmentStore segments(env_, JoinPath(options_.dir, "segments"), seed_, quarantine);
    TOCSIN_RETURN_IF_ERROR(segments.Open());
    std::set<Timestamp> days;
    for (const auto& store : stores_) {
      days.merge(store->Days());
      progress_.all += store->sample_count();
    }
    for (const Timestamp day : days) {
      const TimeRange range{std::max(day, options_.range.min_ms),
                            std::min(day + kDayMs - 1, options_.range.max_ms)};
      if (range.min_ms > range.max_ms) continue;
      TOCSIN_RETURN_IF_ERROR(
          ImportDay(segments, staging, day, range).Annotate("import of " + DayText(day)));
    }
    return Status::Ok();
  }

  Status ImportDay(SegmentStore& segments, const ImportStaging& staging, Timestamp day,
                   TimeRange range) {
    progress_.what = DayText(day);
    options_.progress(progress_);
    const auto write = [&](TimeRange part, uint8_t level, Timestamp window) {
      SegmentMeta meta = segments.NewMeta(level);
      meta.cuts = {{0, window, commit_}};
      return WritePart(staging, part, std::move(meta));
    };
    if (EstimateRowBytes(range) <= options_.row_bytes_max)
      return write(range, kMaxSegmentLevel, day);
    for (Timestamp quarter = day; quarter < day + kDayMs; quarter += kQuarterDayMs) {
      const TimeRange part{std::max(quarter, range.min_ms),
                           std::min(quarter + kQuarterDayMs - 1, range.max_ms)};
      if (part.min_ms > part.max_ms) continue;
      TOCSIN_RETURN_IF_ERROR(write(part, 1, quarter));
    }
    return Status::Ok();
  }

  Status WritePart(const ImportStaging& staging, TimeRange range, SegmentMeta meta) {
    const std::string path =
        JoinPath(staging.directory(), meta.id.ToHex()) + std::string(kSegmentSuffix);
    TOCSIN_ASSIGN_OR_RETURN_STATUS(const SegmentMeta written,
                                   WriteImportSegment(
                                       env_, stores_, range, path, std::move(meta),
                                       [this](uint64_t samples) {
                                         progress_.done += samples;
                                         options_.progress(progress_);
                                       },
                                       &report_.counts));
    if (written.sample_count == 0) return env_.Remove(path);
    ++report_.segments;
    report_.segment_bytes += written.file_bytes;
    report_.range.min_ms = std::min(report_.range.min_ms, written.range.min_ms);
    report_.range.max_ms = std::max(report_.range.max_ms, written.range.max_ms);
    return env_.Rename(path, JoinPath(staging.directory(), SegmentFileName(written)));
  }

  // What the rows of all sources may take: 8 bytes each, as many as a series has samples in a day.
  // The sources are not known yet; job and instance tell nearly all of them.
  uint64_t EstimateRowBytes(TimeRange range) {
    std::set<std::pair<std::string, std::string>> sources;
    uint64_t rows = 0;
    ChunkSamples samples;
    SkippedData known;
    model::Labels labels;
    for (const auto& store : stores_) {
      for (uint64_t i = 0; i < store->series_count(); ++i) {
        SkippedData noted_later;
        if (!store->FindLabels(i, range, &labels, &noted_later)) continue;
        const auto [at, fresh] =
            sources.emplace(labels.Get(model::kJobLabel), labels.Get(model::kInstanceLabel));
        if (!fresh) continue;
        // Each source's first series stands for it while there are few, then the average does.
        if (sources.size() > kRowSamples) continue;
        samples.Clear();
        store->ReadSamples(i, range, &samples, &known);
        rows += samples.size();
      }
    }
    if (sources.size() > kRowSamples) rows = rows / kRowSamples * sources.size();
    return rows * sizeof(Timestamp);
  }

  static constexpr size_t kRowSamples = 256;

  Env& env_;
  const ImportOptions& options_;
  const SampleStores stores_;
  ImportReport& report_;
  ImportProgress progress_;
  uint64_t commit_ = 0;
  uint64_t seed_ = 0;
};

struct FoundBlocks {
  std::vector<std::unique_ptr<SampleStore>> stores;
  Timestamp ordered_end_ms = model::kMinTimestamp;
};

// Opens the blocks of a directory, in order of time. A block that a compaction has replaced may
// still be there: it is passed over.
Result<FoundBlocks> FindBlocks(Env& env, const std::string& directory, TimeRange range,
                               ImportReport* report) {
  TOCSIN_ASSIGN_OR_RETURN(const std::vector<std::string> names, env.ListDir(directory));
  std::vector<std::pair<BlockMeta, std::string>> found;
  std::set<std::string> replaced;
  // The directory of one block stands for itself.
  const bool is_block = std::binary_search(names.begin(), names.end(), kBlockMetaFile);
  for (const std::string& name : is_block ? std::vector<std::string>{directory} : names) {
    if (name.starts_with(kHeadSnapshotPrefix) && !name.ends_with(".tmp"))
      report->head_snapshots.push_back(name);
    if (!is_block && !IsUlid(name)) continue;
    const std::string path = JoinPath(directory, name);
    auto meta = ReadBlockMeta(env, path);
    if (!meta) {
      report->refused_blocks.emplace_back(BaseName(name), meta.error().message());
      continue;
    }
    meta->ulid = BaseName(name);
    replaced.insert(meta->parents.begin(), meta->parents.end());
    found.emplace_back(*std::move(meta), path);
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return std::tie(a.first.min_ms, a.first.ulid) < std::tie(b.first.min_ms, b.first.ulid);
  });
  FoundBlocks blocks;
  for (const auto& [meta, path] : found) {
    if (replaced.contains(meta.ulid)) {
      ++report->superseded_blocks;
      continue;
    }
    if (!meta.from_out_of_order)
      blocks.ordered_end_ms = std::max(blocks.ordered_end_ms, meta.end_ms);
    if (!meta.Overlaps(range)) continue;
    auto block = Block::Open(env, path);
    if (!block) {
      report->refused_blocks.emplace_back(meta.ulid, block.error().message());
      continue;
    }
    ++report->blocks;
    blocks.stores.push_back(std::make_unique<BlockStore>(*std::move(block)));
  }
  return blocks;
}

}  // namespace

bool ImportReport::damaged() const {
  return !refused_blocks.empty() || lacks_log() || counts.skipped.damaged() ||
         head.wal.damaged_places > 0 || head.wbl.damaged_places > 0 ||
         head.damaged_chunk_files > 0 || head.damaged_records > 0 || head.unknown_records > 0 ||
         head.chunks_without_series > 0 || head.samples_without_series > 0 ||
         head.samples_outside_time > 0;
}

Status ImportStores(Env& env, const ImportOptions& options, SampleStores stores,
                    ImportReport* report) {
  return Importer(env, options, stores, report).Run();
}

Result<ImportReport> ImportPrometheus(Env& env, const ImportOptions& options) {
  ImportReport report;
  // A Prometheus that runs holds its lock, and its files change under our hands. None is made here,
  // and one that cannot be opened (a read-only disk) tells nothing.
  const std::string lock_path = JoinPath(options.from, "lock");
  std::unique_ptr<FileLock> lock;
  if (env.Exists(lock_path)) {
    auto locked = env.LockFile(lock_path);
    if (!locked && locked.error().code() == Code::kUnavailable)
      return Error(Status(locked.error()).Annotate("a Prometheus runs on the data; stop it first"));
    if (locked) lock = *std::move(locked);
  }
  TOCSIN_ASSIGN_OR_RETURN(FoundBlocks blocks,
                          FindBlocks(env, options.from, options.range, &report));
  TOCSIN_ASSIGN_OR_RETURN(
      std::unique_ptr<HeadStore> head,
      HeadStore::Open(env, options.from, blocks.ordered_end_ms, [&](uint64_t done, uint64_t all) {
        options.progress({"reading the log", done, all});
      }));
  report.head = head->stats();
  report.metadata = head->metadata();
  report.head_series = head->series_count();
  report.counts.skipped.rounded_histograms = head->stats().rounded_histograms;
  std::vector<SeriesExemplar> exemplars = head->TakeExemplars();
  std::erase_if(exemplars, [&options](const SeriesExemplar& one) {
    return !options.range.Contains(one.exemplar.timestamp_ms);
  });
  if (head->series_count() > 0) blocks.stores.push_back(std::move(head));
  if (blocks.stores.empty() && report.refused_blocks.empty()) {
    return Error(Code::kNotFound,
                 options.from + ": no data of Prometheus: neither blocks nor a write-ahead log");
  }
  TOCSIN_TRY(ImportStores(env, options, blocks.stores, &report));
  auto taken = ImportExemplars(env, options.dir, std::move(exemplars));
  if (!taken) {
    return Error(Status(taken.error()).Annotate("samples are imported, exemplars are not all"));
  }
  report.exemplars = *taken;
  return report;
}

}  // namespace tocsin::tsdb
