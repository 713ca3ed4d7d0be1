// `tocsin tsdb create-blocks-from openmetrics FILE [DIR]`: OpenMetrics text with timestamps into
// the store, or, when DIR is named, as Prometheus blocks in it. All or nothing; an error names its
// line.
//   FILE of -            standard input
//   --label NAME=VALUE   added to every series; may be repeated
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/env.h"
#include "collector/exposition/openmetrics.h"
#include "daemon/tools/progress.h"
#include "daemon/tools/tsdb.h"
#include "tsdb/database.h"
#include "tsdb/prometheus/buffered_store.h"
#include "tsdb/prometheus/export.h"
#include "tsdb/prometheus/import.h"

namespace tocsin::daemon {
namespace {

constexpr std::string_view kName = "create-blocks-from";
constexpr std::string_view kHelp =
    "Imports OpenMetrics text into the store, or writes it as Prometheus blocks into DIR.\n"
    "Every sample needs a timestamp; the text ends with # EOF. FILE may be -: standard input.";
// What comes through a pipe is held in memory.
constexpr uint64_t kPipedBytesMax = uint64_t{4} << 30;
// Where the store behind blocks is made, inside the directory of the blocks.
constexpr std::string_view kScratchDir = "create-blocks.tmp";

// Reads the text of a file; messages name file and line.
class OpenMetricsText {
 public:
  OpenMetricsText(std::string_view file, std::string_view text,
                  const std::vector<model::LabelView>& extra, tsdb::BufferedStore* store)
      : file_(file), text_(text), extra_(extra), store_(*store) {}

  Status Read(const std::function<void(uint64_t)>& progress) {
    collector::Item item;
    std::string_view left = text_;
    while (true) {
      const collector::ItemKind kind = collector::ReadOpenMetricsItem(left, /*last=*/true, &item);
      if (kind == collector::ItemKind::kInvalid || kind == collector::ItemKind::kIncomplete) {
        return Bad(item.error.empty() ? "data does not end with # EOF" : item.error);
      }
      if (kind == collector::ItemKind::kSample) TOCSIN_RETURN_IF_ERROR(AddSample(item));
      left.remove_prefix(item.length);
      ++line_;
      if (kind == collector::ItemKind::kEnd) break;
      progress(text_.size() - left.size());
    }
    return left.empty() ? Status::Ok() : Bad("data behind # EOF");
  }
  uint64_t exemplars() const { return exemplars_; }

 private:
  Status Bad(std::string_view what) const {
    return Status(Code::kInvalidArgument, fmt::format("{}:{}: {}", file_, line_, what));
  }
  static std::string TextOf(const collector::RawText& raw) {
    return raw.escaped ? collector::Unescape(raw.text) : std::string(raw.text);
  }
  Status AddSample(const collector::Item& item) {
    std::vector<std::pair<std::string, std::string>> pairs;
    pairs.emplace_back(model::kMetricName, TextOf(item.metric));
    for (const collector::RawLabel& label : item.labels)
      pairs.emplace_back(TextOf(label.name), TextOf(label.value));
    std::sort(pairs.begin(), pairs.end());
    const auto twice =
        std::adjacent_find(pairs.begin(), pairs.end(),
                           [](const auto& a, const auto& b) { return a.first == b.first; });
    if (twice != pairs.end()) return Bad("label " + twice->first + " is there twice");
    for (const model::LabelView& label : extra_) pairs.emplace_back(label.name, label.value);
    const model::Labels labels = model::Labels::FromPairs(std::move(pairs));
    if (!item.tail.has_timestamp)
      return Bad("expected timestamp for series " + labels.ToString() + ", got none");
    if (!tsdb::kImportableRange.Contains(item.tail.timestamp_ms))
      return Bad("timestamp from before 1691 or after 2248");
    exemplars_ += item.tail.has_exemplar ? 1 : 0;
    store_.Add(labels, item.tail.timestamp_ms, item.tail.value);
    return Status::Ok();
  }

  const std::string_view file_;
  const std::string_view text_;
  const std::vector<model::LabelView>& extra_;
  tsdb::BufferedStore& store_;
  uint64_t line_ = 1;
  uint64_t exemplars_ = 0;
};

// A file as it lies on the disk, or all of what comes from a pipe.
class Text {
 public:
  explicit Text(std::unique_ptr<MappedFile> file) : file_(std::move(file)) {}
  explicit Text(std::string read) : read_(std::move(read)) {}
  std::string_view bytes() const { return file_ != nullptr ? file_->bytes() : read_; }

