#include <cmath>

#include "base/check.h"
#include "base/json.h"
#include "base/number.h"
#include "base/regex.h"
#include "base/utf8.h"
#include "base/yaml.h"

namespace tocsin {
namespace {

// YAML wants a longer key announced by a question mark; its own limit is 1024 characters.
constexpr size_t kSimpleKeyBytesMax = 1000;

// Words that some YAML reader takes for something else than a text.
bool ReadsAsOther(std::string_view text) {
  std::string lower;
  for (const char c : text) {
    lower += c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  }
  for (const std::string_view word : {"", "~", "null", "true", "false", "yes", "no", "on", "off",
                                      "y", "n", "<<", "=", ".inf", "-.inf", "+.inf", ".nan"}) {
    if (lower == word) return true;
  }
  // Numbers of YAML 1.1 and 1.2 in any notation, base 60 (1:30) and dates included.
  static const Regex number = *Regex::Compile(
      R"([-+]?(0x[0-9a-f_]+|0o?[0-7_]+|0b[01_]+|[0-9][0-9_]*(:[0-9]+)+(\.[0-9_]*)?|)"
      R"((\.[0-9]|[0-9])[0-9_]*(\.[0-9_]*)?(e[-+]?[0-9]+)?|)"
      R"([0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*))");
  return number.FullMatch(lower);
}

// A text that may stand as it is, in a value or a key.
bool IsPlain(std::string_view text) {
  if (ReadsAsOther(text)) return false;
  constexpr std::string_view kFirst = "-?:,[]{}#&*!|>'\"%@`";
  const bool dash_word = text.size() > 1 && (text[0] == '-' || text[0] == '?' || text[0] == ':') &&
                         text[1] != ' ' && text[1] != ':';
  if (kFirst.find(text.front()) != std::string_view::npos && !dash_word) return false;
  if (text.front() == ' ' || text.back() == ' ' || text.back() == ':') return false;
  if (text.find(": ") != std::string_view::npos || text.find(" #") != std::string_view::npos) {
    return false;
  }
  for (const char c : text) {
    // ASCII only: what else prints is a question of Unicode tables, and quotes are always right.
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) return false;
  }
  return text.substr(0, 3) != "---" && text.substr(0, 3) != "...";
}

// Bytes that no YAML text may hold as they are: controls, DEL, the C1 block, and what is not UTF-8.
bool HasForbiddenBytes(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const size_t length = Utf8Length(text.substr(i));
    if (byte < 0x20 || byte == 0x7f || length == 0) return true;
    if (byte == 0xc2 && static_cast<unsigned char>(text[i + 1]) < 0xa0) return true;
    i += length;
  }
  return false;
}

// Double quotes with JSON's escapes, which are YAML's too, and those that JSON does not ask for.
std::string DoubleQuoted(std::string_view text) {
  std::string json;
  AppendJsonString(json, text, JsonEscape::kPlain);
  std::string out;
  for (size_t i = 0; i < json.size(); ++i) {
    const auto byte = static_cast<unsigned char>(json[i]);
    if (byte == 0x7f) {
      out += "\\x7f";
    } else if (byte == 0xc2 && static_cast<unsigned char>(json[i + 1]) < 0xa0) {
      constexpr char kHex[] = "0123456789abcdef";
      const auto code = static_cast<unsigned char>(json[++i]);
      out += "\\x";
      out += kHex[code >> 4];
      out += kHex[code & 15];
    } else {
      out += json[i];
    }
  }
  return out;
}

// Single quotes where they do.
std::string Quoted(std::string_view text) {
  if (HasForbiddenBytes(text) || text.empty() || ReadsAsOther(text)) return DoubleQuoted(text);
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') out += '\'';
    out += c;
  }
  out += '\'';
  return out;
}

std::string Scalar(std::string_view text) {
  return IsPlain(text) ? std::string(text) : Quoted(text);
}

}  // namespace

void YamlWriter::StartEntry(Frame& frame) {
  const bool on_the_dash = frame.empty && frame.inline_first;
  frame.empty = false;
  if (on_the_dash) return;
  if (!out_.empty() && out_.back() != '\n') out_ += '\n';
  out_.append(static_cast<size_t>(frame.indent), ' ');
}

YamlWriter& YamlWriter::Key(std::string_view name) {
  CHECK(!open_.empty() && open_.back().is_map && !after_key_);
  StartEntry(open_.back());
  const std::string key = Scalar(name);
  if (key.size() > kSimpleKeyBytesMax) {
    out_ += "? " + key + '\n';
    out_.append(static_cast<size_t>(open_.back().indent), ' ');
  } else {
    out_ += key;
  }
  out_ += ':';
  after_key_ = true;
  return *this;
}

YamlWriter& YamlWriter::Begin(bool is_map) {
  Frame frame{.is_map = is_map, .indent = 0};
  if (!open_.empty()) {
    Frame& parent = open_.back();
    CHECK_MSG(parent.is_map == after_key_, "a value in a map needs a key");
    if (parent.is_map) {
      frame.indent = parent.indent + (is_map ? 2 : 0);
    } else {
      StartEntry(parent);
      out_ += "- ";
      frame.indent = parent.indent + 2;
      frame.inline_first = true;
    }
  }
  after_key_ = false;
  open_.push_back(frame);
  return *this;
}

YamlWriter& YamlWriter::End(bool is_map) {
  CHECK(!open_.empty() && open_.back().is_map == is_map && !after_key_);
  const Frame frame = open_.back();
  open_.pop_back();
  if (frame.empty) {
    if (!out_.empty() && out_.back() == ':') out_ += ' ';
    out_ += is_map ? "{}" : "[]";
  }
  if (!out_.empty() && out_.back() != '\n') out_ += '\n';
  return *this;
}

void YamlWriter::BeforeScalar() {
  if (open_.empty()) return;
  Frame& parent = open_.back();
  CHECK_MSG(parent.is_map == after_key_, "a value in a map needs a key");
  if (parent.is_map) {
    out_ += ' ';
  } else {
    StartEntry(parent);
    out_ += "- ";
  }
  after_key_ = false;
}

YamlWriter& YamlWriter::Plain(std::string_view text) {
  BeforeScalar();
  out_ += text;
  out_ += '\n';
  return *this;
}

YamlWriter& YamlWriter::String(std::string_view text) { return Plain(Scalar(text)); }

YamlWriter& YamlWriter::Double(double v) {
  if (std::isnan(v)) return Plain(".nan");
  if (std::isinf(v)) return Plain(v > 0 ? ".inf" : "-.inf");
  return Plain(FormatFloat(v));
}

}  // namespace tocsin
