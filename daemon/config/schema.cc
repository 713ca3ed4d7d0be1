#include "daemon/config/schema.h"

#include <algorithm>
#include <set>

#include "base/byte_size.h"
#include "base/duration.h"
#include "base/number.h"
#include "daemon/config/url_parts.h"
#include "model/labels.h"

namespace tocsin::daemon {
namespace {

std::string Quoted(std::string_view text) { return model::QuoteString(text); }

std::string JoinOptions(std::string_view options) {
  std::string text;
  for (const std::string_view option : SplitBars(options)) {
    if (option.empty()) continue;
    if (!text.empty()) text += ", ";
    text += option;
  }
  return text;
}

// Complains about `value` unless it is of the type; sections are walked elsewhere.
class TypeChecker {
 public:
  TypeChecker(const Field& field, CheckContext* context) : field_(field), context_(context) {}

  void Check(const YamlNode& value) {
    switch (field_.type) {
      case FieldType::kString:
      case FieldType::kSecret:
        return Take(value.AsString());
      case FieldType::kBool:
        return Take(value.AsBool());
      case FieldType::kInt:
        return Take(value.AsInt64());
      case FieldType::kUint:
        return Take(value.AsUint64());
      case FieldType::kFloat:
        return Take(value.AsDouble());
      case FieldType::kDuration:
        return Take(value.AsDurationMs());
      case FieldType::kByteSize:
        return CheckText(value, [](const std::string& text) -> Status {
          const auto bytes = ParseByteSize(text);
          return bytes ? Status::Ok() : bytes.error();
        });
      case FieldType::kUrl:
        return CheckText(value, [](const std::string& text) -> Status {
          const auto url = ParseUrl(text);
          return url ? Status::Ok() : url.error();
        });
      case FieldType::kEnum:
        return CheckText(value, [&](const std::string& text) { return CheckOption(text); });
      case FieldType::kStringList:
      case FieldType::kSecretList:
        return CheckList(value);
      case FieldType::kStringMap:
        return CheckMap(value, [&](const YamlNode& item) { Take(item.AsString()); });
      case FieldType::kStringListMap:
      case FieldType::kSecretListMap:
        return CheckMap(value, [&](const YamlNode& item) { CheckList(item); });
      case FieldType::kLabelMap:
        return CheckLabels(value);
      case FieldType::kSection:
      case FieldType::kSectionList:
      case FieldType::kSectionMap:
        return;
    }
  }

 private:
  template <typename T>
  void Take(const Result<T>& result) {
    if (!result) context_->errors->Add(result.error());
  }

  template <typename F>
  void CheckText(const YamlNode& value, F check) {
    const Result<std::string> text = value.AsString();
    if (!text) return context_->errors->Add(text.error());
    if (value.is_null()) return;
    if (const Status status = check(*text); !status.ok()) {
      context_->errors->Add(value, status.message());
    }
  }

  Status CheckOption(const std::string& text) {
    for (const std::string_view option : SplitBars(field_.options)) {
      if (text == option) return Status::Ok();
    }
    return Status(Code::kInvalidArgument, "unknown " + std::string(field_.name) + " " +
                                              Quoted(text) + ", must be one of " +
                                              JoinOptions(field_.options));
  }

  void CheckList(const YamlNode& value) {
    if (!value.is_sequence() && !value.is_null()) {
      return context_->errors->Add(value,
                                   "cannot unmarshal " + value.Describe() + " into []string");
    }
    for (const YamlNode& item : value.items()) Take(item.AsString());
  }

  template <typename F>
  void CheckMap(const YamlNode& value, F check_item) {
    if (!value.is_map() && !value.is_null()) {
      return context_->errors->Add(value, "cannot unmarshal " + value.Describe() + " into a map");
    }
    for (const YamlEntry& entry : value.entries()) check_item(entry.value);
  }

  void CheckLabels(const YamlNode& value) {
    CheckMap(value, [&](const YamlNode& item) { Take(item.AsString()); });
    for (const YamlEntry& entry : value.entries()) {
      if (!model::IsValidLabelName(entry.key.text(), context_->scheme)) {
        context_->errors->Add(entry.key, Quoted(entry.key.text()) + " is not a valid label name");
      }
      if (!model::IsValidUtf8(entry.value.text())) {
        context_->errors->Add(entry.value,
                              Quoted(entry.value.text()) + " is not a valid label value");
      }
    }
  }

