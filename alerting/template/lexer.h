// Lexer: cuts a template text into tokens, as Go's text/template does: text outside {{ }}, words
// inside, trim markers ("{{- ", " -}}") applied to the neighbouring text, comments dropped.
//
// The whole text is cut in one pass; an error is the last token, so a parser that meets it can say
// where it was. Tokens are views into the text, which must outlive them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::alerting::tmpl {

enum class TokenKind : uint8_t {
  kError,  // `message` says why
  kEof,
  kText,
  kLeftDelimiter,
  kRightDelimiter,
  kSpace,
  kLeftParen,
  kRightParen,
  kPipe,
  kChar,     // another printable ASCII character; only the comma has a meaning
  kAssign,   // =
  kDeclare,  // :=
  kDot,
  kField,       // .name
  kIdentifier,  // a function's name
  kVariable,    // $ or $name
  kBool,
  kNil,
  kNumber,  // a character constant too
  kString,
  kRawString,
  kKeyword,  // if, else, end, range, with, define, template, block, break, continue
};

struct Token {
  TokenKind kind;
  size_t pos;  // bytes from the start of the text
  int line;    // 1-based
  std::string_view text;
  std::string message;  // kError only
};

// More tokens than this are refused (kError).
inline constexpr size_t kMaxTokens = 100'000;

std::vector<Token> LexTemplate(std::string_view text);

// A token as parse errors show it: "EOF", <if>, "text", "long text "...
std::string TokenText(const Token& token);

}  // namespace tocsin::alerting::tmpl
