#include "daemon/serve.h"

#include <fmt/core.h>

#include <memory>

#include "base/log.h"
#include "daemon/app.h"
#include "daemon/commands.h"
#include "daemon/flags.h"
#include "daemon/version.h"

namespace tocsin::daemon {
namespace {

int Refuse(std::string_view what, const Status& status) {
  fmt::print(stderr, "tocsin: {}\n", status.message());
  LogError("main", what, {{"err", status}});
  return 1;
}

void ServeCommands(App* app, Commands* commands) {
  while (true) {
    std::string why;
    switch (commands->Wait(&why)) {
      case Commands::Kind::kReload: {
        const Status status = app->Reload();
        if (status.ok()) {
          LogInfo("main", "configuration reloaded", {{"asked_by", why}});
        } else {
          LogError("main", "configuration not reloaded, the old one stays",
                   {{"asked_by", why}, {"err", status}});
        }
        commands->Answer(status);
        break;
      }
      case Commands::Kind::kQuit:
        LogInfo("main", "stopping", {{"asked_by", why}});
        return;
    }
  }
}

}  // namespace

int Serve(const std::vector<std::string>& args) {
  const auto flags = ParseServeFlags(args);
  if (!flags) {
    fmt::print(stderr, "tocsin: {}\n", flags.error().message());
    return 1;
  }
  if (flags->help) {
    fmt::print("{}", ServeHelp());
    return 0;
  }
  ConfigureLog(flags->log_level, flags->log_format);
  for (const std::string& sentence : flags->not_built) fmt::print(stderr, "tocsin: {}\n", sentence);
  if (!flags->not_built.empty()) return 1;
  for (const std::string& warning : flags->warnings) LogWarn("main", warning);

  Commands commands;  // blocks the signals before any thread starts
  LogInfo("main", "starting",
          {{"version", Version()}, {"config", flags->config_file}, {"data", flags->storage_path}});
  auto app = App::Create(*flags, &commands);
  if (!app) return Refuse("cannot start", app.error());
  if (const Status status = (*app)->Start(); !status.ok()) {
    commands.Close();
    (*app)->Stop();
    return Refuse("cannot start", status);
  }
  ServeCommands(app->get(), &commands);
  commands.Close();
  (*app)->Stop();
  LogInfo("main", "stopped");
  return 0;
}

}  // namespace tocsin::daemon
