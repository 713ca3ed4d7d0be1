#include "tsdb/snapshot_log.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/mutex.h"
#include "tsdb/wal/log_format.h"
#include "tsdb/wal/log_writer.h"
#include "tsdb/wal/records.h"

namespace tocsin::tsdb {
namespace {

struct Found {
  SourceId source;
  model::Slot slot;
  model::Exemplar exemplar;
  uint64_t commit;
};

// The source, and pages in which only the slots of exemplars stand for something.
void PutDictionary(const HeadIndex::Pin& pin, const Source& source,
                   const std::set<model::Slot>& slots, std::set<KeyId>* keys_put,
                   std::string* out) {
  PutSourceRecord(*out, source.id, source.incarnation, source.origin, source.labels);
  for (auto at = slots.begin(); at != slots.end();) {
    const uint32_t page = *at / kFrameSlotsMax;
    std::vector<KeyId> keys;
    for (; at != slots.end() && *at / kFrameSlotsMax == page; ++at) {
      const KeyId key = pin.KeyAt(source.id, *at);
      if (key == kNoId) continue;
      if (keys_put->insert(key).second) PutKeyRecord(*out, key, pin.KeyLabels(key));
      keys.resize(*at % kFrameSlotsMax, kNoId);
      keys.push_back(key);
    }
    if (!keys.empty()) PutLayoutRecord(*out, source.id, page, 0, keys);
  }
}

}  // namespace

SnapshotLog CollectSnapshotLog(Head& head, uint64_t commit,
                               const std::vector<std::pair<std::string, std::string>>& marks) {
  for (size_t s = 0; s < head.shard_count(); ++s) {
    MutexLock published(head.shard(s).mutex);
  }
  SnapshotLog log;
  log.records.resize(head.shard_count());
  const EpochDomain::Pin sources_stay = head.NewPin();
  const HeadIndex::Pin pin = head.index().NewPin();
  std::vector<std::vector<Found>> found(head.shard_count());
  head.exemplars().ForEach(
      [&](SourceId id, model::Slot slot, const model::Exemplar& exemplar, uint64_t number) {
        const Source* source = head.FindSource(id);
        if (number <= commit && source != nullptr)
          found[source->shard].push_back({id, slot, exemplar, number});
      });
  for (size_t s = 0; s < found.size(); ++s) {
    std::string& out = log.records[s];
    std::map<SourceId, std::set<model::Slot>> places;
    for (const Found& one : found[s]) places[one.source].insert(one.slot);
    std::set<KeyId> keys_put;
    for (const auto& [id, slots] : places)
      PutDictionary(pin, *head.FindSource(id), slots, &keys_put, &out);
    // Each under its own number, by which deletes tell what was there before them.
    std::stable_sort(found[s].begin(), found[s].end(),
                     [](const Found& a, const Found& b) { return a.commit < b.commit; });
    for (size_t i = 0; i < found[s].size(); ++i) {
      const Found& one = found[s][i];
      PutExemplarRecord(out, one.source, one.slot, one.exemplar);
      if (i + 1 == found[s].size() || found[s][i + 1].commit != one.commit)
        PutCommitRecord(out, one.commit, uint64_t{1} << s);
    }
    if (s == 0) {
      for (const auto& [key, bytes] : marks) PutMarkRecord(out, key, bytes);
    }
    if (!out.empty()) PutCommitRecord(out, commit, 0);
  }
  return log;
}

Status WriteSnapshotLog(Env& env, const std::string& directory, const SnapshotLog& log) {
  const bool any = std::any_of(log.records.begin(), log.records.end(),
                               [](const std::string& records) { return !records.empty(); });
  if (!any) return Status::Ok();
  TOCSIN_RETURN_IF_ERROR(env.CreateDirs(directory));
  LogFileHeader header;
  header.shard_count = static_cast<uint8_t>(log.records.size());
  header.epoch = env.RandomUint64();
  header.number = 1;
  header.base_ms = env.NowMs();
  for (size_t s = 0; s < log.records.size(); ++s) {
    header.shard = static_cast<uint8_t>(s);
    const std::string path = JoinPath(directory, LogFileName(header.shard, header.number));
    if (log.records[s].empty()) {
      // An empty file says that none is missing.
      TOCSIN_ASSIGN_OR_RETURN_STATUS(const auto empty,
                                     env.NewWritableFile(path, WriteMode::kTruncate));
      TOCSIN_RETURN_IF_ERROR(empty->Close());
      continue;
    }
    LogWriter writer(env, path, header);
    TOCSIN_RETURN_IF_ERROR(writer.Write(log.records[s]));
    TOCSIN_RETURN_IF_ERROR(writer.Sync());
    TOCSIN_RETURN_IF_ERROR(writer.Close());
  }
  return env.SyncDir(directory);
}

}  // namespace tocsin::tsdb
