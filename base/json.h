// JSON out and in.
//
// JsonWriter streams into a string, commas and nesting done, nothing kept:
//   JsonWriter json(out);
//   json.BeginObject().Key("status").String("success").Key("data").BeginArray();
//   for (…) json.BeginArray().TimestampMs(t).FloatText(v).EndArray();
//   json.EndArray().EndObject();
// Prometheus escapes strings in two ways that parse alike (http-api.md §1.1): inside label maps
// only what JSON demands (kPlain), elsewhere also < > & and U+2028/9 (kHtml). Bytes that are not
// UTF-8 become U+FFFD in both.
//
// JsonValue is a parsed document: ParseJson bounds its depth and size.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace tocsin {

enum class JsonEscape : uint8_t { kHtml, kPlain };

// `text` in quotes.
void AppendJsonString(std::string& out, std::string_view text, JsonEscape escape);

// Owned by one thread at a time. Misuse (a key in an array, an unclosed object) is a CHECK.
class JsonWriter {
 public:
  // Appends to `out`, which must outlive the writer.
  explicit JsonWriter(std::string& out) : out_(out) {}

  JsonWriter& BeginObject();
  JsonWriter& EndObject();
  JsonWriter& BeginArray();
  JsonWriter& EndArray();
  JsonWriter& Key(std::string_view name, JsonEscape escape = JsonEscape::kHtml);

  JsonWriter& String(std::string_view text, JsonEscape escape = JsonEscape::kHtml);
  JsonWriter& Int(int64_t v);
  JsonWriter& Uint(uint64_t v);
  // A JSON number; NaN and infinities, which have none, become null.
  JsonWriter& Double(double v);
  JsonWriter& Bool(bool v);
  JsonWriter& Null();
  // A sample's value: FormatFloat in quotes.
  JsonWriter& FloatText(double v);
  // A sample's time in seconds: `1435781451`, or exactly three decimals: `1435781451.781`.
  JsonWriter& TimestampMs(int64_t time_ms);
  // One value that is JSON already.
  JsonWriter& Raw(std::string_view json);

 private:
  void BeforeValue();

  std::string& out_;
  std::string open_;   // '{' and '[' of what is not closed yet
  bool first_ = true;  // nothing written yet in the innermost
  bool after_key_ = false;
};

class JsonValue {
 public:
  enum class Kind : uint8_t { kNull, kBool, kNumber, kString, kArray, kObject };
  using Member = std::pair<std::string, JsonValue>;

  Kind kind() const { return kind_; }
  bool is_null() const { return kind_ == Kind::kNull; }
  bool is_bool() const { return kind_ == Kind::kBool; }
  bool is_number() const { return kind_ == Kind::kNumber; }
  bool is_string() const { return kind_ == Kind::kString; }
  bool is_array() const { return kind_ == Kind::kArray; }
  bool is_object() const { return kind_ == Kind::kObject; }

  // Each CHECKs the kind: ask first.
  bool AsBool() const;
  double AsDouble() const;
  const std::string& AsString() const;
  const std::vector<JsonValue>& AsArray() const;
  const std::vector<Member>& AsObject() const;  // in the document's order, repeated keys included

  // Of an object: the value of the last member of this name; null when there is none or this is no
  // object.
  const JsonValue* Find(std::string_view key) const;
  // Of an object: the member's text, "" when it is absent or no string.
  std::string_view FindString(std::string_view key) const;

 private:
  friend class JsonBuilder;
  Kind kind_ = Kind::kNull;
  bool bool_ = false;
  double number_ = 0;
  std::string string_;
  std::vector<JsonValue> array_;
  std::vector<Member> object_;
};

inline constexpr size_t kJsonDepthMax = 128;
inline constexpr size_t kJsonBytesMax = 64 << 20;

// kInvalidArgument: "JSON: …" with the position; kResourceExhausted past the bounds.
Result<JsonValue> ParseJson(std::string_view text);

}  // namespace tocsin