 private:
  std::unique_ptr<MappedFile> file_;
  std::string read_;
};

Result<Text> OpenText(Env& env, const std::string& file) {
  if (file != "-") {
    TOCSIN_ASSIGN_OR_RETURN(const FileInfo info, env.Stat(file));
    if (info.is_directory) return Error(Code::kInvalidArgument, file + ": is a directory");
    if (info.size > 0) {
      TOCSIN_ASSIGN_OR_RETURN(auto mapped, env.MapFile(file));
      return Text(std::move(mapped));
    }
  }
  const std::string path = file == "-" ? "/dev/stdin" : file;
  TOCSIN_ASSIGN_OR_RETURN(std::string read, env.ReadFileUpTo(path, kPipedBytesMax));
  return Text(std::move(read));
}

// Through a store of its own, which orders and checks everything, to blocks.
Status WriteBlocks(Env& env, const std::string& dir, tsdb::SampleStores stores,
                   tsdb::ImportReport* imported, tsdb::ExportReport* exported) {
  const std::string scratch = JoinPath(dir, kScratchDir);
  TOCSIN_RETURN_IF_ERROR(env.RemoveTree(scratch));
  tsdb::ImportOptions import;
  import.dir = scratch;
  Status status = tsdb::ImportStores(env, import, stores, imported);
  if (status.ok()) {
    auto database = OpenToLook(env, scratch);
    if (database) {
      tsdb::ExportOptions options;
      options.to = dir;
      auto report = tsdb::ExportBlocks(env, *(*database)->Pin(), options);
      if (report) {
        *exported = *std::move(report);
      } else {
        status = report.error();
      }
    } else {
      status = database.error();
    }
  }
  const Status removed = env.RemoveTree(scratch);
  return status.ok() ? removed : status;
}

}  // namespace

int TsdbCreateBlocks(Env& env, std::span<const std::string> args, const Console& console) {
  std::string what;
  std::string file;
  std::string blocks_dir;
  std::vector<std::string> label_texts;
  tsdb::ImportOptions options;
  options.dir = "data/";
  const auto exit_code = ParseToolArgs(kName, kHelp, args, console, [&](CLI::App& app) {
    app.add_option("format", what, "openmetrics")
        ->required()
        ->check(CLI::IsMember({"openmetrics"}));
    app.add_option("file", file, "the text; - is standard input")->required();
    app.add_option("dir", blocks_dir, "write Prometheus blocks here, not into the store");
    app.add_option("--storage.tsdb.path", options.dir, "the store (data/)");
    app.add_option("--label", label_texts, "NAME=VALUE, added to every series; may be repeated")
        ->allow_extra_args(false);
  });
  if (exit_code) return *exit_code;
  std::vector<model::LabelView> extra;
  for (const std::string_view label : label_texts) {
    const size_t equals = label.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      return ToolMisuse(kName, Status(Code::kInvalidArgument, "--label: not NAME=VALUE"), console);
    }
    extra.push_back({label.substr(0, equals), label.substr(equals + 1)});
  }
  const auto text = OpenText(env, file);
  if (!text) return ToolError(kName, text.error(), console);
  Progress progress(env, console, Progress::OnTerminal());
  auto store = std::make_unique<tsdb::BufferedStore>(file);
  OpenMetricsText reader(file, text->bytes(), extra, store.get());
  const Status read = reader.Read(
      [&](uint64_t done) { progress.Show("reading " + file, done, text->bytes().size()); });
  progress.End();
  if (!read.ok()) return ToolError(kName, read, console);
  store->Finish();
  std::vector<std::unique_ptr<tsdb::SampleStore>> stores;
  stores.push_back(std::move(store));
  options.progress = [&](const tsdb::ImportProgress& p) { progress.Show(p.what, p.done, p.all); };
  tsdb::ImportReport report;
  tsdb::ExportReport blocks;
  const Status written = blocks_dir.empty()
                             ? tsdb::ImportStores(env, options, stores, &report)
                             : WriteBlocks(env, blocks_dir, stores, &report, &blocks);
  progress.End();
  if (!written.ok()) return ToolError(kName, written, console);
  if (!blocks_dir.empty()) {
    PrintBlocks(blocks, console);
  } else {
    console.out(fmt::format("imported {} samples: {} segments, {}\n", report.counts.float_samples,
                            report.segments, BytesText(report.segment_bytes, true)));
  }
  const tsdb::DroppedSamples& repeated = report.counts.repeated;
  if (repeated.equal + repeated.unequal > 0) {
    console.out(
        fmt::format("  left out: {} samples of a series at a timestamp that it has already ({} of "
                    "another value)\n",
                    repeated.equal + repeated.unequal, repeated.unequal));
  }
  if (reader.exemplars() > 0)
    console.out(fmt::format("  left out: {} exemplars\n", reader.exemplars()));
  return kToolDone;
}

}  // namespace tocsin::daemon
