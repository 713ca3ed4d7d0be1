#include "daemon/tools/check.h"

#include <CLI/CLI.hpp>
#include <optional>

#include "alerting/rules/rule_file.h"
#include "base/duration.h"
#include "base/env.h"
#include "base/glob.h"
#include "collector/target.h"
#include "daemon/config/config.h"
#include "daemon/config/tocsin_config.h"
#include "daemon/flags.h"
#include "discovery/file.h"

namespace tocsin::daemon {
namespace {

constexpr int kSuccess = 0;
constexpr int kFailure = 1;
constexpr int kLintFailure = 3;

constexpr uint64_t kRuleFileBytesMax = 64 << 20;

struct CheckOptions {
  bool syntax_only = false;
  bool agent = false;
  bool lint_fatal = false;
  bool ignore_unknown_fields = false;
  std::string lint = "duplicate-rules";
  std::string lookback_delta = "5m";
  std::string tocsin_file;  // a tocsin.yml by another name
  std::vector<std::string> features;
  std::vector<std::string> files;

  bool Lints(std::string_view what) const {
    std::string_view left = lint;
    while (true) {
      const size_t comma = left.find(',');
      const std::string_view one = left.substr(0, comma);
      if (one == what || one == "all") return true;
      if (comma == std::string_view::npos) return false;
      left.remove_prefix(comma + 1);
    }
  }
};

// Lint complaints alone end a run with success unless they are made fatal.
struct Outcome {
  bool failed = false;
  bool has_errors = false;

  void Error() { failed = has_errors = true; }
  void Lint() { failed = true; }
  int ExitCode(const CheckOptions& options) const {
    if (has_errors) return kFailure;
    return failed && options.lint_fatal ? kLintFailure : kSuccess;
  }
};

class Checker {
 public:
  Checker(Env& env, const CheckOptions& options, const Console& console)
      : env_(env), options_(options), console_(console) {}

  int CheckConfigs() {
    for (const std::string& file : options_.files) CheckOneConfig(file);
    if (!options_.tocsin_file.empty()) {
      Out("Checking " + options_.tocsin_file);
      CheckTocsinConfig(options_.tocsin_file);
    }
    return outcome_.ExitCode(options_);
  }

  int CheckRules() {
    if (options_.files.empty()) {
      CheckRuleFile("/dev/stdin", "standard input", model::NameScheme::kUtf8);
    }
    for (const std::string& file : options_.files) {
      CheckRuleFile(file, file, model::NameScheme::kUtf8);
    }
    return outcome_.ExitCode(options_);
  }

 private:
  void Out(const std::string& line) { console_.out(line + "\n"); }
  void Err(const std::string& line) { console_.err(line + "\n"); }

  // ---- configuration

  void CheckOneConfig(const std::string& file) {
    Out("Checking " + file);
    const std::string_view name = BaseName(file);
    if (name == "tocsin.yml" || name == "tocsin.yaml") return CheckTocsinConfig(file);
    const auto config = LoadConfig(
        env_, file,
        {.agent_mode = options_.agent, .read_scrape_config_files = !options_.syntax_only});
    std::vector<std::string> rule_files;
    Status status = config ? CheckStaticTargets(*config) : config.error();
    if (status.ok() && !options_.syntax_only) {
      status = FindRuleFiles(*config, &rule_files);
      if (status.ok()) status = CheckReferencedFiles(*config);
      if (status.ok()) status = CheckDiscoveryFiles(*config);
    }
    if (!status.ok()) {
      // No configuration is valid as both, but for one that says nothing.
      if (LoadTocsinConfig(env_, file)) {
        Out("  no prometheus config (" + status.message() + "), but one of tocsin");
        return CheckTocsinConfig(file);
      }
      Err("  FAILED: " + status.message());
      outcome_.Error();
      Out("");
      return;
    }
    for (const std::string& warning : config->warnings) Out("  WARNING: " + warning);
    for (const NotBuiltUse& use : config->not_built) {
      Out("  NOT BUILT YET: " + use.place + ": " + use.what);
    }
    if (!rule_files.empty()) {
      Out("  SUCCESS: " + std::to_string(rule_files.size()) + " rule files found");
    }
    Out(" SUCCESS: " + file + " is valid prometheus config file syntax");
    Out("");
    if (options_.syntax_only) return;
    LintScrapeIntervals(*config);
    for (const std::string& rule_file : rule_files) {
      CheckRuleFile(rule_file, rule_file, config->global.name_scheme);
    }
  }

  void CheckTocsinConfig(const std::string& file) {
    if (const auto config = LoadTocsinConfig(env_, file); !config) {
      Err("  FAILED: " + config.error().message());
      outcome_.Error();
    } else {
      for (const NotBuiltUse& use : config->not_built) {
        Out("  NOT BUILT YET: " + use.place + ": " + use.what);
      }
      Out(" SUCCESS: " + file + " is valid tocsin config file syntax");
    }
    Out("");
  }

