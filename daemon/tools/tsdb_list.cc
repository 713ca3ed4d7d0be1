// `tocsin tsdb list [-r]`: the segments of a store, oldest first, and what only the log holds.
//   -r, --human-readable   times as RFC 3339, sizes with units
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/duration.h"
#include "base/env.h"
#include "daemon/tools/tsdb.h"
#include "tsdb/database.h"
#include "tsdb/segment/reader.h"

namespace tocsin::daemon {
namespace {

using Row = std::vector<std::string>;

Row SegmentRow(const tsdb::SegmentReader& segment, bool human) {
  const tsdb::SegmentMeta& meta = segment.meta();
  const bool empty = meta.range.min_ms > meta.range.max_ms;
  return {fmt::format("L{}", meta.level),
          empty ? "-" : TimeText(meta.range.min_ms, human),
          empty ? "-" : TimeText(meta.range.max_ms, human),
          empty ? "-" : FormatDuration(meta.range.max_ms - meta.range.min_ms),
          CountText(meta.sample_count, human),
          CountText(meta.column_count, human),
          CountText(meta.source_count, human),
          BytesText(meta.file_bytes, human),
          std::string(BaseName(segment.path()))};
}

}  // namespace

int TsdbList(Env& env, std::span<const std::string> args, const Console& console) {
  std::string dir = "data/";
  bool human = false;
  const auto exit_code = ParseToolArgs(
      "list", "Lists the segments of a store; also beside a running daemon.", args, console,
      [&](CLI::App& app) {
        app.add_option("--storage.tsdb.path,dir", dir, "the store (data/)");
        app.add_flag("-r,--human-readable", human, "times as RFC 3339, sizes with units");
      });
  if (exit_code) return *exit_code;
  const auto database = OpenToLook(env, dir);
  if (!database) return ToolError("list", database.error(), console);
  const std::string segment_dir = JoinPath(dir, "segments");
  std::vector<std::shared_ptr<const tsdb::SegmentReader>> segments;
  for (const std::string& name : env.ListDir(segment_dir).value_or(std::vector<std::string>())) {
    if (!name.ends_with(tsdb::kSegmentSuffix)) continue;
    auto segment = tsdb::SegmentReader::Open(env, JoinPath(segment_dir, name), 0);
    // Of one that cannot be opened the database knows, too.
    if (segment) segments.push_back(*std::move(segment));
  }
  std::sort(segments.begin(), segments.end(), [](const auto& a, const auto& b) {
    return std::pair(a->meta().range.min_ms, a->meta().generation) <
           std::pair(b->meta().range.min_ms, b->meta().generation);
  });
  std::vector<Row> rows = {{"LEVEL", "MIN TIME", "MAX TIME", "DURATION", "NUM SAMPLES",
                            "NUM SERIES", "NUM SOURCES", "SIZE", "FILE"}};
  uint64_t samples = 0;
  uint64_t bytes = 0;
  for (const auto& segment : segments) {
    rows.push_back(SegmentRow(*segment, human));
    samples += segment->meta().sample_count;
    bytes += segment->meta().file_bytes;
  }
  const tsdb::DatabaseStats head = (*database)->Stats(0);
  if (head.min_ms <= head.max_ms) {
    rows.push_back({"log", TimeText(head.min_ms, human), TimeText(head.max_ms, human),
                    FormatDuration(head.max_ms - head.min_ms), "-", CountText(head.series, human),
                    CountText(head.sources, human),
                    BytesText((*database)->sizes().wal_bytes, human), "wal/"});
  }
  PrintTable(rows, console);
  console.out(fmt::format("{} segments, {} samples, {}\n", segments.size(),
                          CountText(samples, human), BytesText(bytes, human)));
  return ReportDamage(**database, console);
}

}  // namespace tocsin::daemon
