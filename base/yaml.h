// YAML in and out, for configuration, rule and discovery files. yaml-cpp parses (yaml.cc); the
// reading of types follows go-yaml, which Prometheus uses: any plain or quoted scalar is good as a
// string
// (`port: 9090` too), yes/no/on/off are booleans, `~` and nothing are null, `<<` merges.
//
//   TOCSIN_ASSIGN_OR_RETURN(YamlDocument doc, ParseYaml(text, "prometheus.yml"));
//   YamlErrors errors;
//   YamlMapReader map(doc.root, "config", &errors);
//   map.Read("job_name", &job);  map.ReadDuration("scrape_interval", &interval_ms);
//   for (const YamlNode& n : map.Take("static_configs").items()) …
//   map.Finish();                          // every field nobody asked for is an error
//   → "prometheus.yml:3:5: field jobname not found in config"
//
// Every place in messages is FILE:LINE:COLUMN, counted from 1. Refused while parsing: a key that
// comes twice in a map, more than one of the bounds below.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/secret.h"
#include "base/status.h"

namespace tocsin {

inline constexpr size_t kYamlBytesMax = 256 << 20;
inline constexpr size_t kYamlDepthMax = 100;
// Aliases count as often as they are used, so that a few lines cannot unfold to gigabytes.
inline constexpr size_t kYamlNodesMax = 10'000'000;

struct YamlNodeData;
struct YamlEntry;

// A place in a parsed document; keeps the whole document alive. Cheap to copy, immutable.
class YamlNode {
 public:
  enum class Kind : uint8_t { kNull, kScalar, kSequence, kMap };

  YamlNode() = default;  // absent: null, without a place

  // False for what Find() did not find.
  bool present() const { return data_ != nullptr; }
  Kind kind() const;
  bool is_null() const { return kind() == Kind::kNull; }
  bool is_scalar() const { return kind() == Kind::kScalar; }
  bool is_sequence() const { return kind() == Kind::kSequence; }
  bool is_map() const { return kind() == Kind::kMap; }
  int line() const;
  int column() const;
  const std::string& file() const;

  const std::string& text() const;            // of a scalar (and as written of a null); else ""
  bool quoted() const;                        // a scalar in quotes, a block scalar or tagged !!str
  std::vector<YamlNode> items() const;        // of a sequence; else none
  std::vector<YamlEntry> entries() const;     // of a map, in order, merged ones last; else none
  YamlNode Find(std::string_view key) const;  // in a map; absent when there is none

  // "FILE:LINE:COLUMN: message".
  Status ErrorHere(std::string_view message) const;

  // Null reads as "", 0 or false, as in go-yaml.
  Result<std::string> AsString() const;
  Result<bool> AsBool() const;
  Result<int64_t> AsInt64() const;
  Result<uint64_t> AsUint64() const;
  Result<double> AsDouble() const;
  Result<int64_t> AsDurationMs() const;  // Prometheus' form; "0" too

  // "!!str `abc`", "!!seq", …: for messages such as "cannot unmarshal !!seq into bool".
  std::string Describe() const;

 private:
  friend class YamlBuilder;
  friend struct YamlDocument;
  YamlNode(std::shared_ptr<const YamlNodeData> data) : data_(std::move(data)) {}

  std::shared_ptr<const YamlNodeData> data_;
};

struct YamlEntry {
  YamlNode key;
  YamlNode value;
};

struct YamlDocument {
  YamlNode root;                // null node for an empty document
  bool more_documents = false;  // others follow, which were not read
};

// The first document of `text`; `file` is only for messages.
Result<YamlDocument> ParseYaml(std::string_view text, std::string file);

// Complaints of one reading, in order.
class YamlErrors {
 public:
  void Add(const YamlNode& place, std::string_view message);
  void Add(std::string message) { messages_.push_back(std::move(message)); }
  void Add(const Status& status) {
    if (!status.ok()) messages_.push_back(status.message());
  }

  bool empty() const { return messages_.empty(); }
  const std::vector<std::string>& messages() const { return messages_; }
  // kInvalidArgument with all messages, one a line; ok when there are none.
  Status ToStatus() const;

 private:
  std::vector<std::string> messages_;
};

// Reads the fields of one map and complains about the others. A node that is no map is a complaint;
// null is an empty map. Reads leave `out` alone when the field is absent or wrong.
class YamlMapReader {
 public:
  // `section` says in messages what the map is. `errors` outlives the reader.
  YamlMapReader(YamlNode node, std::string section, YamlErrors* errors);

  const YamlNode& node() const { return node_; }
  bool Has(std::string_view key) const { return node_.Find(key).present(); }
  // The field's value, absent() or not; it counts as known.
  YamlNode Take(std::string_view key);

  // True when the field was there and good.
  bool Read(std::string_view key, std::string* out);
  bool Read(std::string_view key, Secret* out);
  bool Read(std::string_view key, bool* out);
  bool Read(std::string_view key, int64_t* out);
  bool Read(std::string_view key, uint64_t* out);
  bool Read(std::string_view key, double* out);
  bool ReadDuration(std::string_view key, int64_t* out_ms);
  bool Read(std::string_view key, std::vector<std::string>* out);
  // A map of texts, in the file's order.
  bool Read(std::string_view key, std::vector<std::pair<std::string, std::string>>* out);

  // Complains about every field that was not asked for: "field X not found in SECTION".
  void Finish();

 private:
  template <typename T>
  bool Store(const YamlNode& node, Result<T> value, T* out);

  const YamlNode node_;
  const std::string section_;
  YamlErrors* const errors_;
  std::set<std::string, std::less<>> known_;
};

// Writes block style as go-yaml does (two spaces; the items of a list at their key's column), texts
// quoted only where they would not read back as the same text (bytes that are not UTF-8 become
// U+FFFD).
//   YamlWriter yaml(out);
//   yaml.BeginMap().Key("global").BeginMap().Key("scrape_interval").String("15s").EndMap();
//   yaml.EndMap();
// Misuse (a value without its key, an unclosed map) is a CHECK.
class YamlWriter {
 public:
  explicit YamlWriter(std::string& out) : out_(out) {}

  YamlWriter& BeginMap() { return Begin(true); }
  YamlWriter& EndMap() { return End(true); }
  YamlWriter& BeginList() { return Begin(false); }
  YamlWriter& EndList() { return End(false); }
  YamlWriter& Key(std::string_view name);

  YamlWriter& String(std::string_view text);
  YamlWriter& Int(int64_t v) { return Plain(std::to_string(v)); }
  YamlWriter& Uint(uint64_t v) { return Plain(std::to_string(v)); }
  YamlWriter& Double(double v);
  YamlWriter& Bool(bool v) { return Plain(v ? "true" : "false"); }
  YamlWriter& Null() { return Plain("null"); }

 private:
  struct Frame {
    bool is_map;
    int indent;  // column of its keys or dashes
    bool empty = true;
    bool inline_first = false;  // its first entry goes on the line of the dash above
  };
  YamlWriter& Begin(bool is_map);
  YamlWriter& End(bool is_map);
  YamlWriter& Plain(std::string_view text);
  // Puts what stands between the last thing written and the next entry of the innermost frame.
  void StartEntry(Frame& frame);
  void BeforeScalar();

  std::string& out_;
  std::vector<Frame> open_;
  bool after_key_ = false;
};

}  // namespace tocsin
