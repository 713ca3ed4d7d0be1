// `tocsin tsdb analyze`: cardinality and churn as `promtool tsdb analyze` tells them, and what part
// of the segments takes how many bytes.
//   --match, --min-time, --max-time   only these series, only this range
//   --limit 20                        lines a list
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <unordered_map>

#include "base/bytes.h"
#include "base/duration.h"
#include "base/env.h"
#include "daemon/tools/progress.h"
#include "daemon/tools/tsdb.h"
#include "query/parser.h"
#include "tsdb/database.h"
#include "tsdb/segment/format.h"
#include "tsdb/segment/reader.h"

namespace tocsin::daemon {
namespace {

constexpr std::string_view kName = "analyze";

// Numbers that belong to names.
class Tally {
 public:
  void Add(std::string_view name, double n) { counts_[std::string(name)] += n; }
  // The highest, then by name.
  void Print(std::string_view title, size_t limit, const Console& console) const {
    std::vector<std::pair<double, std::string_view>> sorted;
    for (const auto& [name, n] : counts_) {
      if (n >= 0.5) sorted.emplace_back(n, name);
    }
    std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
      return a.first != b.first ? a.first > b.first : a.second < b.second;
    });
    if (sorted.size() > limit) sorted.resize(limit);
    console.out(fmt::format("\n{}:\n", title));
    for (const auto& [n, name] : sorted) console.out(fmt::format("{:.0f} {}\n", n, name));
  }
  size_t size() const { return counts_.size(); }

 private:
  std::unordered_map<std::string, double> counts_;
};

// Of all series of a selection.
class Cardinality {
 public:
  Status Read(const model::SeriesSelection& selection, Progress* progress) {
    const auto reader = selection.NewReader();
    model::ColumnBatch batch;
    std::vector<model::TimeRange> spans(selection.size(), {1, 0});
    for (size_t i = 0; i < selection.size(); ++i) {
      progress->Show("reading series", i, selection.size());
      TOCSIN_RETURN_IF_ERROR(reader->Read(i, 1, &batch));
      for (const auto timestamps :
           {batch.columns[0].timestamps, batch.columns[0].histogram_timestamps}) {
        if (timestamps.empty()) continue;
        model::TimeRange& span = spans[i];
        if (span.min_ms > span.max_ms) span = {timestamps.front(), timestamps.back()};
        span = {std::min(span.min_ms, timestamps.front()),
                std::max(span.max_ms, timestamps.back())};
        samples_ += timestamps.size();
      }
      range_.min_ms =
          std::min(range_.min_ms,
                   spans[i].min_ms > spans[i].max_ms ? model::kMaxTimestamp : spans[i].min_ms);
      range_.max_ms =
          std::max(range_.max_ms,
                   spans[i].min_ms > spans[i].max_ms ? model::kMinTimestamp : spans[i].max_ms);
    }
    for (size_t i = 0; i < selection.size(); ++i) {
      if (spans[i].min_ms <= spans[i].max_ms) AddSeries(selection.LabelsAt(i), spans[i]);
    }
    return Status::Ok();
  }
  void Print(size_t limit, const Console& console) const {
    if (series_ == 0) return console.out("no samples\n");
    console.out(fmt::format("Duration: {}\nSeries: {}\nSamples: {}\n",
                            FormatDuration(range_.max_ms - range_.min_ms), series_, samples_));
    console.out(
        fmt::format("Label names: {}\nPostings (unique label pairs): {}\nPostings entries (total "
                    "label pairs): {}\n",
                    values_.size(), pairs_.size(), entries_));
    churn_pairs_.Print("Label pairs most involved in churning", limit, console);
    churn_names_.Print("Label names most involved in churning", limit, console);
    pairs_.Print("Most common label pairs", limit, console);
    Tally bytes;
    Tally counts;
    for (const auto& [name, values] : values_) {
      counts.Add(name, static_cast<double>(values.size()));
      for (const auto& [value, _] : values) bytes.Add(name, static_cast<double>(value.size()));
    }
    bytes.Print("Label names with highest cumulative label value length", limit, console);
    counts.Print("Highest cardinality labels", limit, console);
    metrics_.Print("Highest cardinality metric names", limit, console);
  }
  uint64_t samples() const { return samples_; }

