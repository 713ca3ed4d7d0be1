#include "tsdb/rollup/rollup_writer.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "tsdb/rollup/rollup_column.h"
#include "tsdb/rollup/rollup_file.h"
#include "tsdb/segment/format.h"
#include "tsdb/segment/segment_file.h"
#include "tsdb/segment/writer.h"

namespace tocsin::tsdb {

using model::Column;
using model::MetricType;

namespace {

// Timestamps of a source are decoded once per batch; one of so many samples is cleared.
constexpr size_t kBatchSamples = 1 << 20;
constexpr size_t kSamplesPerHistogram = 32;  // that take as much memory
// More decreases than this part of the samples are no counter's resets.
constexpr size_t kSamplesPerReset = 20;

bool HasCounterName(std::string_view name) {
  return name.ends_with("_total") || name.ends_with("_count") || name.ends_with("_sum") ||
         name.ends_with("_bucket");
}

// One output file while it is written.
class RollupWriter {
 public:
  RollupWriter(Env& env, const SegmentReader& input, RollupOutput& output)
      : output_(output), writer_(env, output.path, MetaOf(input, output), SortedInput()) {
    info_.bucket_ms = output.bucket_ms;
    info_.input = input.meta().id;
    info_.input_bytes = input.meta().file_bytes;
    info_.input_samples = input.meta().sample_count;
  }

  Status Open() { return writer_.Open(); }

  void AddSource(const model::Origin& origin, const model::Labels& labels,
                 std::span<const model::Timestamp> rows) {
    writer_.AddSource(origin, labels, {});
    SourceBuckets& buckets = sources_.emplace_back();
    buckets.Fold(rows, output_.bucket_ms);
    EncodeSourceBuckets(buckets, output_.bucket_ms, &source_bytes_.emplace_back());
  }
  void AddKey(const model::Labels& labels) { writer_.AddKey(labels); }

  void AddColumn(const ColumnRef& ref, const Column& column, RollupKind kind) {
    buckets_.Fold(column, output_.bucket_ms);
    bytes_.clear();
    EncodeRollupColumn(buckets_, sources_[ref.source], output_.bucket_ms, kind, &bytes_);
    writer_.AddEncodedColumn(ref.source, ref.key, kColumnFloats, bytes_, column.values.size(),
                             {column.timestamps.front(), column.timestamps.back()});
  }

  void AddHistograms(const ColumnRef& ref, const Column& column) {
    if (!buckets_.FoldHistograms(column, output_.bucket_ms)) return;
    bytes_.clear();
    EncodeHistogramRollup(buckets_, sources_[ref.source], output_.bucket_ms, &bytes_);
    model::TimeRange range{column.histogram_timestamps.front(), column.histogram_timestamps.back()};
    if (!column.timestamps.empty()) {
      range.min_ms = std::min(range.min_ms, column.timestamps.front());
      range.max_ms = std::max(range.max_ms, column.timestamps.back());
    }
    writer_.AddEncodedColumn(ref.source, ref.key, kColumnHistograms, bytes_,
                             column.values.size() + column.histograms.size(), range);
  }

  Status Finish() {
    writer_.AddSection(ExtraSection::kRollup, EncodeRollupSection(info_, source_bytes_));
    TOCSIN_ASSIGN_OR_RETURN_STATUS(output_.meta, writer_.Finish());
    return Status::Ok();
  }

 private:
  static SegmentWriter::Options SortedInput() {
    SegmentWriter::Options options;
    options.sorted_input = true;
    return options;
  }
  static SegmentMeta MetaOf(const SegmentReader& input, const RollupOutput& output) {
    SegmentMeta meta = output.meta;
    meta.level = input.meta().level;
    meta.shard = input.meta().shard;
    meta.cuts = input.meta().cuts;
    // What is deleted from the segment but still in it is in the rollup, too, and masked there.
    meta.deletes_applied = input.meta().deletes_applied;
    return meta;
  }

  RollupOutput& output_;
  RollupInfo info_;
  SegmentWriter writer_;
  std::vector<SourceBuckets> sources_;
  std::vector<std::string> source_bytes_;
  ColumnBuckets buckets_;
  std::string bytes_;
};

class Rolling {
 public:
  Rolling(Env& env, const SegmentReader& input, const TypeOfMetric& type_of,
          const std::function<bool()>& cancelled, std::span<RollupOutput> outputs)
      : input_(input), type_of_(type_of), cancelled_(cancelled), cursor_(input) {
    for (RollupOutput& output : outputs)
      writers_.push_back(std::make_unique<RollupWriter>(env, input, output));
  }