  const Field& field_;
  CheckContext* const context_;
};

void CheckSectionList(const YamlNode& value, const Field& field, CheckContext* context) {
  if (!value.is_sequence() && !value.is_null()) {
    return context->errors->Add(value, "cannot unmarshal " + value.Describe() + " into a list");
  }
  for (const YamlNode& item : value.items()) {
    if (item.is_null()) {
      context->errors->Add(item, field.null_item);
    } else {
      CheckSection(item, *field.section, context);
    }
  }
}

void CheckField(const YamlNode& value, const Field& field, CheckContext* context) {
  const bool notes = field.not_built && !context->in_not_built && !EqualsFallback(field, value);
  if (notes) {
    context->not_built->push_back(
        {value.file() + ":" + std::to_string(value.line()) + ":" + std::to_string(value.column()),
         std::string(field.name)});
  }
  const bool was_in_not_built = context->in_not_built;
  context->in_not_built = was_in_not_built || notes;
  switch (field.type) {
    case FieldType::kSection:
      if (!value.is_null()) CheckSection(value, *field.section, context);
      break;
    case FieldType::kSectionList:
      CheckSectionList(value, field, context);
      break;
    case FieldType::kSectionMap:
      if (!value.is_map() && !value.is_null()) {
        context->errors->Add(value, "cannot unmarshal " + value.Describe() + " into a map");
      }
      for (const YamlEntry& entry : value.entries()) {
        CheckSection(entry.value, *field.section, context);
      }
      break;
    default:
      TypeChecker(field, context).Check(value);
  }
  context->in_not_built = was_in_not_built;
}

void RunValidators(const YamlNode& node, const Section& section, CheckContext* context) {
  for (const Section* inlined : section.inlined) RunValidators(node, *inlined, context);
  if (section.validate == nullptr) return;
  SectionCheck check(node, section, context);
  section.validate(check);
}

// A section may have its own `metric_name_validation_scheme`.
model::NameScheme SchemeOf(const YamlNode& node, model::NameScheme outer) {
  const YamlNode own = node.Find("metric_name_validation_scheme");
  if (own.text() == "legacy") return model::NameScheme::kLegacy;
  if (own.text() == "utf8") return model::NameScheme::kUtf8;
  return outer;
}

}  // namespace

std::vector<std::string_view> SplitBars(std::string_view options) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t bar = options.find('|');
    parts.push_back(options.substr(0, bar));
    if (bar == std::string_view::npos) return parts;
    options.remove_prefix(bar + 1);
  }
}

const Field* Section::Find(std::string_view field) const {
  for (const Field& own : fields) {
    if (own.name == field) return &own;
  }
  for (const Section* section : inlined) {
    if (const Field* found = section->Find(field)) return found;
  }
  return nullptr;
}

bool EqualsFallback(const Field& field, const YamlNode& value) {
  if (value.is_null()) return true;
  switch (field.type) {
    case FieldType::kStringList:
    case FieldType::kSecretList:
    case FieldType::kSectionList:
      return value.is_sequence() && value.items().empty();
    case FieldType::kStringMap:
    case FieldType::kStringListMap:
    case FieldType::kSecretListMap:
    case FieldType::kLabelMap:
    case FieldType::kSectionMap:
      return value.is_map() && value.entries().empty();
    case FieldType::kSection:
      return false;
    case FieldType::kBool:
      return value.AsBool().value_or(false) == (field.fallback == "true");
    case FieldType::kInt:
    case FieldType::kUint:
    case FieldType::kFloat:
      return value.AsDouble().value_or(-1) == ParseFloatPlain(field.fallback).value_or(0);
    case FieldType::kDuration:
      return value.AsDurationMs().value_or(-1) == ParseDuration(field.fallback).value_or(0);
    case FieldType::kByteSize:
      return ParseByteSize(value.text()).value_or(-1) == ParseByteSize(field.fallback).value_or(0);
    default:
      return value.text() == field.fallback;
  }
}

bool SectionCheck::Given(std::string_view field) const {
  const YamlNode value = node_.Find(field);
  return value.present() && !value.is_null();
}

bool SectionCheck::Set(std::string_view field) const {
  const YamlNode value = node_.Find(field);
  if (!value.present() || value.is_null()) return false;
  const Field* const known = section_.Find(field);
  if (value.is_scalar() && value.text().empty()) return false;
  return known == nullptr || !EqualsFallback(*known, value);
}

