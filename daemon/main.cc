// tocsin: picks the command. `serve` is also meant when only flags are given.
#include <fmt/core.h>

#include <cstdio>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/malloc_conf.h"
#include "daemon/serve.h"
#include "daemon/tools/check.h"
#include "daemon/tools/promql.h"
#include "daemon/tools/test_promql.h"
#include "daemon/tools/tsdb.h"
#include "daemon/version.h"

namespace {

constexpr const char* kUsage =
    "usage: tocsin [serve] [flags]             run the daemon (tocsin serve --help lists the "
    "flags)\n"
    "       tocsin check config|rules FILE…   check files, as promtool does\n"
    "       tocsin promql format|parse|explain EXPR   an expression, its tree, its plan\n"
    "       tocsin test promql PATH…          run PromQL test scripts\n"
    "       tocsin tsdb COMMAND               import, export and look after a data directory\n"
    "       tocsin version\n";

int Usage(int exit_code) {
  fmt::print(exit_code == 0 ? stdout : stderr, "{}", kUsage);
  return exit_code;
}

// What could not be printed is not done: think of a full disk behind `tocsin tsdb dump > FILE`.
int Finish(int exit_code) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return exit_code;
  fmt::print(stderr, "tocsin: standard output cannot be written\n");
  return exit_code == 0 ? 1 : exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace tocsin::daemon;  // NOLINT(google-build-using-namespace): the commands of this
                                   // binary
  std::vector<std::string> args(argv + 1, argv + argc);
  if (args.empty() || args[0].starts_with("-")) {
    if (!args.empty() && (args[0] == "--version" || args[0] == "-v"))
      args = {"version"};
    else
      return Serve(args);
  }
  const std::string command = args[0];
  args.erase(args.begin());
  if (command == "serve") return Serve(args);
  if (command == "version") {
    fmt::print("{}", VersionText());
    return 0;
  }
  if (command == "help") return Usage(0);
  if (command == "check")
    return Finish(RunCheck(tocsin::Env::Default(), args, Console::Standard()));
  if (command == "tsdb") return Finish(RunTsdb(tocsin::Env::Default(), args, Console::Standard()));
  if (command == "promql") return Finish(RunPromql(args, Console::Standard()));
  if (command == "test" && args.size() >= 2 && args[0] == "promql") {
    args.erase(args.begin());
    return Finish(TestPromql(args, Console::Standard().out));
  }
  return Usage(2);
}
