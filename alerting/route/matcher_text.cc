#include "alerting/route/matcher_text.h"

#include "alerting/template/go_format.h"
#include "alerting/template/literal.h"

namespace tocsin::alerting {
namespace {

constexpr std::string_view kReserved = "{}!=~,\\\"'`";
constexpr std::string_view kSpaces = " \t\r\n";

bool IsSpace(char c) { return kSpaces.find(c) != std::string_view::npos; }

std::unexpected<Status> Bad(std::string message) {
  return Error(Code::kInvalidArgument, std::move(message));
}

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  return text;
}

// "=", "!=", "=~" or "!~" at the start of *text.
bool TakeOperator(std::string_view* text, model::MatchType* type) {
  const std::pair<std::string_view, model::MatchType> operators[] = {
      {"=~", model::MatchType::kRegex},
      {"!~", model::MatchType::kNotRegex},
      {"!=", model::MatchType::kNotEqual},
      {"=", model::MatchType::kEqual}};
  for (const auto& [symbol, meaning] : operators) {
    if (!text->starts_with(symbol)) continue;
    text->remove_prefix(symbol.size());
    *type = meaning;
    return true;
  }
  return false;
}

// The grammar with any UTF-8 in names.
class Utf8Parser {
 public:
  explicit Utf8Parser(std::string_view text) : rest_(text) {}

  Result<std::vector<model::Matcher>> Run() {
    std::vector<model::Matcher> matchers;
    SkipSpace();
    const bool braced = Take('{');
    for (SkipSpace(); !rest_.empty() && rest_.front() != '}'; SkipSpace()) {
      TOCSIN_ASSIGN_OR_RETURN(model::Matcher matcher, One());
      matchers.push_back(std::move(matcher));
      SkipSpace();
      if (!Take(',')) break;
    }
    if (braced && !Take('}')) return Bad("expected close brace");
    SkipSpace();
    if (!rest_.empty()) return Bad("unexpected text: " + tmpl::GoQuote(rest_));
    return matchers;
  }

 private:
  Result<model::Matcher> One() {
    TOCSIN_ASSIGN_OR_RETURN(std::string name, Word("label name"));
    SkipSpace();
    model::MatchType type{};
    if (!TakeOperator(&rest_, &type))
      return Bad("expected an operator such as '=', '!=', '=~' or '!~'");
    SkipSpace();
    TOCSIN_ASSIGN_OR_RETURN(std::string value, Word("label value"));
    return model::Matcher::Create(type, std::move(name), std::move(value));
  }

  Result<std::string> Word(const std::string& what) {
    if (!rest_.empty() && rest_.front() == '"') {
      size_t end = 1;
      while (end < rest_.size() && rest_[end] != '"') end += rest_[end] == '\\' ? 2 : 1;
      if (end >= rest_.size()) return Bad("missing end \"");
      auto word = tmpl::UnquoteGo(rest_.substr(0, end + 1));
      if (!word)
        return Bad("invalid quoted " + what + ": " + std::string(rest_.substr(0, end + 1)));
      rest_.remove_prefix(end + 1);
      if (!model::IsValidUtf8(*word)) return Bad("invalid UTF-8 in " + what);
      return *std::move(word);
    }
    size_t end = 0;
    while (end < rest_.size() && !IsSpace(rest_[end]) &&
           kReserved.find(rest_[end]) == std::string_view::npos) {
      ++end;
    }
    if (end == 0) return Bad("expected " + what);
    std::string word(rest_.substr(0, end));
    rest_.remove_prefix(end);
    if (!model::IsValidUtf8(word)) return Bad("invalid UTF-8 in " + what);
    return word;
  }

  void SkipSpace() {
    while (!rest_.empty() && IsSpace(rest_.front())) rest_.remove_prefix(1);
  }
  bool Take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  std::string_view rest_;
};

// One matcher of the older grammar: a legacy name, an operator, and the rest, whose quotes are
// optional and whose only escapes are \" \\ and \n.
Result<model::Matcher> ClassicOne(std::string_view text) {
  text = Trimmed(text);
  size_t end = 0;
  while (end < text.size() && model::IsLegacyMetricName(text.substr(0, end + 1))) ++end;
  std::string name(text.substr(0, end));
  text = Trimmed(text.substr(end));
  model::MatchType type{};
  if (name.empty() || !TakeOperator(&text, &type)) return Bad("bad matcher format");
  text = Trimmed(text);
  bool quoted = false;
  if (text.starts_with('"')) {
    text.remove_prefix(1);
    quoted = true;
  }
  std::string value;
  bool closed = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) {
      const char escaped = text[++i];
      if (escaped == 'n') {
        value += '\n';
      } else if (escaped == '"' || escaped == '\\') {
        value += escaped;
      } else {
        value += '\\';
        value += escaped;
      }
    } else if (text[i] == '"') {
      if (!quoted || i + 1 != text.size())
        return Bad("matcher value contains unescaped double quote");
      closed = true;
    } else {
      value += text[i];
    }
  }
  if (quoted && !closed) return Bad("matcher value contains unescaped double quote");
  if (!model::IsValidUtf8(value)) return Bad("matcher value not valid UTF-8");
  return model::Matcher::Create(type, std::move(name), std::move(value));
}

Result<std::vector<model::Matcher>> ParseClassic(std::string_view text) {
  text = Trimmed(text);
  if (text.starts_with('{')) text.remove_prefix(1);
  if (text.ends_with('}')) text.remove_suffix(1);
  std::vector<model::Matcher> matchers;
  bool in_quotes = false;
  size_t start = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] == '\\') {
      ++i;
      continue;
    }
    if (i < text.size() && text[i] == '"') in_quotes = !in_quotes;
    if (i < text.size() && (text[i] != ',' || in_quotes)) continue;
    const std::string_view part = Trimmed(text.substr(start, i - start));
    start = i + 1;
    if (part.empty() && i >= text.size()) break;  // a comma may end the list
    TOCSIN_ASSIGN_OR_RETURN(model::Matcher matcher, ClassicOne(part));
    matchers.push_back(std::move(matcher));
  }
  return matchers;
}

}  // namespace

Result<std::vector<model::Matcher>> ParseMatchers(std::string_view text) {
  if (text.size() > kMatcherTextBytesMax) return Bad("matcher is too long");
  auto matchers = Utf8Parser(text).Run();
  if (matchers) return matchers;
  auto classic = ParseClassic(text);
  if (classic && !classic->empty()) return classic;
  return Error(matchers.error().Annotate(std::string(text)));
}

std::string MatcherText(const model::Matcher& matcher) {
  const std::string name =
      model::IsLegacyLabelName(matcher.name()) ? matcher.name() : tmpl::GoQuote(matcher.name());
  std::string value;
  for (const char c : matcher.value()) {
    if (c == '\n') {
      value += "\\n";
    } else {
      if (c == '"' || c == '\\') value += '\\';
      value += c;
    }
  }
  return name + std::string(model::MatchTypeSymbol(matcher.type())) + "\"" + value + "\"";
}

std::string MatchersText(const std::vector<model::Matcher>& matchers) {
  std::string out = "{";
  for (const model::Matcher& matcher : matchers) {
    if (out.size() > 1) out += ",";
    out += MatcherText(matcher);
  }
  return out + "}";
}

}  // namespace tocsin::alerting
