#include "base/regex.h"

#include <re2/re2.h>

#include <algorithm>
#include <map>
#include <vector>

#include "base/check.h"

namespace tocsin {
namespace {

// What one compiled pattern may take; RE2's own default.
constexpr int64_t kRegexMemoryMaxBytes = 8 << 20;

re2::StringPiece Piece(std::string_view text) { return {text.data(), text.size()}; }

// (?P<name>…) is RE2's spelling of Go's newer (?<name>…). Left alone: escapes, \Q…\E and classes.
std::string ToRe2Syntax(std::string_view pattern) {
  std::string out;
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const std::string_view rest = pattern.substr(i);
    if (rest.starts_with("\\Q")) {
      const size_t end = rest.find("\\E");
      const size_t length = end == std::string_view::npos ? rest.size() : end + 2;
      out += rest.substr(0, length);
      i += length - 1;
    } else if (rest.front() == '\\' && rest.size() > 1) {
      out += rest.substr(0, 2);
      ++i;
    } else if (in_class) {
      in_class = rest.front() != ']';
      out += rest.front();
    } else if (rest.front() == '[') {
      in_class = true;
      // A ] that comes first is a member of the class.
      const size_t length = rest.starts_with("[^]") ? 3 : rest.starts_with("[]") ? 2 : 1;
      out += rest.substr(0, length);
      i += length - 1;
    } else if (rest.starts_with("(?<") && !rest.starts_with("(?<=") && !rest.starts_with("(?<!")) {
      out += "(?P<";
      i += 2;
    } else {
      out += rest.front();
    }
  }
  return out;
}

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

struct Reference {
  std::string_view name;
  size_t length;  // of the whole reference in the template, the $ included; 0: not one
};

// `text` begins with '$'.
Reference ParseReference(std::string_view text) {
  const bool braced = text.size() > 1 && text[1] == '{';
  const size_t start = braced ? 2 : 1;
  size_t end = start;
  while (end < text.size() && IsNameCharacter(text[end])) ++end;
  if (end == start) return {{}, 0};
  const std::string_view name = text.substr(start, end - start);
  if (!braced) return {name, end};
  if (end == text.size() || text[end] != '}') return {{}, 0};
  return {name, end + 1};
}

// Go reads a name of digits only as a number, unless it begins with a zero and goes on.
std::optional<size_t> GroupNumber(std::string_view name) {
  if (name.size() > 1 && name[0] == '0') return std::nullopt;
  size_t number = 0;
  for (const char c : name) {
    if (c < '0' || c > '9' || number > 100'000) return std::nullopt;
    number = number * 10 + static_cast<size_t>(c - '0');
  }
  return number;
}

void AppendGroup(std::string& out, const RE2& regex, const std::vector<re2::StringPiece>& groups,
                 std::string_view name) {
  size_t index = groups.size();
  if (const std::optional<size_t> number = GroupNumber(name)) {
    index = *number;
  } else {
    const std::map<std::string, int>& names = regex.NamedCapturingGroups();
    if (const auto it = names.find(std::string(name)); it != names.end()) {
      index = static_cast<size_t>(it->second);
    }
  }
  if (index < groups.size() && groups[index].data() != nullptr) {
    out.append(groups[index].data(), groups[index].size());
  }
}

void Expand(std::string& out, const RE2& regex, const std::vector<re2::StringPiece>& groups,
            std::string_view replacement) {
  while (!replacement.empty()) {
    const size_t dollar = replacement.find('$');
    out += replacement.substr(0, dollar);
    if (dollar == std::string_view::npos) return;
    replacement.remove_prefix(dollar);
    if (replacement.starts_with("$$")) {
      out += '$';
      replacement.remove_prefix(2);
      continue;
    }
    const Reference reference = ParseReference(replacement);
    if (reference.length == 0) {
      out += '$';
      replacement.remove_prefix(1);
      continue;
    }
    AppendGroup(out, regex, groups, reference.name);
    replacement.remove_prefix(reference.length);
  }
}

std::vector<re2::StringPiece> RoomForGroups(const RE2& regex) {
  return std::vector<re2::StringPiece>(static_cast<size_t>(regex.NumberOfCapturingGroups()) + 1);
}

size_t CharacterLength(std::string_view text) {
  size_t length = 1;
  while (length < text.size() && length < 4 &&
         (static_cast<unsigned char>(text[length]) & 0xc0) == 0x80) {
    ++length;
  }
  return length;
}

// RE2's complaint in the words of Go's regexp: "missing closing ): `(a`".
std::string ErrorText(const RE2& failed) {
  std::string_view what = "internal error";
  switch (failed.error_code()) {
    case RE2::ErrorBadEscape:
      what = "invalid escape sequence";
      break;
    case RE2::ErrorBadCharClass:
      what = "invalid character class";
      break;
    case RE2::ErrorBadCharRange:
      what = "invalid character class range";
      break;
    case RE2::ErrorMissingBracket:
      what = "missing closing ]";
      break;
    case RE2::ErrorMissingParen:
      what = "missing closing )";
      break;
    case RE2::ErrorUnexpectedParen:
      what = "unexpected )";
      break;
    case RE2::ErrorTrailingBackslash:
      return "trailing backslash at end of expression: ``";
    case RE2::ErrorRepeatArgument:
      what = "missing argument to repetition operator";
      break;
    case RE2::ErrorRepeatSize:
      what = "invalid repeat count";
      break;
    case RE2::ErrorRepeatOp:
      what = "invalid nested repetition operator";
      break;
    case RE2::ErrorBadPerlOp:
      what = "invalid or unsupported Perl syntax";
      break;
    case RE2::ErrorBadUTF8:
      what = "invalid UTF-8";
      break;
    case RE2::ErrorBadNamedCapture:
      what = "invalid named capture";
      break;
    case RE2::ErrorPatternTooLarge:
      return "expression too large";
    default:
      break;
  }
  return std::string(what) + ": `" + failed.error_arg() + "`";
}

}  // namespace

Result<Regex> Regex::Compile(std::string_view pattern, Dot dot) {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_dot_nl(dot == Dot::kAny);
  options.set_max_mem(kRegexMemoryMaxBytes);
  auto compiled = std::make_shared<const RE2>(Piece(ToRe2Syntax(pattern)), options);
  if (!compiled->ok()) {
    return Error(Code::kInvalidArgument, "error parsing regexp: " + ErrorText(*compiled));
  }
  Regex regex;
  regex.pattern_ = pattern;
  regex.compiled_ = std::move(compiled);
  return regex;
}

bool Regex::FullMatch(std::string_view text) const {
  DCHECK(compiled_ != nullptr);
  return compiled_->Match(Piece(text), 0, text.size(), RE2::ANCHOR_BOTH, nullptr, 0);
}

bool Regex::PartialMatch(std::string_view text) const {
  DCHECK(compiled_ != nullptr);
  return compiled_->Match(Piece(text), 0, text.size(), RE2::UNANCHORED, nullptr, 0);
}

std::optional<std::string> Regex::MatchAndExpand(std::string_view text,
                                                 std::string_view replacement) const {
  DCHECK(compiled_ != nullptr);
  std::vector<re2::StringPiece> groups = RoomForGroups(*compiled_);
  if (!compiled_->Match(Piece(text), 0, text.size(), RE2::ANCHOR_BOTH, groups.data(),
                        static_cast<int>(groups.size()))) {
    return std::nullopt;
  }
  std::string out;
  Expand(out, *compiled_, groups, replacement);
  return out;
}

std::string Regex::ReplaceAll(std::string_view text, std::string_view replacement) const {
  DCHECK(compiled_ != nullptr);
  std::vector<re2::StringPiece> groups = RoomForGroups(*compiled_);
  std::string out;
  size_t copied = 0;  // of `text`, what is in `out` already
  size_t from = 0;
  while (from <= text.size() && compiled_->Match(Piece(text), from, text.size(), RE2::UNANCHORED,
                                                 groups.data(), static_cast<int>(groups.size()))) {
    const auto begin = static_cast<size_t>(groups[0].data() - text.data());
    const size_t end = begin + groups[0].size();
    out += text.substr(copied, begin - copied);
    // An empty match right behind another match does not count.
    if (end > copied || begin == 0) Expand(out, *compiled_, groups, replacement);
    copied = end;
    from = std::max(end, from + CharacterLength(text.substr(from)));
  }
  if (copied < text.size()) out += text.substr(copied);
  return out;
}

std::string QuoteRegex(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view(R"(\.+*?()|[]{}^$)").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

}  // namespace tocsin
