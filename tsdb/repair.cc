#include "tsdb/repair.h"

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "tsdb/database.h"
#include "tsdb/quarantine.h"
#include "tsdb/readable.h"
#include "tsdb/rollup/rollup_file.h"
#include "tsdb/segment/segment_file.h"
#include "tsdb/segment/writer.h"
#include "tsdb/segment_store.h"
#include "tsdb/store_directory.h"

namespace tocsin::tsdb {
namespace {

using model::Timestamp;

constexpr size_t kCopyBytes = 1 << 20;

// A column's readable samples, put together from pieces. The views live until the next Clear.
class SavedColumn {
 public:
  void Clear() {
    timestamps_.clear();
    values_.clear();
    starts_.clear();
    histogram_timestamps_.clear();
    histograms_.clear();
  }
  void Add(const model::Column& piece) {
    timestamps_.insert(timestamps_.end(), piece.timestamps.begin(), piece.timestamps.end());
    values_.insert(values_.end(), piece.values.begin(), piece.values.end());
    starts_.insert(starts_.end(), piece.start_timestamps.begin(), piece.start_timestamps.end());
    starts_.resize(timestamps_.size());
    for (size_t i = 0; i < piece.histograms.size(); ++i) {
      histogram_timestamps_.push_back(piece.histogram_timestamps[i]);
      histograms_.push_back(*piece.histograms[i]);
    }
  }
  model::Column View() {
    pointers_.clear();
    for (const model::Histogram& h : histograms_) pointers_.push_back(&h);
    model::Column column;
    column.timestamps = timestamps_;
    column.values = values_;
    column.start_timestamps = starts_;
    column.histogram_timestamps = histogram_timestamps_;
    column.histograms = pointers_;
    return column;
  }

 private:
  std::vector<Timestamp> timestamps_;
  std::vector<double> values_;
  std::vector<Timestamp> starts_;
  std::vector<Timestamp> histogram_timestamps_;
  std::vector<model::Histogram> histograms_;
  std::vector<const model::Histogram*> pointers_;
};

// Copies what is sound of one segment.
class SegmentSaver {
 public:
  SegmentSaver(const SegmentFile& from, RepairReport::Damaged* report)
      : from_(from), cursor_(from), report_(*report) {}

  Status CopyTo(SegmentWriter& writer) {
    CopyDictionary(writer);
    for (size_t block = 0; block < from_.DirectoryBlockCount().value_or(0); ++block) {
      std::vector<ColumnRef> columns;
      // A damaged block names none, or those in front of the damage.
      static_cast<void>(from_.ReadDirectoryBlock(block, &columns));
      for (const ColumnRef& ref : columns) CopyColumn(ref, writer);
    }
    return Status::Ok();
  }

 private:
  // Sources and keys keep their order; those that cannot be read have no number in the copy.
  void CopyDictionary(SegmentWriter& writer) {
    rows_.resize(from_.source_count());
    sources_.assign(from_.source_count(), kNoId);
    keys_.assign(from_.key_count(), kNoId);
    for (uint32_t s = 0; s < from_.source_count(); ++s) {
      const auto labels = from_.SourceLabels(s);
      const auto origin = from_.SourceOrigin(s);
      if (!labels || !origin) continue;
      if (!cursor_.ReadRowTimestamps(s, &rows_[s]).ok()) rows_[s].clear();
      sources_[s] = writer.AddSource(*origin, *labels, rows_[s]);
    }
    for (uint32_t k = 0; k < from_.key_count(); ++k) {
      const auto labels = from_.KeyLabels(k);
      if (labels) keys_[k] = writer.AddKey(*labels);
    }
  }

  void CopyColumn(const ColumnRef& ref, SegmentWriter& writer) {
    if (ref.source >= sources_.size() || ref.key >= keys_.size()) return;
    const uint32_t source = sources_[ref.source];
    const uint32_t key = keys_[ref.key];
    if (source == kNoId || key == kNoId) {
      ++report_.columns_lost;
      return;
    }
    model::Column column;
    Clear();
    if (!cursor_.Read(ref, model::TimeRange(), &batch_, &column).ok()) {
      column = ReadPieces(ref);
      const bool any = !column.timestamps.empty() || !column.histograms.empty();
      ++(any ? report_.columns_cut : report_.columns_lost);
    }
    // Encoding a column again needs what reading promises; damage may have slipped past a checksum.
    if (column.timestamps.empty() && column.histograms.empty()) return;
    writer.AddColumn(source, key, column);
  }