  Status CheckStaticTargets(const Config& config) {
    for (const collector::ScrapeConfig& scrape : config.scrape_configs) {
      TOCSIN_RETURN_IF_ERROR(CheckTargets(scrape, scrape.discovery.static_targets.groups));
    }
    return Status::Ok();
  }

  // Relabelled as a scrape would, every target must have come out scrapable or dropped.
  Status CheckTargets(const collector::ScrapeConfig& scrape,
                      const std::vector<discovery::TargetGroup>& groups) {
    for (const discovery::TargetGroup& group : groups) {
      for (size_t i = 0; i < group.targets.size(); ++i) {
        const auto target = collector::MakeTarget(
            scrape, collector::DiscoveredLabels(scrape, group, group.targets[i]));
        if (target) continue;
        return target.error().Annotate("scrape job " + model::QuoteString(scrape.job_name) +
                                       ": instance " + std::to_string(i) + " in group " +
                                       group.source);
      }
    }
    return Status::Ok();
  }

  // A glob may match nothing; a plain name must exist.
  Status FindRuleFiles(const Config& config, std::vector<std::string>* rule_files) {
    for (const std::string& pattern : config.rule_files) {
      TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::vector<std::string> found, Glob(env_, pattern));
      if (found.empty() && pattern.find('*') == std::string::npos) {
        return Status(Code::kNotFound, config.path + ": " + model::QuoteString(pattern) +
                                           " does not point to an existing file");
      }
      rule_files->insert(rule_files->end(), found.begin(), found.end());
    }
    return Status::Ok();
  }

  Status CheckReferencedFiles(const Config& config) {
    for (const ReferencedFile& file : config.referenced_files) {
      if (const auto info = env_.Stat(file.path); !info) {
        return info.error().Annotate(file.complaint);
      }
    }
    return Status::Ok();
  }

  Status CheckDiscoveryFiles(const Config& config) {
    for (const collector::ScrapeConfig& scrape : config.scrape_configs) {
      TOCSIN_RETURN_IF_ERROR(CheckDiscoveryFilesOf(
          scrape.discovery, "scrape job \"" + scrape.job_name + "\"", &scrape));
    }
    for (const alerting::AlertmanagerConfig& alertmanager : config.alertmanagers) {
      TOCSIN_RETURN_IF_ERROR(
          CheckDiscoveryFilesOf(alertmanager.discovery, "alertmanagers", nullptr));
    }
    return Status::Ok();
  }

  // `scrape`: whose relabelling the targets go through; null for Alertmanagers.
  Status CheckDiscoveryFilesOf(const discovery::DiscoveryConfig& config, const std::string& whose,
                               const collector::ScrapeConfig* scrape) {
    for (const discovery::FileConfig& files : config.files) {
      for (const std::string& pattern : files.files) {
        TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::vector<std::string> paths, Glob(env_, pattern));
        if (paths.empty()) {
          Out("  WARNING: file \"" + pattern + "\" for file_sd in " + whose + " does not exist");
        }
        for (const std::string& path : paths) {
          const auto text = env_.ReadFileUpTo(path, discovery::kDiscoveryFileBytesMax);
          if (!text) return text.error();
          const auto groups = discovery::ParseTargetGroups(path, *text);
          if (!groups) {
            return groups.error().Annotate("checking SD file " + model::QuoteString(path));
          }
          if (scrape != nullptr) TOCSIN_RETURN_IF_ERROR(CheckTargets(*scrape, *groups));
        }
      }
    }
    return Status::Ok();
  }

  void LintScrapeIntervals(const Config& config) {
    if (!options_.Lints("too-long-scrape-interval")) return;
    const int64_t lookback_ms = ParseDuration(options_.lookback_delta).value_or(0);
    for (const collector::ScrapeConfig& scrape : config.scrape_configs) {
      if (scrape.scrape_interval_ms < lookback_ms) continue;
      Err("  FAILED: too long scrape interval found, data point will be marked as stale - job: " +
          scrape.job_name + ", interval: " + FormatDuration(scrape.scrape_interval_ms));
      outcome_.Lint();
    }
  }

  // ---- rules

