#include "alerting/template/value.h"

#include <algorithm>

#include "alerting/template/go_format.h"
#include "alerting/template/go_time.h"
#include "base/number.h"

namespace tocsin::alerting::tmpl {

void Value::Extent::Add(size_t key_bytes, const Value& value) {
  depth = std::max(depth, value.depth() + 1);
  const size_t bytes = key_bytes + value.print_bytes() + 2;
  print_bytes = bytes > SIZE_MAX - print_bytes ? SIZE_MAX : print_bytes + bytes;
}

Value Value::OfList(List items, std::string_view type) {
  Extent extent;
  for (const Value& item : items) extent.Add(0, item);
  Value v;
  v.data_ = std::make_shared<const ListData>(ListData{std::move(items), std::string(type), extent});
  return v;
}

Value Value::OfMap(Map entries, bool string_elements) {
  Extent extent;
  for (const auto& [key, value] : entries) extent.Add(key.size(), value);
  Value v;
  v.data_ = std::make_shared<const MapData>(MapData{std::move(entries), string_elements, extent});
  return v;
}

Value Value::OfLabels(const model::Labels& labels) {
  Map entries;
  for (const model::LabelView& l : labels) {
    entries.emplace_hint(entries.end(), std::string(l.name), Value(std::string(l.value)));
  }
  return OfMap(std::move(entries), true);
}

Value Value::OfStruct(Fields fields, std::string_view type) {
  Extent extent;
  for (const auto& [name, value] : fields) extent.Add(name.size(), value);
  Value v;
  v.data_ =
      std::make_shared<const StructData>(StructData{std::move(fields), std::string(type), extent});
  return v;
}

Value Value::OfSample(const query::VectorSample& sample) {
  Fields fields;
  fields.emplace_back("Labels", OfLabels(sample.metric));
  fields.emplace_back(
      "Value", sample.histogram ? Value(HistogramText(*sample.histogram)) : Value(sample.value));
  return OfStruct(std::move(fields), kSampleType);
}

Value Value::OfVector(const query::Vector& vector) {
  List items;
  items.reserve(vector.size());
  for (const query::VectorSample& sample : vector) items.push_back(OfSample(sample));
  return OfList(std::move(items), kVectorType);
}

int Value::depth() const {
  switch (kind()) {
    case Kind::kList:
      return std::get<std::shared_ptr<const ListData>>(data_)->extent.depth;
    case Kind::kMap:
      return std::get<std::shared_ptr<const MapData>>(data_)->extent.depth;
    case Kind::kStruct:
      return std::get<std::shared_ptr<const StructData>>(data_)->extent.depth;
    default:
      return 0;
  }
}

size_t Value::print_bytes() const {
  constexpr size_t kPlainBytes = 24;  // about the longest number
  switch (kind()) {
    case Kind::kString:
      return AsString().size();
    case Kind::kList:
      return std::get<std::shared_ptr<const ListData>>(data_)->extent.print_bytes;
    case Kind::kMap:
      return std::get<std::shared_ptr<const MapData>>(data_)->extent.print_bytes;
    case Kind::kStruct:
      return std::get<std::shared_ptr<const StructData>>(data_)->extent.print_bytes;
    default:
      return kPlainBytes;
  }
}

bool Value::IsSample() const {
  return kind() == Kind::kStruct &&
         std::get<std::shared_ptr<const StructData>>(data_)->type == kSampleType;
}

bool Value::IsVector() const {
  return kind() == Kind::kList &&
         std::get<std::shared_ptr<const ListData>>(data_)->type == kVectorType;
}

Value Value::MapEntry(std::string_view key) const {
  const auto& map = *std::get<std::shared_ptr<const MapData>>(data_);
  const auto it = map.entries.find(key);
  if (it != map.entries.end()) return it->second;
  return map.string_elements ? Value(std::string()) : Value();
}

const Value* Value::Field(std::string_view name) const {
  for (const auto& [field, value] : AsStruct()) {
    if (field == name) return &value;
  }
  return nullptr;
}

bool Value::Truth() const {
  switch (kind()) {
    case Kind::kNil:
      return false;
    case Kind::kBool:
      return AsBool();
    case Kind::kInt:
      return AsInt() != 0;
    case Kind::kFloat:
      return AsFloat() != 0;
    case Kind::kString:
      return !AsString().empty();
    case Kind::kList:
      return !AsList().empty();
    case Kind::kMap:
      return !AsMap().empty();
    case Kind::kStruct:
    case Kind::kTime:
    case Kind::kDuration:
      return true;
  }
  return false;
}

std::string Value::TypeName() const {
  switch (kind()) {
    case Kind::kNil:
      return "<nil>";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
      return "int";
    case Kind::kFloat:
      return "float64";
    case Kind::kString:
      return "string";
    case Kind::kList:
      return std::get<std::shared_ptr<const ListData>>(data_)->type;
    case Kind::kMap:
      return std::get<std::shared_ptr<const MapData>>(data_)->string_elements
                 ? "map[string]string"
                 : "map[string]interface {}";
    case Kind::kStruct:
      return std::get<std::shared_ptr<const StructData>>(data_)->type;
    case Kind::kTime:
      return "*time.Time";
    case Kind::kDuration:
      return "*time.Duration";
  }
  return "<nil>";
}

std::string Value::Print() const {
  std::string out;
  switch (kind()) {
    case Kind::kNil:
      return "<nil>";
    case Kind::kBool:
      return AsBool() ? "true" : "false";
    case Kind::kInt:
      return std::to_string(AsInt());
    case Kind::kFloat:
      return FormatFloatGo(AsFloat());
    case Kind::kString:
      return AsString();
    case Kind::kList:
      for (const Value& item : AsList()) out += (out.empty() ? "" : " ") + item.Print();
      return "[" + out + "]";
    case Kind::kMap:
      for (const auto& [key, value] : AsMap()) {
        out += (out.empty() ? "" : " ") + key + ":" + value.Print();
      }
      return "map[" + out + "]";
    case Kind::kStruct:
      for (const auto& [name, value] : AsStruct()) out += (out.empty() ? "" : " ") + value.Print();
      return "{" + out + "}";
    case Kind::kTime:
      return TimeString(AsTime());
    case Kind::kDuration:
      return DurationString(AsDuration());
  }
  return out;
}

}  // namespace tocsin::alerting::tmpl
