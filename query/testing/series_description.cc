#include "query/testing/series_description.h"

#include <array>
#include <bitset>
#include <charconv>
#include <string>

#include "base/duration.h"
#include "base/number.h"
#include "query/histogram_math.h"
#include "query/literals.h"
#include "query/parser.h"

namespace tocsin::query {
namespace {

using model::Histogram;

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsAlpha(char c) { return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::unexpected<Status> Invalid(std::string message) {
  return Error(Code::kInvalidArgument, std::move(message));
}

// Reads a text from left to right.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  bool done() const { return position_ >= text_.size(); }
  char Peek(size_t ahead = 0) const {
    return position_ + ahead < text_.size() ? text_[position_ + ahead] : '\0';
  }
  bool Consume(std::string_view expected) {
    if (!text_.substr(position_).starts_with(expected)) return false;
    position_ += expected.size();
    return true;
  }
  void SkipSpace() {
    while (!done() && IsSpace(Peek())) ++position_;
  }
  template <typename Predicate>
  std::string_view Take(const Predicate& predicate) {
    const size_t start = position_;
    while (!done() && predicate(Peek())) ++position_;
    return text_.substr(start, position_ - start);
  }
  // What is left of the current word, for messages.
  std::string Word() const {
    size_t end = position_;
    while (end < text_.size() && !IsSpace(text_[end])) ++end;
    return std::string(text_.substr(position_, end - position_));
  }
  size_t position() const { return position_; }
  std::string_view rest() const { return text_.substr(position_); }

 private:
  std::string_view text_;
  size_t position_ = 0;
};

// The end of the metric that a line begins with: a name and at once its braces, or only one of
// them.
size_t MetricLength(std::string_view line) {
  size_t end = 0;
  while (end < line.size() && (IsAlpha(line[end]) || IsDigit(line[end]) || line[end] == ':')) ++end;
  if (end >= line.size() || line[end] != '{') return end;
  char quote = 0;
  for (; end < line.size(); ++end) {
    const char c = line[end];
    if (quote != 0) {
      if (c == '\\' && quote != '`') {
        ++end;
      } else if (c == quote) {
        quote = 0;
      }
    } else if (c == '"' || c == '\'' || c == '`') {
      quote = c;
    } else if (c == '}') {
      return end + 1;
    }
  }
  return line.size();
}

// A number without sign. The x of a repetition ends it, unless hexadecimal digits follow 0x.
Result<double> ReadUnsigned(Cursor* cursor) {
  if (IsAlpha(cursor->Peek()) && cursor->Peek() != 'x') {
    const std::string word(cursor->Take([](char c) { return IsAlpha(c) && c != 'x'; }));
    const auto value = ParseNumber(word);
    if (!value) return Invalid("error parsing number: " + value.error().message());
    return *value;
  }
  const std::string word = cursor->Word();
  const bool hexadecimal = word.starts_with("0x") &&
                           word.find_first_not_of("0123456789abcdefABCDEF", 2) == word.npos &&
                           word.find_first_of("abcdefABCDEF", 2) != word.npos;
  std::string text;
  if (hexadecimal) {
    cursor->Consume(word);
    text = word;
  }
  while (!hexadecimal) {
    const char c = cursor->Peek();
    const bool exponent = (c == 'e' || c == 'E') && !text.empty();
    const bool sign =
        (c == '+' || c == '-') && !text.empty() && (text.back() == 'e' || text.back() == 'E');
    if (!IsDigit(c) && c != '.' && c != '_' && !exponent && !sign) break;
    cursor->Consume(std::string_view(&c, 1));
    text += c;
  }
  const auto value = ParseNumber(text);
  if (!value) return Invalid("error parsing number: " + value.error().message());
  return *value;
}

Result<double> ReadSigned(Cursor* cursor) {
  const bool negative = cursor->Peek() == '-';
  if (negative || cursor->Peek() == '+') cursor->Consume(negative ? "-" : "+");
  TOCSIN_ASSIGN_OR_RETURN(const double value, ReadUnsigned(cursor));
  return negative ? -value : value;
}

// The N of xN, the x already consumed.
Result<uint64_t> ReadRepetition(Cursor* cursor) {
  const std::string_view digits = cursor->Take(IsDigit);
  uint64_t count = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) {
    return Invalid("invalid repetition in series values: \"" + std::string(digits) +
                   cursor->Word() + "\"");
  }
  if (count > kMaxValuesPerLine) {
    return Invalid("a line has more than " + std::to_string(kMaxValuesPerLine) + " values");
  }
  return count;
}

// {{…}}, key by key.
class HistogramReader {
 public:
  explicit HistogramReader(Cursor* cursor) : cursor_(cursor) {}

