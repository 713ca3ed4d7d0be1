// Values of the state store and the ledger, as a damaged disk or an older version may leave them:
// alerts, the notification log and its queue, steps of alerts, metadata. They are read or passed
// over, and what was read is written back without a complaint.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "alerting/notify/alert.h"
#include "alerting/notify/ledger.h"
#include "alerting/notify/notification_log.h"
#include "alerting/rules/alert_journal.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem_env.h"
#include "base/state_store.h"
#include "collector/metadata_store.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tocsin;  // NOLINT(google-build-using-namespace)
  ConfigureLog(LogLevel::kError, LogFormat::kLogfmt);
  const std::string_view value(reinterpret_cast<const char*>(data), size);
  MemoryStateStore store;
  for (const char* key :
       {"alert/0/1", "notify/log/0/1", "notify/queue/0/1", "ledger/0/1", "metadata/family"}) {
    CHECK(store.Put(key, value).ok());
  }
  if (value.starts_with('{')) {  // of the alert that is asked for below
    const std::string alert = alerting::FingerprintHex(alerting::Fingerprint(model::Labels()));
    CHECK(store.Put("ledger/0/2", "{\"alert\":\"" + alert + "\"," + std::string(value.substr(1)))
              .ok());
  }
  alerting::AlertJournal journal(store);
  for (const alerting::JournalledAlert& alert : journal.Load()) {
    CHECK(journal.Record(alert.rule, {alert.entry}, {}).ok());
    CHECK(journal.Forget(alert.rule, {alert.entry.labels}).ok());
  }
  alerting::NotificationLog log(store);
  for (const alerting::QueuedNotification& queued : log.LoadQueued()) {
    log.Queued(queued);
    log.Undeliverable(queued, true);
  }
  log.Prune(1'767'225'600'000, 3'600'000);
  alerting::Ledger ledger(store);
  (void)ledger.Of(model::Labels(), 10);
  MemEnv env;
  collector::MetadataStore metadata(&env, {});
  CHECK(metadata.Load(&store).ok());
  metadata.Expire();
  CHECK(metadata.Flush().ok());
  return 0;
}
