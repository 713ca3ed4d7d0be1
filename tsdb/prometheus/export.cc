#include "tsdb/prometheus/export.h"

#include <algorithm>
#include <set>
#include <unordered_set>

#include "base/time_text.h"
#include "tsdb/prometheus/block_writer.h"
#include "tsdb/prometheus/sample_store.h"
#include "tsdb/snapshot.h"

namespace tocsin::tsdb {
namespace {

using model::TimeRange;
using model::Timestamp;

Timestamp WindowOf(Timestamp t, int64_t duration_ms) {
  const int64_t remainder = t % duration_ms;
  return t - (remainder < 0 ? remainder + duration_ms : remainder);
}

// Starts of the windows that may have samples.
std::set<Timestamp> FindWindows(const DatabaseSnapshot& snapshot, TimeRange range,
                                int64_t duration_ms) {
  std::set<Timestamp> windows;
  const auto add = [&](TimeRange part) {
    part.min_ms = std::max({part.min_ms, range.min_ms, kImportableRange.min_ms});
    part.max_ms = std::min({part.max_ms, range.max_ms, kImportableRange.max_ms});
    if (part.min_ms > part.max_ms) return;
    for (Timestamp w = WindowOf(part.min_ms, duration_ms); w <= part.max_ms; w += duration_ms)
      windows.insert(w);
  };
  for (const auto& segment : snapshot.version().segments) add(segment->meta().range);
  add(snapshot.head().Span());
  return windows;
}

std::vector<std::string> SymbolsOf(const model::SeriesSelection& selection) {
  std::unordered_set<std::string> found;
  for (size_t i = 0; i < selection.size(); ++i) {
    const model::Labels labels = selection.LabelsAt(i);
    for (const model::LabelView& label : labels) {
      found.emplace(label.name);
      found.emplace(label.value);
    }
  }
  std::vector<std::string> symbols;
  symbols.reserve(found.size());
  while (!found.empty()) symbols.push_back(std::move(found.extract(found.begin()).value()));
  std::sort(symbols.begin(), symbols.end());
  return symbols;
}

uint64_t CountStarts(std::span<const Timestamp> starts) {
  return static_cast<uint64_t>(
      std::count_if(starts.begin(), starts.end(), [](Timestamp t) { return t != 0; }));
}

// One window; nothing is written when it has no samples.
Status ExportWindow(Env& env, const model::Snapshot& snapshot, const ExportOptions& options,
                    TimeRange range, ExportReport* report) {
  model::SelectHints hints;
  hints.sorted = true;
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const auto selection,
                                 snapshot.Select(options.matchers, range, hints));
  if (selection->size() == 0) return Status::Ok();
  BlockWriter writer(env, options.to);
  TOCSIN_RETURN_IF_ERROR(writer.Open(SymbolsOf(*selection)));
  const auto reader = selection->NewReader();
  model::ColumnBatch batch;
  bool any = false;
  for (size_t i = 0; i < selection->size(); ++i) {
    TOCSIN_RETURN_IF_ERROR(reader->Read(i, 1, &batch));
    const model::Column& column = batch.columns[0];
    any |= !column.values.empty() || !column.histograms.empty();
    report->start_timestamps +=
        CountStarts(column.start_timestamps) + CountStarts(column.histogram_start_timestamps);
    TOCSIN_RETURN_IF_ERROR(writer.AddSeries(selection->LabelsAt(i), column));
  }
  if (!any) return Status::Ok();
  TOCSIN_ASSIGN_OR_RETURN_STATUS(BlockMeta meta, writer.Finish());
  report->blocks.push_back(std::move(meta));
  report->block_bytes.push_back(writer.bytes());
  return Status::Ok();
}

}  // namespace

Result<ExportReport> ExportBlocks(Env& env, const model::Snapshot& snapshot,
                                  const ExportOptions& options) {
  ExportReport report;
  TOCSIN_TRY(env.CreateDirs(options.to));
  const std::set<Timestamp> windows = FindWindows(static_cast<const DatabaseSnapshot&>(snapshot),
                                                  options.range, options.block_duration_ms);
  uint64_t done = 0;
  for (const Timestamp window : windows) {
    options.progress(window, done++, windows.size());
    const TimeRange range{std::max(window, options.range.min_ms),
                          std::min(window + options.block_duration_ms - 1, options.range.max_ms)};
    if (Status status = ExportWindow(env, snapshot, options, range, &report); !status.ok())
      return Error(status.Annotate("block from " + FormatTime(window)));
  }
  return report;
}

}  // namespace tocsin::tsdb
