// `tocsin tsdb export DIR`: the store as blocks of Prometheus, also beside a running daemon.
//   --match SELECTOR         only these series
//   --min-time, --max-time   only samples of this range
//   --block-duration 2h      windows of the blocks; Prometheus' own grow by three: 2h, 6h, 18h, …
#include <fmt/core.h>

#include <CLI/CLI.hpp>

#include "base/duration.h"
#include "base/env.h"
#include "base/time_text.h"
#include "daemon/tools/progress.h"
#include "daemon/tools/tsdb.h"
#include "query/parser.h"
#include "tsdb/database.h"
#include "tsdb/prometheus/export.h"

namespace tocsin::daemon {

void PrintBlocks(const tsdb::ExportReport& report, const Console& console) {
  std::vector<std::vector<std::string>> rows = {{"BLOCK ULID", "MIN TIME", "MAX TIME", "DURATION",
                                                 "NUM SAMPLES", "NUM CHUNKS", "NUM SERIES",
                                                 "SIZE"}};
  uint64_t samples = 0;
  uint64_t histograms = 0;
  for (size_t i = 0; i < report.blocks.size(); ++i) {
    const tsdb::BlockMeta& meta = report.blocks[i];
    rows.push_back({meta.ulid, std::to_string(meta.min_ms), std::to_string(meta.end_ms),
                    FormatDuration(meta.end_ms - meta.min_ms), std::to_string(meta.stats.samples),
                    std::to_string(meta.stats.chunks), std::to_string(meta.stats.series),
                    std::to_string(report.block_bytes[i])});
    samples += meta.stats.samples;
    histograms += meta.stats.histogram_samples;
  }
  PrintTable(rows, console);
  console.out(fmt::format("{} blocks, {} samples ({} histograms)\n", report.blocks.size(), samples,
                          histograms));
  if (report.start_timestamps > 0) {
    console.out(fmt::format("  left out: {} start timestamps, which XOR chunks have no place for\n",
                            report.start_timestamps));
  }
}

int TsdbExport(Env& env, std::span<const std::string> args, const Console& console) {
  std::string dir = "data/";
  std::string selector;
  std::string min_time;
  std::string max_time;
  std::string duration = "2h";
  tsdb::ExportOptions options;
  const auto exit_code = ParseToolArgs(
      "export",
      "Writes blocks that Prometheus 2.40 and later reads (without histograms, 2.0 and later); "
      "also beside a running daemon.",
      args, console, [&](CLI::App& app) {
        app.add_option("dir", options.to, "where the blocks go: a new or existing data directory")
            ->required();
        app.add_option("--storage.tsdb.path", dir, "the store (data/)");
        app.add_option("--match", selector, "only series of this selector");
        app.add_option("--min-time", min_time, "from here on (ms, s.fraction, RFC 3339)");
        app.add_option("--max-time", max_time, "up to here");
        app.add_option("--block-duration", duration, "time a block spans at most (2h)");
      });
  if (exit_code) return *exit_code;
  const auto range = ParseToolRange(min_time, max_time);
  if (!range) return ToolMisuse("export", range.error(), console);
  options.range = *range;
  const auto duration_ms = ParseDuration(duration);
  if (!duration_ms || *duration_ms < 60'000) {
    return ToolMisuse(
        "export", Status(Code::kInvalidArgument, "--block-duration: a minute at least"), console);
  }
  options.block_duration_ms = *duration_ms;
  if (!selector.empty()) {
    auto matchers = query::ParseMetricSelector(selector);
    if (!matchers) return ToolMisuse("export", matchers.error().Annotate("--match"), console);
    options.matchers = *std::move(matchers);
  }
  const auto database = OpenToLook(env, dir);
  if (!database) return ToolError("export", database.error(), console);
  Progress progress(env, console, Progress::OnTerminal());
  options.progress = [&](model::Timestamp window, uint64_t done, uint64_t all) {
    progress.Show(FormatTime(window), done, all);
  };
  const auto report = tsdb::ExportBlocks(env, *(*database)->Pin(), options);
  progress.End();
  if (!report) return ToolError("export", report.error(), console);
  PrintBlocks(*report, console);
  return ReportDamage(**database, console);
}

}  // namespace tocsin::daemon