  model::Column ReadPieces(const ColumnRef& ref) {
    saved_.Clear();
    const model::TimeRange range = from_.meta().range;
    for (Timestamp w = WindowStart(range.min_ms); w <= range.max_ms; w += kWindowMs) {
      Clear();
      model::Column piece;
      if (cursor_.Read(ref, {w, w + kWindowMs - 1}, &batch_, &piece).ok()) saved_.Add(piece);
    }
    return saved_.View();
  }

  void Clear() {
    batch_.Clear();
    cursor_.BatchCleared();
  }

  const SegmentFile& from_;
  SegmentCursor cursor_;
  RepairReport::Damaged& report_;
  std::vector<std::vector<Timestamp>> rows_;
  std::vector<uint32_t> sources_;
  std::vector<uint32_t> keys_;
  model::ColumnBatch batch_;
  SavedColumn saved_;
};

Status CopyFile(Env& env, const std::string& from, const std::string& to) {
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const auto in, env.NewRandomAccessFile(from));
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const auto out, env.NewWritableFile(to, WriteMode::kTruncate));
  std::string buffer(kCopyBytes, '\0');
  for (uint64_t at = 0; at < in->size();) {
    TOCSIN_ASSIGN_OR_RETURN_STATUS(const size_t count, in->Read(at, buffer.data(), buffer.size()));
    if (count == 0) break;
    TOCSIN_RETURN_IF_ERROR(out->Append(std::string_view(buffer).substr(0, count)));
    at += count;
  }
  TOCSIN_RETURN_IF_ERROR(out->Sync());
  return out->Close();
}

Status RewriteSegment(Env& env, const std::string& dir, const Version::Segment& segment,
                      SegmentStore& store, RepairReport::Damaged* report) {
  const auto& file = static_cast<const SegmentFile&>(*segment);
  report->samples = file.meta().sample_count;
  SegmentMeta meta = store.NewMeta(file.meta().level);
  meta.shard = file.meta().shard;
  meta.cuts = file.meta().cuts;
  // Rollups that were made from the original are made anew.
  meta.replaces = file.meta().replaces;
  meta.replaces.push_back(file.meta().id);
  std::sort(meta.replaces.begin(), meta.replaces.end());
  meta.deletes_applied = file.meta().deletes_applied;
  const auto write = [&](const std::string& path) -> Result<SegmentMeta> {
    SegmentWriter::Options options;
    options.sorted_input = true;
    options.facts = meta.level == kMaxSegmentLevel;
    SegmentWriter writer(env, path, meta, std::move(options));
    TOCSIN_TRY(writer.Open());
    TOCSIN_TRY(SegmentSaver(file, report).CopyTo(writer));
    auto written = writer.Finish();
    if (written) {
      report->samples_saved = written->sample_count;
      report->rewritten_to = SegmentFileName(*written);
    }
    return written;
  };
  // A disk that cannot even read the file need not keep us from saving the rest of it.
  const std::string quarantine = JoinPath(dir, "quarantine");
  Status kept = env.CreateDirs(quarantine);
  if (kept.ok()) kept = CopyFile(env, file.path(), JoinPath(quarantine, BaseName(file.path())));
  if (!kept.ok()) report->reason += "; it cannot be kept: " + kept.message();
  TOCSIN_RETURN_IF_ERROR(store.Add(meta, write, std::span(&segment, 1), nullptr));
  report->rewritten = true;
  return Status::Ok();
}

