#include "query/lexer.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "model/labels.h"
#include "query/literals.h"

namespace tocsin::query {
namespace {

constexpr uint32_t kEnd = 0xffffffff;  // past the end of the text

bool IsSpace(uint32_t c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool IsDigit(uint32_t c) { return c >= '0' && c <= '9'; }
bool IsAlpha(uint32_t c) { return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsAlphaNumeric(uint32_t c) { return IsAlpha(c) || IsDigit(c); }

struct Keyword {
  std::string_view name;
  TokenType type;
};

constexpr Keyword kKeywords[] = {
    {"anchored", TokenType::kAnchored},
    {"and", TokenType::kAnd},
    {"atan2", TokenType::kAtan2},
    {"avg", TokenType::kAvg},
    {"bool", TokenType::kBool},
    {"bottomk", TokenType::kBottomk},
    {"by", TokenType::kBy},
    {"count", TokenType::kCount},
    {"count_values", TokenType::kCountValues},
    {"end", TokenType::kEnd},
    {"fill", TokenType::kFill},
    {"fill_left", TokenType::kFillLeft},
    {"fill_right", TokenType::kFillRight},
    {"group", TokenType::kGroup},
    {"group_left", TokenType::kGroupLeft},
    {"group_right", TokenType::kGroupRight},
    {"ignoring", TokenType::kIgnoring},
    {"inf", TokenType::kNumber},
    {"limit_ratio", TokenType::kLimitRatio},
    {"limitk", TokenType::kLimitk},
    {"max", TokenType::kMax},
    {"max_of", TokenType::kMaxOf},
    {"min", TokenType::kMin},
    {"min_of", TokenType::kMinOf},
    {"nan", TokenType::kNumber},
    {"offset", TokenType::kOffset},
    {"on", TokenType::kOn},
    {"or", TokenType::kOr},
    {"quantile", TokenType::kQuantile},
    {"range", TokenType::kRange},
    {"smoothed", TokenType::kSmoothed},
    {"start", TokenType::kStart},
    {"stddev", TokenType::kStddev},
    {"stdvar", TokenType::kStdvar},
    {"step", TokenType::kStep},
    {"sum", TokenType::kSum},
    {"topk", TokenType::kTopk},
    {"unless", TokenType::kUnless},
    {"without", TokenType::kWithout},
};
constexpr bool ByName(const Keyword& a, const Keyword& b) { return a.name < b.name; }
static_assert(std::is_sorted(std::begin(kKeywords), std::end(kKeywords), ByName));

constexpr size_t kLongestKeyword = 12;

// Keywords are recognised in any case.
const Keyword* FindKeyword(std::string_view word) {
  if (word.size() > kLongestKeyword) return nullptr;
  char lower[kLongestKeyword];
  std::transform(word.begin(), word.end(), lower, [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  const std::string_view name(lower, word.size());
  const auto* it =
      std::lower_bound(std::begin(kKeywords), std::end(kKeywords), name,
                       [](const Keyword& k, std::string_view n) { return k.name < n; });
  return it != std::end(kKeywords) && it->name == name ? it : nullptr;
}

std::string QuoteOrFfffd(uint32_t c) { return QuoteCharacter(c == kEnd ? kRuneError : c); }

// U+0071 'q', the character as it is; without it when it does not print.
std::string UnicodeName(uint32_t c) {
  char code[16];
  std::snprintf(code, sizeof code, "U+%04X", c);
  if (c == '\\') return code + std::string(" '\\'");
  if (c == '\'') return code + std::string(" '''");
  const std::string quoted = QuoteCharacter(c);
  return quoted[1] == '\\' ? code : code + std::string(" ") + quoted;
}

}  // namespace

std::string DescribeToken(const Token& token) {
  const std::string text(token.text);
  // Long texts are cut to their first ten characters.
  const auto quoted = [&]() -> std::string {
    if (text.size() <= 10) return model::QuoteString(text);
    size_t end = 0;
    uint32_t rune;
    for (int i = 0; i < 10 && end < text.size(); ++i) {
      end += static_cast<size_t>(DecodeCharacter(text, end, &rune));
    }
    return model::QuoteString(text.substr(0, end)) + "...";
  };
  switch (token.type) {
    case TokenType::kEndOfInput:
      return "end of input";
    case TokenType::kError:
      return "error " + token.message;
    case TokenType::kIdentifier:
      return "identifier " + model::QuoteString(text);
    case TokenType::kMetricIdentifier:
      return "metric identifier " + model::QuoteString(text);
    case TokenType::kString:
      return "string " + quoted();
    case TokenType::kNumber:
      return "number " + quoted();
    case TokenType::kDuration:
      return "duration " + quoted();
    default:
      break;
  }
  if (IsKeyword(token.type)) return "<" + text + ">";
  if (IsOperator(token.type)) return "<op:" + text + ">";
  if (IsAggregation(token.type)) return "<aggr:" + text + ">";
  return quoted();
}

uint32_t Lexer::Peek(int* length) const {
  uint32_t rune = kEnd;
  const int bytes = DecodeCharacter(text_, position_, &rune);
  if (length != nullptr) *length = bytes;
  return rune;
}

char Lexer::PeekByte(size_t ahead) const {
  return position_ + ahead < text_.size() ? text_[position_ + ahead] : '\0';
}

bool Lexer::Accept(std::string_view valid) {
  if (position_ >= text_.size() || valid.find(text_[position_]) == std::string_view::npos) {
    return false;
  }
  ++position_;
  return true;
}

Token Lexer::Emit(TokenType type) {
  Token token;
  token.type = type;
  token.start = static_cast<int32_t>(start_);
  token.end = static_cast<int32_t>(position_);
  token.text = text_.substr(start_, position_ - start_);
  start_ = position_;
  return token;
}

Token Lexer::Fail(std::string message) {
  Token token;
  token.type = TokenType::kError;
  token.start = static_cast<int32_t>(start_);
  token.end = static_cast<int32_t>(text_.size());
  token.message = std::move(message);
  return token;
}

Token Lexer::Next() {
  if (done_) return last_;
  switch (mode_) {
    case Mode::kStatements:
      last_ = LexStatement();
      break;
    case Mode::kBraces:
      last_ = LexInBraces();
      break;
    case Mode::kDurationExpression:
      last_ = LexDurationExpression();
      break;
  }
  done_ = last_.type == TokenType::kEndOfInput || last_.type == TokenType::kError;
  return last_;
}

void Lexer::SkipSpaceAndComments() {
  while (position_ < text_.size()) {
    const char c = text_[position_];
    if (IsSpace(static_cast<uint8_t>(c))) {
      ++position_;
    } else if (c == '#') {
      while (position_ < text_.size() && text_[position_] != '\n' && text_[position_] != '\r') {
        ++position_;
      }
    } else {
      break;
    }
  }
  start_ = position_;
}

Token Lexer::LexStatement() {
  SkipSpaceAndComments();
  int length = 0;
  const uint32_t c = Peek(&length);
  if (c == kEnd) {
    if (paren_depth_ != 0) return Fail("unclosed left parenthesis");
    if (bracket_open_) return Fail("unclosed left bracket");
    return Emit(TokenType::kEndOfInput);
  }
  if (IsDigit(c) || (c == '.' && IsDigit(static_cast<uint8_t>(PeekByte(1))))) {
    return LexNumberOrDuration();
  }
  if (IsAlpha(c) || (c == ':' && !bracket_open_)) {
    if (!bracket_open_) return LexKeywordOrIdentifier();
    return LexDurationKeyword("unexpected character: ", ", expected ':'");
  }
  position_ += static_cast<size_t>(length);
  return LexStatementCharacter(c);
}

// The character has been consumed.
Token Lexer::LexStatementCharacter(uint32_t c) {
  switch (c) {
    case ',':
      return Emit(TokenType::kComma);
    case '*':
      return Emit(TokenType::kMul);
    case '/':
      return Emit(TokenType::kDiv);
    case '%':
      return Emit(TokenType::kMod);
    case '+':
      return Emit(TokenType::kAdd);
    case '-':
      return Emit(TokenType::kSub);
    case '^':
      return Emit(TokenType::kPow);
    case '@':
      return Emit(TokenType::kAt);
    case '=':
      if (Accept("=")) return Emit(TokenType::kEqualEqual);
      if (PeekByte() == '~') return Fail("unexpected character after '=': '~'");
      return Emit(TokenType::kEqual);
    case '!':
      if (Accept("=")) return Emit(TokenType::kNotEqual);
      return Fail("unexpected character after '!': " + QuoteOrFfffd(Peek()));
    case '<':
      if (Accept("=")) return Emit(TokenType::kLessEqual);
      return Emit(Accept("/") ? TokenType::kTrimUpper : TokenType::kLess);
    case '>':
      if (Accept("=")) return Emit(TokenType::kGreaterEqual);
      return Emit(Accept("/") ? TokenType::kTrimLower : TokenType::kGreater);
    case '"':
    case '\'':
    case '`':
      return LexString(static_cast<char>(c));
    case '(':
      return OpenParen();
    case ')':
      return CloseParen();
    case '{':
      mode_ = Mode::kBraces;
      return Emit(TokenType::kLeftBrace);
    case ':':  // inside brackets only: elsewhere it begins an identifier
      if (got_colon_) return Fail("unexpected colon ':'");
      got_colon_ = true;
      return Emit(TokenType::kColon);
    case '[':
      if (bracket_open_) return Fail("unexpected left bracket '['");
      bracket_open_ = true;
      got_colon_ = false;
      got_duration_ = false;
      mode_ = Mode::kDurationExpression;
      return Emit(TokenType::kLeftBracket);
    case ']':
      if (!bracket_open_) return Fail("unexpected right bracket ']'");
      return CloseBracket();
    default:
      return Fail("unexpected character: " + QuoteCharacter(c));
  }
}

Token Lexer::OpenParen() {
  ++paren_depth_;
  return Emit(TokenType::kLeftParen);
}

Token Lexer::CloseParen() {
  if (--paren_depth_ < 0) {
    start_ = position_;  // the reference points behind the parenthesis
    return Fail("unexpected right parenthesis ')'");
  }
  return Emit(TokenType::kRightParen);
}

Token Lexer::CloseBracket() {
  bracket_open_ = false;
  mode_ = Mode::kStatements;
  return Emit(TokenType::kRightBracket);
}

// Right after '[' and between the operators of a duration expression.
Token Lexer::LexDurationExpression() {
  while (IsSpace(static_cast<uint8_t>(PeekByte()))) ++position_;
  start_ = position_;
  int length = 0;
  const uint32_t c = Peek(&length);
  if (c == kEnd) return Fail("unexpected end of input in duration expression");
  if (IsDigit(c) || (c == '.' && IsDigit(static_cast<uint8_t>(PeekByte(1))))) {
    got_duration_ = true;
    mode_ = Mode::kStatements;
    return LexNumberOrDuration();
  }
  if (IsAlpha(c)) {
    got_duration_ = true;
    return LexDurationKeyword("unexpected character in duration expression: ", "");
  }
  position_ += static_cast<size_t>(length);
  switch (c) {
    case ']':
      return CloseBracket();
    case ':':
      start_ = position_;  // errors point behind the colon
      if (!got_duration_) return Fail("unexpected colon before duration in duration expression");
      if (got_colon_) return Fail("unexpected repeated colon in duration expression");
      got_colon_ = true;
      --start_;
      return Emit(TokenType::kColon);
    case '(':
      return OpenParen();
    case ')':
      return CloseParen();
    case '+':
    case '-':
    case '*':
    case '/':
    case '%':
    case '^':
    case ',':
      return LexStatementCharacter(c);
    default:
      return Fail("unexpected character in duration expression: " + QuoteCharacter(c));
  }
}

// step, range, max_of and min_of are the only words inside brackets.
Token Lexer::LexDurationKeyword(std::string_view error_head, std::string_view error_tail) {
  const uint32_t first = Peek();
  size_t end = position_;
  while (end < text_.size() && IsAlpha(static_cast<uint8_t>(text_[end]))) ++end;
  const Keyword* keyword = FindKeyword(text_.substr(position_, end - position_));
  if (keyword == nullptr ||
      (keyword->type != TokenType::kStep && keyword->type != TokenType::kRange &&
       keyword->type != TokenType::kMaxOf && keyword->type != TokenType::kMinOf)) {
    return Fail(std::string(error_head) + QuoteCharacter(first) + std::string(error_tail));
  }
  position_ = end;
  return Emit(keyword->type);
}

Token Lexer::LexInBraces() {
  SkipSpaceAndComments();
  int length = 0;
  const uint32_t c = Peek(&length);
  if (c == kEnd) return Fail("unexpected end of input inside braces");
  if (IsAlpha(c)) {
    while (IsAlphaNumeric(static_cast<uint8_t>(PeekByte()))) ++position_;
    return Emit(TokenType::kIdentifier);
  }
  position_ += static_cast<size_t>(length);
  switch (c) {
    case ',':
      return Emit(TokenType::kComma);
    case '"':
    case '\'':
    case '`':
      return LexString(static_cast<char>(c));
    case '=':
      return Emit(Accept("~") ? TokenType::kEqualRegex : TokenType::kEqual);
    case '!':
      if (Accept("~")) return Emit(TokenType::kNotRegex);
      if (Accept("=")) return Emit(TokenType::kNotEqual);
      return Fail("unexpected character after '!' inside braces: " + QuoteOrFfffd(Peek()));
    case '{':
      return Fail("unexpected left brace '{'");
    case '}':
      mode_ = Mode::kStatements;
      return Emit(TokenType::kRightBrace);
    default:
      return Fail("unexpected character inside braces: " + QuoteCharacter(c));
  }
}

// The opening quote has been consumed. Raw strings know no escapes and may span lines.
Token Lexer::LexString(char quote) {
  const bool raw = quote == '`';
  for (;;) {
    int length = 0;
    const uint32_t c = Peek(&length);
    if (c == kEnd || (c == '\n' && !raw)) {
      return Fail(raw ? "unterminated raw string" : "unterminated quoted string");
    }
    if (c == kRuneError) return Fail("invalid UTF-8 rune");
    position_ += static_cast<size_t>(length);
    if (c == static_cast<uint8_t>(quote)) return Emit(TokenType::kString);
    if (c == '\\' && !raw) {
      bool failed = false;
      Token error = LexEscape(quote, &failed);
      if (failed) return error;
    }
  }
}

// The backslash has been consumed.
Token Lexer::LexEscape(char quote, bool* failed) {
  const auto fail = [&](std::string message) {
    *failed = true;
    return Fail(std::move(message));
  };
  int length = 0;
  const uint32_t c = Peek(&length);
  if (c == kEnd) return fail("escape sequence not terminated");
  position_ += static_cast<size_t>(length);
  if (c == static_cast<uint8_t>(quote) ||
      (c < 0x80 && std::strchr("abfnrtv\\", static_cast<int>(c)) != nullptr && c != 0)) {
    return Token();
  }
  int digits = 0;
  uint32_t base = 16;
  uint32_t max = 0x10ffff;
  if (c >= '0' && c <= '7') {
    --position_;
    digits = 3;
    base = 8;
    max = 255;
  } else if (c == 'x') {
    digits = 2;
    max = 255;
  } else if (c == 'u') {
    digits = 4;
  } else if (c == 'U') {
    digits = 8;
  } else {
    return fail("unknown escape sequence " + UnicodeName(c));
  }
  uint32_t value = 0;
  for (; digits > 0; --digits) {
    const uint32_t d = Peek(&length);
    if (d == kEnd) return fail("escape sequence not terminated");
    uint32_t digit = 16;
    if (IsDigit(d)) digit = d - '0';
    if (d >= 'a' && d <= 'f') digit = d - 'a' + 10;
    if (d >= 'A' && d <= 'F') digit = d - 'A' + 10;
    if (digit >= base) {
      return fail("illegal character " + UnicodeName(d) + " in escape sequence");
    }
    value = value * base + digit;
    position_ += static_cast<size_t>(length);
  }
  if (value > max || (value >= 0xd800 && value < 0xe000)) {
    return fail("escape sequence is an invalid Unicode code point");
  }
  return Token();
}

Token Lexer::LexNumberOrDuration() {
  if (ScanNumber()) return Emit(TokenType::kNumber);
  if (ScanRestOfDuration()) return Emit(TokenType::kDuration);
  return Fail("bad number or duration syntax: " +
              model::QuoteString(text_.substr(start_, position_ - start_)));
}

// Consumes what looks like a number; false when it is none, or when a letter follows at once (then
// it may be the digits of a duration). Whether the digits fit together is left to ParseNumber.
bool Lexer::ScanNumber() {
  const size_t initial = position_;
  std::string_view digits = "0123456789";
  const bool hex = PeekByte() == '0' && (PeekByte(1) == 'x' || PeekByte(1) == 'X');
  if (hex) {
    position_ += 2;
    Accept("_");
    digits = "0123456789abcdefABCDEF";
  }
  bool got_dot = false;
  bool got_exponent = false;
  for (;;) {
    if (Accept(digits)) continue;
    if (PeekByte() == '.' && position_ < text_.size()) {
      ++position_;
      if (got_dot || hex || Accept("_.")) return false;
      got_dot = true;
    } else if (Accept("eE")) {
      if (got_exponent) return false;
      got_exponent = true;
      Accept("+-");
      if (Accept("._eE") || position_ >= text_.size()) return false;
    } else if (Accept("_")) {
      if (Accept("._eE") || position_ >= text_.size()) return false;
    } else {
      break;
    }
  }
  return position_ != initial && !IsAlphaNumeric(static_cast<uint8_t>(PeekByte()));
}

// The digits have been consumed: a unit, then more digits and units.
bool Lexer::ScanRestOfDuration() {
  if (!Accept("smhdwy")) return false;
  Accept("s");  // ms; units such as "hs" are refused by ParseDuration
  while (Accept("0123456789")) {
    while (Accept("0123456789")) {
    }
    if (!Accept("smhdw")) return false;
    Accept("s");
  }
  int length = 0;
  if (!IsAlphaNumeric(Peek(&length))) return true;
  position_ += static_cast<size_t>(length);
  return false;
}

Token Lexer::LexKeywordOrIdentifier() {
  bool colon = false;
  while (position_ < text_.size()) {
    const char c = text_[position_];
    if (!IsAlphaNumeric(static_cast<uint8_t>(c)) && c != ':') break;
    colon = colon || c == ':';
    ++position_;
  }
  if (const Keyword* keyword = FindKeyword(text_.substr(start_, position_ - start_))) {
    const bool is_fill = keyword->type == TokenType::kFill ||
                         keyword->type == TokenType::kFillLeft ||
                         keyword->type == TokenType::kFillRight;
    // Only `fill (` is the modifier, so that metrics called fill keep working.
    return Emit(is_fill && !NextIsLeftParen() ? TokenType::kIdentifier : keyword->type);
  }
  return Emit(colon ? TokenType::kMetricIdentifier : TokenType::kIdentifier);
}

bool Lexer::NextIsLeftParen() const {
  size_t i = position_;
  while (i < text_.size() && IsSpace(static_cast<uint8_t>(text_[i]))) ++i;
  return i < text_.size() && text_[i] == '(';
}

}  // namespace tocsin::query
