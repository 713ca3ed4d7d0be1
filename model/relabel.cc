#include "model/relabel.h"

#include <locale.h>
#include <openssl/evp.h>
#include <wctype.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "base/check.h"
#include "base/regex.h"

namespace tocsin::model {
namespace {

struct ActionName {
  RelabelAction action;
  std::string_view name;
};

constexpr std::array<ActionName, 11> kActionNames = {{
    {RelabelAction::kReplace, "replace"},
    {RelabelAction::kKeep, "keep"},
    {RelabelAction::kDrop, "drop"},
    {RelabelAction::kKeepEqual, "keepequal"},
    {RelabelAction::kDropEqual, "dropequal"},
    {RelabelAction::kHashMod, "hashmod"},
    {RelabelAction::kLabelMap, "labelmap"},
    {RelabelAction::kLabelDrop, "labeldrop"},
    {RelabelAction::kLabelKeep, "labelkeep"},
    {RelabelAction::kLowercase, "lowercase"},
    {RelabelAction::kUppercase, "uppercase"},
}};

const RelabelConfig& Defaults() {
  static const RelabelConfig defaults;
  return defaults;
}

bool IsWordChar(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool HasVariable(std::string_view text) { return text.find('$') != std::string_view::npos; }

// One reference in a template: $name, ${name}, $1, $$. Go's rule: the longest run of word
// characters; what does not read as a reference is literal text.
struct Reference {
  std::string_view name;
  size_t length = 0;  // bytes it takes in the template; 0 = not a reference
};

Reference ReadReference(std::string_view text) {
  Reference reference;
  if (text.size() < 2 || text[0] != '$') return reference;
  const bool braced = text[1] == '{';
  const size_t begin = braced ? 2 : 1;
  size_t end = begin;
  while (end < text.size() && IsWordChar(text[end])) ++end;
  if (end == begin) return reference;
  if (braced && (end >= text.size() || text[end] != '}')) return reference;
  reference.name = text.substr(begin, end - begin);
  reference.length = end + (braced ? 1 : 0);
  return reference;
}

// What legacy names allow in a target that has variables: letters, _, references, then digits.
bool IsLegacyNameTemplate(std::string_view text) {
  if (text.empty()) return false;
  bool first = true;
  while (!text.empty()) {
    if (const Reference reference = ReadReference(text); reference.length > 0) {
      text.remove_prefix(reference.length);
    } else if (IsWordChar(text[0]) &&
               !(first && std::isdigit(static_cast<unsigned char>(text[0])))) {
      text.remove_prefix(1);
    } else {
      return false;
    }
    first = false;
  }
  return true;
}

bool IsValidNameTemplate(std::string_view text, NameScheme scheme) {
  return scheme == NameScheme::kLegacy ? IsLegacyNameTemplate(text)
                                       : IsValidLabelName(text, scheme);
}

// The last 8 bytes of the MD5, as Prometheus takes them.
uint64_t Md5Tail(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int length = 0;
  CHECK(EVP_Digest(text.data(), text.size(), digest.data(), &length, EVP_md5(), nullptr) == 1);
  CHECK(length == 16);
  uint64_t value = 0;
  for (size_t i = 8; i < 16; ++i) value = (value << 8) | digest[i];
  return value;
}

void AppendUtf8(std::string& out, uint32_t rune) {
  const auto put = [&](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (rune < 0x80) {
    put(rune);
  } else if (rune < 0x800) {
    put(0xc0 | (rune >> 6));
    put(0x80 | (rune & 0x3f));
  } else if (rune < 0x10000) {
    put(0xe0 | (rune >> 12));
    put(0x80 | ((rune >> 6) & 0x3f));
    put(0x80 | (rune & 0x3f));
  } else {
    put(0xf0 | (rune >> 18));
    put(0x80 | ((rune >> 12) & 0x3f));
    put(0x80 | ((rune >> 6) & 0x3f));
    put(0x80 | (rune & 0x3f));
  }
}

// Letter case by Unicode's simple mapping, which C.UTF-8 carries on every system.
std::string ChangeCase(std::string_view text, bool upper) {
  static const locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0x80 || !IsValidUtf8(text) || utf8 == nullptr) {
      out.push_back(static_cast<char>(lead >= 0x80 ? lead
                                      : upper      ? std::toupper(lead)
                                                   : std::tolower(lead)));
      ++i;
      continue;
    }
    const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    uint32_t rune = lead & (0xffu >> (length + 1));
    for (size_t k = 1; k < length; ++k) {
      rune = (rune << 6) | (static_cast<unsigned char>(text[i + k]) & 0x3fu);
    }
    const wint_t changed = upper ? towupper_l(static_cast<wint_t>(rune), utf8)
                                 : towlower_l(static_cast<wint_t>(rune), utf8);
    AppendUtf8(out, static_cast<uint32_t>(changed));
    i += length;
  }
  return out;
}

std::string Quoted(std::string_view text) { return QuoteString(text); }

Status Validate(const RelabelConfig& c, NameScheme scheme) {
  using enum RelabelAction;
  const std::string action(RelabelActionName(c.action));
  const auto is = [&](std::initializer_list<RelabelAction> actions) {
    return std::find(actions.begin(), actions.end(), c.action) != actions.end();
  };
  const auto invalid = [](std::string message) {
    return Status(Code::kInvalidArgument, std::move(message));
  };
  const RelabelConfig& defaults = Defaults();

  if (c.action == kHashMod && c.modulus == 0) {
    return invalid("relabel configuration for hashmod requires non-zero modulus");
  }
  if (is({kReplace, kKeepEqual, kDropEqual, kHashMod, kLowercase, kUppercase}) &&
      c.target_label.empty()) {
    return invalid("relabel configuration for " + action + " action requires 'target_label' value");
  }
  const bool plain_target = is({kLowercase, kUppercase, kKeepEqual, kDropEqual, kHashMod});
  if ((c.action == kReplace && !IsValidNameTemplate(c.target_label, scheme)) ||
      (plain_target && !IsValidLabelName(c.target_label, scheme))) {
    return invalid(Quoted(c.target_label) + " is invalid 'target_label' for " + action + " action");
  }
  if (is({kLowercase, kUppercase, kKeepEqual, kDropEqual}) &&
      c.replacement != defaults.replacement) {
    return invalid("'replacement' can not be set for " + action + " action");
  }
  if (c.action == kLabelMap && !IsValidNameTemplate(c.replacement, scheme)) {
    return invalid(Quoted(c.replacement) + " is invalid 'replacement' for " + action + " action");
  }
  if (is({kDropEqual, kKeepEqual}) &&
      (c.regex != defaults.regex || c.modulus != defaults.modulus ||
       c.separator != defaults.separator || c.replacement != defaults.replacement)) {
    return invalid(action +
                   " action requires only 'source_labels' and `target_label`, and no other fields");
  }
  if (is({kLabelDrop, kLabelKeep}) &&
      (!c.source_labels.empty() || c.target_label != defaults.target_label ||
       c.modulus != defaults.modulus || c.separator != defaults.separator ||
       c.replacement != defaults.replacement)) {
    return invalid(action + " action requires only 'regex', and no other fields");
  }
  return Status::Ok();
}

}  // namespace

struct RelabelRule::Compiled {
  Regex regex;
  bool default_regex = false;     // "(.*)": matches anything
  bool constant_replace = false;  // default regex, no variables in target and replacement
};

std::string_view RelabelActionName(RelabelAction action) {
  for (const ActionName& entry : kActionNames) {
    if (entry.action == action) return entry.name;
  }
  return "";
}

std::optional<RelabelAction> ParseRelabelAction(std::string_view name) {
  std::string lower(name);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const ActionName& entry : kActionNames) {
    if (entry.name == lower) return entry.action;
  }
  return std::nullopt;
}

