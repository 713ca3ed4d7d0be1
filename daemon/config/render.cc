// The effective configuration: every field with its value or its default, in the schema's order,
// secrets masked. Fields that say nothing (false, 0, empty) are left out, as Prometheus leaves them
// out.
#include <algorithm>
#include <string>

#include "base/byte_size.h"
#include "base/duration.h"
#include "base/number.h"
#include "base/secret.h"
#include "daemon/config/config.h"
#include "daemon/config/url_parts.h"

namespace tocsin::daemon {
namespace {

bool SaysNothing(std::string_view text) {
  return text.empty() || text == "false" || text == "0" || text == "0s" || text == "0B";
}

class Renderer {
 public:
  Renderer(const YamlNode& root, const GlobalConfig& global, std::string* out)
      : global_(global),
        global_node_(root.Find("global")),
        global_section_(*kConfigSection.Find("global")->section),
        yaml_(*out) {}

  void Section(const YamlNode& node, const daemon::Section& section) {
    yaml_.BeginMap();
    Fields(node, section);
    yaml_.EndMap();
  }

 private:
  void Fields(const YamlNode& node, const daemon::Section& section) {
    for (const Field& field : section.fields) {
      const YamlNode value = node.Find(field.name);
      if (value.present() && !value.is_null()) {
        Given(value, field);
      } else {
        Absent(node, field);
      }
    }
    for (const daemon::Section* inlined : section.inlined) Fields(node, *inlined);
  }

  // ---- a field that the file names

  void Given(const YamlNode& value, const Field& field) {
    if (!field.always_shown && field.type != FieldType::kSection && value.is_scalar() &&
        SaysNothing(Canonical(value.text(), field.type))) {
      return;
    }
    yaml_.Key(field.name);
    switch (field.type) {
      case FieldType::kStringList:
      case FieldType::kSecretList:
        return TextList(value, field.type == FieldType::kSecretList);
      case FieldType::kStringMap:
        return TextMap(value);
      case FieldType::kLabelMap:
        return field.name == "external_labels" ? ExternalLabels() : TextMap(value);
      case FieldType::kStringListMap:
      case FieldType::kSecretListMap:
        return ListMap(value, field.type == FieldType::kSecretListMap);
      case FieldType::kSection:
        return Section(value, *field.section);
      case FieldType::kSectionList:
        yaml_.BeginList();
        for (const YamlNode& item : value.items()) Section(item, *field.section);
        yaml_.EndList();
        return;
      case FieldType::kSectionMap:
        yaml_.BeginMap();
        for (const YamlEntry& entry : value.entries()) {
          yaml_.Key(entry.key.text());
          Section(entry.value, *field.section);
        }
        yaml_.EndMap();
        return;
      default:
        Scalar(value.text(), field.type);
    }
  }

  void TextList(const YamlNode& list, bool is_secret) {
    yaml_.BeginList();
    for (const YamlNode& item : list.items()) {
      yaml_.String(is_secret ? std::string(kSecretMask) : item.text());
    }
    yaml_.EndList();
  }

  void TextMap(const YamlNode& map) {
    yaml_.BeginMap();
    for (const YamlEntry& entry : map.entries()) {
      yaml_.Key(entry.key.text());
      yaml_.String(entry.value.text());
    }
    yaml_.EndMap();
  }

  void ListMap(const YamlNode& map, bool is_secret) {
    yaml_.BeginMap();
    for (const YamlEntry& entry : map.entries()) {
      yaml_.Key(entry.key.text());
      TextList(entry.value, is_secret);
    }
    yaml_.EndMap();
  }

  void ExternalLabels() {
    yaml_.BeginMap();
    for (const model::LabelView label : global_.external_labels) {
      yaml_.Key(label.name);
      yaml_.String(label.value);
    }
    yaml_.EndMap();
  }

  // ---- a field that the file leaves out