  Result<ScriptValue> Read();

 private:
  enum Key : size_t {
    kSchema,
    kSum,
    kCount,
    kZeroBucket,
    kZeroBucketWidth,
    kCustomValues,
    kCounterResetHint,
    kBuckets,
    kOffset,
    kNegativeBuckets,
    kNegativeOffset,
    kKeyCount,
  };
  static constexpr std::array<std::string_view, kKeyCount> kNames = {"schema",
                                                                     "sum",
                                                                     "count",
                                                                     "z_bucket",
                                                                     "z_bucket_w",
                                                                     "custom_values",
                                                                     "counter_reset_hint",
                                                                     "buckets",
                                                                     "offset",
                                                                     "n_buckets",
                                                                     "n_offset"};

  Status ReadItem();
  Status ReadValue(Key key);
  Status ReadNumber(double* value);
  Status ReadInteger(int32_t* value);
  Status ReadList(std::vector<double>* values);
  Status ReadHint();

  Cursor* cursor_;
  Histogram histogram_;
  int32_t offset_ = 0;
  int32_t negative_offset_ = 0;
  std::bitset<kKeyCount> seen_;
};

Result<ScriptValue> HistogramReader::Read() {
  if (!cursor_->Consume("{{")) return Invalid("histogram expected at \"" + cursor_->Word() + "\"");
  for (cursor_->SkipSpace(); !cursor_->Consume("}}"); cursor_->SkipSpace()) {
    if (cursor_->done()) return Invalid("histogram description is not closed by }}");
    TOCSIN_TRY(ReadItem());
  }
  const auto add_span = [](int32_t offset, const std::vector<double>& buckets,
                           std::vector<model::BucketSpan>* spans) {
    if (!buckets.empty()) spans->push_back({offset, static_cast<uint32_t>(buckets.size())});
  };
  add_span(offset_, histogram_.positive_buckets, &histogram_.positive_spans);
  add_span(negative_offset_, histogram_.negative_buckets, &histogram_.negative_spans);
  ScriptValue value;
  value.hint_given = seen_[kCounterResetHint];
  value.histogram = std::make_shared<const Histogram>(std::move(histogram_));
  return value;
}

Status HistogramReader::ReadItem() {
  const std::string name(cursor_->Take(IsAlpha));
  size_t key = 0;
  while (key < kKeyCount && kNames[key] != name) ++key;
  if (key == kKeyCount) {
    return Status(Code::kInvalidArgument,
                  "bad histogram descriptor found: \"" + name + cursor_->Word() + "\"");
  }
  if (seen_[key]) {
    return Status(Code::kInvalidArgument, "duplicate key \"" + name + "\" in histogram");
  }
  seen_.set(key);
  if (!cursor_->Consume(":")) {
    return Status(Code::kInvalidArgument, "missing `:` for histogram descriptor \"" + name + "\"");
  }
  return ReadValue(static_cast<Key>(key));
}

Status HistogramReader::ReadValue(Key key) {
  switch (key) {
    case kSchema:
      return ReadInteger(&histogram_.schema);
    case kSum:
      return ReadNumber(&histogram_.sum);
    case kCount:
      return ReadNumber(&histogram_.count);
    case kZeroBucket:
      return ReadNumber(&histogram_.zero_count);
    case kZeroBucketWidth:
      return ReadNumber(&histogram_.zero_threshold);
    case kCustomValues:
      return ReadList(&histogram_.custom_values);
    case kBuckets:
      return ReadList(&histogram_.positive_buckets);
    case kOffset:
      return ReadInteger(&offset_);
    case kNegativeBuckets:
      return ReadList(&histogram_.negative_buckets);
    case kNegativeOffset:
      return ReadInteger(&negative_offset_);
    case kCounterResetHint:
    case kKeyCount:
      break;
  }
  return ReadHint();
}

Status HistogramReader::ReadNumber(double* value) {
  TOCSIN_ASSIGN_OR_RETURN_STATUS(*value, ReadSigned(cursor_));
  return Status::Ok();
}

Status HistogramReader::ReadInteger(int32_t* value) {
  const std::string_view text = cursor_->Take([](char c) { return IsDigit(c) || c == '-'; });
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  if (error == std::errc() && end == text.data() + text.size()) return Status::Ok();
  return Status(Code::kInvalidArgument, "integer expected, got \"" + std::string(text) + "\"");
}

Status HistogramReader::ReadList(std::vector<double>* values) {
  if (!cursor_->Consume("[")) {
    return Status(Code::kInvalidArgument, "\"[\" expected at \"" + cursor_->Word() + "\"");
  }
  for (cursor_->SkipSpace(); !cursor_->Consume("]"); cursor_->SkipSpace()) {
    if (cursor_->done()) return Status(Code::kInvalidArgument, "list is not closed by ]");
    double value = 0;
    TOCSIN_RETURN_IF_ERROR(ReadNumber(&value));
    values->push_back(value);
  }
  return Status::Ok();
}

Status HistogramReader::ReadHint() {
  static constexpr std::array<std::string_view, 4> kHints = {"unknown", "reset", "not_reset",
                                                             "gauge"};
  const std::string_view name = cursor_->Take(IsAlpha);
  for (size_t i = 0; i < kHints.size(); ++i) {
    if (kHints[i] != name) continue;
    histogram_.hint = static_cast<model::CounterResetHint>(i);
    return Status::Ok();
  }
  return Status(Code::kInvalidArgument, "unknown counter_reset_hint \"" + std::string(name) + "\"");
}

// The items behind the metric.
class ItemsReader {
 public:
  explicit ItemsReader(std::string_view text) : cursor_(text) {}