// Replays the log and seals what it holds, when it is damaged.
Status RepairLog(Env& env, const std::string& dir, RepairReport* report) {
  DatabaseOptions options;
  options.dir = dir;
  options.env = &env;
  options.background = false;
  options.read_only = true;
  options.policy.retention_ms = 0;
  const std::string log_dir = JoinPath(dir, "wal");
  {
    TOCSIN_ASSIGN_OR_RETURN_STATUS(const auto looking, Database::Open(options));
    for (Damage& damage : looking->Damages()) {
      if (damage.path.starts_with(log_dir)) report->damaged_logs.push_back(std::move(damage));
    }
  }
  if (report->damaged_logs.empty()) return Status::Ok();
  const std::string quarantine = JoinPath(dir, "quarantine");
  TOCSIN_RETURN_IF_ERROR(env.CreateDirs(quarantine));
  for (const auto& [path, reason, harmless] : report->damaged_logs) {
    if (path == log_dir || !env.Exists(path)) continue;  // what is missing has no copy
    TOCSIN_RETURN_IF_ERROR(CopyFile(env, path, JoinPath(quarantine, BaseName(path)) + ".damaged"));
  }
  TOCSIN_RETURN_IF_ERROR(env.SyncDir(quarantine));
  options.read_only = false;
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const auto database, Database::Open(options));
  TOCSIN_RETURN_IF_ERROR(database->Seal({}));
  return database->Close();
}

Status RepairSegments(Env& env, const std::string& dir, RepairReport* report,
                      const std::function<void(uint64_t, uint64_t)>& progress) {
  const auto seed = env.ReadFile(JoinPath(dir, kSeedFile));
  const bool known = seed && seed->size() == sizeof(uint64_t);
  Quarantine quarantine(env, JoinPath(dir, "quarantine"));
  SegmentStore store(env, JoinPath(dir, "segments"), known ? LoadFixed<uint64_t>(seed->data()) : 0,
                     quarantine);
  TOCSIN_RETURN_IF_ERROR(store.Open());
  std::vector<Damage> put_aside = quarantine.list();
  MarkHarmless(&put_aside);
  for (Damage& damage : put_aside)
    static_cast<Damage&>(report->damaged.emplace_back()) = std::move(damage);
  report->missing = store.losses().missing;
  const std::shared_ptr<const Version> version = store.Current();
  for (const Version::Segment& segment : version->segments) {
    progress(report->segments++, version->segments.size());
    const Status sound = segment->Verify();
    if (sound.ok()) continue;
    RepairReport::Damaged damaged;
    damaged.path = segment->path();
    damaged.reason = sound.message();
    TOCSIN_RETURN_IF_ERROR(
        RewriteSegment(env, dir, segment, store, &damaged).Annotate(segment->path()));
    report->damaged.push_back(std::move(damaged));
  }
  return Status::Ok();
}

// Rollups are made anew from their segments: a damaged one only has to go.
Status RepairRollups(Env& env, const std::string& dir, RepairReport* report) {
  const std::string folder = JoinPath(dir, "rollups");
  Quarantine quarantine(env, JoinPath(dir, "quarantine"));
  for (const std::string& name : env.ListDir(folder).value_or(std::vector<std::string>())) {
    if (!name.ends_with(kRollupSuffix)) continue;
    RepairReport::Damaged damaged;
    damaged.path = JoinPath(folder, name);
    const auto file = RollupFile::Open(env, damaged.path, 0);
    if (!file && file.error().code() == Code::kUnimplemented) return file.error();
    const Status sound = file ? (*file)->Verify() : Status(file.error());
    if (sound.ok()) continue;
    damaged.reason = sound.message();
    quarantine.Put(damaged.path, damaged.reason);
    report->damaged.push_back(std::move(damaged));
  }
  return Status::Ok();
}

}  // namespace

Result<RepairReport> RepairStore(Env& env, const std::string& dir,
                                 const std::function<void(uint64_t, uint64_t)>& progress) {
  RepairReport report;
  TOCSIN_TRY(CheckIsStore(env, dir));
  {
    TOCSIN_ASSIGN_OR_RETURN(const auto lock, env.LockFile(JoinPath(dir, "lock")));
    TOCSIN_TRY(CheckReadable(env, dir));
    TOCSIN_TRY(RepairSegments(env, dir, &report, progress));
    TOCSIN_TRY(RepairRollups(env, dir, &report));
  }
  TOCSIN_TRY(RepairLog(env, dir, &report));  // a database of its own takes the lock
  return report;
}

}  // namespace tocsin::tsdb
