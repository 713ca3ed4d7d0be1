#include "alerting/notify/ledger.h"

#include <deque>

#include "alerting/notify/alert.h"
#include "base/json.h"
#include "base/log.h"
#include "base/self_metrics.h"

namespace tocsin::alerting {
namespace {

constexpr std::string_view kPrefix = "ledger/";
// Pruning takes this many at once, so that it is rare.
constexpr size_t kPruneEntries = kLedgerEntriesMax / 10;

std::string Encode(const LedgerEntry& entry) {
  std::string out;
  JsonWriter json(out);
  json.BeginObject().Key("at").Int(entry.at_ms).Key("event").String(entry.event);
  json.Key("alert").String(FingerprintHex(Fingerprint(entry.labels)));
  json.Key("labels").BeginObject();
  for (const model::LabelView& l : entry.labels) {
    json.Key(l.name, JsonEscape::kPlain).String(l.value, JsonEscape::kPlain);
  }
  json.EndObject();
  if (!entry.detail.empty()) json.Key("detail").String(entry.detail, JsonEscape::kPlain);
  json.EndObject();
  return out;
}

LedgerEntry Decode(const JsonValue& json) {
  LedgerEntry entry;
  if (const JsonValue* at = json.Find("at"); at != nullptr && at->is_number()) {
    const double number = at->AsDouble();
    if (number >= 0 && number < 9e15) entry.at_ms = static_cast<model::Timestamp>(number);
  }
  entry.event = json.FindString("event");
  entry.detail = json.FindString("detail");
  std::vector<std::pair<std::string, std::string>> labels;
  if (const JsonValue* object = json.Find("labels"); object != nullptr && object->is_object()) {
    for (const auto& [name, value] : object->AsObject()) {
      if (value.is_string()) labels.emplace_back(name, value.AsString());
    }
  }
  entry.labels = model::Labels::FromPairs(std::move(labels));
  return entry;
}

Counter& FailedWrites() {
  static Counter& counter = SelfMetrics::Default().GetCounter(
      "tocsin_ledger_write_failures_total", "Ledger entries that could not be written.");
  return counter;
}

}  // namespace

Ledger::Ledger(StateStore& store) : store_(store) {
  size_t entries = 0;
  const Status status = store_.ForEach(kPrefix, [&](std::string_view, std::string_view) {
    ++entries;
    return true;
  });
  if (!status.ok()) LogWarn("notify", "ledger could not be read", {{"err", status}});
  MutexLock lock(mu_);
  entries_ = entries;
}

void Ledger::Add(const LedgerEntry& entry) {
  MutexLock lock(mu_);
  const std::string key = std::string(kPrefix) +
                          FingerprintHex(static_cast<uint64_t>(entry.at_ms)) + "/" +
                          FingerprintHex(next_number_++);
  if (!store_.Put(key, Encode(entry)).ok()) {
    FailedWrites().Add();
    return;
  }
  if (++entries_ > kLedgerEntriesMax) Prune();
}

void Ledger::Prune() {
  StateBatch batch;
  size_t taken = 0;
  const Status status = store_.ForEach(kPrefix, [&](std::string_view key, std::string_view) {
    batch.Delete(key);
    return ++taken < kPruneEntries;
  });
  if (status.ok() && store_.Write(batch).ok()) {
    entries_ -= taken;
  } else {
    FailedWrites().Add();
  }
}

std::vector<LedgerEntry> Ledger::Of(const model::Labels& labels, size_t limit) const {
  const std::string wanted = FingerprintHex(Fingerprint(labels));
  std::deque<LedgerEntry> found;
  const Status status = store_.ForEach(kPrefix, [&](std::string_view, std::string_view value) {
    const auto json = ParseJson(value);
    if (json && json->FindString("alert") == wanted) {
      found.push_back(Decode(*json));
      if (found.size() > limit) found.pop_front();
    }
    return true;
  });
  if (!status.ok()) LogWarn("notify", "ledger could not be read", {{"err", status}});
  return {found.begin(), found.end()};
}

}  // namespace tocsin::alerting
