// What base/ reads from outside: YAML, JSON, regular expressions, globs, numbers, durations, times,
// sizes. The first byte chooses which. What was read and printed must read back as the same.
//   text_fuzz corpus/    with ../shared/conformance/config/prometheus as corpus
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/byte_size.h"
#include "base/duration.h"
#include "base/glob.h"
#include "base/json.h"
#include "base/number.h"
#include "base/regex.h"
#include "base/time_text.h"
#include "base/yaml.h"

namespace {

using namespace tocsin;

void Demand(bool condition) {
  if (!condition) __builtin_trap();
}

// Writes a parsed document out again, so that every accessor and the writer see it.
void Copy(const YamlNode& node, YamlWriter* yaml, int* budget) {
  if (--*budget < 0) {
    yaml->Null();
    return;
  }
  switch (node.kind()) {
    case YamlNode::Kind::kNull:
      yaml->Null();
      break;
    case YamlNode::Kind::kScalar:
      yaml->String(node.text());
      break;
    case YamlNode::Kind::kSequence:
      yaml->BeginList();
      for (const YamlNode& item : node.items()) Copy(item, yaml, budget);
      yaml->EndList();
      break;
    case YamlNode::Kind::kMap:
      yaml->BeginMap();
      for (const YamlEntry& entry : node.entries()) {
        yaml->Key(entry.key.text());
        Copy(entry.value, yaml, budget);
      }
      yaml->EndMap();
      break;
  }
}

void Yaml(std::string_view text) {
  const auto document = ParseYaml(text, "f");
  if (!document) return;
  std::string out;
  YamlWriter yaml(out);
  int budget = 10'000;
  Copy(document->root, &yaml, &budget);
  Demand(ParseYaml(out, "out").has_value());
}

void Regexes(std::string_view text) {
  const size_t cut = text.find('\n');
  if (cut == std::string_view::npos) return;
  const auto regex = Regex::Compile(text.substr(0, cut));
  if (!regex) return;
  const std::string_view rest = text.substr(cut + 1, 256);
  (void)regex->FullMatch(rest);
  (void)regex->ReplaceAll(rest, rest);
  (void)regex->MatchAndExpand(rest, rest);
}

void Numbers(std::string_view text) {
  if (const auto v = ParseFloat(text); v && !std::isnan(*v)) {
    for (const std::string& printed :
         {FormatFloat(*v), FormatFloatDecimal(*v), FormatFloatGo(*v)}) {
      Demand(std::bit_cast<uint64_t>(ParseFloat(printed).value_or(0)) ==
             std::bit_cast<uint64_t>(*v));
    }
  }
  if (const auto ms = ParseDuration(text)) {
    Demand(ParseDuration(FormatDuration(*ms)).value_or(-1) == *ms);
  }
  if (const auto bytes = ParseByteSize(text)) {
    Demand(ParseByteSize(FormatByteSize(*bytes)).value_or(-1) == *bytes);
  }
  if (const auto ms = ParseTime(text)) {
    Demand(ParseTime(FormatTime(*ms)).value_or(-1) == *ms);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 5) {
    case 0:
      Yaml(text);
      break;
    case 1:
      (void)ParseJson(text);
      break;
    case 2:
      Regexes(text);
      break;
    case 3:
      (void)GlobMatch(text.substr(0, text.size() / 2), text.substr(text.size() / 2));
      break;
    default:
      Numbers(text);
  }
  return 0;
}
