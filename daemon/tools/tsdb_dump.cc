// `tocsin tsdb dump`: every sample as text, series in label order.
//   --match SELECTOR         only these series; several are or-ed
//   --min-time, --max-time   only samples of this range
//   --format promtool        {labels} value timestamp-in-ms, as `promtool tsdb dump` (default)
//            openmetrics     what `create-blocks-from openmetrics` reads; floats only
//            bits            as promtool, values as the 16 hexadecimal digits of their 64 bits
// Numbers are the shortest text that reads back to the same double; NaNs differ only in `bits`.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <bit>
#include <memory>

#include "base/env.h"
#include "base/number.h"
#include "daemon/tools/tsdb.h"
#include "query/histogram_math.h"
#include "query/parser.h"
#include "tsdb/database.h"

namespace tocsin::daemon {
namespace {

constexpr size_t kFlushBytes = 1 << 16;

enum class DumpFormat : uint8_t { kPromtool, kOpenMetrics, kBits };

void AppendQuoted(std::string_view text, std::string* out) {
  out->push_back('"');
  for (const char c : text) {
    if (c == '\n') {
      *out += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') out->push_back('\\');
    out->push_back(c);
  }
  out->push_back('"');
}

// name{a="b",c="d"}, without the blanks that OpenMetrics forbids; names that only UTF-8 allows are
// quoted and stand inside the braces.
std::string OpenMetricsSeries(const model::Labels& labels) {
  const std::string_view name = labels.MetricName();
  const bool plain = model::IsLegacyMetricName(name);
  std::string out(plain ? name : "");
  std::string inside;
  if (!plain && !name.empty()) AppendQuoted(name, &inside);
  for (const model::LabelView& label : labels) {
    if (label.name == model::kMetricName) continue;
    if (!inside.empty()) inside += ',';
    if (model::IsLegacyLabelName(label.name)) {
      inside += label.name;
    } else {
      AppendQuoted(label.name, &inside);
    }
    inside += '=';
    AppendQuoted(label.value, &inside);
  }
  if (!inside.empty()) out += "{" + inside + "}";
  return out;
}

class Dumper {
 public:
  Dumper(DumpFormat format, const Console& console) : format_(format), console_(console) {}

  // The sets are or-ed: a series that several of them match is there once.
  Status Dump(const model::Snapshot& snapshot, std::span<const model::MatcherSet> matcher_sets,
              model::TimeRange range) {
    std::vector<Selected> all;
    for (const model::MatcherSet& matchers : matcher_sets) {
      model::SelectHints hints;
      hints.sorted = true;
      Selected one;
      TOCSIN_ASSIGN_OR_RETURN_STATUS(one.series, snapshot.Select(matchers, range, hints));
      one.reader = one.series->NewReader();
      if (one.Advance(0)) all.push_back(std::move(one));
    }
    model::ColumnBatch batch;
    while (!all.empty()) {
      auto first = std::min_element(
          all.begin(), all.end(),
          [](const Selected& a, const Selected& b) { return a.labels < b.labels; });
      TOCSIN_RETURN_IF_ERROR(first->reader->Read(first->next, 1, &batch));
      const model::Labels labels = first->labels;
      DumpSeries(labels, batch.columns[0]);
      std::erase_if(all, [&labels](Selected& one) {
        return one.labels == labels && !one.Advance(one.next + 1);
      });
    }
    return Status::Ok();
  }
  void End() {
    if (format_ == DumpFormat::kOpenMetrics) text_ += "# EOF\n";
    Flush();
    if (histograms_left_out_ > 0) {
      console_.err(
          fmt::format("left out: {} native histograms, which OpenMetrics text has no form for\n",
                      histograms_left_out_));
    }
  }

 private:
  // What one set of matchers selects, in label order.
  struct Selected {
    std::unique_ptr<model::SeriesSelection> series;
    std::unique_ptr<model::ColumnReader> reader;
    size_t next = 0;
    model::Labels labels;  // of that one

    bool Advance(size_t to) {
      next = to;
      if (next == series->size()) return false;
      labels = series->LabelsAt(next);
      return true;
    }
  };

  void DumpSeries(const model::Labels& labels, const model::Column& column) {
    const std::string series =
        format_ == DumpFormat::kOpenMetrics ? OpenMetricsSeries(labels) : labels.ToBracedString();
    size_t h = 0;
    for (size_t f = 0; f < column.values.size(); ++f) {
      for (; h < column.histograms.size() && column.histogram_timestamps[h] < column.timestamps[f];
           ++h)
        DumpHistogram(series, column.histogram_timestamps[h], *column.histograms[h]);
      DumpFloat(series, column.timestamps[f], column.values[f]);
    }
    for (; h < column.histograms.size(); ++h)
      DumpHistogram(series, column.histogram_timestamps[h], *column.histograms[h]);
  }
  void DumpFloat(const std::string& series, model::Timestamp t, double value) {
    text_ += series;
    text_ += ' ';
    if (format_ == DumpFormat::kBits) {
      text_ += fmt::format("{:016x}", std::bit_cast<uint64_t>(value));
    } else {
      text_ += FormatFloatGo(value);
    }
    if (format_ == DumpFormat::kOpenMetrics) {
      // Seconds; the digits of the fraction are those of the milliseconds.
      const auto magnitude = t < 0 ? 0 - static_cast<uint64_t>(t) : static_cast<uint64_t>(t);
      text_ += fmt::format(" {}{}.{:03}\n", t < 0 ? "-" : "", magnitude / 1000, magnitude % 1000);
    } else {
      text_ += fmt::format(" {}\n", t);
    }
    if (text_.size() >= kFlushBytes) Flush();
  }
  void DumpHistogram(const std::string& series, model::Timestamp t, const model::Histogram& h) {
    if (format_ == DumpFormat::kOpenMetrics) {
      ++histograms_left_out_;
      return;
    }
    text_ += fmt::format("{} {} {}\n", series, query::HistogramText(h), t);
    if (text_.size() >= kFlushBytes) Flush();
  }
  void Flush() {
    if (!text_.empty()) console_.out(text_);
    text_.clear();
  }

  const DumpFormat format_;
  const Console& console_;
  std::string text_;
  uint64_t histograms_left_out_ = 0;
};

}  // namespace

int TsdbDump(Env& env, std::span<const std::string> args, const Console& console) {
  std::string dir = "data/";
  std::vector<std::string> selectors;
  std::string min_time;
  std::string max_time;
  std::string format_name = "promtool";
  const auto exit_code = ParseToolArgs(
      "dump", "Prints every sample; also beside a running daemon.", args, console,
      [&](CLI::App& app) {
        app.add_option("--storage.tsdb.path,dir", dir, "the store (data/)");
        app.add_option("--match", selectors, "only series of this selector; may be repeated")
            ->allow_extra_args(false);
        app.add_option("--min-time", min_time, "from here on (ms, s.fraction, RFC 3339)");
        app.add_option("--max-time", max_time, "up to here");
        app.add_option("--format", format_name, "promtool, openmetrics or bits")
            ->check(CLI::IsMember({"promtool", "openmetrics", "bits"}));
      });
  if (exit_code) return *exit_code;
  const auto range = ParseToolRange(min_time, max_time);
  if (!range) return ToolMisuse("dump", range.error(), console);
  std::vector<model::MatcherSet> sets;
  for (const std::string& selector : selectors) {
    auto matchers = query::ParseMetricSelector(selector);
    if (!matchers) return ToolMisuse("dump", matchers.error().Annotate("--match"), console);
    sets.push_back(*std::move(matchers));
  }
  if (sets.empty()) sets.emplace_back();
  const auto database = OpenToLook(env, dir);
  if (!database) return ToolError("dump", database.error(), console);
  const DumpFormat format = format_name == "bits"          ? DumpFormat::kBits
                            : format_name == "openmetrics" ? DumpFormat::kOpenMetrics
                                                           : DumpFormat::kPromtool;
  Dumper dumper(format, console);
  const auto snapshot = (*database)->Pin();
  if (const Status status = dumper.Dump(*snapshot, sets, *range); !status.ok())
    return ToolError("dump", status, console);
  dumper.End();
  return ReportDamage(**database, console);
}

}  // namespace tocsin::daemon
