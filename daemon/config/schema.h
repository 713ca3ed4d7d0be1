// The configuration's schema: which sections there are, which fields each has, of what type, with
// which default, and what must hold between them. Tables say the first three (discovery_schema.cc,
// http_client_schema.cc, prometheus_schema.cc), a function per section the last; the engine
// (schema.cc) walks a parsed file along them and complains about everything that is wrong, each
// time with FILE:LINE:COLUMN.
//
// The same tables drive /status/config (render.cc) and the list of what is valid in Prometheus and
// not built yet here.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/yaml.h"
#include "model/relabel.h"

namespace tocsin::daemon {

enum class FieldType : uint8_t {
  kString,
  kSecret,
  kBool,
  kInt,
  kUint,
  kFloat,
  kDuration,
  kByteSize,
  kUrl,
  kEnum,  // one of `options`
  kStringList,
  kSecretList,
  kStringMap,
  kStringListMap,  // name → list of texts
  kSecretListMap,
  kLabelMap,  // names and values that labels may have
  kSection,
  kSectionList,
  kSectionMap,  // name → section
};

struct Section;

struct Field {
  std::string_view name;
  FieldType type;
  // What holds when the field is absent, as text; "$global": the field of the same name in
  // `global`.
  std::string_view fallback = {};
  std::string_view options = {};  // kEnum: "a|b|c"
  const Section* section = nullptr;
  // kSectionList: the sentence for a null item.
  std::string_view null_item = {};
  bool is_file = false;       // a path, relative to the configuration file's directory
  bool not_built = false;     // saying anything but the fallback is "not built yet"
  bool from_global = false;   // absent: what the field of the same name in `global` says
  bool always_shown = false;  // rendered even when false, 0 or empty
};

class SectionCheck;

struct Section {
  std::string_view name;  // in "field X not found in NAME"
  std::span<const Field> fields;
  // Sections whose fields stand between this one's own (HTTP client settings, discovery lists).
  std::span<const Section* const> inlined = {};
  void (*validate)(SectionCheck& check) = nullptr;