std::string SectionCheck::Text(std::string_view field) const {
  const YamlNode value = node_.Find(field);
  if (value.present()) return value.is_scalar() ? value.text() : std::string();
  const Field* const known = section_.Find(field);
  return known == nullptr ? std::string() : std::string(known->fallback);
}

bool SectionCheck::Bool(std::string_view field) const {
  const YamlNode value = node_.Find(field);
  if (value.present()) return value.AsBool().value_or(false);
  const Field* const known = section_.Find(field);
  return known != nullptr && known->fallback == "true";
}

double SectionCheck::Number(std::string_view field) const {
  const YamlNode value = node_.Find(field);
  if (value.present()) return value.AsDouble().value_or(0);
  const Field* const known = section_.Find(field);
  return known == nullptr ? 0 : ParseFloatPlain(known->fallback).value_or(0);
}

int64_t SectionCheck::DurationMs(std::string_view field) const {
  const YamlNode value = node_.Find(field);
  if (value.present()) return value.AsDurationMs().value_or(0);
  const Field* const known = section_.Find(field);
  return known == nullptr ? 0 : ParseDuration(known->fallback).value_or(0);
}

std::vector<std::string> SectionCheck::Texts(std::string_view field) const {
  std::vector<std::string> texts;
  for (const YamlNode& item : node_.Find(field).items()) texts.push_back(item.text());
  return texts;
}

void SectionCheck::Fail(std::string_view field, std::string_view message) const {
  const YamlNode value = node_.Find(field);
  context_->errors->Add(value.present() ? value : node_, message);
}

void SectionCheck::Fail(std::string_view message) const { context_->errors->Add(node_, message); }

void SectionCheck::Require(std::string_view field, std::string_view message) const {
  if (Text(field).empty()) Fail(field, message);
}

void SectionCheck::RequireOneOf(std::string_view field, std::string_view options,
                                const std::string& when_missing) const {
  const std::string text = Text(field);
  if (text.empty()) return Fail(field, when_missing);
  const std::vector<std::string_view> known = SplitBars(options);
  if (std::find(known.begin(), known.end(), text) != known.end()) return;
  Fail(field, "unknown " + std::string(field) + " " + Quoted(text) + ", must be one of " +
                  JoinOptions(options));
}

void SectionCheck::RequireHttpUrl(std::string_view field) const {
  const std::string text = Text(field);
  if (text.empty()) return Fail(field, "URL is missing");
  const auto url = ParseUrl(text);
  if (!url) return;  // said already
  if (url->scheme != "http" && url->scheme != "https") {
    Fail(field, "URL scheme must be 'http' or 'https'");
  } else if (url->host.empty()) {
    Fail(field, "host is missing in URL");
  }
}

int SectionCheck::Count(std::initializer_list<std::string_view> fields) const {
  return static_cast<int>(std::count_if(fields.begin(), fields.end(),
                                        [this](std::string_view field) { return Set(field); }));
}

void SectionCheck::NoteNotBuilt(const YamlNode& place, std::string what) const {
  if (context_->in_not_built) return;
  context_->not_built->push_back(
      {place.file() + ":" + std::to_string(place.line()) + ":" + std::to_string(place.column()),
       std::move(what)});
}

void CheckSection(const YamlNode& node, const Section& section, CheckContext* context) {
  if (!node.is_map() && !node.is_null()) {
    return context->errors->Add(
        node, "cannot unmarshal " + node.Describe() + " into " + std::string(section.name));
  }
  const model::NameScheme outer_scheme = context->scheme;
  context->scheme = SchemeOf(node, outer_scheme);
  const size_t errors_before = context->errors->messages().size();
  for (const YamlEntry& entry : node.entries()) {
    const Field* const field = section.Find(entry.key.text());
    if (field == nullptr) {
      context->errors->Add(
          entry.key, "field " + entry.key.text() + " not found in " + std::string(section.name));
      continue;
    }
    CheckField(entry.value, *field, context);
  }
  // What must hold between fields is asked only when each by itself is right.
  if (context->errors->messages().size() == errors_before) RunValidators(node, section, context);
  context->scheme = outer_scheme;
}

}  // namespace tocsin::daemon