  Status Run() {
    for (const auto& writer : writers_) TOCSIN_RETURN_IF_ERROR(writer->Open());
    TOCSIN_RETURN_IF_ERROR(AddDictionaries());
    Status status;
    TOCSIN_RETURN_IF_ERROR(input_.ForEachColumn([&](const ColumnRef& ref) {
      status = AddColumn(ref);
      return status.ok();
    }));
    TOCSIN_RETURN_IF_ERROR(status);
    for (const auto& writer : writers_) TOCSIN_RETURN_IF_ERROR(writer->Finish());
    return Status::Ok();
  }

 private:
  Status AddDictionaries() {
    std::vector<model::Timestamp> rows;
    for (uint32_t id = 0; id < input_.source_count(); ++id) {
      TOCSIN_ASSIGN_OR_RETURN_STATUS(const model::Labels labels, input_.SourceLabels(id));
      TOCSIN_ASSIGN_OR_RETURN_STATUS(const model::Origin origin, input_.SourceOrigin(id));
      TOCSIN_RETURN_IF_ERROR(cursor_.ReadRowTimestamps(id, &rows));
      for (const auto& writer : writers_) writer->AddSource(origin, labels, rows);
    }
    for (uint32_t id = 0; id < input_.key_count(); ++id) {
      TOCSIN_ASSIGN_OR_RETURN_STATUS(const model::Labels labels, input_.KeyLabels(id));
      for (const auto& writer : writers_) writer->AddKey(labels);
      names_.emplace_back(labels.MetricName());
    }
    return Status::Ok();
  }

  Status AddColumn(const ColumnRef& ref) {
    if (cancelled_ && cancelled_()) return Status(Code::kCancelled, "rollup stopped");
    if (samples_ > kBatchSamples) {
      batch_.Clear();
      cursor_.BatchCleared();
      samples_ = 0;
    }
    Column column;
    TOCSIN_RETURN_IF_ERROR(cursor_.Read(ref, model::TimeRange(), &batch_, &column));
    samples_ += column.values.size() + kSamplesPerHistogram * column.histograms.size();
    if (!column.histograms.empty()) {
      for (const auto& writer : writers_) writer->AddHistograms(ref, column);
      return Status::Ok();
    }
    if (column.values.empty()) return Status::Ok();
    const std::string& name = names_[ref.key];
    const RollupKind kind =
        RollupKindOf(name, type_of_ ? type_of_(name) : MetricType::kUnknown, column.values);
    for (const auto& writer : writers_) writer->AddColumn(ref, column, kind);
    return Status::Ok();
  }

  const SegmentReader& input_;
  const TypeOfMetric& type_of_;
  const std::function<bool()>& cancelled_;
  SegmentCursor cursor_;
  std::vector<std::unique_ptr<RollupWriter>> writers_;
  std::vector<std::string> names_;  // by key
  model::ColumnBatch batch_;
  size_t samples_ = 0;
};

}  // namespace

RollupKind RollupKindOf(std::string_view name, MetricType type, std::span<const double> values) {
  switch (type) {
    case MetricType::kCounter:
      return RollupKind::kCounter;
    case MetricType::kHistogram:
    case MetricType::kSummary:
      // A summary's quantiles go up and down.
      return HasCounterName(name) ? RollupKind::kCounter : RollupKind::kGauge;
    case MetricType::kGauge:
    case MetricType::kGaugeHistogram:
    case MetricType::kInfo:
    case MetricType::kStateset:
      return RollupKind::kGauge;
    case MetricType::kUnknown:
      break;
  }
  size_t decreases = 0;
  for (size_t i = 1; i < values.size(); ++i) decreases += values[i] < values[i - 1] ? 1 : 0;
  if (decreases > values.size() / kSamplesPerReset) return RollupKind::kGauge;
  return HasCounterName(name) ? RollupKind::kCounter : RollupKind::kBoth;
}

Status WriteRollups(Env& env, const SegmentReader& input, const TypeOfMetric& type_of,
                    const std::function<bool()>& cancelled, std::span<RollupOutput> outputs) {
  const Status status = Rolling(env, input, type_of, cancelled, outputs).Run();
  if (status.ok()) return status;
  // The writers that had finished leave theirs.
  for (const RollupOutput& output : outputs) {
    if (env.Exists(output.path)) static_cast<void>(env.Remove(output.path));
  }
  return status.Annotate("rollup of " + input.path());
}

}  // namespace tocsin::tsdb
