// tocsin: picks the command. `serve` is also meant when only flags are given.
#include <fmt/core.h>

#include <array>
#include <cstdio>
#include <string>
#include <string_view>
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

using tocsin::Env;
using tocsin::daemon::Console;
using Args = std::vector<std::string>;

constexpr int kUsageExit = 2;

int Usage(int exit_code);

int Check(const Args& args) {
  return tocsin::daemon::RunCheck(Env::Default(), args, Console::Standard());
}
int Promql(const Args& args) { return tocsin::daemon::RunPromql(args, Console::Standard()); }
int Test(const Args& args) {
  if (args.size() < 2 || args[0] != "promql") return Usage(kUsageExit);
  return tocsin::daemon::TestPromql({args.begin() + 1, args.end()}, Console::Standard().out);
}
int Tsdb(const Args& args) {
  return tocsin::daemon::RunTsdb(Env::Default(), args, Console::Standard());
}
int Version(const Args&) {
  fmt::print("{}", tocsin::daemon::VersionText());
  return 0;
}
int Help(const Args&) { return Usage(0); }

// What is said of a command stands beside what runs it; each tells the rest itself (--help).
struct Command {
  std::string_view name;
  std::string_view arguments;
  std::string_view summary;
  int (*run)(const Args& args);
};

constexpr std::array kCommands = {
    Command{"check", "config|rules FILE…", "check files, as promtool does", Check},
    Command{"promql", "format|parse|explain EXPR", "an expression, its tree, its plan", Promql},
    Command{"test", "promql PATH…", "run PromQL test scripts", Test},
    Command{"tsdb", "COMMAND", "import, export and look after a data directory", Tsdb},
    Command{"version", "", "what this is", Version},
    Command{"help", "", "this", Help},
};

int Usage(int exit_code) {
  const auto line = [](std::string_view command, std::string_view summary) {
    return fmt::format("{:<48}{}\n", command, summary);
  };
  std::string usage =
      line("usage: tocsin [serve] [flags]", "run the daemon (tocsin serve --help lists the flags)");
  for (const Command& command : kCommands)
    usage +=
        line(fmt::format("       tocsin {} {}", command.name, command.arguments), command.summary);
  fmt::print(exit_code == 0 ? stdout : stderr, "{}", usage);
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
  for (const Command& known : kCommands) {
    if (known.name == command) return Finish(known.run(args));
  }
  return Usage(kUsageExit);
}