 private:
  void AddSeries(const model::Labels& labels, model::TimeRange span) {
    ++series_;
    // The part of the range without the series: what churn costs.
    const double whole = std::max<double>(1, static_cast<double>(range_.max_ms - range_.min_ms));
    const double churn = 1 - static_cast<double>(span.max_ms - span.min_ms) / whole;
    metrics_.Add(labels.MetricName(), 1);
    for (const model::LabelView& label : labels) {
      ++entries_;
      const std::string pair = std::string(label.name) + "=" + std::string(label.value);
      pairs_.Add(pair, 1);
      churn_pairs_.Add(pair, churn);
      churn_names_.Add(label.name, churn);
      values_[std::string(label.name)].emplace(label.value, true);
    }
  }

  uint64_t series_ = 0;
  uint64_t samples_ = 0;
  uint64_t entries_ = 0;
  model::TimeRange range_{model::kMaxTimestamp, model::kMinTimestamp};
  Tally pairs_;
  Tally churn_pairs_;
  Tally churn_names_;
  Tally metrics_;
  std::map<std::string, std::unordered_map<std::string, bool>> values_;
};

// Bytes of all segment files by what they hold.
class Parts {
 public:
  Status AddSegment(Env& env, const std::string& path) {
    TOCSIN_ASSIGN_OR_RETURN_STATUS(const auto segment, tsdb::SegmentReader::Open(env, path, 0));
    uint64_t columns = 0;
    TOCSIN_RETURN_IF_ERROR(segment->ForEachColumn([&](const tsdb::ColumnRef& ref) {
      Part& part = parts_[PartOf(ref.flags)];
      ++part.count;
      part.bytes += ref.length;
      columns += ref.length;
      return true;
    }));
    TOCSIN_ASSIGN_OR_RETURN_STATUS(const auto file, env.MapFile(path));
    tsdb::Footer footer;
    if (!ReadFooter(file->bytes(), &footer))
      return Status(Code::kCorruption, path + ": footer cannot be read");
    uint64_t sections = 0;
    const auto add = [&](const char* name, uint64_t bytes) {
      parts_[name].bytes += bytes;
      sections += bytes;
    };
    add("5 index: symbols", footer.section(tsdb::Section::kSymbols).length);
    add("6 index: sources and keys", footer.section(tsdb::Section::kSources).length +
                                         footer.section(tsdb::Section::kKeys).length);
    add("7 index: postings", footer.section(tsdb::Section::kSourcePostings).length +
                                 footer.section(tsdb::Section::kKeyPostings).length);
    add("8 directory of columns", footer.section(tsdb::Section::kDirectory).length +
                                      footer.section(tsdb::Section::kDirectoryBlocks).length);
    for (const auto& [number, place] : footer.extra) add("9 facts and rollups", place.length);
    parts_["a checksums and footer"].bytes += file->size() - footer.page_table_offset;
    parts_["4 timestamps"].bytes +=
        footer.page_table_offset - std::min(footer.page_table_offset, sections + columns);
    bytes_ += file->size();
    samples_ += segment->meta().sample_count;
    return Status::Ok();
  }
  void Print(const Console& console) const {
    if (bytes_ == 0) return;
    console.out("\nBytes of the segments:\n");
    std::vector<std::vector<std::string>> rows = {
        {"PART", "COLUMNS", "BYTES", "SHARE", "BYTES/SAMPLE"}};
    const auto row = [&](std::string_view name, uint64_t count, uint64_t bytes) {
      rows.push_back(
          {std::string(name), count == 0 ? "-" : std::to_string(count), std::to_string(bytes),
           fmt::format("{:.1f} %", 100 * static_cast<double>(bytes) / static_cast<double>(bytes_)),
           fmt::format("{:.4f}", static_cast<double>(bytes) /
                                     static_cast<double>(std::max<uint64_t>(1, samples_)))});
    };
    for (const auto& [name, part] : parts_)
      row(std::string_view(name).substr(2), part.count, part.bytes);
    row("all", 0, bytes_);
    PrintTable(rows, console);
  }