  const Field* Find(std::string_view field) const;  // in the inlined sections too
};

// Shorthand for tables: Text("region", "eu01"), NotBuilt(List("clusters")), …
constexpr Field Text(std::string_view name, std::string_view fallback = {}) {
  return {.name = name, .type = FieldType::kString, .fallback = fallback};
}
constexpr Field SecretText(std::string_view name) {
  return {.name = name, .type = FieldType::kSecret};
}
constexpr Field FilePath(std::string_view name) {
  return {.name = name, .type = FieldType::kString, .is_file = true};
}
constexpr Field Flag(std::string_view name, std::string_view fallback = "false") {
  return {.name = name, .type = FieldType::kBool, .fallback = fallback};
}
constexpr Field Int(std::string_view name, std::string_view fallback = "0") {
  return {.name = name, .type = FieldType::kInt, .fallback = fallback};
}
constexpr Field Uint(std::string_view name, std::string_view fallback = "0") {
  return {.name = name, .type = FieldType::kUint, .fallback = fallback};
}
constexpr Field Float(std::string_view name, std::string_view fallback = "0") {
  return {.name = name, .type = FieldType::kFloat, .fallback = fallback};
}
constexpr Field Duration(std::string_view name, std::string_view fallback = "0s") {
  return {.name = name, .type = FieldType::kDuration, .fallback = fallback};
}
constexpr Field ByteSize(std::string_view name, std::string_view fallback = "0B") {
  return {.name = name, .type = FieldType::kByteSize, .fallback = fallback};
}
constexpr Field Url(std::string_view name, std::string_view fallback = {}) {
  return {.name = name, .type = FieldType::kUrl, .fallback = fallback};
}
constexpr Field Enum(std::string_view name, std::string_view options,
                     std::string_view fallback = {}) {
  return {.name = name, .type = FieldType::kEnum, .fallback = fallback, .options = options};
}
constexpr Field List(std::string_view name) {
  return {.name = name, .type = FieldType::kStringList};
}
constexpr Field Map(std::string_view name) { return {.name = name, .type = FieldType::kStringMap}; }
constexpr Field Sub(std::string_view name, const Section* section) {
  return {.name = name, .type = FieldType::kSection, .section = section};
}
constexpr Field SubList(std::string_view name, const Section* section, std::string_view null_item) {
  return {
      .name = name, .type = FieldType::kSectionList, .section = section, .null_item = null_item};
}
constexpr Field NotBuilt(Field field) {
  field.not_built = true;
  return field;
}
constexpr Field FromGlobal(Field field) {
  field.from_global = true;
  return field;
}
constexpr Field Shown(Field field) {
  field.always_shown = true;
  return field;
}

// Shared by several tables.
extern const Section kHttpClientSection;
extern const Section kRemoteHttpClientSection;  // the same with HTTP/2 off unless asked for
extern const Section kTlsSection;
extern const Section kRemoteWriteSection;
extern const Section kRemoteReadSection;
extern const Section kOtlpSection;
extern const Section kTracingSection;
extern const Section kSigV4Section;
extern const Section kDiscoverySection;   // every *_sd_configs and static_configs
extern const Section kConfigSection;      // the whole of prometheus.yml
extern const Section kScrapeFileSection;  // a file of scrape_config_files

// Single ways of finding targets, listed in kDiscoverySection.
extern const Section kKubernetesSection;
extern const Section kAwsSection;
extern const Section kAzureSection;
extern const Section kDigitalOceanSection;
extern const Section kEc2Section;
extern const Section kGceSection;
extern const Section kHetznerSection;
extern const Section kIonosSection;
extern const Section kLightsailSection;
extern const Section kLinodeSection;
extern const Section kOciSection;
extern const Section kOpenstackSection;
extern const Section kOutscaleSection;
extern const Section kOvhcloudSection;
extern const Section kScalewaySection;
extern const Section kStackitSection;
extern const Section kTritonSection;
extern const Section kVultrSection;

// A list of relabelling rules.
extern const Section kRelabelSection;
constexpr Field Relabel(std::string_view name, std::string_view null_item) {
  return SubList(name, &kRelabelSection, null_item);
}

// What `global` says that other sections fall back on.
struct GlobalSettings {
  YamlNode node;
  int64_t scrape_interval_ms = 60'000;
  int64_t scrape_timeout_ms = 10'000;
  model::NameScheme scheme = model::NameScheme::kUtf8;
};

struct NotBuiltUse {
  std::string place;  // FILE:LINE:COLUMN
  std::string what;   // "consul_sd_configs"
};

// Where a walk stands and what it has found.
struct CheckContext {
  YamlErrors* errors;
  std::vector<NotBuiltUse>* not_built;
  GlobalSettings global;
  model::NameScheme scheme = model::NameScheme::kUtf8;  // of the section being walked
  bool in_not_built = false;                            // inside something that is not built anyway
};

// One section's map, with defaults filled in, for its validator.
class SectionCheck {
 public:
  SectionCheck(const YamlNode& node, const Section& section, CheckContext* context)
      : node_(node), section_(section), context_(context) {}

  const YamlNode& node() const { return node_; }
  CheckContext& context() const { return *context_; }

  YamlNode Node(std::string_view field) const { return node_.Find(field); }
  bool Given(std::string_view field) const;  // present and not null
  // Given and neither empty nor the fallback.
  bool Set(std::string_view field) const;
  std::string Text(std::string_view field) const;
  bool Bool(std::string_view field) const;
  double Number(std::string_view field) const;
  int64_t DurationMs(std::string_view field) const;
  std::vector<std::string> Texts(std::string_view field) const;

  // At the field's value when it has one, else at the section.
  void Fail(std::string_view field, std::string_view message) const;
  void Fail(std::string_view message) const;
  void Require(std::string_view field, std::string_view message) const;  // text not empty
  // Text that is one of "a|b|c"; `when_missing` when there is none.
  void RequireOneOf(std::string_view field, std::string_view options,
                    const std::string& when_missing) const;
  // A URL that can be asked by HTTP.
  void RequireHttpUrl(std::string_view field) const;
  // How many of them are set.
  int Count(std::initializer_list<std::string_view> fields) const;
  // For a list value that is not built: noted at `place`.
  void NoteNotBuilt(const YamlNode& place, std::string what) const;

 private:
  const YamlNode& node_;
  const Section& section_;
  CheckContext* const context_;
};

// Walks `node` along `section`. Null counts as an empty map.
void CheckSection(const YamlNode& node, const Section& section, CheckContext* context);

// One item of relabel_configs; complaints are Prometheus'.
Result<model::RelabelRule> ReadRelabelRule(const YamlNode& node, model::NameScheme scheme);

// True when the field's value says the same as saying nothing.
bool EqualsFallback(const Field& field, const YamlNode& value);
std::vector<std::string_view> SplitBars(std::string_view options);

}  // namespace tocsin::daemon