bool IsValidLabelName(std::string_view name, NameScheme scheme) {
  return scheme == NameScheme::kLegacy ? IsLegacyLabelName(name)
                                       : !name.empty() && IsValidUtf8(name);
}

bool IsValidMetricName(std::string_view name, NameScheme scheme) {
  return scheme == NameScheme::kLegacy ? IsLegacyMetricName(name)
                                       : !name.empty() && IsValidUtf8(name);
}

Result<RelabelRule> RelabelRule::Create(RelabelConfig config, NameScheme scheme) {
  TOCSIN_TRY(Validate(config, scheme));
  auto compiled = std::make_shared<Compiled>();
  TOCSIN_ASSIGN_OR_RETURN(compiled->regex, Regex::Compile(config.regex));
  compiled->default_regex = config.regex == Defaults().regex;
  compiled->constant_replace = compiled->default_regex && !HasVariable(config.target_label) &&
                               !HasVariable(config.replacement);
  RelabelRule rule;
  rule.config_ = std::move(config);
  rule.scheme_ = scheme;
  rule.compiled_ = std::move(compiled);
  return rule;
}

namespace {

std::string JoinSourceLabels(const RelabelConfig& config, const LabelsBuilder& labels) {
  std::string joined;
  for (size_t i = 0; i < config.source_labels.size(); ++i) {
    if (i > 0) joined += config.separator;
    joined += labels.Get(config.source_labels[i]);
  }
  return joined;
}

void Replace(const RelabelConfig& config, NameScheme scheme, const Regex& regex,
             std::string_view value, LabelsBuilder* labels) {
  const auto replacement = regex.MatchAndExpand(value, config.replacement);
  if (!replacement) return;
  const std::string target = HasVariable(config.target_label)
                                 ? *regex.MatchAndExpand(value, config.target_label)
                                 : config.target_label;
  if (IsValidLabelName(target, scheme)) labels->Set(target, *replacement);
}

// Sets from a copy: a mapped name may be one that is still to be looked at, with its old value.
void MapLabels(const RelabelConfig& config, const Regex& regex, LabelsBuilder* labels) {
  const auto before = labels->pairs();
  for (const auto& [name, value] : before) {
    if (const auto mapped = regex.MatchAndExpand(name, config.replacement)) {
      labels->Set(*mapped, value);
    }
  }
}

void RemoveLabels(const Regex& regex, bool matching, LabelsBuilder* labels) {
  const auto before = labels->pairs();
  for (const auto& [name, value] : before) {
    if (regex.FullMatch(name) == matching) labels->Del(name);
  }
}

}  // namespace

