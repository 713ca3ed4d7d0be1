#include "alerting/template/lexer.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "alerting/template/go_format.h"
#include "alerting/template/utf8.h"

namespace tocsin::alerting::tmpl {
namespace {

constexpr std::string_view kLeft = "{{";
constexpr std::string_view kRight = "}}";
constexpr std::string_view kLeftComment = "/*";
constexpr std::string_view kRightComment = "*/";
constexpr std::string_view kSpaceChars = " \t\r\n";
constexpr std::array<std::string_view, 10> kKeywords = {
    "if", "else", "end", "range", "with", "define", "template", "block", "break", "continue"};

bool IsSpace(char c) { return kSpaceChars.find(c) != std::string_view::npos; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
// Letters beyond ASCII count as letters: identifiers may be of any script.
bool IsWordByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || IsDigit(c) ||
         static_cast<unsigned char>(c) >= 0x80;
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  std::vector<Token> Run() {
    bool going = true;
    while (going && tokens_.size() < kMaxTokens) going = in_action_ ? LexInsideAction() : LexText();
    if (going) Fail("template has too many tokens");
    return std::move(tokens_);
  }

 private:
  void Emit(TokenKind kind, size_t start, size_t end) {
    tokens_.push_back({kind, start, line_, text_.substr(start, end - start), {}});
    line_ += static_cast<int>(std::count(text_.begin() + static_cast<std::ptrdiff_t>(start),
                                         text_.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
  }
  void SkipLines(size_t start, size_t end) {
    line_ += static_cast<int>(std::count(text_.begin() + static_cast<std::ptrdiff_t>(start),
                                         text_.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
  }
  bool Fail(std::string message) {
    tokens_.push_back({TokenKind::kError, pos_, line_, text_.substr(pos_, 0), std::move(message)});
    return false;
  }

  bool LexText() {
    size_t left = text_.find(kLeft, pos_);
    if (left == std::string_view::npos) left = text_.size();
    size_t end = left;
    const bool trims =
        left + 3 < text_.size() && text_[left + 2] == '-' && IsSpace(text_[left + 3]);
    if (trims) {
      while (end > pos_ && IsSpace(text_[end - 1])) --end;
    }
    if (end > pos_) Emit(TokenKind::kText, pos_, end);
    SkipLines(std::max(end, pos_), left);
    pos_ = left;
    if (left == text_.size()) {
      Emit(TokenKind::kEof, pos_, pos_);
      return false;
    }
    const size_t after = left + 2 + (trims ? 2 : 0);
    if (text_.substr(after).starts_with(kLeftComment)) return SkipComment(after);
    Emit(TokenKind::kLeftDelimiter, left, left + 2);
    SkipLines(left + 2, after);
    pos_ = after;
    in_action_ = true;
    paren_depth_ = 0;
    return true;
  }

  bool SkipComment(size_t start) {
    const size_t close = text_.find(kRightComment, start);
    if (close == std::string_view::npos) return Fail("unclosed comment");
    size_t end = close + 2;
    bool trims = false;
    if (text_.substr(end).size() >= 4 && IsSpace(text_[end]) &&
        text_.substr(end + 1).starts_with("-}}")) {
      trims = true;
      end += 2;
    }
    if (!text_.substr(end).starts_with(kRight))
      return Fail("comment ends before closing delimiter");
    end += 2;
    if (trims) end = SkipSpace(end);
    SkipLines(pos_, end);
    pos_ = end;
    return true;
  }

  size_t SkipSpace(size_t from) const {
    while (from < text_.size() && IsSpace(text_[from])) ++from;
    return from;
  }

  // "}}" or " -}}" at pos_.
  bool AtRightDelimiter(bool* trims) const {
    const std::string_view rest = text_.substr(pos_);
    *trims = rest.size() >= 4 && IsSpace(rest[0]) && rest.substr(1).starts_with("-}}");
    return *trims || rest.starts_with(kRight);
  }

  bool LexInsideAction() {
    bool trims = false;
    if (AtRightDelimiter(&trims)) {
      if (paren_depth_ > 0) return Fail("unclosed left paren");
      if (trims) SkipLines(pos_, pos_ + 1);
      if (trims) pos_ += 2;
      Emit(TokenKind::kRightDelimiter, pos_, pos_ + 2);
      pos_ += 2;
      if (trims) {
        const size_t next = SkipSpace(pos_);
        SkipLines(pos_, next);
        pos_ = next;
      }
      in_action_ = false;
      return true;
    }
    if (pos_ >= text_.size()) return Fail("unclosed action");
    const char c = text_[pos_];
    if (IsSpace(c)) return LexSpace();
    switch (c) {
      case '=':
        return Take(TokenKind::kAssign, 1);
      case ':':
        if (!text_.substr(pos_).starts_with(":=")) return Fail("expected :=");
        return Take(TokenKind::kDeclare, 2);
      case '|':
        return Take(TokenKind::kPipe, 1);
      case '"':
        return LexQuoted('"', TokenKind::kString, "unterminated quoted string");
      case '\'':
        return LexQuoted('\'', TokenKind::kNumber, "unterminated character constant");
      case '`':
        return LexRawString();
      case '$':
        return LexWord(TokenKind::kVariable);
      case '(':
        ++paren_depth_;
        return Take(TokenKind::kLeftParen, 1);
      case ')':
        if (--paren_depth_ < 0) return Fail("unexpected right paren");
        return Take(TokenKind::kRightParen, 1);
      case '.':
        // A field, unless a number such as .5.
        if (pos_ + 1 >= text_.size() || !IsDigit(text_[pos_ + 1]))
          return LexWord(TokenKind::kField);
        return LexNumber();
      default:
        break;
    }
    if (c == '+' || c == '-' || IsDigit(c)) return LexNumber();
    if (IsWordByte(c)) return LexWord(TokenKind::kIdentifier);
    if (c > ' ' && c <= '~') return Take(TokenKind::kChar, 1);
    return FailAtRune("unrecognized character in action: ");
  }

  bool Take(TokenKind kind, size_t size) {
    Emit(kind, pos_, pos_ + size);
    pos_ += size;
    return true;
  }

  bool LexSpace() {
    size_t end = SkipSpace(pos_);
    // The last space may belong to a " -}}".
    if (text_.substr(end).starts_with("-}}")) --end;
    if (end > pos_) Emit(TokenKind::kSpace, pos_, end);
    pos_ = end;
    return true;
  }

  bool LexQuoted(char quote, TokenKind kind, const char* complaint) {
    size_t i = pos_ + 1;
    for (;; ++i) {
      if (i < text_.size() && text_[i] == '\\') {
        ++i;
        if (i < text_.size() && text_[i] != '\n') continue;
      }
      if (i >= text_.size() || text_[i] == '\n') return Fail(complaint);
      if (text_[i] == quote) return Take(kind, i + 1 - pos_);
    }
  }

  bool LexRawString() {
    const size_t close = text_.find('`', pos_ + 1);
    if (close == std::string_view::npos) return Fail("unterminated raw quoted string");
    return Take(TokenKind::kRawString, close + 1 - pos_);
  }

  // A name, a field or a variable; all must end at a terminator.
  bool LexWord(TokenKind kind) {
    const size_t start = pos_;
    size_t end = start + (kind == TokenKind::kIdentifier ? 0 : 1);
    while (end < text_.size() && IsWordByte(text_[end])) ++end;
    pos_ = end;
    if (!AtTerminator()) return FailAtRune("bad character ");
    if (kind == TokenKind::kField && end == start + 1) kind = TokenKind::kDot;
    const std::string_view word = text_.substr(start, end - start);
    if (kind == TokenKind::kIdentifier) {
      if (std::find(kKeywords.begin(), kKeywords.end(), word) != kKeywords.end()) {
        kind = TokenKind::kKeyword;
      } else if (word == "true" || word == "false") {
        kind = TokenKind::kBool;
      } else if (word == "nil") {
        kind = TokenKind::kNil;
      }
    }
    Emit(kind, start, end);
    return true;
  }

  bool AtTerminator() const {
    if (pos_ >= text_.size()) return true;
    const char c = text_[pos_];
    return IsSpace(c) || std::string_view(".,|:)(").find(c) != std::string_view::npos ||
           text_.substr(pos_).starts_with(kRight);
  }

  // Takes every byte that could belong to a number; the parser judges the value.
  bool LexNumber() {
    size_t end = pos_;
    const auto accept = [&](std::string_view set) {
      while (end < text_.size() && set.find(text_[end]) != std::string_view::npos) ++end;
    };
    if (text_[end] == '+' || text_[end] == '-') ++end;
    std::string_view digits = "0123456789_";
    if (end < text_.size() && text_[end] == '0') {
      ++end;
      const char base = end < text_.size() ? text_[end] : '\0';
      if (base == 'x' || base == 'X') digits = "0123456789abcdefABCDEF_";
      if (base == 'o' || base == 'O') digits = "01234567_";
      if (base == 'b' || base == 'B') digits = "01_";
      if (digits.size() != 11 || base == 'o' || base == 'O') ++end;
    }
    accept(digits);
    if (end < text_.size() && text_[end] == '.') {
      ++end;
      accept(digits);
    }
    const bool decimal = digits.size() == 11;
    const bool hexadecimal = digits.size() > 11;
    const std::string_view exponents = decimal ? "eE" : hexadecimal ? "pP" : "";
    if (end < text_.size() && exponents.find(text_[end]) != std::string_view::npos) {
      ++end;
      if (end < text_.size() && (text_[end] == '+' || text_[end] == '-')) ++end;
      accept("0123456789_");
    }
    if (end < text_.size() && (text_[end] == '+' || text_[end] == '-')) {
      // Go's complex numbers, which have no meaning here.
      ++end;
      accept(digits);
      if (end < text_.size() && text_[end] == '.') ++end;
      accept(digits);
      return Fail("bad number syntax: " + GoQuote(text_.substr(pos_, end - pos_)));
    }
    if (end < text_.size() && IsWordByte(text_[end])) {
      const size_t rune = DecodeRune(text_.substr(end)).size;
      return Fail("bad number syntax: " + GoQuote(text_.substr(pos_, end + rune - pos_)));
    }
    return Take(TokenKind::kNumber, end - pos_);
  }

  bool FailAtRune(std::string message) {
    const Rune rune = DecodeRune(text_.substr(pos_));
    char code[16];
    std::snprintf(code, sizeof code, "U+%04X", static_cast<unsigned>(rune.value));
    message += code;
    if (IsPrintable(rune.value)) message += " '" + EncodeRune(rune.value) + "'";
    return Fail(std::move(message));
  }

  const std::string_view text_;
  std::vector<Token> tokens_;
  size_t pos_ = 0;
  int line_ = 1;
  int paren_depth_ = 0;
  bool in_action_ = false;
};

}  // namespace

std::vector<Token> LexTemplate(std::string_view text) { return Lexer(text).Run(); }

std::string TokenText(const Token& token) {
  switch (token.kind) {
    case TokenKind::kEof:
      return "EOF";
    case TokenKind::kError:
      return token.message;
    case TokenKind::kKeyword:
    case TokenKind::kDot:
    case TokenKind::kNil:
      return "<" + std::string(token.text) + ">";
    default:
      break;
  }
  if (token.text.size() <= 10) return GoQuote(token.text);
  size_t end = 0;
  for (int n = 0; n < 10 && end < token.text.size(); ++n)
    end += DecodeRune(token.text.substr(end)).size;
  return GoQuote(token.text.substr(0, end)) + "...";
}

}  // namespace tocsin::alerting::tmpl