  void CheckRuleFile(const std::string& path, const std::string& shown, model::NameScheme scheme) {
    Out("Checking " + shown);
    const auto text = env_.ReadFileUpTo(path, kRuleFileBytesMax);
    if (!text) {
      Err("  FAILED:\n" + text.error().message());
      outcome_.Error();
      Out("");
      return;
    }
    alerting::RuleFileOptions rule_options;
    rule_options.language = ApplyFeatures(options_.features).language;
    rule_options.ignore_unknown_fields = options_.ignore_unknown_fields;
    rule_options.legacy_names = scheme == model::NameScheme::kLegacy;
    const alerting::RuleFileReport report = alerting::ParseRuleFile(shown, *text, rule_options);
    for (const std::string& warning : report.warnings) Err("  WARNING: " + warning);
    if (!report.ok()) {
      Err("  FAILED:");
      for (const std::string& error : report.errors) Err(error);
      outcome_.Error();
    } else if (const std::string duplicates = DuplicatesComplaint(report); !duplicates.empty()) {
      Err("  FAILED:\n" + duplicates);
      outcome_.Lint();
    } else {
      Out("  SUCCESS: " + std::to_string(report.rule_count()) + " rules found");
    }
    Out("");
  }

  std::string DuplicatesComplaint(const alerting::RuleFileReport& report) {
    if (!options_.Lints("duplicate-rules")) return "";
    const auto duplicates = alerting::FindDuplicateRules(report.groups);
    if (duplicates.empty()) return "";
    std::string text =
        "lint error " + std::to_string(duplicates.size()) + " duplicate rule(s) found.\n";
    for (const alerting::DuplicateRule& rule : duplicates) {
      text += "Metric: " + rule.name + "\nLabel(s):\n";
      for (const auto& [name, value] : rule.labels) text += "\t" + name + ": " + value + "\n";
    }
    return text + "Might cause inconsistency while recording expressions";
  }

  Env& env_;
  const CheckOptions& options_;
  const Console& console_;
  Outcome outcome_;
};

constexpr char kUsage[] =
    "Usage: tocsin check config [--syntax-only] [--agent] [--lint=LINT] [--lint-fatal] FILE...\n"
    "                           [--tocsin.config-file=FILE]\n"
    "       tocsin check rules [--lint=LINT] [--lint-fatal] [FILE...]\n"
    "\n"
    "A file named tocsin.yml or tocsin.yaml, or valid as nothing else, is checked as Tocsin's own\n"
    "configuration (--tocsin.config-file names one that may have errors), others as\n"
    "Prometheus'.\n"
    "LINT: all, duplicate-rules (the default), too-long-scrape-interval, none; comma separated.\n";

// CLI11 parses; its exceptions end here. Nothing: help was asked for.
Result<std::optional<CheckOptions>> ParseOptions(std::span<const std::string> args) {
  CheckOptions options;
  try {
    CLI::App app("");
    app.set_help_flag("-h,--help", "");
    app.add_flag("--syntax-only", options.syntax_only);
    app.add_flag("--agent", options.agent);
    app.add_flag("--lint-fatal", options.lint_fatal);
    app.add_flag("--ignore-unknown-fields", options.ignore_unknown_fields);
    app.add_option("--lint", options.lint);
    app.add_option("--tocsin.config-file", options.tocsin_file);
    app.add_option("--query.lookback-delta", options.lookback_delta);
    app.add_option("--enable-feature", options.features)->allow_extra_args(false);
    app.add_option("files", options.files);
    std::vector<std::string> reversed(args.rbegin(), args.rend());
    app.parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {
    return std::nullopt;
  } catch (const std::exception& e) {
    return Error(Code::kInvalidArgument, e.what());
  }
  std::string_view left = options.lint;
  for (bool more = true; more;) {
    const size_t comma = left.find(',');
    const std::string_view one = left.substr(0, comma);
    if (one != "all" && one != "none" && one != "duplicate-rules" &&
        one != "too-long-scrape-interval") {
      return Error(Code::kInvalidArgument, "--lint: unknown lint \"" + std::string(one) + "\"");
    }
    more = comma != std::string_view::npos;
    left.remove_prefix(more ? comma + 1 : left.size());
  }
  if (const auto lookback_ms = ParseDuration(options.lookback_delta); !lookback_ms) {
    return Error(lookback_ms.error().Annotate("--query.lookback-delta"));
  }
  return options;
}

}  // namespace

int RunCheck(Env& env, std::span<const std::string> args, const Console& console) {
  const std::string what = args.empty() ? "" : args.front();
  if (what == "-h" || what == "--help") {
    console.out(kUsage);
    return kSuccess;
  }
  if (what != "config" && what != "rules") {
    console.err("tocsin check: say what: config or rules\n" + std::string(kUsage));
    return kFailure;
  }
  const auto options = ParseOptions(args.subspan(1));
  if (!options) {
    console.err("tocsin check " + what + ": " + options.error().message() + "\n");
    return kFailure;
  }
  if (!*options) {
    console.out(kUsage);
    return kSuccess;
  }
  Checker checker(env, **options, console);
  if (what == "rules") return checker.CheckRules();
  if ((*options)->files.empty() && (*options)->tocsin_file.empty()) {
    console.err("tocsin check config: name the files to check\n");
    return kFailure;
  }
  return checker.CheckConfigs();
}

}  // namespace tocsin::daemon
