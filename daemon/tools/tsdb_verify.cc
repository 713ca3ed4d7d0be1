// `tocsin tsdb verify`: reads every page and decodes every column of every segment, and replays the
// log. Each damaged place is named; the exit code is 1 when there is one.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/env.h"
#include "daemon/tools/progress.h"
#include "daemon/tools/tsdb.h"
#include "tsdb/database.h"
#include "tsdb/rollup/rollup_file.h"
#include "tsdb/segment/reader.h"

namespace tocsin::daemon {
namespace {

// Of a segment, its samples are added to `samples`.
template <typename File>
Status VerifyFile(Env& env, const std::string& path, uint64_t* samples) {
  const auto file = File::Open(env, path, 0);
  if (!file) return file.error();
  TOCSIN_RETURN_IF_ERROR((*file)->Verify());
  if constexpr (std::is_same_v<File, tsdb::SegmentReader>) *samples += (*file)->meta().sample_count;
  return Status::Ok();
}

}  // namespace

int TsdbVerify(Env& env, std::span<const std::string> args, const Console& console) {
  std::string dir = "data/";
  const auto exit_code = ParseToolArgs(
      "verify",
      "Checks every checksum, decodes every column and replays the log; also beside a running "
      "daemon.",
      args, console,
      [&](CLI::App& app) { app.add_option("--storage.tsdb.path,dir", dir, "the store (data/)"); });
  if (exit_code) return *exit_code;
  const auto database = OpenToLook(env, dir);
  if (!database) return ToolError("verify", database.error(), console);
  const std::string segment_dir = JoinPath(dir, "segments");
  std::vector<std::string> paths;
  for (const std::string& folder : {segment_dir, JoinPath(dir, "rollups")}) {
    for (const std::string& name : env.ListDir(folder).value_or(std::vector<std::string>())) {
      if (name.ends_with(tsdb::kSegmentSuffix) || name.ends_with(tsdb::kRollupSuffix))
        paths.push_back(JoinPath(folder, name));
    }
  }
  Progress progress(env, console, Progress::OnTerminal());
  uint64_t files = 0;
  uint64_t samples = 0;
  uint64_t damaged = 0;
  const auto note = [&](const std::string& what) {
    progress.End();
    console.out("damaged: " + what + "\n");
    ++damaged;
  };
  for (size_t i = 0; i < paths.size(); ++i) {
    const std::string& path = paths[i];
    progress.Show(BaseName(path), i, paths.size());
    const Status sound = path.ends_with(tsdb::kRollupSuffix)
                             ? VerifyFile<tsdb::RollupFile>(env, path, nullptr)
                             : VerifyFile<tsdb::SegmentReader>(env, path, &samples);
    // A daemon beside us may have merged it away.
    if (sound.code() == Code::kNotFound) continue;
    ++files;
    if (!sound.ok()) {
      note(tsdb::Damage{path, sound.message()}.Text());
      continue;
    }
  }
  progress.End();
  for (const tsdb::Damage& damage : (*database)->Damages()) {
    const bool is_told = std::find(paths.begin(), paths.end(), damage.path) != paths.end();
    if (!is_told) note(damage.Text());
  }
  console.out(fmt::format("{} files with {} samples and a log of {} rows: {}\n", files, samples,
                          (*database)->counters().replayed_rows,
                          damaged == 0 ? "sound" : fmt::format("{} damaged places", damaged)));
  return damaged == 0 ? kToolDone : kToolFailed;
}

}  // namespace tocsin::daemon
