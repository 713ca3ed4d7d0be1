#include "alerting/rules/alert_journal.h"

#include "base/json.h"
#include "base/log.h"
#include "base/number.h"
#include "base/self_metrics.h"

namespace tocsin::alerting {
namespace {

constexpr std::string_view kPrefix = "alert/";

std::string RuleKey(const RuleIdentity& rule) {
  std::vector<std::pair<std::string, std::string>> parts{{"file", rule.file},
                                                         {"group", rule.group},
                                                         {"ordinal", std::to_string(rule.ordinal)},
                                                         {"rule", rule.rule}};
  for (const auto& [name, value] : rule.labels) parts.emplace_back("label." + name, value);
  return std::string(kPrefix) +
         FingerprintHex(Fingerprint(model::Labels::FromPairs(std::move(parts)))) + "/";
}

std::string AlertKey(const std::string& rule_key, const model::Labels& labels) {
  return rule_key + FingerprintHex(Fingerprint(labels));
}

void WriteTexts(JsonWriter* json, std::string_view key, const NamedTexts& texts) {
  if (texts.empty()) return;
  json->Key(key).BeginObject();
  for (const auto& [name, text] : texts) {
    json->Key(name, JsonEscape::kPlain).String(text, JsonEscape::kPlain);
  }
  json->EndObject();
}

NamedTexts ToTexts(const model::Labels& labels) {
  NamedTexts texts;
  for (const model::LabelView& l : labels) texts.emplace_back(l.name, l.value);
  return texts;
}

void WriteTime(JsonWriter* json, std::string_view key, model::Timestamp time_ms) {
  if (time_ms != 0) json->Key(key).Int(time_ms);
}

std::string Encode(const RuleIdentity& rule, const AlertEntry& entry) {
  std::string out;
  JsonWriter json(out);
  json.BeginObject();
  json.Key("file").String(rule.file, JsonEscape::kPlain);
  json.Key("group").String(rule.group, JsonEscape::kPlain);
  json.Key("rule").String(rule.rule, JsonEscape::kPlain);
  WriteTexts(&json, "rule_labels", rule.labels);
  if (rule.ordinal != 0) json.Key("ordinal").Int(rule.ordinal);
  WriteTexts(&json, "labels", ToTexts(entry.labels));
  WriteTexts(&json, "annotations", entry.annotations);
  json.Key("state").String(AlertStateName(entry.state));
  json.Key("value").String(FormatFloatGo(entry.value));
  WriteTime(&json, "active_at", entry.active_at_ms);
  WriteTime(&json, "fired_at", entry.fired_at_ms);
  WriteTime(&json, "resolved_at", entry.resolved_at_ms);
  WriteTime(&json, "keep_firing_since", entry.keep_firing_since_ms);
  WriteTime(&json, "last_sent_at", entry.last_sent_at_ms);
  WriteTime(&json, "valid_until", entry.valid_until_ms);
  json.EndObject();
  return out;
}

NamedTexts ReadTexts(const JsonValue& object, std::string_view key) {
  NamedTexts texts;
  const JsonValue* value = object.Find(key);
  if (value == nullptr || !value->is_object()) return texts;
  for (const auto& [name, text] : value->AsObject()) {
    if (text.is_string()) texts.emplace_back(name, text.AsString());
  }
  return texts;
}

int64_t ReadInt(const JsonValue& object, std::string_view key) {
  const JsonValue* value = object.Find(key);
  if (value == nullptr || !value->is_number()) return 0;
  const double number = value->AsDouble();
  // Milliseconds of any year that we meet are far below 2^53.
  return number > -9e15 && number < 9e15 ? static_cast<int64_t>(number) : 0;
}

Result<JournalledAlert> Decode(std::string_view bytes) {
  TOCSIN_ASSIGN_OR_RETURN(const JsonValue json, ParseJson(bytes));
  JournalledAlert alert;
  alert.rule.file = json.FindString("file");
  alert.rule.group = json.FindString("group");
  alert.rule.rule = json.FindString("rule");
  alert.rule.labels = ReadTexts(json, "rule_labels");
  alert.rule.ordinal = static_cast<int>(ReadInt(json, "ordinal"));
  AlertEntry& entry = alert.entry;
  entry.labels = model::Labels::FromPairs(ReadTexts(json, "labels"));
  entry.annotations = ReadTexts(json, "annotations");
  const std::string_view state = json.FindString("state");
  if (state == "pending") {
    entry.state = AlertState::kPending;
  } else if (state == "firing") {
    entry.state = AlertState::kFiring;
  } else if (state == "inactive") {
    entry.state = AlertState::kInactive;
  } else {
    return Error(Code::kCorruption, "unknown alert state");
  }
  entry.value = ParseFloat(json.FindString("value")).value_or(model::NormalNan());
  entry.active_at_ms = ReadInt(json, "active_at");
  entry.fired_at_ms = ReadInt(json, "fired_at");
  entry.resolved_at_ms = ReadInt(json, "resolved_at");
  entry.keep_firing_since_ms = ReadInt(json, "keep_firing_since");
  entry.last_sent_at_ms = ReadInt(json, "last_sent_at");
  entry.valid_until_ms = ReadInt(json, "valid_until");
  entry.restored = true;
  if (entry.labels.empty()) return Error(Code::kCorruption, "alert without labels");
  return alert;
}

}  // namespace

std::vector<JournalledAlert> AlertJournal::Load() const {
  static Counter& damaged = SelfMetrics::Default().GetCounter(
      "tocsin_alert_journal_damaged_total", "Journalled alerts that could not be read at start.");
  std::vector<JournalledAlert> alerts;
  const Status status = store_.ForEach(kPrefix, [&](std::string_view key, std::string_view value) {
    auto alert = Decode(value);
    if (alert) {
      alerts.push_back(*std::move(alert));
    } else {
      damaged.Add();
      LogWarn("rules", "journalled alert skipped", {{"key", key}, {"err", alert.error()}});
    }
    return true;
  });
  if (!status.ok()) LogError("rules", "alert journal could not be read", {{"err", status}});
  return alerts;
}

Status AlertJournal::Record(const RuleIdentity& rule, const std::vector<AlertEntry>& changed,
                            const std::vector<model::Labels>& removed) {
  StateBatch batch;
  const std::string rule_key = RuleKey(rule);
  for (const model::Labels& labels : removed) batch.Delete(AlertKey(rule_key, labels));
  for (const AlertEntry& entry : changed) {
    batch.Put(AlertKey(rule_key, entry.labels), Encode(rule, entry));
  }
  if (batch.empty()) return Status::Ok();
  return store_.Write(batch);
}

Status AlertJournal::Forget(const RuleIdentity& rule, const std::vector<model::Labels>& labels) {
  if (labels.empty()) return Status::Ok();
  StateBatch batch;
  const std::string rule_key = RuleKey(rule);
  for (const model::Labels& one : labels) batch.Delete(AlertKey(rule_key, one));
  return store_.Write(batch);
}

}  // namespace tocsin::alerting
