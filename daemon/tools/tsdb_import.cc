// `tocsin tsdb import DIR`: a Prometheus data directory into the store, offline, all or nothing.
//   --min-time, --max-time   only samples of this range
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <set>

#include "base/env.h"
#include "base/state_store.h"
#include "collector/metadata_store.h"
#include "daemon/tools/progress.h"
#include "daemon/tools/tsdb.h"
#include "tsdb/prometheus/import.h"

namespace tocsin::daemon {
namespace {

constexpr std::string_view kHelp =
    "Imports a Prometheus data directory: blocks, head chunks and the write-ahead log.\n"
    "Neither Prometheus nor Tocsin may run on the two directories. All or nothing.";

// One line each kind of thing that was left out; nothing for zero.
class Skipped {
 public:
  explicit Skipped(const Console& console) : console_(console) {}
  void Line(uint64_t count, std::string_view what) {
    if (count > 0) console_.out(fmt::format("  left out: {} {}\n", count, what));
  }

 private:
  const Console& console_;
};

void PrintSkipped(const tsdb::ImportReport& report, const Console& console) {
  const tsdb::HeadStoreStats& head = report.head;
  const tsdb::SkippedData& skipped = report.counts.skipped;
  Skipped lines(console);
  for (const auto& [name, why] : report.refused_blocks)
    console.out(fmt::format("  left out: block {}: {}\n", name, why));
  for (const std::string& name : report.head_snapshots) {
    console.out(report.lacks_log()
                    ? fmt::format("  left out: {}: the log, which its samples would be read from, "
                                  "is not there\n",
                                  name)
                    : fmt::format("  not read: {}: the log has its samples, too\n", name));
  }
  lines.Line(report.superseded_blocks, "blocks that a compaction has replaced already");
  lines.Line(report.counts.repeated.equal, "samples that were there twice");
  lines.Line(report.counts.repeated.unequal,
             "samples with another value than an earlier block's at the same timestamp");
  lines.Line(skipped.damaged_series, "damaged index entries of series");
  lines.Line(skipped.damaged_chunks, "damaged chunks");
  for (const auto& [encoding, count] : skipped.unknown_chunks)
    lines.Line(count, fmt::format("chunks of unknown encoding {}", encoding));
  lines.Line(skipped.invalid_histograms, "histograms that are not valid");
  lines.Line(head.wal.damaged_places + head.wbl.damaged_places, "damaged places of the log");
  lines.Line(head.wal.torn_tails + head.wbl.torn_tails, "unfinished records at the log's end");
  lines.Line(head.damaged_records, "log records that cannot be read");
  lines.Line(head.unknown_records, "log records of a newer version");
  lines.Line(head.damaged_chunk_files, "ends of damaged head chunk files");
  lines.Line(head.samples_without_series, "samples of the log whose series it does not name");
  lines.Line(head.chunks_without_series, "head chunks whose series the log does not name");
  lines.Line(head.samples_outside_time, "samples from before 1691 or after 2248");
  lines.Line(head.exemplars_over_limit, "exemplars before the last 100,000");
  lines.Line(head.exemplars_without_series,
             "exemplars whose series the log does not name, or of no possible time");
  lines.Line(head.metadata_without_series, "metadata records whose series the log does not name");
  lines.Line(head.histogram_starts, "start timestamps of histograms in the log");
  if (skipped.rounded_histograms > 0) {
    console.out(fmt::format("  rounded: {} histograms with populations above 2^53\n",
                            skipped.rounded_histograms));
  }
  for (const std::string& example : skipped.examples) console.out("    " + example + "\n");
  for (const std::string& damage : head.damage) console.out("    " + damage + "\n");
}

// What the log says of metric families, for those of which nothing is known here.
Status KeepMetadata(Env& env, const std::string& dir,
                    const std::map<std::string, model::Metadata>& metadata, size_t* kept) {
  *kept = 0;
  if (metadata.empty()) return Status::Ok();
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::unique_ptr<StateStore> state,
                                 OpenStateStore(env, JoinPath(dir, "state"), {}));
  collector::MetadataStore store(&env, {});
  TOCSIN_RETURN_IF_ERROR(store.Load(state.get()));
  std::set<std::string> known;
  store.Visit("", [&known](const std::string& family, const model::Metadata&) {
    known.insert(family);
    return true;
  });
  for (const auto& [family, its] : metadata) {
    if (known.contains(family)) continue;
    store.Note(family, its);
    ++*kept;
  }
  return store.Flush();
}

}  // namespace

int TsdbImport(Env& env, std::span<const std::string> args, const Console& console) {
  tsdb::ImportOptions options;
  options.dir = "data/";
  std::string min_time;
  std::string max_time;
  const auto exit_code = ParseToolArgs("import", kHelp, args, console, [&](CLI::App& app) {
    app.add_option("dir", options.from, "Prometheus' --storage.tsdb.path")->required();
    app.add_option("--storage.tsdb.path", options.dir, "the store to import into (data/)");
    app.add_option("--min-time", min_time, "leave out samples before (ms, s.fraction, RFC 3339)");
    app.add_option("--max-time", max_time, "leave out samples after");
  });
  if (exit_code) return *exit_code;
  const auto range = ParseToolRange(min_time, max_time);
  if (!range) return ToolMisuse("import", range.error(), console);
  options.range = *range;
  Progress progress(env, console, Progress::OnTerminal());
  options.progress = [&](const tsdb::ImportProgress& p) { progress.Show(p.what, p.done, p.all); };
  const int64_t began = env.MonotonicNanos();
  const auto report = tsdb::ImportPrometheus(env, options);
  progress.End();
  if (!report) return ToolError("import", report.error(), console);
  const tsdb::ImportCounts& counts = report->counts;
  const uint64_t samples = counts.float_samples + counts.histogram_samples;
  const double seconds = static_cast<double>(env.MonotonicNanos() - began) / 1e9;
  if (report->finished_earlier)
    console.out("moved the segments of an earlier import, which was broken off, into place\n");
  console.out(fmt::format(
      "imported {} samples ({} histograms) from {} blocks and {} series of the head: {} segments, "
      "{} in {:.1f} s ({}/s)\n",
      samples, counts.histogram_samples, report->blocks, report->head_series, report->segments,
      BytesText(report->segment_bytes, true), seconds,
      CountText(static_cast<uint64_t>(static_cast<double>(samples) / seconds), true)));
  if (samples > 0) {
    console.out(fmt::format("  from {} to {}\n", TimeText(report->range.min_ms, true),
                            TimeText(report->range.max_ms, true)));
  }
  if (report->exemplars > 0) console.out(fmt::format("  and {} exemplars\n", report->exemplars));
  size_t families = 0;
  if (const Status status = KeepMetadata(env, options.dir, report->metadata, &families);
      !status.ok())
    return ToolError("import", status.Annotate("samples are imported, metadata is not"), console);
  if (families > 0) console.out(fmt::format("  and metadata of {} metric families\n", families));
  PrintSkipped(*report, console);
  return report->damaged() ? kToolIncomplete : kToolDone;
}

}  // namespace tocsin::daemon
