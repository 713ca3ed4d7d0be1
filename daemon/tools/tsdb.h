// `tocsin tsdb …`: what can be done to a data directory from outside.
//
//   import DIR                            a Prometheus data directory into the store
//   export DIR                            the store as Prometheus blocks
//   create-blocks-from openmetrics FILE   OpenMetrics text into the store, or as blocks
//   list, analyze, dump, verify           look; also beside a running daemon
//   repair                                rewrite what can be saved of damaged segments
//
// Each takes --storage.tsdb.path (data/), --help, and what its file (tsdb_*.cc) says. Exit codes: 0
// done, 1 failed or damage was found, 2 wrong usage, 3 done, but something damaged was left out.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "daemon/tools/console.h"
#include "model/sample.h"

namespace CLI {
class App;
}

namespace tocsin {
class Env;
}
namespace tocsin::tsdb {
class Database;
struct ExportReport;
}  // namespace tocsin::tsdb

namespace tocsin::daemon {

inline constexpr int kToolDone = 0;
inline constexpr int kToolFailed = 1;
inline constexpr int kToolUsage = 2;
inline constexpr int kToolIncomplete = 3;

// `args` behind "tsdb". Returns the exit code.
int RunTsdb(Env& env, std::span<const std::string> args, const Console& console);

// ---- one each file; `args` behind the command's name
int TsdbAnalyze(Env& env, std::span<const std::string> args, const Console& console);
int TsdbCreateBlocks(Env& env, std::span<const std::string> args, const Console& console);
int TsdbDump(Env& env, std::span<const std::string> args, const Console& console);
int TsdbExport(Env& env, std::span<const std::string> args, const Console& console);
int TsdbImport(Env& env, std::span<const std::string> args, const Console& console);
int TsdbList(Env& env, std::span<const std::string> args, const Console& console);
int TsdbRepair(Env& env, std::span<const std::string> args, const Console& console);
int TsdbVerify(Env& env, std::span<const std::string> args, const Console& console);

// ---- shared by them
// Parses `args` with what `declare` adds to the parser. Something to return at once: --help, or
// wrong usage.
std::optional<int> ParseToolArgs(std::string_view command, std::string_view help,
                                 std::span<const std::string> args, const Console& console,
                                 const std::function<void(CLI::App&)>& declare);
// "1700000000000" (milliseconds), "1700000000.123" (seconds) or RFC 3339.
Result<model::Timestamp> ParseToolTime(std::string_view text);
// Of --min-time and --max-time; empty = open.
Result<model::TimeRange> ParseToolRange(std::string_view min_time, std::string_view max_time);
// Columns aligned to the left.
void PrintTable(const std::vector<std::vector<std::string>>& rows, const Console& console);
// One line a block that was written, and their sum.
void PrintBlocks(const tsdb::ExportReport& report, const Console& console);
// Says what went wrong; the exit code for it.
int ToolError(std::string_view command, const Status& status, const Console& console);
// The same for an argument that is not understood.
int ToolMisuse(std::string_view command, const Status& status, const Console& console);
// Names the damage that was met so far. The exit code of a tool that is done but for that.
int ReportDamage(const tsdb::Database& database, const Console& console);
// Opens the store for looking.
Result<std::unique_ptr<tsdb::Database>> OpenToLook(Env& env, const std::string& dir);
// "1234567" or "1.2M".
std::string CountText(uint64_t count, bool human_readable);
// "1234567" or "1.2MiB".
std::string BytesText(uint64_t bytes, bool human_readable);
// "1234567890123" or "2009-02-13T23:31:30.123Z".
std::string TimeText(model::Timestamp t, bool human_readable);

}  // namespace tocsin::daemon
