// Value: what a template computes with: the Go values that Prometheus' templates can meet.
//
// Lists, maps and structs are immutable and shared, so copying a Value is cheap. Type names and
// printed forms are those of Go (fmt's %v), since templates are written against them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "model/labels.h"
#include "query/value.h"

namespace tocsin::alerting::tmpl {

class Value;
using List = std::vector<Value>;
using Map = std::map<std::string, Value, std::less<>>;  // ascending keys: Go's order of range
using Fields = std::vector<std::pair<std::string, Value>>;

struct Time {
  int64_t unix_ns = 0;  // shown in UTC
};
struct Duration {
  int64_t ns = 0;
};

class Value {
 public:
  enum class Kind : uint8_t {
    kNil,
    kBool,
    kInt,
    kFloat,
    kString,
    kList,
    kMap,
    kStruct,
    kTime,
    kDuration
  };

  Value() = default;  // nil
  explicit Value(bool v) : data_(v) {}
  explicit Value(int64_t v) : data_(v) {}
  explicit Value(double v) : data_(v) {}
  explicit Value(std::string v) : data_(std::move(v)) {}
  explicit Value(const char*) = delete;
  explicit Value(Time v) : data_(v) {}
  explicit Value(Duration v) : data_(v) {}

  // A list; `type` is its Go type, e.g. "[]interface {}".
  static Value OfList(List items, std::string_view type);
  // map[string]string when `string_elements` (an absent key then reads as ""), else
  // map[string]interface {} (an absent key reads as nil).
  static Value OfMap(Map entries, bool string_elements);
  static Value OfLabels(const model::Labels& labels);
  static Value OfStruct(Fields fields, std::string_view type);
  // The sample of an instant vector: {Labels, Value}; a histogram's value is its text.
  static Value OfSample(const query::VectorSample& sample);
  static Value OfVector(const query::Vector& vector);

  Kind kind() const { return static_cast<Kind>(data_.index()); }
  bool is_nil() const { return kind() == Kind::kNil; }
  bool AsBool() const { return std::get<bool>(data_); }
  int64_t AsInt() const { return std::get<int64_t>(data_); }
  double AsFloat() const { return std::get<double>(data_); }
  const std::string& AsString() const { return std::get<std::string>(data_); }
  const List& AsList() const { return std::get<std::shared_ptr<const ListData>>(data_)->items; }
  const Map& AsMap() const { return std::get<std::shared_ptr<const MapData>>(data_)->entries; }
  const Fields& AsStruct() const {
    return std::get<std::shared_ptr<const StructData>>(data_)->fields;
  }
  Time AsTime() const { return std::get<Time>(data_); }
  Duration AsDuration() const { return std::get<Duration>(data_); }

  bool IsSample() const;
  bool IsVector() const;
  // The entry of a map, or what Go's missingkey=zero gives in its place.
  Value MapEntry(std::string_view key) const;
  const Value* Field(std::string_view name) const;  // of a struct; null when it has none

  // How deep lists, maps and structs nest in it (0 for plain values), and about how many bytes
  // Print() gives. Values that contain others are made only within bounds, so that shared parts
  // cannot make printing or destroying them explode.
  int depth() const;
  size_t print_bytes() const;

  bool Truth() const;            // as `if` sees it: not the zero value, not empty
  std::string TypeName() const;  // Go's %T
  std::string Print() const;     // Go's %v

 private:
  struct Extent {
    int depth = 1;
    size_t print_bytes = 2;
    void Add(size_t key_bytes, const Value& value);
  };
  struct ListData {
    List items;
    std::string type;
    Extent extent;
  };
  struct MapData {
    Map entries;
    bool string_elements;
    Extent extent;
  };
  struct StructData {
    Fields fields;
    std::string type;
    Extent extent;
  };

  // The order is that of Kind.
  std::variant<std::monostate, bool, int64_t, double, std::string, std::shared_ptr<const ListData>,
               std::shared_ptr<const MapData>, std::shared_ptr<const StructData>, Time, Duration>
      data_;
};

inline constexpr std::string_view kSampleType = "*template.sample";
inline constexpr std::string_view kVectorType = "template.queryResult";

}  // namespace tocsin::alerting::tmpl
