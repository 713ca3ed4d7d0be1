#include "model/matcher.h"

#include "base/check.h"
#include "base/regex.h"
#include "model/regex_literals.h"

namespace tocsin::model {

struct Matcher::Compiled {
  Regex regex;
  std::vector<std::string> set_matches;
  RegexLiterals literals;
};

namespace {

constexpr std::string_view kMetaCharacters = R"(\.+*?()|[]{}^$)";

bool IsLiteral(std::string_view text) {
  return text.find_first_of(kMetaCharacters) == std::string_view::npos;
}

std::vector<std::string> LiteralAlternatives(std::string_view pattern) {
  std::vector<std::string> literals;
  if (pattern.size() >= 2 && pattern.front() == '(' && pattern.back() == ')' &&
      pattern.substr(1, pattern.size() - 2).find_first_of("()") == std::string_view::npos) {
    pattern = pattern.substr(1, pattern.size() - 2);
    if (pattern.substr(0, 2) == "?:") pattern.remove_prefix(2);
  }
  while (true) {
    const size_t bar = pattern.find('|');
    const std::string_view part = pattern.substr(0, bar);
    if (!IsLiteral(part)) return {};
    literals.emplace_back(part);
    if (bar == std::string_view::npos) return literals;
    pattern.remove_prefix(bar + 1);
  }
}

}  // namespace

std::string_view MatchTypeSymbol(MatchType type) {
  switch (type) {
    case MatchType::kEqual:
      return "=";
    case MatchType::kNotEqual:
      return "!=";
    case MatchType::kRegex:
      return "=~";
    case MatchType::kNotRegex:
      return "!~";
  }
  return "?";
}

Result<Matcher> Matcher::Create(MatchType type, std::string name, std::string value) {
  Matcher m;
  m.type_ = type;
  m.name_ = std::move(name);
  m.value_ = std::move(value);
  if (type == MatchType::kRegex || type == MatchType::kNotRegex) {
    auto compiled = std::make_shared<Compiled>();
    TOCSIN_ASSIGN_OR_RETURN(compiled->regex, Regex::Compile(m.value_));
    compiled->set_matches = LiteralAlternatives(m.value_);
    compiled->literals = RegexLiterals::Of(m.value_);
    m.compiled_ = std::move(compiled);
  }
  m.matches_empty_ = m.Matches(std::string_view());
  return m;
}

Matcher Matcher::Equal(std::string name, std::string value) {
  return *Create(MatchType::kEqual, std::move(name), std::move(value));
}

Matcher Matcher::NotEqual(std::string name, std::string value) {
  return *Create(MatchType::kNotEqual, std::move(name), std::move(value));
}

bool Matcher::Matches(std::string_view label_value) const {
  switch (type_) {
    case MatchType::kEqual:
      return label_value == value_;
    case MatchType::kNotEqual:
      return label_value != value_;
    case MatchType::kRegex:
    case MatchType::kNotRegex:
      break;
  }
  const bool want = type_ == MatchType::kRegex;
  if (!compiled_->set_matches.empty()) {
    for (const std::string& literal : compiled_->set_matches) {
      if (label_value == literal) return want;
    }
    return !want;
  }
  if (compiled_->literals.is_glob) return compiled_->literals.GlobMatches(label_value) == want;
  if (!compiled_->literals.MayMatch(label_value)) return !want;
  return compiled_->regex.FullMatch(label_value) == want;
}

const std::vector<std::string>& Matcher::set_matches() const {
  static const std::vector<std::string> kNone;
  return compiled_ ? compiled_->set_matches : kNone;
}

const std::string& Matcher::prefix() const {
  static const std::string kNone;
  return compiled_ ? compiled_->literals.prefix : kNone;
}

std::string Matcher::ToString() const {
  std::string text = IsLegacyLabelName(name_) ? name_ : QuoteString(name_);
  text += MatchTypeSymbol(type_);
  text += QuoteString(value_);
  return text;
}

bool MatchesAll(const std::vector<Matcher>& matchers, const Labels& labels) {
  for (const Matcher& m : matchers) {
    if (!m.Matches(labels)) return false;
  }
  return true;
}

}  // namespace tocsin::model
