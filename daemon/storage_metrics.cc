#include "daemon/storage_metrics.h"

#include <functional>
#include <string>

#include "model/storage.h"
#include "tsdb/database.h"

namespace tocsin::daemon {
namespace {

using tsdb::DatabaseCounters;
using tsdb::DatabaseSizes;

struct CounterRow {
  const char* name;
  const char* help;
  uint64_t DatabaseCounters::* member;
};

constexpr CounterRow kCounters[] = {
    {"tocsin_tsdb_batches_committed_total", "Batches published.",
     &DatabaseCounters::batches_committed},
    {"tocsin_tsdb_rows_committed_total", "Rows published.", &DatabaseCounters::rows_committed},
    {"tocsin_tsdb_samples_committed_total", "Samples published.",
     &DatabaseCounters::samples_committed},
    {"tocsin_tsdb_samples_late_total",
     "Published samples that were older than their series' last one.",
     &DatabaseCounters::samples_late},
    {"tocsin_tsdb_batches_refused_total", "Batches of which nothing was kept.",
     &DatabaseCounters::batches_refused},
    {"tocsin_tsdb_series_refused_total", "New series over a limit.",
     &DatabaseCounters::series_refused},
    {"tocsin_tsdb_wal_written_bytes_total", "Bytes written to log files.",
     &DatabaseCounters::wal_bytes_written},
    {"tocsin_tsdb_wal_write_failures_total", "Failed writes to log files.",
     &DatabaseCounters::wal_write_failures},
    {"tocsin_tsdb_wal_syncs_total", "Syncs of log files.", &DatabaseCounters::wal_syncs},
    {"tocsin_tsdb_wal_sync_failures_total", "Failed syncs of log files.",
     &DatabaseCounters::wal_sync_failures},
    {"tocsin_tsdb_wal_backpressure_waits_total", "Commits that waited for room in a log buffer.",
     &DatabaseCounters::wal_backpressure_waits},
    {"tocsin_tsdb_seals_total", "Windows sealed into segments.", &DatabaseCounters::seals},
    {"tocsin_tsdb_seal_failures_total", "Seals that failed and will be tried again.",
     &DatabaseCounters::seal_failures},
    {"tocsin_tsdb_samples_sealed_total", "Samples written into segments by seals.",
     &DatabaseCounters::samples_sealed},
    {"tocsin_tsdb_deletes_total", "Deletes of series.", &DatabaseCounters::deletes},
    {"tocsin_tsdb_matcher_cache_hits_total",
     "Regular expressions answered from what an earlier query found, by part of the index.",
     &DatabaseCounters::matcher_cache_hits},
    {"tocsin_tsdb_matcher_cache_misses_total",
     "Regular expressions judged anew, by part of the index.",
     &DatabaseCounters::matcher_cache_misses},
    {"tocsin_tsdb_merges_total", "Merges of segments.", &DatabaseCounters::merges},
    {"tocsin_tsdb_merge_failures_total", "Merges that failed and will be tried again.",
     &DatabaseCounters::merge_failures},
    {"tocsin_tsdb_segments_deleted_total", "Segments deleted by retention.",
     &DatabaseCounters::segments_deleted_by_retention},
    {"prometheus_tsdb_time_retentions_total", "Segments deleted because their time was past.",
     &DatabaseCounters::segments_deleted_by_time},
    {"prometheus_tsdb_size_retentions_total", "Segments deleted because of the retention size.",
     &DatabaseCounters::segments_deleted_by_size},
    {"tocsin_tsdb_quarantined_files_total", "Damaged files put aside.",
     &DatabaseCounters::quarantined_files},
    {"tocsin_tsdb_replay_damaged_places_total", "Runs of damaged bytes skipped at the last start.",
     &DatabaseCounters::replay_damaged_places},
    {"tocsin_tsdb_replay_lost_frames_total", "Frames dropped at the last start.",
     &DatabaseCounters::replay_lost_frames},
    {"tocsin_tsdb_rollups_written_total", "Rollup files written.",
     &DatabaseCounters::rollups_written},
    {"tocsin_tsdb_rollup_failures_total", "Days that could not be rolled up at a try.",
     &DatabaseCounters::rollup_failures},
    {"tocsin_tsdb_rollups_deleted_total", "Rollup files deleted past their retention.",
     &DatabaseCounters::rollups_deleted},
    {"tocsin_tsdb_replay_torn_tails_total",
     "Log files that ended within a write at the last start.",
     &DatabaseCounters::replay_torn_tails},
    {"tocsin_tsdb_replay_missing_log_files_total", "Log files missing at the last start.",
     &DatabaseCounters::replay_missing_log_files},
    {"prometheus_tsdb_head_samples_appended_total", "Samples published.",
     &DatabaseCounters::samples_committed},
    {"prometheus_tsdb_wal_corruptions_total", "Runs of damaged bytes skipped at the last start.",
     &DatabaseCounters::replay_damaged_places},
};

struct SizeRow {
  const char* name;
  const char* help;
  double (*read)(const DatabaseSizes& sizes);
};

constexpr SizeRow kSizes[] = {
    {"tocsin_tsdb_head_bytes", "Frames, restarts and late rows in memory.",
     [](const DatabaseSizes& s) { return static_cast<double>(s.head_bytes); }},
    {"tocsin_tsdb_index_bytes", "The head's index in memory.",
     [](const DatabaseSizes& s) { return static_cast<double>(s.index_bytes); }},
    {"tocsin_tsdb_matcher_cache_bytes",
     "What regular expressions selected in segments; of the head's index it is in that.",
     [](const DatabaseSizes& s) { return static_cast<double>(s.matcher_cache_bytes); }},
    {"tocsin_tsdb_head_series", "Series in the head.",
     [](const DatabaseSizes& s) { return static_cast<double>(s.series); }},
    {"tocsin_tsdb_wal_bytes", "Log files on disk.",
     [](const DatabaseSizes& s) { return static_cast<double>(s.wal_bytes); }},
    {"tocsin_tsdb_segment_bytes", "Segments on disk.",
     [](const DatabaseSizes& s) { return static_cast<double>(s.segment_bytes); }},
    {"tocsin_tsdb_tombstones", "Deletes whose samples are still in some file.",
     [](const DatabaseSizes& s) { return static_cast<double>(s.tombstones); }},
    {"tocsin_tsdb_segments", "Segments on disk.",
     [](const DatabaseSizes& s) { return static_cast<double>(s.segments); }},
    {"tocsin_tsdb_rollup_bytes", "Rollup files on disk.",
     [](const DatabaseSizes& s) { return static_cast<double>(s.rollup_bytes); }},
    {"tocsin_tsdb_rollups", "Rollup files on disk.",
     [](const DatabaseSizes& s) { return static_cast<double>(s.rollups); }},
    {"tocsin_tsdb_disk_bytes", "Files of the database: log, segments, what was put aside.",
     [](const DatabaseSizes& s) { return static_cast<double>(s.disk_bytes); }},
    {"tocsin_tsdb_below_free_space_floor", "1 while samples are refused for want of free space.",
     [](const DatabaseSizes& s) { return s.below_free_space_floor ? 1.0 : 0.0; }},
    {"tocsin_tsdb_days_waiting", "Closed days that are not merged into one file yet.",
     [](const DatabaseSizes& s) { return static_cast<double>(s.days_waiting); }},
    {"tocsin_tsdb_compaction_paused", "1 while merges are paused.",
     [](const DatabaseSizes& s) { return s.compaction_paused ? 1.0 : 0.0; }},
    {"prometheus_tsdb_storage_blocks_bytes", "Segments on disk.",
     [](const DatabaseSizes& s) { return static_cast<double>(s.segment_bytes); }},
    {"prometheus_tsdb_retention_limit_bytes",
     "Most bytes that the database may take, of size and percentage the smaller; 0: no limit.",
     [](const DatabaseSizes& s) { return static_cast<double>(s.disk_bytes_max); }},
    {"prometheus_tsdb_head_series", "Series in the head.",
     [](const DatabaseSizes& s) { return static_cast<double>(s.series); }},
    {"prometheus_tsdb_lowest_timestamp_seconds", "Time of the oldest stored sample.",
     [](const DatabaseSizes& s) { return static_cast<double>(s.lowest_ms) / 1000; }},
};

}  // namespace

std::vector<MetricCallback> RegisterStorageMetrics(SelfMetrics* metrics,
                                                   const tsdb::Database* database) {
  std::vector<MetricCallback> callbacks;
  constexpr auto kCounter = SelfMetrics::CallbackKind::kCounter;
  for (const CounterRow& row : kCounters) {
    callbacks.push_back(metrics->AddCallback(
        row.name, row.help, {},
        [database, member = row.member] {
          return static_cast<double>(database->counters().*member);
        },
        kCounter));
  }
  for (const SizeRow& row : kSizes) {
    callbacks.push_back(metrics->AddCallback(
        row.name, row.help, {}, [database, read = row.read] { return read(database->sizes()); }));
  }
  for (size_t outcome = 1; outcome < std::size(DatabaseCounters{}.samples_refused); ++outcome) {
    const auto reason = model::AppendOutcomeName(static_cast<model::AppendOutcome>(outcome));
    callbacks.push_back(metrics->AddCallback(
        "tocsin_lost_samples_total", "Samples received and not kept.",
        {{"reason", std::string(reason)}},
        [database, outcome] {
          return static_cast<double>(database->counters().samples_refused[outcome]);
        },
        kCounter));
  }
  const std::pair<const char*, uint64_t DatabaseCounters::*> others[] = {
      {"refused_with_batch", &DatabaseCounters::samples_refused_with_batch},
      {"log_damage", &DatabaseCounters::replay_lost_samples},
      {"tail_gap", &DatabaseCounters::tail_lost_samples},
  };
  for (const auto& [reason, member] : others) {
    callbacks.push_back(metrics->AddCallback(
        "tocsin_lost_samples_total", "Samples received and not kept.", {{"reason", reason}},
        [database, member] { return static_cast<double>(database->counters().*member); },
        kCounter));
  }
  callbacks.push_back(metrics->AddCallback(
      "prometheus_tsdb_retention_limit_seconds", "How long samples are kept; 0: for ever.", {},
      [database] { return static_cast<double>(database->policy().retention_ms) / 1000; }));
  for (const auto& [reason, member] :
       {std::pair{"segment_missing", &DatabaseCounters::samples_lost_missing},
        std::pair{"segment_damaged", &DatabaseCounters::samples_lost_damaged}}) {
    callbacks.push_back(metrics->AddCallback(
        "tocsin_lost_samples_total", "Samples received and not kept.", {{"reason", reason}},
        [database, member] { return static_cast<double>(database->counters().*member); },
        kCounter));
  }
  callbacks.push_back(metrics->AddCallback(
      "tocsin_tsdb_replay_seconds", "How long the log files were read at the last start.", {},
      [database] { return static_cast<double>(database->counters().replay_ms) / 1000; }));
  return callbacks;
}

}  // namespace tocsin::daemon
