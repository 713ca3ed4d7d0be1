#include "daemon/storage_options.h"

#include <cmath>

#include "base/byte_size.h"
#include "base/duration.h"
#include "base/number.h"

namespace tocsin::daemon {
namespace {

constexpr int64_t kDefaultRetentionMs = int64_t{15} * 24 * 60 * 60 * 1000;

}  // namespace

tsdb::StoragePolicy StoragePolicyOf(const ServeFlags& flags, const Config& config,
                                    const TocsinConfig& tocsin) {
  const TocsinConfig::Storage& ours = tocsin.storage;
  const StorageConfig& theirs = config.storage;
  tsdb::StoragePolicy policy;
  policy.retention_ms = ours.retention_ms.value_or(
      theirs.retention_ms.value_or(flags.retention_given ? flags.retention_ms : 0));
  policy.retention_bytes =
      ours.retention_bytes.value_or(theirs.retention_bytes.value_or(flags.retention_bytes));
  policy.retention_disk_share =
      ours.retention_disk_share.value_or(theirs.retention_disk_share.value_or(0));
  // Zero said by name in tocsin.yml is "for ever".
  if (policy.retention_ms == 0 && policy.retention_bytes == 0 && policy.retention_disk_share == 0 &&
      !ours.retention_ms) {
    policy.retention_ms = kDefaultRetentionMs;
  }
  policy.retention_rules = ours.retention_rules;
  if (ours.free_space_floor) {
    policy.free_space_floor_bytes = ours.free_space_floor->bytes;
    policy.free_space_floor_disk_share = ours.free_space_floor->disk_share;
  }
  policy.rollups = ours.rollups;
  policy.compaction_cpu_share = ours.compaction_cpu_share.value_or(policy.compaction_cpu_share);
  return policy;
}

tsdb::DatabaseOptions StorageOptions(const ServeFlags& flags, const Config& config,
                                     const TocsinConfig& tocsin) {
  tsdb::DatabaseOptions options;
  options.dir = flags.storage_path;
  options.out_of_order_window_ms =
      config.storage.out_of_order_time_window_ms.value_or(options.out_of_order_window_ms);
  options.policy = StoragePolicyOf(flags, config, tocsin);
  if (config.storage.exemplars_max)
    options.exemplars_max = static_cast<size_t>(*config.storage.exemplars_max);
  if (flags.synced_writes) options.minimum_durability = model::Durability::kSynced;
  if (flags.never_sync) options.wal_sync_interval_ms = 0;
  options.wal_compression = flags.wal_compression;
  options.open_early = true;
  return options;
}

std::string DescribeRetention(const tsdb::StoragePolicy& policy) {
  std::string text;
  const auto add = [&](const std::string& limit) {
    if (!text.empty()) text += " or ";
    text += limit;
  };
  if (policy.retention_ms > 0) add(FormatDuration(policy.retention_ms));
  if (policy.retention_bytes > 0) add(FormatByteSize(static_cast<int64_t>(policy.retention_bytes)));
  if (policy.retention_disk_share > 0)
    add(FormatFloat(std::round(policy.retention_disk_share * 1e8) / 1e6) + "%");
  return text;
}

}  // namespace tocsin::daemon
