// RewriteRollup (rollup_writer.h).
#include "tsdb/rollup/rollup_column.h"
#include "tsdb/rollup/rollup_writer.h"
#include "tsdb/segment/format.h"
#include "tsdb/segment/writer.h"

namespace tocsin::tsdb {
namespace {

SegmentMeta MetaOf(const SegmentMeta& input, const SegmentMeta& output) {
  SegmentMeta meta = output;
  meta.level = input.level;
  meta.shard = input.shard;
  meta.cuts = input.cuts;
  return meta;
}

class Rewriting {
 public:
  Rewriting(Env& env, const RollupFile& input, const TombstoneList& tombstones,
            const std::function<bool()>& cancelled, RollupOutput& output)
      : input_(input),
        segment_(input.segment()),
        cancelled_(cancelled),
        output_(output),
        deleted_(
            TombstonesAbove(tombstones, segment_.meta().deletes_applied, segment_.meta().range)),
        cursor_(input),
        writer_(env, output.path, MetaOf(segment_.meta(), output.meta), SortedInput()) {}

  // Without anything left the writer is not finished, and its file goes with it.
  Status Run(bool* any_left) {
    TOCSIN_RETURN_IF_ERROR(writer_.Open());
    TOCSIN_RETURN_IF_ERROR(AddDictionaries());
    Status status;
    TOCSIN_RETURN_IF_ERROR(segment_.ForEachColumn([&](const ColumnRef& ref) {
      status = AddColumn(ref);
      return status.ok();
    }));
    TOCSIN_RETURN_IF_ERROR(status);
    *any_left = any_left_;
    if (!any_left_) return Status::Ok();
    writer_.AddSection(ExtraSection::kRollup, EncodeRollupSection(input_.info(), source_bytes_));
    TOCSIN_ASSIGN_OR_RETURN_STATUS(output_.meta, writer_.Finish());
    return Status::Ok();
  }

 private:
  static SegmentWriter::Options SortedInput() {
    SegmentWriter::Options options;
    options.sorted_input = true;
    return options;
  }

  Status AddDictionaries() {
    for (uint32_t id = 0; id < segment_.source_count(); ++id) {
      TOCSIN_ASSIGN_OR_RETURN_STATUS(const model::Labels labels, segment_.SourceLabels(id));
      TOCSIN_ASSIGN_OR_RETURN_STATUS(const model::Origin origin, segment_.SourceOrigin(id));
      TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::string_view bytes, input_.SourceBytes(id));
      writer_.AddSource(origin, labels, {});
      sources_.push_back(labels);
      source_bytes_.emplace_back(bytes);
    }
    for (uint32_t id = 0; id < segment_.key_count(); ++id) {
      TOCSIN_ASSIGN_OR_RETURN_STATUS(keys_.emplace_back(), segment_.KeyLabels(id));
      writer_.AddKey(keys_.back());
    }
    return Status::Ok();
  }

  Status AddColumn(const ColumnRef& ref) {
    if (cancelled_ && cancelled_()) return Status(Code::kCancelled, "rollup stopped");
    batch_.Clear();
    TOCSIN_RETURN_IF_ERROR(cursor_.Read(ref, &batch_, &facts_));
    const int64_t bucket_ms = input_.info().bucket_ms;
    const std::span<const DeletedSpan> spans = deleted_.Find(
        ref.source, [this](uint32_t id) { return sources_[id]; }, ref.key,
        [this](uint32_t id) { return keys_[id]; });
    std::erase_if(facts_, [&](const model::Facts& bucket) {
      return IsBucketDeleted(bucket.newest_ms, bucket_ms, spans);
    });
    if (facts_.empty()) return Status::Ok();
    bytes_.clear();
    uint8_t flags = kColumnFloats;
    if (buckets_.Restore(facts_, bucket_ms) && (ref.flags & kColumnHistograms) == 0) {
      EncodeRollupColumn(buckets_, cursor_.source_buckets(), bucket_ms, buckets_.RestoredKind(),
                         &bytes_);
    } else {
      flags = kColumnHistograms;
      EncodeHistogramRollup(buckets_, cursor_.source_buckets(), bucket_ms, &bytes_);
    }
    uint64_t samples = 0;
    for (const model::Facts& bucket : facts_) samples += bucket.count;
    const model::Facts& first = facts_.front();
    writer_.AddEncodedColumn(
        ref.source, ref.key, flags, bytes_, samples,
        {first.count > 0 ? first.first_ms : first.newest_ms, facts_.back().newest_ms});
    any_left_ = true;
    return Status::Ok();
  }

  const RollupFile& input_;
  const SegmentFile& segment_;
  const std::function<bool()>& cancelled_;
  RollupOutput& output_;
  DeletedSeries deleted_;
  RollupCursor cursor_;
  SegmentWriter writer_;
  std::vector<model::Labels> sources_;
  std::vector<model::Labels> keys_;
  std::vector<std::string> source_bytes_;
  model::ColumnBatch batch_;
  std::vector<model::Facts> facts_;
  ColumnBuckets buckets_;
  std::string bytes_;
  bool any_left_ = false;
};

}  // namespace

Status RewriteRollup(Env& env, const RollupFile& input, const TombstoneList& tombstones,
                     const std::function<bool()>& cancelled, RollupOutput* output, bool* any_left) {
  const Status status = Rewriting(env, input, tombstones, cancelled, *output).Run(any_left);
  return status.ok() ? status : status.Annotate("rewrite of " + input.path());
}

}  // namespace tocsin::tsdb