bool RelabelRule::Apply(LabelsBuilder* labels) const {
  const std::string value = JoinSourceLabels(config_, *labels);
  const Regex& regex = compiled_->regex;
  switch (config_.action) {
    case RelabelAction::kReplace:
      if (compiled_->constant_replace) {
        labels->Set(config_.target_label, config_.replacement);
      } else {
        Replace(config_, scheme_, regex, value, labels);
      }
      return true;
    case RelabelAction::kKeep:
      return compiled_->default_regex || regex.FullMatch(value);
    case RelabelAction::kDrop:
      return !compiled_->default_regex && !regex.FullMatch(value);
    case RelabelAction::kKeepEqual:
      return labels->Get(config_.target_label) == value;
    case RelabelAction::kDropEqual:
      return labels->Get(config_.target_label) != value;
    case RelabelAction::kHashMod:
      labels->Set(config_.target_label, std::to_string(Md5Tail(value) % config_.modulus));
      return true;
    case RelabelAction::kLabelMap:
      MapLabels(config_, regex, labels);
      return true;
    case RelabelAction::kLabelDrop:
      RemoveLabels(regex, true, labels);
      return true;
    case RelabelAction::kLabelKeep:
      RemoveLabels(regex, false, labels);
      return true;
    case RelabelAction::kLowercase:
      labels->Set(config_.target_label, ChangeCase(value, false));
      return true;
    case RelabelAction::kUppercase:
      labels->Set(config_.target_label, ChangeCase(value, true));
      return true;
  }
  return true;
}

bool ApplyRelabelRules(const std::vector<RelabelRule>& rules, LabelsBuilder* labels) {
  for (const RelabelRule& rule : rules) {
    if (!rule.Apply(labels)) return false;
  }
  return true;
}

}  // namespace tocsin::model