  Result<std::vector<ScriptValue>> Read();

 private:
  Status ReadItem();
  Status ReadOmitted();
  Status ReadNumbers();
  Status ReadHistograms();
  // `count` + 1 values, each the one before plus `increment` (may be null).
  Status RepeatHistogram(ScriptValue first, const Histogram* increment, bool subtract,
                         uint64_t count);
  Status CheckRoom(uint64_t more) const;

  Cursor cursor_;
  std::vector<ScriptValue> values_;
};

Status ItemsReader::CheckRoom(uint64_t more) const {
  if (values_.size() + more <= kMaxValuesPerLine) return Status::Ok();
  return Status(Code::kInvalidArgument,
                "a line has more than " + std::to_string(kMaxValuesPerLine) + " values");
}

Result<std::vector<ScriptValue>> ItemsReader::Read() {
  for (cursor_.SkipSpace(); !cursor_.done(); cursor_.SkipSpace()) {
    TOCSIN_TRY(ReadItem());
    if (!cursor_.done() && !IsSpace(cursor_.Peek())) {
      return Invalid("unexpected \"" + cursor_.Word() + "\" in series values");
    }
  }
  return std::move(values_);
}

Status ItemsReader::ReadItem() {
  if (cursor_.Peek() == '_') return ReadOmitted();
  if (cursor_.Peek() == '{') return ReadHistograms();
  return ReadNumbers();
}

Status ItemsReader::ReadOmitted() {
  cursor_.Consume("_");
  uint64_t count = 1;
  if (cursor_.Consume("x")) {
    TOCSIN_ASSIGN_OR_RETURN_STATUS(count, ReadRepetition(&cursor_));
  }
  TOCSIN_RETURN_IF_ERROR(CheckRoom(count));
  ScriptValue omitted;
  omitted.omitted = true;
  values_.insert(values_.end(), count, omitted);
  return Status::Ok();
}

Status ItemsReader::ReadNumbers() {
  ScriptValue value;
  if (cursor_.Consume("stale")) {
    value.value = model::StaleMarker();
  } else {
    TOCSIN_ASSIGN_OR_RETURN_STATUS(value.value, ReadSigned(&cursor_));
  }
  double increment = 0;
  const bool steps = cursor_.Peek() == '+' || cursor_.Peek() == '-';
  if (steps) {
    TOCSIN_ASSIGN_OR_RETURN_STATUS(increment, ReadSigned(&cursor_));
  }
  uint64_t count = 0;
  if (cursor_.Consume("x")) {
    TOCSIN_ASSIGN_OR_RETURN_STATUS(count, ReadRepetition(&cursor_));
  } else if (steps) {
    return Status(Code::kInvalidArgument,
                  "repetition expected at \"" + cursor_.Word() + "\" in series values");
  }
  TOCSIN_RETURN_IF_ERROR(CheckRoom(count + 1));
  for (uint64_t i = 0; i <= count; ++i) {
    values_.push_back(value);
    if (steps) value.value += increment;
  }
  return Status::Ok();
}

Status ItemsReader::ReadHistograms() {
  TOCSIN_ASSIGN_OR_RETURN_STATUS(ScriptValue first, HistogramReader(&cursor_).Read());
  std::shared_ptr<const Histogram> increment;
  const bool subtract = cursor_.Peek() == '-';
  if (cursor_.Consume("+") || cursor_.Consume("-")) {
    TOCSIN_ASSIGN_OR_RETURN_STATUS(const ScriptValue second, HistogramReader(&cursor_).Read());
    increment = second.histogram;
    first.hint_given = second.hint_given;
    if (cursor_.Peek() != 'x') {
      return Status(Code::kInvalidArgument,
                    "repetition expected at \"" + cursor_.Word() + "\" in series values");
    }
  }
  uint64_t count = 0;
  if (cursor_.Consume("x")) {
    TOCSIN_ASSIGN_OR_RETURN_STATUS(count, ReadRepetition(&cursor_));
  }
  return RepeatHistogram(std::move(first), increment.get(), subtract, count);
}

Status ItemsReader::RepeatHistogram(ScriptValue first, const Histogram* increment, bool subtract,
                                    uint64_t count) {
  TOCSIN_RETURN_IF_ERROR(CheckRoom(count + 1));
  values_.push_back(std::move(first));
  for (uint64_t i = 0; i < count; ++i) {
    ScriptValue next = values_.back();
    if (increment != nullptr) {
      if (next.histogram->schema > increment->schema) {
        return Status(Code::kInvalidArgument,
                      "error combining histograms: cannot merge from schema " +
                          std::to_string(increment->schema) + " to " +
                          std::to_string(next.histogram->schema));
      }
      auto sum = std::make_shared<Histogram>(*next.histogram);
      const auto notes =
          subtract ? SubtractHistogram(*increment, sum.get()) : AddHistogram(*increment, sum.get());
      if (!notes) {
        return Status(Code::kInvalidArgument, "histograms with and without custom buckets");
      }
      next.histogram = std::move(sum);
    }
    values_.push_back(std::move(next));
  }
  return Status::Ok();
}

// A sign, digits and one unit.
Result<int64_t> ReadSignedDuration(Cursor* cursor) {
  const bool negative = cursor->Peek() == '-';
  if (negative || cursor->Peek() == '+') cursor->Consume(negative ? "-" : "+");
  std::string text(cursor->Take(IsDigit));
  text += cursor->Take([](char c) { return IsAlpha(c) && c != 'x' && c != '_'; });
  TOCSIN_ASSIGN_OR_RETURN(const int64_t ms, ParseDuration(text));
  return negative ? -ms : ms;
}

Status ReadStartItem(Cursor* cursor, std::vector<std::optional<int64_t>>* offsets) {
  const bool omitted = cursor->Consume("_");
  std::optional<int64_t> offset;
  int64_t increment = 0;
  if (!omitted) {
    TOCSIN_ASSIGN_OR_RETURN_STATUS(offset, ReadSignedDuration(cursor));
    if (cursor->Peek() == '+' || cursor->Peek() == '-') {
      TOCSIN_ASSIGN_OR_RETURN_STATUS(increment, ReadSignedDuration(cursor));
    }
  }
  uint64_t count = omitted ? 1 : 0;
  if (cursor->Consume("x")) {
    TOCSIN_ASSIGN_OR_RETURN_STATUS(count, ReadRepetition(cursor));
  }
  if (!omitted) ++count;
  for (uint64_t i = 0; i < count; ++i) {
    offsets->push_back(offset);
    if (offset) *offset += increment;
  }
  return Status::Ok();
}

}  // namespace