  void Absent(const YamlNode& node, const Field& field) {
    if (field.type == FieldType::kSection) {
      if (!field.always_shown) return;
      yaml_.Key(field.name);
      return Section(YamlNode(), *field.section);
    }
    if (field.name == "scrape_protocols" && node.Find("job_name").present()) return Protocols();
    const std::string text = Fallback(node, field);
    if (field.type == FieldType::kStringList || field.type == FieldType::kSectionList ||
        field.type == FieldType::kStringMap || field.type == FieldType::kLabelMap ||
        field.type == FieldType::kSectionMap || field.type == FieldType::kStringListMap ||
        field.type == FieldType::kSecretListMap || field.type == FieldType::kSecretList) {
      return;
    }
    if (!field.always_shown && SaysNothing(Canonical(text, field.type))) return;
    yaml_.Key(field.name);
    Scalar(text, field.type);
  }

  std::string Fallback(const YamlNode& node, const Field& field) const {
    if (field.name == "scrape_timeout") {
      const int64_t own_ms = node.Find("scrape_interval").AsDurationMs().value_or(0);
      return FormatDuration(
          std::min(global_.scrape_timeout_ms, own_ms > 0 ? own_ms : global_.scrape_interval_ms));
    }
    if (!field.from_global) return std::string(field.fallback);
    const YamlNode value = global_node_.Find(field.name);
    if (value.present() && !value.is_null()) return value.text();
    const Field* const in_global = global_section_.Find(field.name);
    return in_global == nullptr ? std::string() : std::string(in_global->fallback);
  }

  void Protocols() {
    yaml_.Key("scrape_protocols").BeginList();
    const std::vector<YamlNode> from_global = global_node_.Find("scrape_protocols").items();
    for (const YamlNode& item : from_global) yaml_.String(item.text());
    if (from_global.empty()) {
      for (const collector::ScrapeProtocol protocol : collector::ScrapeConfig().scrape_protocols) {
        yaml_.String(collector::ScrapeProtocolName(protocol));
      }
    }
    yaml_.EndList();
  }

  // ---- values

  static std::string Canonical(const std::string& text, FieldType type) {
    if (type == FieldType::kDuration) {
      const auto duration_ms = ParseDuration(text);
      return duration_ms ? FormatDuration(*duration_ms) : text;
    }
    if (type == FieldType::kByteSize) {
      const auto bytes = ParseByteSize(text);
      return bytes ? FormatByteSize(*bytes) : text;
    }
    if (type == FieldType::kBool) {
      const bool yes = text == "true" || text == "True" || text == "TRUE" || text == "yes" ||
                       text == "Yes" || text == "YES" || text == "on" || text == "On" ||
                       text == "ON" || text == "y" || text == "Y";
      return yes ? "true" : "false";
    }
    return text;
  }

  void Scalar(const std::string& text, FieldType type) {
    switch (type) {
      case FieldType::kBool:
        yaml_.Bool(Canonical(text, type) == "true");
        break;
      case FieldType::kInt:
      case FieldType::kUint:
      case FieldType::kFloat:
        yaml_.Double(ParseFloat(text).value_or(0));
        break;
      case FieldType::kSecret:
        yaml_.String(Secret(text).Show());
        break;
      case FieldType::kUrl:
        yaml_.String(RedactUrl(text));
        break;
      default:
        yaml_.String(Canonical(text, type));
    }
  }

  const GlobalConfig& global_;
  const YamlNode global_node_;
  const daemon::Section& global_section_;
  YamlWriter yaml_;
};

}  // namespace

std::string RenderConfig(const YamlNode& root, const GlobalConfig& global) {
  std::string out;
  Renderer(root, global, &out).Section(root, kConfigSection);
  return out;
}

std::string RenderJob(const YamlNode& root, const YamlNode& job, const GlobalConfig& global) {
  std::string out;
  Renderer(root, global, &out).Section(job, *kConfigSection.Find("scrape_configs")->section);
  return out;
}

}  // namespace tocsin::daemon
