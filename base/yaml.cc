#include "base/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <istream>
#include <limits>
#include <map>
#include <optional>
#include <streambuf>

#include "base/check.h"
#include "base/duration.h"
#include "base/number.h"
#include "base/utf8.h"

namespace tocsin {

struct YamlNodeData {
  YamlNode::Kind kind = YamlNode::Kind::kNull;
  bool quoted = false;
  int line = 0;
  int column = 0;
  std::shared_ptr<const std::string> file;
  std::string text;
  std::vector<std::shared_ptr<const YamlNodeData>> children;  // of a map: key, value, key, value, …
  size_t weight = 1;                                          // nodes below and itself
};

namespace {

constexpr std::string_view kTagPrefix = "tag:yaml.org,2002:";

bool OneOf(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

bool IsNullText(std::string_view text) { return OneOf(text, {"", "~", "null", "Null", "NULL"}); }
bool IsTrueText(std::string_view text) {
  return OneOf(text, {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y"});
}
bool IsFalseText(std::string_view text) {
  return OneOf(text, {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N"});
}

std::string Place(const std::string& file, int line, int column) {
  return file + ":" + std::to_string(line) + ":" + std::to_string(column);
}

// Standard base64 with or without line breaks; nothing when it is broken.
std::optional<std::string> DecodeBase64(std::string_view text) {
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  size_t padding = 0;
  for (const char c : text) {
    if (c == '\n' || c == '\r' || c == ' ') continue;
    if (c == '=') {
      ++padding;
      continue;
    }
    constexpr std::string_view kAlphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const size_t digit = kAlphabet.find(c);
    if (digit == std::string_view::npos || padding > 0) return std::nullopt;
    bits = (bits << 6) | static_cast<uint32_t>(digit);
    if (++count == 4) {
      out += static_cast<char>(bits >> 16);
      out += static_cast<char>(bits >> 8);
      out += static_cast<char>(bits);
      bits = 0;
      count = 0;
    }
  }
  if (count == 1 || padding > 2 || (padding > 0 && (count + padding) != 4)) return std::nullopt;
  if (count >= 2) out += static_cast<char>(bits >> (count == 2 ? 4 : 10));
  if (count == 3) out += static_cast<char>(bits >> 2);
  return out;
}

// A stream over bytes that somebody else holds.
class ViewBuffer : public std::streambuf {
 public:
  explicit ViewBuffer(std::string_view bytes) {
    char* begin = const_cast<char*>(bytes.data());  // a get area is never written
    setg(begin, begin, begin + bytes.size());
  }
};

// Thrown by the builder through yaml-cpp, caught in ParseYaml.
struct Refused {
  Status status;
};

class IgnoreEvents : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

}  // namespace

// Grows the tree from the parser's events. Checks of a map (keys that come twice, merges) run when
// it ends, since a key's value follows it.
class YamlBuilder : public YAML::EventHandler {
 public:
  explicit YamlBuilder(std::string file)
      : file_(std::make_shared<const std::string>(std::move(file))) {}

  YamlNode Finish() {
    if (root_ == nullptr) {
      auto null = std::make_shared<YamlNodeData>();
      null->file = file_;
      null->line = null->column = 1;
      root_ = std::move(null);
    }
    return YamlNode(std::move(root_));
  }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    // yaml-cpp lets [a,,b] pass.
    if (anchor == 0 && !open_.empty() && open_.back().in_flow &&
        open_.back().node->kind == YamlNode::Kind::kSequence) {
      Refuse(mark, "an item is missing in the list");
    }
    Add(New(YamlNode::Kind::kNull, mark), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto it = anchors_.find(anchor);
    if (it == anchors_.end()) Refuse(mark, "an alias to a node that contains it");
    Attach(it->second, mark);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    auto node = New(YamlNode::Kind::kScalar, mark);
    node->text = value;
    if (tag == std::string(kTagPrefix) + "binary") {
      std::optional<std::string> bytes = DecodeBase64(value);
      if (!bytes) Refuse(mark, "!!binary value contains invalid base64 data");
      node->text = std::move(*bytes);
      node->quoted = true;
    } else {
      // "?" is a plain scalar, "!" a quoted one; an explicit core tag other than !!str reads like
      // a plain one, and a tag nobody knows makes a text.
      const bool core = tag.starts_with(kTagPrefix) && !tag.ends_with(":str");
      node->quoted = !(tag == "?" || core);
    }
    if (!node->quoted && IsNullText(value)) node->kind = YamlNode::Kind::kNull;
    Add(std::move(node), anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) override {
    Open(YamlNode::Kind::kSequence, mark, anchor, style);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override {
    Open(YamlNode::Kind::kMap, mark, anchor, style);
  }
  void OnMapEnd() override {
    FinishMap(*open_.back().node);
    Close();
  }

 private:
  using DataPtr = std::shared_ptr<const YamlNodeData>;
  struct OpenNode {
    std::shared_ptr<YamlNodeData> node;
    YAML::anchor_t anchor;
    YAML::Mark mark;
    bool in_flow;
  };

  [[noreturn]] void Refuse(const YAML::Mark& mark, std::string_view message) {
    RefuseAt(mark.line + 1, mark.column + 1, Code::kInvalidArgument, message);
  }
  [[noreturn]] void RefuseAt(int line, int column, Code code, std::string_view message) {
    throw Refused{Status(code, Place(*file_, line, column) + ": " + std::string(message))};
  }

  std::shared_ptr<YamlNodeData> New(YamlNode::Kind kind, const YAML::Mark& mark) {
    auto node = std::make_shared<YamlNodeData>();
    node->kind = kind;
    node->line = mark.line + 1;
    node->column = mark.column + 1;
    node->file = file_;
    return node;
  }

  void Open(YamlNode::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor,
            YAML::EmitterStyle::value style) {
    if (open_.size() >= kYamlDepthMax) {
      RefuseAt(mark.line + 1, mark.column + 1, Code::kResourceExhausted,
               "nested deeper than " + std::to_string(kYamlDepthMax) + " levels");
    }
    open_.push_back({New(kind, mark), anchor, mark, style == YAML::EmitterStyle::Flow});
  }

  void Close() {
    OpenNode closed = std::move(open_.back());
    open_.pop_back();
    if (closed.anchor != 0) anchors_[closed.anchor] = closed.node;
    Attach(std::move(closed.node), closed.mark);
  }

  void Add(std::shared_ptr<YamlNodeData> node, YAML::anchor_t anchor) {
    const YAML::Mark mark = YAML::Mark::null_mark();
    if (anchor != 0) anchors_[anchor] = node;
    Attach(std::move(node), mark);
  }

  void Attach(DataPtr node, const YAML::Mark& mark) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    YamlNodeData& parent = *open_.back().node;
    parent.weight += node->weight;
    if (parent.weight > kYamlNodesMax) {
      RefuseAt(mark.line + 1, mark.column + 1, Code::kResourceExhausted,
               "more than " + std::to_string(kYamlNodesMax) + " nodes");
    }
    parent.children.push_back(std::move(node));
  }

  static bool IsMergeKey(const YamlNodeData& key) {
    return key.kind == YamlNode::Kind::kScalar && !key.quoted && key.text == "<<";
  }

  void FinishMap(YamlNodeData& map) {
    std::map<std::string_view, const YamlNodeData*> seen;
    std::vector<DataPtr> own;
    std::vector<DataPtr> merged;  // the values of << keys, single maps
    for (size_t i = 0; i + 1 < map.children.size(); i += 2) {
      const YamlNodeData& key = *map.children[i];
      if (IsMergeKey(key)) {
        CollectMerged(key, map.children[i + 1], &merged);
        continue;
      }
      if (key.kind == YamlNode::Kind::kSequence || key.kind == YamlNode::Kind::kMap) {
        RefuseAt(key.line, key.column, Code::kInvalidArgument, "a key must be a scalar");
      }
      const auto [it, is_new] = seen.emplace(key.text, &key);
      if (!is_new) {
        RefuseAt(
            key.line, key.column, Code::kInvalidArgument,
            "field " + key.text + " already set (line " + std::to_string(it->second->line) + ")");
      }
      own.push_back(map.children[i]);
      own.push_back(map.children[i + 1]);
    }
    // A key of the map itself beats merged ones; of merged maps the first beats later ones.
    for (const DataPtr& source : merged) {
      for (size_t i = 0; i + 1 < source->children.size(); i += 2) {
        if (!seen.emplace(source->children[i]->text, source->children[i].get()).second) continue;
        own.push_back(source->children[i]);
        own.push_back(source->children[i + 1]);
      }
    }
    map.children = std::move(own);
  }

  void CollectMerged(const YamlNodeData& key, const DataPtr& value, std::vector<DataPtr>* merged) {
    if (value->kind == YamlNode::Kind::kMap) {
      merged->push_back(value);
      return;
    }
    bool good = value->kind == YamlNode::Kind::kSequence;
    for (const DataPtr& item : value->children) {
      good = good && item->kind == YamlNode::Kind::kMap;
      merged->push_back(item);
    }
    if (!good) {
      RefuseAt(key.line, key.column, Code::kInvalidArgument,
               "map merge requires map or sequence of maps as the value");
    }
  }

  const std::shared_ptr<const std::string> file_;
  std::vector<OpenNode> open_;
  std::map<YAML::anchor_t, DataPtr> anchors_;
  DataPtr root_;
};

namespace {

// yaml-cpp's parser stops the process' work only by exceptions; none leaves here.
template <typename Body>
Status Guarded(const std::string& file, Body body) {
  try {
    body();
    return Status::Ok();
  } catch (const Refused& refused) {
    return refused.status;
  } catch (const YAML::Exception& e) {
    // Seen only at the marker that ParseYaml puts behind the text.
    if (e.msg == YAML::ErrorMsg::DOC_IN_SCALAR) {
      return Status(Code::kInvalidArgument, Place(file, e.mark.line + 1, e.mark.column + 1) +
                                                ": yaml: the document ends inside a quotation");
    }
    return Status(Code::kInvalidArgument,
                  Place(file, e.mark.line + 1, e.mark.column + 1) + ": yaml: " + e.msg);
  } catch (const std::exception& e) {
    return Status(Code::kInvalidArgument, file + ": yaml: " + e.what());
  }
}

// What YAML allows in a stream: UTF-8 without control characters. yaml-cpp lets the rest pass.
Status CheckCharacters(std::string_view text, const std::string& file) {
  int line = 1;
  size_t line_start = 0;
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    size_t length = 1;
    const char* complaint = nullptr;
    if (byte < 0x20 || byte == 0x7f) {
      if (byte != '\t' && byte != '\n' && byte != '\r') {
        complaint = "control characters are not allowed";
      }
    } else if (byte >= 0x80) {
      length = Utf8Length(text.substr(i));
      const bool is_c1 = byte == 0xc2 && length == 2 && static_cast<uint8_t>(text[i + 1]) < 0xa0 &&
                         static_cast<uint8_t>(text[i + 1]) != 0x85;
      if (is_c1) complaint = "control characters are not allowed";
      if (length == 0) complaint = "not UTF-8";
    }
    if (complaint != nullptr) {
      return Status(
          Code::kInvalidArgument,
          Place(file, line, static_cast<int>(i - line_start) + 1) + ": yaml: " + complaint);
    }
    i += length;
    if (byte == '\n') {
      ++line;
      line_start = i;
    }
  }
  return Status::Ok();
}

}  // namespace

Result<YamlDocument> ParseYaml(std::string_view text, std::string file) {
  if (text.size() > kYamlBytesMax) {
    return Error(Code::kResourceExhausted,
                 file + ": longer than " + std::to_string(kYamlBytesMax) + " bytes");
  }
  TOCSIN_TRY(CheckCharacters(text, file));
  // yaml-cpp takes the end of the text for the end of an open quotation. A document end marker is
  // an error there, and nothing anywhere else.
  std::string closed(text);
  closed += closed.empty() || closed.ends_with('\n') ? "...\n" : "\n...\n";
  ViewBuffer buffer(closed);
  std::istream in(&buffer);
  YamlBuilder builder(file);
  YamlDocument document;
  YAML::Parser parser;
  TOCSIN_TRY(Guarded(file, [&] {
    parser.Load(in);
    parser.HandleNextDocument(builder);
  }));
  document.root = builder.Finish();
  // What follows the first document is not read, only seen; broken counts as there.
  IgnoreEvents ignore;
  bool more = false;
  const Status rest = Guarded(file, [&] { more = parser.HandleNextDocument(ignore); });
  document.more_documents = more || !rest.ok();
  return document;
}

YamlNode::Kind YamlNode::kind() const { return data_ == nullptr ? Kind::kNull : data_->kind; }
int YamlNode::line() const { return data_ == nullptr ? 0 : data_->line; }
int YamlNode::column() const { return data_ == nullptr ? 0 : data_->column; }

const std::string& YamlNode::file() const {
  static const std::string none;
  return data_ == nullptr ? none : *data_->file;
}

const std::string& YamlNode::text() const {
  static const std::string none;
  return data_ == nullptr ? none : data_->text;
}

bool YamlNode::quoted() const { return data_ != nullptr && data_->quoted; }

std::vector<YamlNode> YamlNode::items() const {
  std::vector<YamlNode> items;
  if (!is_sequence()) return items;
  for (const auto& child : data_->children) items.push_back(YamlNode(child));
  return items;
}

std::vector<YamlEntry> YamlNode::entries() const {
  std::vector<YamlEntry> entries;
  if (!is_map()) return entries;
  for (size_t i = 0; i + 1 < data_->children.size(); i += 2) {
    entries.push_back({YamlNode(data_->children[i]), YamlNode(data_->children[i + 1])});
  }
  return entries;
}

YamlNode YamlNode::Find(std::string_view key) const {
  if (!is_map()) return YamlNode();
  for (size_t i = 0; i + 1 < data_->children.size(); i += 2) {
    if (data_->children[i]->text == key) return YamlNode(data_->children[i + 1]);
  }
  return YamlNode();
}

Status YamlNode::ErrorHere(std::string_view message) const {
  if (!present()) return Status(Code::kInvalidArgument, std::string(message));
  return Status(Code::kInvalidArgument,
                Place(file(), line(), column()) + ": " + std::string(message));
}

std::string YamlNode::Describe() const {
  switch (kind()) {
    case Kind::kNull:
      return "!!null";
    case Kind::kSequence:
      return "!!seq";
    case Kind::kMap:
      return "!!map";
    case Kind::kScalar:
      break;
  }
  // Long values are cut: the message also says where to look.
  constexpr size_t kShownMax = 40;
  const std::string shown =
      text().size() <= kShownMax ? text() : text().substr(0, kShownMax) + "...";
  std::string_view tag = "!!str";
  if (!quoted()) {
    if (IsTrueText(text()) || IsFalseText(text())) {
      tag = "!!bool";
    } else if (AsInt64()) {
      tag = "!!int";
    } else if (AsDouble()) {
      tag = "!!float";
    }
  }
  return std::string(tag) + " `" + shown + "`";
}

Result<std::string> YamlNode::AsString() const {
  if (is_scalar()) return text();
  if (is_null()) return std::string();
  return Error(ErrorHere("cannot unmarshal " + Describe() + " into string"));
}

Result<bool> YamlNode::AsBool() const {
  if (is_null()) return false;
  if (is_scalar() && !quoted()) {
    if (IsTrueText(text())) return true;
    if (IsFalseText(text())) return false;
  }
  return Error(ErrorHere("cannot unmarshal " + Describe() + " into bool"));
}

namespace {

// Integers of YAML 1.1 as go-yaml reads them: 1_000, 0x1f, 0o17, 017, 0b11, and whole floats.
struct ParsedInteger {
  bool negative = false;
  uint64_t magnitude = 0;
};

std::optional<ParsedInteger> ParseYamlInteger(const std::string& written) {
  std::string text;
  std::copy_if(written.begin(), written.end(), std::back_inserter(text),
               [](char c) { return c != '_'; });
  ParsedInteger parsed;
  std::string_view digits = text;
  parsed.negative = digits.starts_with('-');
  if (parsed.negative || digits.starts_with('+')) digits.remove_prefix(1);
  int base = 10;
  if (digits.size() > 1 && digits[0] == '0') {
    const char kind = static_cast<char>(std::tolower(static_cast<unsigned char>(digits[1])));
    base = kind == 'x' ? 16 : kind == 'b' ? 2 : 8;
    digits.remove_prefix(kind == 'x' || kind == 'b' || kind == 'o' ? 2 : 1);
  }
  const auto end =
      std::from_chars(digits.data(), digits.data() + digits.size(), parsed.magnitude, base);
  if (!digits.empty() && end.ec == std::errc() && end.ptr == digits.data() + digits.size()) {
    return parsed;
  }
  // A float is cut to its whole part, as go-yaml does.
  const std::optional<double> number = ParseFloatPlain(text);
  if (!number || !std::isfinite(*number) || std::fabs(*number) >= 18446744073709551616.0) {
    return std::nullopt;
  }
  parsed.negative = *number <= -1;
  parsed.magnitude = static_cast<uint64_t>(std::fabs(*number));
  return parsed;
}

}  // namespace

Result<int64_t> YamlNode::AsInt64() const {
  if (is_null()) return 0;
  if (is_scalar() && !quoted()) {
    const auto parsed = ParseYamlInteger(text());
    constexpr uint64_t kMax = std::numeric_limits<int64_t>::max();
    if (parsed && parsed->magnitude <= kMax + (parsed->negative ? 1 : 0)) {
      const uint64_t bits = parsed->negative ? 0 - parsed->magnitude : parsed->magnitude;
      return static_cast<int64_t>(bits);
    }
  }
  return Error(ErrorHere("cannot unmarshal " + (is_scalar() ? "`" + text() + "`" : Describe()) +
                         " into int"));
}

Result<uint64_t> YamlNode::AsUint64() const {
  if (is_null()) return uint64_t{0};
  if (is_scalar() && !quoted()) {
    const auto parsed = ParseYamlInteger(text());
    if (parsed && (!parsed->negative || parsed->magnitude == 0)) return parsed->magnitude;
  }
  return Error(ErrorHere("cannot unmarshal " + Describe() + " into uint"));
}

Result<double> YamlNode::AsDouble() const {
  if (is_null()) return 0.0;
  if (is_scalar() && !quoted()) {
    if (OneOf(text(), {".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"})) return HUGE_VAL;
    if (OneOf(text(), {"-.inf", "-.Inf", "-.INF"})) return -HUGE_VAL;
    if (OneOf(text(), {".nan", ".NaN", ".NAN"})) return std::numeric_limits<double>::quiet_NaN();
    const std::optional<double> v = ParseFloatPlain(text());
    if (v && std::isfinite(*v)) return *v;
    if (const auto integer = ParseYamlInteger(text())) {
      const auto magnitude = static_cast<double>(integer->magnitude);
      return integer->negative ? -magnitude : magnitude;
    }
  }
  return Error(ErrorHere("cannot unmarshal " + (is_scalar() ? "`" + text() + "`" : Describe()) +
                         " into float64"));
}

Result<int64_t> YamlNode::AsDurationMs() const {
  TOCSIN_ASSIGN_OR_RETURN(const std::string text, AsString());
  if (is_null()) return 0;
  Result<int64_t> duration_ms = ParseDuration(text);
  if (!duration_ms) return Error(ErrorHere(duration_ms.error().message()));
  return duration_ms;
}

void YamlErrors::Add(const YamlNode& place, std::string_view message) {
  Add(place.ErrorHere(message));
}

Status YamlErrors::ToStatus() const {
  if (messages_.empty()) return Status::Ok();
  std::string all;
  for (const std::string& message : messages_) {
    if (!all.empty()) all += '\n';
    all += message;
  }
  return Status(Code::kInvalidArgument, std::move(all));
}

YamlMapReader::YamlMapReader(YamlNode node, std::string section, YamlErrors* errors)
    : node_(std::move(node)), section_(std::move(section)), errors_(errors) {
  if (!node_.is_map() && !node_.is_null()) {
    errors_->Add(node_, "cannot unmarshal " + node_.Describe() + " into " + section_);
  }
}

YamlNode YamlMapReader::Take(std::string_view key) {
  known_.emplace(key);
  return node_.Find(key);
}

template <typename T>
bool YamlMapReader::Store(const YamlNode& node, Result<T> value, T* out) {
  if (!node.present()) return false;
  if (!value) {
    errors_->Add(value.error());
    return false;
  }
  *out = std::move(*value);
  return true;
}

bool YamlMapReader::Read(std::string_view key, std::string* out) {
  const YamlNode node = Take(key);
  return Store(node, node.AsString(), out);
}

bool YamlMapReader::Read(std::string_view key, Secret* out) {
  std::string text;
  if (!Read(key, &text)) return false;
  *out = Secret(std::move(text));
  return true;
}

bool YamlMapReader::Read(std::string_view key, bool* out) {
  const YamlNode node = Take(key);
  return Store(node, node.AsBool(), out);
}

bool YamlMapReader::Read(std::string_view key, int64_t* out) {
  const YamlNode node = Take(key);
  return Store(node, node.AsInt64(), out);
}

bool YamlMapReader::Read(std::string_view key, uint64_t* out) {
  const YamlNode node = Take(key);
  return Store(node, node.AsUint64(), out);
}

bool YamlMapReader::Read(std::string_view key, double* out) {
  const YamlNode node = Take(key);
  return Store(node, node.AsDouble(), out);
}

bool YamlMapReader::ReadDuration(std::string_view key, int64_t* out_ms) {
  const YamlNode node = Take(key);
  return Store(node, node.AsDurationMs(), out_ms);
}

bool YamlMapReader::Read(std::string_view key, std::vector<std::string>* out) {
  const YamlNode node = Take(key);
  if (!node.present()) return false;
  if (!node.is_sequence() && !node.is_null()) {
    errors_->Add(node, "cannot unmarshal " + node.Describe() + " into []string");
    return false;
  }
  std::vector<std::string> texts;
  bool good = true;
  for (const YamlNode& item : node.items()) {
    good = Store(item, item.AsString(), &texts.emplace_back()) && good;
  }
  if (good) *out = std::move(texts);
  return good;
}

bool YamlMapReader::Read(std::string_view key,
                         std::vector<std::pair<std::string, std::string>>* out) {
  const YamlNode node = Take(key);
  if (!node.present()) return false;
  if (!node.is_map() && !node.is_null()) {
    errors_->Add(node, "cannot unmarshal " + node.Describe() + " into map[string]string");
    return false;
  }
  std::vector<std::pair<std::string, std::string>> texts;
  bool good = true;
  for (const YamlEntry& entry : node.entries()) {
    auto& [name, value] = texts.emplace_back();
    name = entry.key.text();
    good = Store(entry.value, entry.value.AsString(), &value) && good;
  }
  if (good) *out = std::move(texts);
  return good;
}

void YamlMapReader::Finish() {
  for (const YamlEntry& entry : node_.entries()) {
    if (!known_.contains(entry.key.text())) {
      errors_->Add(entry.key, "field " + entry.key.text() + " not found in " + section_);
    }
  }
}

}  // namespace tocsin
