#include "tsdb/prometheus/block_meta.h"

#include <algorithm>

#include "base/env.h"
#include "base/json.h"

namespace tocsin::tsdb {
namespace {

constexpr std::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr size_t kUlidLength = 26;
constexpr size_t kUlidTimeLength = 10;
// Larger doubles are not whole numbers of milliseconds any more.
constexpr double kWholeMax = 9007199254740992.0;

int64_t WholeNumber(const JsonValue& object, std::string_view key) {
  const JsonValue* value = object.Find(key);
  if (value == nullptr || !value->is_number()) return 0;
  return static_cast<int64_t>(std::clamp(value->AsDouble(), -kWholeMax, kWholeMax));
}

uint64_t Count(const JsonValue& object, std::string_view key) {
  return static_cast<uint64_t>(std::max<int64_t>(0, WholeNumber(object, key)));
}

}  // namespace

bool IsUlid(std::string_view name) {
  return name.size() == kUlidLength && name.front() <= '7' &&
         name.find_first_not_of(kAlphabet) == std::string_view::npos;
}

std::string UlidOf(int64_t time_ms, const std::array<uint8_t, 16>& random) {
  static_assert(kUlidLength - kUlidTimeLength == 16);
  std::string ulid(kUlidLength, '0');
  // 48 bits.
  auto time = static_cast<uint64_t>(time_ms) & ((uint64_t{1} << 48) - 1);
  for (size_t i = kUlidTimeLength; i-- > 0; time >>= 5) ulid[i] = kAlphabet[time & 31];
  for (size_t i = 0; i < random.size(); ++i) ulid[kUlidTimeLength + i] = kAlphabet[random[i] & 31];
  return ulid;
}

std::string NewUlid(Env& env) {
  std::array<uint8_t, 16> random{};
  env.FillRandom(random.data(), random.size());
  return UlidOf(env.NowMs(), random);
}

int64_t UlidTimeMs(std::string_view ulid) {
  if (!IsUlid(ulid)) return 0;
  int64_t time = 0;
  for (const char c : ulid.substr(0, kUlidTimeLength))
    time = time << 5 | static_cast<int64_t>(kAlphabet.find(c));
  return time;
}

Result<BlockMeta> ParseBlockMeta(std::string_view json) {
  auto parsed = ParseJson(json);
  if (!parsed) return Error(Code::kCorruption, parsed.error().message());
  if (!parsed->is_object()) return Error(Code::kCorruption, "no JSON object");
  BlockMeta meta;
  meta.ulid = parsed->FindString("ulid");
  meta.version = Count(*parsed, "version");
  meta.min_ms = WholeNumber(*parsed, "minTime");
  meta.end_ms = WholeNumber(*parsed, "maxTime");
  if (parsed->Find("minTime") == nullptr || parsed->Find("maxTime") == nullptr)
    return Error(Code::kCorruption, "minTime or maxTime is missing");
  if (meta.version != 1 && meta.version != 2) {
    return Error(Code::kUnimplemented,
                 "meta.json of version " + std::to_string(meta.version) + " is not known");
  }
  if (const JsonValue* stats = parsed->Find("stats"); stats != nullptr) {
    meta.stats.samples = Count(*stats, "numSamples");
    meta.stats.float_samples = Count(*stats, "numFloatSamples");
    meta.stats.histogram_samples = Count(*stats, "numHistogramSamples");
    meta.stats.series = Count(*stats, "numSeries");
    meta.stats.chunks = Count(*stats, "numChunks");
    meta.stats.tombstones = Count(*stats, "numTombstones");
  }
  if (const JsonValue* compaction = parsed->Find("compaction"); compaction != nullptr) {
    meta.compaction_level = Count(*compaction, "level");
    if (const JsonValue* sources = compaction->Find("sources");
        sources != nullptr && sources->is_array()) {
      for (const JsonValue& source : sources->AsArray())
        if (source.is_string()) meta.sources.push_back(source.AsString());
    }
    if (const JsonValue* hints = compaction->Find("hints"); hints != nullptr && hints->is_array()) {
      for (const JsonValue& hint : hints->AsArray())
        meta.from_out_of_order |= hint.is_string() && hint.AsString() == "from-out-of-order";
    }
    if (const JsonValue* parents = compaction->Find("parents");
        parents != nullptr && parents->is_array()) {
      for (const JsonValue& parent : parents->AsArray())
        meta.parents.emplace_back(parent.FindString("ulid"));
    }
  }
  return meta;
}

std::string FormatBlockMeta(const BlockMeta& meta) {
  std::string out;
  JsonWriter json(out);
  json.BeginObject();
  json.Key("ulid").String(meta.ulid);
  json.Key("minTime").Int(meta.min_ms).Key("maxTime").Int(meta.end_ms);
  json.Key("stats").BeginObject();
  json.Key("numSamples").Uint(meta.stats.samples);
  json.Key("numFloatSamples").Uint(meta.stats.float_samples);
  json.Key("numHistogramSamples").Uint(meta.stats.histogram_samples);
  json.Key("numSeries").Uint(meta.stats.series);
  json.Key("numChunks").Uint(meta.stats.chunks);
  json.EndObject();
  json.Key("compaction").BeginObject();
  json.Key("level").Uint(meta.compaction_level);
  json.Key("sources").BeginArray();
  for (const std::string& source : meta.sources) json.String(source);
  json.EndArray().EndObject();
  json.Key("version").Uint(meta.version);
  json.EndObject();
  out += "\n";
  return out;
}

}  // namespace tocsin::tsdb
