#include "daemon/tools/tsdb.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cmath>
#include <optional>

#include "base/env.h"
#include "base/log.h"
#include "base/number.h"
#include "base/time_text.h"
#include "tsdb/database.h"

namespace tocsin::daemon {
namespace {

struct Command {
  std::string_view name;
  std::string_view summary;
  int (*run)(Env&, std::span<const std::string>, const Console&);
  bool tells_damage = true;  // of the store, by itself
};

constexpr std::array kCommands = {
    Command{"import", "import a Prometheus data directory", TsdbImport, false},
    Command{"export", "write the store as Prometheus blocks", TsdbExport},
    Command{"analyze", "cardinality, churn, and what takes the bytes", TsdbAnalyze},
    Command{"create-blocks-from", "openmetrics: text into the store, or as Prometheus blocks",
            TsdbCreateBlocks, false},
    Command{"list", "list the segments", TsdbList},
    Command{"dump", "print samples", TsdbDump},
    Command{"verify", "check every checksum and decode every column", TsdbVerify},
    Command{"repair", "rewrite what can be saved of damaged files", TsdbRepair},
};

std::string Usage() {
  std::string usage = "usage: tocsin tsdb COMMAND [flags]\n";
  for (const Command& command : kCommands)
    usage += fmt::format("  {:<20}{}\n", command.name, command.summary);
  return usage + "`tocsin tsdb COMMAND --help` tells the flags of each.\n";
}

std::string WithUnit(double value, double base, std::span<const std::string_view> units) {
  size_t unit = 0;
  while (value >= base && unit + 1 < units.size()) {
    value /= base;
    ++unit;
  }
  return unit == 0 ? fmt::format("{:.0f}{}", value, units[0])
                   : fmt::format("{:.1f}{}", value, units[unit]);
}

}  // namespace

std::optional<int> ParseToolArgs(std::string_view command, std::string_view help,
                                 std::span<const std::string> args, const Console& console,
                                 const std::function<void(CLI::App&)>& declare) {
  try {
    CLI::App app{std::string(help), "tocsin tsdb " + std::string(command)};
    declare(app);
    std::vector<std::string> reversed(args.rbegin(), args.rend());
    try {
      app.parse(std::move(reversed));
    } catch (const CLI::CallForHelp&) {
      console.out(app.help());
      return kToolDone;
    }
  } catch (const std::exception& e) {
    console.err(fmt::format("tocsin tsdb {}: {}\n", command, e.what()));
    return kToolUsage;
  }
  return std::nullopt;
}

Result<model::Timestamp> ParseToolTime(std::string_view text) {
  if (const auto ms = ParseInt64(text)) return *ms;
  if (const auto seconds = ParseFloatPlain(text);
      seconds && std::isfinite(*seconds) && std::abs(*seconds) < 1e15) {
    return static_cast<model::Timestamp>(std::llround(*seconds * 1000));
  }
  auto time = ParseTime(text);
  if (time) return *time;
  return Error(Code::kInvalidArgument, "not a time: \"" + std::string(text) +
                                           "\"; milliseconds, seconds with a point, or RFC 3339");
}

int ToolError(std::string_view command, const Status& status, const Console& console) {
  console.err(fmt::format("tocsin tsdb {}: {}\n", command, status.message()));
  return kToolFailed;
}

int ToolMisuse(std::string_view command, const Status& status, const Console& console) {
  ToolError(command, status, console);
  return kToolUsage;
}

int ReportDamage(const tsdb::Database& database, const Console& console) {
  int exit_code = kToolDone;
  for (const tsdb::Damage& damage : database.Damages()) {
    if (!damage.harmless) exit_code = kToolIncomplete;
    console.err((damage.harmless ? "damaged, but nothing is lost by it: " : "left out: ") +
                damage.Text() + "\n");
  }
  return exit_code;
}

Result<std::unique_ptr<tsdb::Database>> OpenToLook(Env& env, const std::string& dir) {
  tsdb::DatabaseOptions options;
  options.dir = dir;
  options.env = &env;
  options.read_only = true;
  options.background = false;
  return tsdb::Database::Open(std::move(options));
}

std::string CountText(uint64_t count, bool human_readable) {
  static constexpr std::array<std::string_view, 5> kUnits = {"", "k", "M", "G", "T"};
  return human_readable ? WithUnit(static_cast<double>(count), 1000, kUnits)
                        : std::to_string(count);
}

std::string BytesText(uint64_t bytes, bool human_readable) {
  static constexpr std::array<std::string_view, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  return human_readable ? WithUnit(static_cast<double>(bytes), 1024, kUnits)
                        : std::to_string(bytes);
}

Result<model::TimeRange> ParseToolRange(std::string_view min_time, std::string_view max_time) {
  model::TimeRange range;
  if (!min_time.empty()) {
    TOCSIN_ASSIGN_OR_RETURN(range.min_ms, ParseToolTime(min_time));
  }
  if (!max_time.empty()) {
    TOCSIN_ASSIGN_OR_RETURN(range.max_ms, ParseToolTime(max_time));
  }
  return range;
}

void PrintTable(const std::vector<std::vector<std::string>>& rows, const Console& console) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    if (row.size() > widths.size()) widths.resize(row.size());
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  }
  for (const auto& row : rows) {
    std::string line;
    for (size_t c = 0; c < row.size(); ++c)
      line += c + 1 == row.size() ? row[c] : fmt::format("{:<{}}  ", row[c], widths[c]);
    console.out(line + "\n");
  }
}

std::string TimeText(model::Timestamp t, bool human_readable) {
  return human_readable ? FormatTimeMs(t) : std::to_string(t);
}

int RunTsdb(Env& env, std::span<const std::string> args, const Console& console) {
  const std::string_view name = args.empty() ? "" : std::string_view(args.front());
  if (name == "-h" || name == "--help") {
    console.out(Usage());
    return kToolDone;
  }
  for (const Command& command : kCommands) {
    if (command.name != name) continue;
    // The store's everyday messages are no business of a tool's user; warnings are, where the tool
    // does not say the same in its own words.
    ConfigureLog(command.tells_damage ? LogLevel::kError : LogLevel::kWarn, LogFormat::kLogfmt);
    return command.run(env, args.subspan(1), console);
  }
  console.err(name.empty() ? Usage()
                           : fmt::format("tocsin tsdb: unknown command \"{}\"\n{}", name, Usage()));
  return kToolUsage;
}

}  // namespace tocsin::daemon
