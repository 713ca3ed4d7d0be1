#include "base/json.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/number.h"
#include "base/utf8.h"

namespace tocsin {
namespace {

constexpr std::string_view kReplacement = "\\ufffd";

void AppendUnicodeEscape(std::string& out, unsigned code) {
  constexpr char kHex[] = "0123456789abcdef";
  out += "\\u00";
  out += kHex[code >> 4];
  out += kHex[code & 15];
}

// Only for bytes below 0x80.
bool NeedsEscape(char c, JsonEscape escape) {
  if (static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\') return true;
  return escape == JsonEscape::kHtml && (c == '<' || c == '>' || c == '&');
}

void AppendEscaped(std::string& out, char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      break;
    case '\\':
      out += "\\\\";
      break;
    case '\n':
      out += "\\n";
      break;
    case '\r':
      out += "\\r";
      break;
    case '\t':
      out += "\\t";
      break;
    default:
      AppendUnicodeEscape(out, static_cast<unsigned char>(c));
  }
}

}  // namespace

void AppendJsonString(std::string& out, std::string_view text, JsonEscape escape) {
  out += '"';
  size_t plain = 0;  // bytes at the front of `text` that go out as they are
  const auto flush = [&](size_t skip) {
    out += text.substr(0, plain);
    text.remove_prefix(plain + skip);
    plain = 0;
  };
  while (plain < text.size()) {
    const char c = text[plain];
    if (static_cast<unsigned char>(c) < 0x80) {
      if (!NeedsEscape(c, escape)) {
        ++plain;
        continue;
      }
      flush(1);
      AppendEscaped(out, c);
      continue;
    }
    const size_t length = Utf8Length(text.substr(plain));
    const std::string_view character = text.substr(plain, length);
    if (length == 0) {
      flush(1);
      out += kReplacement;
    } else if (escape == JsonEscape::kHtml &&
               (character == "\xe2\x80\xa8" || character == "\xe2\x80\xa9")) {
      out += text.substr(0, plain);
      out += character == "\xe2\x80\xa8" ? "\\u2028" : "\\u2029";
      text.remove_prefix(plain + length);
      plain = 0;
    } else {
      plain += length;
    }
  }
  flush(0);
  out += '"';
}

void JsonWriter::BeforeValue() {
  if (after_key_) {
    after_key_ = false;
    return;
  }
  CHECK_MSG(open_.empty() || open_.back() == '[', "a value in an object needs a key");
  if (!open_.empty() && !first_) out_ += ',';
  first_ = false;
}

JsonWriter& JsonWriter::BeginObject() {
  BeforeValue();
  out_ += '{';
  open_ += '{';
  first_ = true;
  return *this;
}

JsonWriter& JsonWriter::EndObject() {
  CHECK(!open_.empty() && open_.back() == '{' && !after_key_);
  open_.pop_back();
  out_ += '}';
  first_ = false;
  return *this;
}

JsonWriter& JsonWriter::BeginArray() {
  BeforeValue();
  out_ += '[';
  open_ += '[';
  first_ = true;
  return *this;
}

JsonWriter& JsonWriter::EndArray() {
  CHECK(!open_.empty() && open_.back() == '[');
  open_.pop_back();
  out_ += ']';
  first_ = false;
  return *this;
}

JsonWriter& JsonWriter::Key(std::string_view name, JsonEscape escape) {
  CHECK(!open_.empty() && open_.back() == '{' && !after_key_);
  if (!first_) out_ += ',';
  first_ = false;
  AppendJsonString(out_, name, escape);
  out_ += ':';
  after_key_ = true;
  return *this;
}

JsonWriter& JsonWriter::String(std::string_view text, JsonEscape escape) {
  BeforeValue();
  AppendJsonString(out_, text, escape);
  return *this;
}

JsonWriter& JsonWriter::Int(int64_t v) { return Raw(std::to_string(v)); }
JsonWriter& JsonWriter::Uint(uint64_t v) { return Raw(std::to_string(v)); }

JsonWriter& JsonWriter::Double(double v) {
  if (!std::isfinite(v)) return Null();
  std::string text = FormatFloat(v);
  // Go's encoding/json writes 1e-7 where strconv writes 1e-07.
  if (const size_t e = text.rfind("e-0"); e != std::string::npos) text.erase(e + 2, 1);
  return Raw(text);
}

JsonWriter& JsonWriter::Bool(bool v) { return Raw(v ? "true" : "false"); }
JsonWriter& JsonWriter::Null() { return Raw("null"); }

JsonWriter& JsonWriter::FloatText(double v) {
  BeforeValue();
  out_ += '"';
  AppendFloat(out_, v);
  out_ += '"';
  return *this;
}

JsonWriter& JsonWriter::TimestampMs(int64_t time_ms) {
  BeforeValue();
  const bool negative = time_ms < 0;
  const uint64_t magnitude =
      negative ? 0 - static_cast<uint64_t>(time_ms) : static_cast<uint64_t>(time_ms);
  if (negative) out_ += '-';
  out_ += std::to_string(magnitude / 1000);
  if (const uint64_t ms = magnitude % 1000; ms != 0) {
    out_ += '.';
    out_ += static_cast<char>('0' + ms / 100);
    out_ += static_cast<char>('0' + ms / 10 % 10);
    out_ += static_cast<char>('0' + ms % 10);
  }
  return *this;
}

JsonWriter& JsonWriter::Raw(std::string_view json) {
  BeforeValue();
  out_ += json;
  return *this;
}

bool JsonValue::AsBool() const {
  CHECK(is_bool());
  return bool_;
}
double JsonValue::AsDouble() const {
  CHECK(is_number());
  return number_;
}
const std::string& JsonValue::AsString() const {
  CHECK(is_string());
  return string_;
}
const std::vector<JsonValue>& JsonValue::AsArray() const {
  CHECK(is_array());
  return array_;
}
const std::vector<JsonValue::Member>& JsonValue::AsObject() const {
  CHECK(is_object());
  return object_;
}

const JsonValue* JsonValue::Find(std::string_view key) const {
  const JsonValue* found = nullptr;
  for (const Member& member : object_) {
    if (member.first == key) found = &member.second;
  }
  return found;
}

std::string_view JsonValue::FindString(std::string_view key) const {
  const JsonValue* value = Find(key);
  return value != nullptr && value->is_string() ? std::string_view(value->string_)
                                                : std::string_view();
}

// Receives the parser's events and grows the tree. open_ is the path from the root to the innermost
// container; pointers stay good because only the innermost one grows.
class JsonBuilder {
 public:
  bool null() { return Add(JsonValue::Kind::kNull) != nullptr; }
  bool boolean(bool v) {
    JsonValue* value = Add(JsonValue::Kind::kBool);
    value->bool_ = v;
    return true;
  }
  bool number_integer(int64_t v) { return Number(static_cast<double>(v)); }
  bool number_unsigned(uint64_t v) { return Number(static_cast<double>(v)); }
  bool number_float(double v, const std::string&) { return Number(v); }
  bool string(std::string& v) {
    Add(JsonValue::Kind::kString)->string_ = std::move(v);
    return true;
  }
  bool binary(std::vector<std::uint8_t>&) { return false; }
  bool start_object(size_t) { return Open(JsonValue::Kind::kObject); }
  bool end_object() { return Close(); }
  bool start_array(size_t) { return Open(JsonValue::Kind::kArray); }
  bool end_array() { return Close(); }
  bool key(std::string& name) {
    key_ = std::move(name);
    return true;
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception& e) {
    std::string what = e.what();
    if (const size_t start = what.find("] "); start != std::string::npos) what.erase(0, start + 2);
    status_ =
        Status(Code::kInvalidArgument, "JSON: at byte " + std::to_string(position) + ": " + what);
    return false;
  }