Result<SeriesDescription> ParseSeriesDescription(std::string_view line) {
  SeriesDescription description;
  const size_t length = MetricLength(line);
  const std::string_view rest = line.substr(length);
  if (length == 0 || (!rest.empty() && !IsSpace(rest.front()))) {
    return Invalid("series description must begin with a metric: \"" + std::string(line) + "\"");
  }
  TOCSIN_ASSIGN_OR_RETURN(description.metric, ParseMetric(line.substr(0, length)));
  TOCSIN_ASSIGN_OR_RETURN(description.values, ItemsReader(rest).Read());
  return description;
}

bool IsStartTimestampLine(std::string_view line) {
  const std::string_view rest = line.substr(MetricLength(line));
  return rest.size() > 3 && rest.starts_with("@st") && IsSpace(rest[3]);
}

Result<StartTimestampLine> ParseStartTimestampLine(std::string_view line) {
  StartTimestampLine parsed;
  const size_t length = MetricLength(line);
  TOCSIN_ASSIGN_OR_RETURN(parsed.metric, ParseMetric(line.substr(0, length)));
  Cursor cursor(line.substr(length + 3));
  for (cursor.SkipSpace(); !cursor.done(); cursor.SkipSpace()) {
    TOCSIN_TRY(ReadStartItem(&cursor, &parsed.offsets_ms));
    if (!cursor.done() && !IsSpace(cursor.Peek())) {
      return Invalid("unexpected \"" + cursor.Word() + "\" in start timestamps");
    }
    if (parsed.offsets_ms.size() > kMaxValuesPerLine) {
      return Invalid("a line has more than " + std::to_string(kMaxValuesPerLine) + " values");
    }
  }
  return parsed;
}

}  // namespace tocsin::query
