// `tocsin tsdb repair`: rewrites what can be saved of damaged segments and logs and puts the
// damaged files into quarantine/. The daemon must not run. Exit code 3 when samples were lost.
#include <fmt/core.h>

#include <CLI/CLI.hpp>

#include "base/env.h"
#include "daemon/tools/progress.h"
#include "daemon/tools/tsdb.h"
#include "tsdb/repair.h"

namespace tocsin::daemon {

int TsdbRepair(Env& env, std::span<const std::string> args, const Console& console) {
  std::string dir = "data/";
  const auto exit_code = ParseToolArgs(
      "repair",
      "Rewrites what can be saved of damaged segments and logs; damaged files go to quarantine/.\n"
      "The daemon must not run.",
      args, console,
      [&](CLI::App& app) { app.add_option("--storage.tsdb.path,dir", dir, "the store (data/)"); });
  if (exit_code) return *exit_code;
  Progress progress(env, console, Progress::OnTerminal());
  const auto report = tsdb::RepairStore(env, dir, [&](uint64_t done, uint64_t all) {
    progress.Show("checking segments", done, all);
  });
  progress.End();
  if (!report) return ToolError("repair", report.error(), console);
  bool lost = false;
  for (const auto& damaged : report->damaged) {
    console.out("damaged: " + damaged.Text() + "\n");
    if (damaged.harmless) {
      console.out("  put aside; nothing is lost by it\n");
      continue;
    }
    if (!damaged.rewritten) {
      console.out("  put aside whole: nothing of it could be read, or it is made anew\n");
      lost = true;
      continue;
    }
    console.out(fmt::format("  {} of {} samples are in {}; {} columns lost, {} in part\n",
                            damaged.samples_saved, damaged.samples, damaged.rewritten_to,
                            damaged.columns_lost, damaged.columns_cut));
    lost = lost || damaged.samples_saved < damaged.samples;
  }
  for (const auto& log : report->damaged_logs) {
    console.out("damaged: " + log.Text() + "\n  what is sound of the log is sealed\n");
    lost = true;
  }
  for (const auto& segment : report->missing) {
    console.out("lost: " + segment.Text() + "\n");
    lost = true;
  }
  console.out(fmt::format("{} segments: {}\n", report->segments,
                          report->damaged.empty() && report->damaged_logs.empty()
                              ? (lost ? "what is there is sound" : "sound, nothing was changed")
                              : "repaired; damaged files are in quarantine/"));
  return lost ? kToolIncomplete : kToolDone;
}

}  // namespace tocsin::daemon