  Result<JsonValue> Finish() {
    if (!status_.ok()) return Error(status_);
    return std::move(root_);
  }

 private:
  JsonValue* Add(JsonValue::Kind kind) {
    JsonValue* slot = &root_;
    if (!open_.empty()) {
      JsonValue& parent = *open_.back();
      if (parent.is_array()) {
        slot = &parent.array_.emplace_back();
      } else {
        slot = &parent.object_.emplace_back(std::move(key_), JsonValue()).second;
      }
    }
    slot->kind_ = kind;
    return slot;
  }
  bool Number(double v) {
    Add(JsonValue::Kind::kNumber)->number_ = v;
    return true;
  }
  bool Open(JsonValue::Kind kind) {
    if (open_.size() >= kJsonDepthMax) {
      status_ = Status(Code::kResourceExhausted,
                       "JSON: nested deeper than " + std::to_string(kJsonDepthMax) + " levels");
      return false;
    }
    open_.push_back(Add(kind));
    return true;
  }
  bool Close() {
    open_.pop_back();
    return true;
  }

  JsonValue root_;
  std::vector<JsonValue*> open_;
  std::string key_;
  Status status_;
};

Result<JsonValue> ParseJson(std::string_view text) {
  if (text.size() > kJsonBytesMax) {
    return Error(Code::kResourceExhausted,
                 "JSON: longer than " + std::to_string(kJsonBytesMax) + " bytes");
  }
  try {
    JsonBuilder builder;
    nlohmann::json::sax_parse(text.begin(), text.end(), &builder);
    return builder.Finish();
  } catch (const std::exception& e) {
    return Error(Code::kInvalidArgument, std::string("JSON: ") + e.what());
  }
}

}  // namespace tocsin
