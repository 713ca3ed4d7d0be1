// Alert: what rules hand to whoever notifies (Alertmanagers outside, the notifier inside), and what
// Alertmanager's API v2 carries. AlertSink is the arrow between them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "alerting/rules/rule_file.h"
#include "model/labels.h"
#include "model/sample.h"

namespace tocsin::alerting {

struct Alert {
  model::Labels labels;  // never empty; alertname included
  NamedTexts annotations;
  model::Timestamp starts_at_ms = 0;
  model::Timestamp ends_at_ms = 0;  // firing: when it counts as resolved unless sent again
  std::string generator_url;
  model::Timestamp updated_at_ms = 0;

  bool ResolvedAt(model::Timestamp now_ms) const { return ends_at_ms <= now_ms; }
};

// 64-bit FNV-1a over the sorted labels, name 0xff value 0xff: Alertmanager's fingerprint.
uint64_t Fingerprint(const model::Labels& labels);
std::string FingerprintHex(uint64_t fingerprint);  // 16 lower-case digits

// Takes alerts that are due to be sent. Thread-safe; never blocks on the network. A sink that keeps
// state on disk has written it when Send returns.
class AlertSink {
 public:
  virtual ~AlertSink() = default;
  virtual void Send(std::span<const Alert> alerts) = 0;
};

}  // namespace tocsin::alerting