 private:
  struct Part {
    uint64_t count = 0;
    uint64_t bytes = 0;
  };
  // The first letter orders the table.
  static const char* PartOf(uint32_t flags) {
    if ((flags & tsdb::kColumnHistograms) != 0) return "3 columns: histograms";
    if ((flags & tsdb::kColumnConstant) != 0) return "1 columns: constant";
    return "2 columns: changing floats";
  }
  static bool ReadFooter(std::string_view bytes, tsdb::Footer* footer) {
    if (bytes.size() < tsdb::kSegmentTrailerBytes) return false;
    ByteReader trailer(bytes.substr(bytes.size() - tsdb::kSegmentTrailerBytes));
    const uint32_t length = trailer.Fixed32();
    trailer.Skip(4);
    const uint8_t version = trailer.Fixed8();
    const size_t end = bytes.size() - tsdb::kSegmentTrailerBytes;
    return length <= end &&
           tsdb::DecodeFooter(bytes.substr(end - length, length), version, bytes.size(), footer);
  }

  std::map<std::string, Part> parts_;
  uint64_t bytes_ = 0;
  uint64_t samples_ = 0;
};

}  // namespace

int TsdbAnalyze(Env& env, std::span<const std::string> args, const Console& console) {
  std::string dir = "data/";
  std::string selector;
  std::string min_time;
  std::string max_time;
  size_t limit = 20;
  const auto exit_code = ParseToolArgs(
      kName, "Tells cardinality, churn and where the bytes go; also beside a running daemon.", args,
      console, [&](CLI::App& app) {
        app.add_option("--storage.tsdb.path,dir", dir, "the store (data/)");
        app.add_option("--match", selector, "only series of this selector");
        app.add_option("--min-time", min_time, "from here on (ms, s.fraction, RFC 3339)");
        app.add_option("--max-time", max_time, "up to here");
        app.add_option("--limit", limit, "lines a list (20)");
      });
  if (exit_code) return *exit_code;
  const auto range = ParseToolRange(min_time, max_time);
  if (!range) return ToolMisuse(kName, range.error(), console);
  model::MatcherSet matchers;
  if (!selector.empty()) {
    auto parsed = query::ParseMetricSelector(selector);
    if (!parsed) return ToolMisuse(kName, parsed.error().Annotate("--match"), console);
    matchers = *std::move(parsed);
  }
  const auto database = OpenToLook(env, dir);
  if (!database) return ToolError(kName, database.error(), console);
  const auto snapshot = (*database)->Pin();
  const auto selection = snapshot->Select(matchers, *range, {});
  if (!selection) return ToolError(kName, selection.error(), console);
  Progress progress(env, console, Progress::OnTerminal());
  Cardinality cardinality;
  const Status read = cardinality.Read(**selection, &progress);
  progress.End();
  if (!read.ok()) return ToolError(kName, read, console);
  cardinality.Print(limit, console);
  Parts parts;
  const std::string segment_dir = JoinPath(dir, "segments");
  int result = ReportDamage(**database, console);
  const std::vector<tsdb::Damage> told = (*database)->Damages();
  for (const std::string& name : env.ListDir(segment_dir).value_or(std::vector<std::string>())) {
    if (!name.ends_with(tsdb::kSegmentSuffix)) continue;
    const std::string path = JoinPath(segment_dir, name);
    if (std::any_of(told.begin(), told.end(),
                    [&](const auto& damage) { return damage.path == path; }))
      continue;
    const Status added = parts.AddSegment(env, path);
    // Merged away meanwhile by a daemon beside us.
    if (!added.ok() && added.code() != Code::kNotFound) result = ToolError(kName, added, console);
  }
  parts.Print(console);
  return result;
}

}  // namespace tocsin::daemon
