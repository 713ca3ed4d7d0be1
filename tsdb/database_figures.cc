#include "tsdb/database_impl.h"

#include <algorithm>
#include <iterator>
#include <tuple>

namespace tocsin::tsdb {

DatabaseCounters DatabaseImpl::counters() const {
  DatabaseCounters result;
  {
    MutexLock lock(load_mutex_);
    result = recovery_;
  }
  const HeadCounters& head = head_->counters();
  const auto read = [](const std::atomic<uint64_t>& v) {
    return v.load(std::memory_order_relaxed);
  };
  result.batches_committed = read(head.batches_committed);
  result.rows_committed = read(head.rows_committed);
  result.samples_committed = read(head.samples_committed);
  result.samples_late = read(head.samples_late);
  for (size_t i = 0; i < std::size(result.samples_refused); ++i)
    result.samples_refused[i] = read(head.samples_refused[i]);
  result.batches_refused = read(head.batches_refused);
  result.samples_refused_with_batch = read(head.samples_refused_with_batch);
  result.series_refused = read(head.series_refused);
  result.tail_lost_samples = head_->tails().lost_samples();
  result.wal_backpressure_waits = read(head.backpressure_waits);
  for (size_t s = 0; s < head_->shard_count(); ++s) {
    const ShardLog& log = head_->shard(s).log;
    result.wal_bytes_written += log.bytes_written();
    result.wal_write_failures += log.write_failures();
    result.wal_syncs += log.syncs();
    result.wal_sync_failures += log.sync_failures();
  }
  const CompactorCounters& compactor = compactor_->counters();
  // Late duplicates are only told when rows are put in order.
  const auto refused = [&result](model::AppendOutcome outcome) -> uint64_t& {
    return result.samples_refused[static_cast<size_t>(outcome)];
  };
  refused(model::AppendOutcome::kDuplicate) += read(compactor.equal_dropped);
  refused(model::AppendOutcome::kDuplicateTimestamp) += read(compactor.unequal_dropped);
  result.seals = read(compactor.seals);
  result.seal_failures = read(compactor.seal_failures);
  result.samples_sealed = read(compactor.samples_sealed);
  result.merges = read(compactor.merges);
  result.merge_failures = read(compactor.merge_failures);
  const RetentionCounters& retention = compactor_->retention_counters();
  result.segments_deleted_by_time = read(retention.time_deletions);
  result.segments_deleted_by_size = read(retention.size_deletions);
  result.segments_deleted_by_retention =
      result.segments_deleted_by_time + result.segments_deleted_by_size;
  const RollupCounters& rollups = rollups_->counters();
  result.rollups_written = read(rollups.written);
  result.rollup_failures = read(rollups.failures);
  result.rollups_deleted = read(rollups.deleted);
  result.quarantined_files = quarantine_.files();
  result.samples_lost_missing = store_->losses().samples_missing;
  result.samples_lost_damaged = store_->losses().samples_damaged;
  result.deletes = read(deletes_);
  for (const MatcherCache::Figures& cache :
       {head_->index().matcher_cache(), store_->matcher_cache()}) {
    result.matcher_cache_hits += cache.hits;
    result.matcher_cache_misses += cache.misses;
  }
  return result;
}

std::vector<Damage> DatabaseImpl::Damages() const {
  std::vector<Damage> damages = quarantine_.list();
  MarkHarmless(&damages);
  const std::vector<Damage>& missing = store_->losses().missing;
  damages.insert(damages.end(), missing.begin(), missing.end());
  if (const uint64_t files = counters().replay_missing_log_files; files > 0) {
    damages.push_back(
        {JoinPath(options_.dir, "wal"),
         std::to_string(files) + (files == 1 ? " file is" : " files are") + " missing"});
  }
  return damages;
}

DatabaseSizes DatabaseImpl::sizes() const {
  DatabaseSizes result;
  result.head_bytes = head_->run_bytes();
  result.index_bytes = head_->index().memory_bytes();
  result.matcher_cache_bytes = store_->matcher_cache().bytes;
  result.series = head_->index().series_count();
  for (size_t s = 0; s < head_->shard_count(); ++s)
    result.wal_bytes += head_->shard(s).log.total_bytes();
  const std::shared_ptr<const Version> version = store_->Current();
  result.segments = version->segments.size();
  const std::shared_ptr<const RollupSet> rollups = rollups_->Current();
  for (const auto& rollup : *rollups) {
    result.rollup_bytes += rollup->file_bytes();
    ++result.rollups;
    result.lowest_ms = std::min(result.lowest_ms, rollup->range().min_ms);
  }
  result.tombstones = version->tombstones.size();
  for (const Version::Segment& segment : version->segments) {
    result.segment_bytes += segment->meta().file_bytes;
    if (segment->meta().range.min_ms <= segment->meta().range.max_ms)
      result.lowest_ms = std::min(result.lowest_ms, segment->meta().range.min_ms);
  }
  result.lowest_ms = std::min(result.lowest_ms, head_->Span().min_ms);
  result.disk_bytes = budget_.used();
  result.disk_bytes_max = budget_.cap();
  result.below_free_space_floor = budget_.below_floor();
  result.days_waiting = compactor_->counters().days_waiting.load(std::memory_order_relaxed);
  result.compaction_paused = compactor_->paused();
  return result;
}

std::vector<StoredSegment> DatabaseImpl::Segments() const {
  std::vector<StoredSegment> segments;
  for (const auto pinned = store_->Current(); const Version::Segment& segment : pinned->segments) {
    const SegmentMeta& meta = segment->meta();
    segments.push_back({meta.id.bytes, meta.level, meta.range, meta.column_count, meta.sample_count,
                        meta.file_bytes});
  }
  std::sort(segments.begin(), segments.end(), [](const StoredSegment& a, const StoredSegment& b) {
    return std::tuple(a.range.min_ms, a.level, a.id) < std::tuple(b.range.min_ms, b.level, b.id);
  });
  return segments;
}

}  // namespace tocsin::tsdb
