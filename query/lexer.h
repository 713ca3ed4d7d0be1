// Lexer: cuts a PromQL text into tokens. Comments and white space are skipped. What a character
// means depends on where it stands: inside braces keywords are label names, inside brackets a
// duration expression is expected. One thread; does not copy the text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tocsin::query {

enum class TokenType : uint8_t {
  kEndOfInput,
  kError,  // `message` says what is wrong; the last token
  kIdentifier,
  kMetricIdentifier,  // an identifier with a colon in it
  kString,            // with its quotes
  kNumber,
  kDuration,
  kLeftBrace,
  kRightBrace,
  kLeftBracket,
  kRightBracket,
  kLeftParen,
  kRightParen,
  kComma,
  kColon,
  kEqual,  // =
  // Operators.
  kAdd,
  kDiv,
  kEqualEqual,
  kEqualRegex,
  kGreaterEqual,
  kGreater,
  kAnd,
  kOr,
  kLess,
  kLessEqual,
  kUnless,
  kMod,
  kMul,
  kNotEqual,
  kNotRegex,
  kPow,
  kSub,
  kAt,
  kAtan2,
  kTrimUpper,
  kTrimLower,
  // Aggregation operators, in the order of AggregateOp.
  kSum,
  kAvg,
  kCount,
  kMin,
  kMax,
  kGroup,
  kStddev,
  kStdvar,
  kTopk,
  kBottomk,
  kCountValues,
  kQuantile,
  kLimitk,
  kLimitRatio,
  // Keywords.
  kAnchored,
  kBool,
  kBy,
  kFill,
  kFillLeft,
  kFillRight,
  kGroupLeft,
  kGroupRight,
  kIgnoring,
  kOffset,
  kOn,
  kSmoothed,
  kWithout,
  // Names with a meaning in time modifiers.
  kStart,
  kEnd,
  kStep,
  kRange,
  kMaxOf,
  kMinOf,
};

inline bool IsOperator(TokenType t) { return t >= TokenType::kAdd && t <= TokenType::kTrimLower; }
inline bool IsAggregation(TokenType t) {
  return t >= TokenType::kSum && t <= TokenType::kLimitRatio;
}
inline bool IsKeyword(TokenType t) { return t >= TokenType::kAnchored && t <= TokenType::kWithout; }

struct Token {
  TokenType type = TokenType::kEndOfInput;
  int32_t start = 0;  // byte offsets in the text
  int32_t end = 0;
  std::string_view text;
  std::string message;  // of kError
};

// The token as "unexpected …" messages name it: identifier "x", number "1", <by>, <op:+>, "{",
// end of input.
std::string DescribeToken(const Token& token);

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  // After kEndOfInput or kError the same token comes again.
  Token Next();

 private:
  enum class Mode : uint8_t { kStatements, kBraces, kDurationExpression };

  void SkipSpaceAndComments();
  Token LexStatement();
  Token LexStatementCharacter(uint32_t c);
  Token LexInBraces();
  Token LexDurationExpression();
  Token LexString(char quote);
  Token LexEscape(char quote, bool* failed);
  Token LexNumberOrDuration();
  Token LexKeywordOrIdentifier();
  Token LexDurationKeyword(std::string_view error_head, std::string_view error_tail);
  Token OpenParen();
  Token CloseParen();
  Token CloseBracket();

  bool ScanNumber();
  bool ScanRestOfDuration();
  bool NextIsLeftParen() const;

  uint32_t Peek(int* length = nullptr) const;
  char PeekByte(size_t ahead = 0) const;
  bool Accept(std::string_view valid);
  Token Emit(TokenType type);
  Token Fail(std::string message);

  std::string_view text_;
  size_t position_ = 0;
  size_t start_ = 0;  // of the token being read
  Mode mode_ = Mode::kStatements;
  int paren_depth_ = 0;
  bool bracket_open_ = false;
  bool got_colon_ = false;     // since the bracket was opened
  bool got_duration_ = false;  // since the bracket was opened
  bool done_ = false;
  Token last_;
};

}  // namespace tocsin::query
