#include "daemon/config/tocsin_config.h"

#include <algorithm>
#include <set>

#include "alerting/route/matcher_text.h"
#include "base/byte_size.h"
#include "base/duration.h"
#include "base/env.h"
#include "base/number.h"
#include "base/yaml.h"
#include "daemon/config/schema.h"

namespace tocsin::daemon {
namespace {

constexpr uint64_t kTocsinConfigBytesMax = 64 << 20;
// Each rule costs a selection per segment when its time comes.
constexpr size_t kRetentionRulesMax = 100;
// Each is a file a day, written in one pass over the day.
constexpr size_t kRollupsMax = 4;
constexpr int64_t kMinuteMs = 60 * 1000;
constexpr int64_t kDayMs = 24 * 60 * kMinuteMs;

// "20%" as 0.2.
Result<double> ParsePercentage(std::string_view text) {
  const std::string whole(text);
  if (text.ends_with('%')) {
    text.remove_suffix(1);
    const std::optional<double> number = ParseFloatPlain(std::string(text));
    if (number && *number >= 0 && *number <= 100) return *number / 100;
  }
  return Error(Code::kInvalidArgument,
               "not a percentage from 0% to 100%: " + model::QuoteString(whole));
}

Result<DiskAmount> ParseDiskAmount(std::string_view text) {
  DiskAmount amount;
  if (text.ends_with('%')) {
    TOCSIN_ASSIGN_OR_RETURN(amount.disk_share, ParsePercentage(text));
    return amount;
  }
  TOCSIN_ASSIGN_OR_RETURN(const int64_t bytes, ParseByteSize(text));
  if (bytes < 0) return Error(Code::kInvalidArgument, "a size must not be negative");
  amount.bytes = static_cast<uint64_t>(bytes);
  return amount;
}

// ---- what there may be

void ValidateRetention(SectionCheck& s) {
  if (ParseByteSize(s.Text("size")).value_or(0) < 0) s.Fail("size", "must not be negative");
  const double percentage = s.Number("percentage");
  if (!(percentage >= 0 && percentage <= 100)) {
    s.Fail("percentage", "must be in the range [0, 100]");
  }
}

void ValidateRetentionRule(SectionCheck& s) {
  if (s.Node("matchers").items().empty()) s.Fail("matchers", "a rule needs matchers");
  for (const YamlNode& item : s.Node("matchers").items()) {
    if (const auto matchers = alerting::ParseMatchers(item.text()); !matchers) {
      s.context().errors->Add(item, matchers.error().message());
    } else if (matchers->empty()) {
      s.context().errors->Add(item, "empty matcher");
    }
  }
  if (s.DurationMs("time") == 0) s.Fail("time", "a rule needs a time greater than 0");
}

void ValidateCompaction(SectionCheck& s) {
  const auto share = ParsePercentage(s.Text("cpu_share"));
  if (!share) return s.Fail("cpu_share", share.error().message());
  if (*share == 0) s.Fail("cpu_share", "must be greater than 0%");
}

void ValidateRollup(SectionCheck& s) {
  const int64_t resolution_ms = s.DurationMs("resolution");
  if (resolution_ms < kMinuteMs || resolution_ms > kDayMs || kDayMs % resolution_ms != 0) {
    s.Fail("resolution", "must be at least 1m and divide a day");
  }
}

void ValidateRollups(SectionCheck& s) {
  std::set<int64_t> seen;
  const auto rollups = s.Node("rollups").items();
  if (rollups.size() > kRollupsMax)
    s.Fail("rollups", "more than " + std::to_string(kRollupsMax) + " resolutions");
  for (const YamlNode& item : rollups) {
    if (!seen.insert(item.Find("resolution").AsDurationMs().value_or(0)).second)
      s.context().errors->Add(item, "a resolution is given twice");
  }
}

void ValidateStorage(SectionCheck& s) {
  ValidateRollups(s);
  if (s.Node("retention_rules").items().size() > kRetentionRulesMax) {
    s.Fail("retention_rules", "more than " + std::to_string(kRetentionRulesMax) + " rules");
  }
  if (!s.Given("free_space_floor")) return;
  if (const auto floor = ParseDiskAmount(s.Text("free_space_floor")); !floor) {
    s.Fail("free_space_floor", floor.error().message());
  }
}

constexpr Field kRetentionFields[] = {Duration("time"), ByteSize("size"), Float("percentage")};
constexpr Section kRetentionSection{
    .name = "retention", .fields = kRetentionFields, .validate = ValidateRetention};

constexpr Field kRetentionRuleFields[] = {List("matchers"), Duration("time")};
constexpr Section kRetentionRuleSection{
    .name = "retention_rules", .fields = kRetentionRuleFields, .validate = ValidateRetentionRule};

constexpr Field kCompactionFields[] = {Text("cpu_share", "20%")};
constexpr Section kCompactionSection{
    .name = "compaction", .fields = kCompactionFields, .validate = ValidateCompaction};

constexpr Field kRollupFields[] = {Duration("resolution"), Duration("retention")};
constexpr Section kRollupSection{
    .name = "rollups", .fields = kRollupFields, .validate = ValidateRollup};

constexpr Field kStorageFields[] = {
    Sub("retention", &kRetentionSection),
    SubList("retention_rules", &kRetentionRuleSection, "empty or null retention rule"),
    Text("free_space_floor"),
    Sub("compaction", &kCompactionSection),
    SubList("rollups", &kRollupSection, "empty or null rollup"),
};
constexpr Section kStorageSection{
    .name = "storage", .fields = kStorageFields, .validate = ValidateStorage};

constexpr Field kTocsinFields[] = {Sub("storage", &kStorageSection)};
constexpr Section kTocsinSection{.name = "tocsin.yml", .fields = kTocsinFields};

// ---- what it says: the schema has made sure of types and ranges

bool Says(const YamlNode& node) { return node.present() && !node.is_null(); }

tsdb::RetentionRule BuildRetentionRule(const YamlNode& node) {
  tsdb::RetentionRule rule;
  for (const YamlNode& item : node.Find("matchers").items()) {
    auto matchers = alerting::ParseMatchers(item.text());
    if (!matchers) continue;
    rule.matchers.insert(rule.matchers.end(), matchers->begin(), matchers->end());
  }
  rule.retention_ms = node.Find("time").AsDurationMs().value_or(0);
  return rule;
}

TocsinConfig::Storage BuildStorage(const YamlNode& node) {
  TocsinConfig::Storage storage;
  const YamlNode retention = node.Find("retention");
  if (const YamlNode time = retention.Find("time"); Says(time))
    storage.retention_ms = time.AsDurationMs().value_or(0);
  if (const YamlNode size = retention.Find("size"); Says(size))
    storage.retention_bytes = static_cast<uint64_t>(ParseByteSize(size.text()).value_or(0));
  if (const YamlNode percentage = retention.Find("percentage"); Says(percentage))
    storage.retention_disk_share = percentage.AsDouble().value_or(0) / 100;
  for (const YamlNode& rule : node.Find("retention_rules").items())
    storage.retention_rules.push_back(BuildRetentionRule(rule));
  if (const YamlNode floor = node.Find("free_space_floor"); Says(floor)) {
    if (const auto amount = ParseDiskAmount(floor.text())) storage.free_space_floor = *amount;
  }
  if (const YamlNode share = node.Find("compaction").Find("cpu_share"); Says(share)) {
    if (const auto value = ParsePercentage(share.text())) storage.compaction_cpu_share = *value;
  }
  for (const YamlNode& rollup : node.Find("rollups").items()) {
    storage.rollups.push_back({rollup.Find("resolution").AsDurationMs().value_or(0),
                               rollup.Find("retention").AsDurationMs().value_or(0)});
  }
  std::sort(storage.rollups.begin(), storage.rollups.end(),
            [](const auto& a, const auto& b) { return a.bucket_ms < b.bucket_ms; });
  return storage;
}

TocsinConfig Build(const YamlNode& root) {
  TocsinConfig config;
  config.storage = BuildStorage(root.Find("storage"));
  return config;
}

}  // namespace

Status TocsinConfig::RefuseNotBuilt() const {
  std::string lines;
  for (const NotBuiltUse& use : not_built) {
    if (!lines.empty()) lines += '\n';
    lines += use.place + ": " + use.what + " is valid but not built yet";
  }
  return lines.empty() ? Status::Ok() : Status(Code::kUnimplemented, lines);
}

Result<TocsinConfig> ParseTocsinConfig(std::string_view text, const std::string& path) {
  TOCSIN_ASSIGN_OR_RETURN(const YamlDocument document, ParseYaml(text, path));
  YamlErrors errors;
  std::vector<NotBuiltUse> not_built;
  CheckContext context{&errors, &not_built, {}, {}, false};
  CheckSection(document.root, kTocsinSection, &context);
  TOCSIN_TRY(errors.ToStatus());
  TocsinConfig config = Build(document.root);
  config.not_built = std::move(not_built);
  return config;
}

Result<TocsinConfig> LoadTocsinConfig(Env& env, const std::string& path) {
  TOCSIN_ASSIGN_OR_RETURN(const std::string text, env.ReadFileUpTo(path, kTocsinConfigBytesMax));
  return ParseTocsinConfig(text, path);
}

}  // namespace tocsin::daemon
