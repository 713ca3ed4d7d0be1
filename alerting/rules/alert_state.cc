#include "alerting/rules/alert_state.h"

#include <algorithm>
#include <unordered_set>

namespace tocsin::alerting {
namespace {

void Move(AlertEntry* entry, AlertState to, AlertChanges* changes) {
  changes->transitions.push_back({entry->labels, entry->state, to, entry->value});
  entry->state = to;
  entry->dirty = true;
}

bool NeedsSending(const AlertEntry& entry, model::Timestamp now_ms, int64_t resend_delay_ms) {
  if (entry.state == AlertState::kPending) return false;
  if (entry.last_sent_at_ms == 0 || entry.resolved_at_ms > entry.last_sent_at_ms) return true;
  // A last sending in the future means that the clock was set back: count from now.
  return entry.last_sent_at_ms + resend_delay_ms < now_ms || entry.last_sent_at_ms > now_ms;
}

// Two evaluations or deliveries may fail before an Alertmanager thinks it resolved.
model::Timestamp ValidUntil(model::Timestamp now_ms, int64_t resend_delay_ms, int64_t interval_ms) {
  return now_ms + 4 * std::max(resend_delay_ms, interval_ms);
}

Alert ToAlert(const AlertEntry& entry, model::Timestamp now_ms, const std::string& generator_url) {
  Alert alert;
  alert.labels = entry.labels;
  alert.annotations = entry.annotations;
  alert.starts_at_ms = entry.fired_at_ms;
  alert.ends_at_ms = entry.resolved_at_ms != 0 ? entry.resolved_at_ms : entry.valid_until_ms;
  alert.generator_url = generator_url;
  alert.updated_at_ms = now_ms;
  return alert;
}

}  // namespace

Status AlertTable::Advance(std::vector<AlertEntry> active, model::Timestamp now_ms,
                           const Settings& settings, AlertChanges* changes) {
  std::unordered_set<model::Labels, model::LabelsHash> seen;
  for (AlertEntry& found : active) {
    seen.insert(found.labels);
    const auto [it, is_new] = entries_.try_emplace(found.labels);
    AlertEntry& entry = it->second;
    if (!is_new && entry.state != AlertState::kInactive) {
      entry.value = found.value;
      entry.annotations = std::move(found.annotations);
      continue;
    }
    entry = std::move(found);
    entry.active_at_ms = now_ms;
    entry.state = AlertState::kInactive;
    Move(&entry, AlertState::kPending, changes);
  }

  int64_t active_count = 0;
  for (auto it = entries_.begin(); it != entries_.end();) {
    AlertEntry& entry = it->second;
    if (!seen.contains(it->first)) {
      if (!AdvanceAbsent(&entry, now_ms, settings, changes)) {
        changes->removed.push_back(it->first);
        it = entries_.erase(it);
        continue;
      }
    } else {
      if (entry.keep_firing_since_ms != 0) entry.dirty = true;
      entry.keep_firing_since_ms = 0;
      entry.restored = false;
    }
    if (entry.state == AlertState::kPending && now_ms - entry.active_at_ms >= settings.for_ms) {
      Move(&entry, AlertState::kFiring, changes);
      entry.fired_at_ms = now_ms;
    }
    if (entry.state != AlertState::kInactive) ++active_count;
    ++it;
  }
  if (settings.limit <= 0 || active_count <= settings.limit) return Status::Ok();
  for (const auto& [labels, entry] : entries_) changes->removed.push_back(labels);
  entries_.clear();
  return Status(Code::kExecution, "exceeded limit of " + std::to_string(settings.limit) + " with " +
                                      std::to_string(active_count) + " alerts");
}

bool AlertTable::AdvanceAbsent(AlertEntry* entry, model::Timestamp now_ms, const Settings& settings,
                               AlertChanges* changes) {
  if (entry->state == AlertState::kInactive) {
    return now_ms - entry->resolved_at_ms <= kResolvedRetentionMs;
  }
  if (entry->restored && now_ms < settings.grace_until_ms) return true;
  if (entry->state == AlertState::kPending) {
    changes->transitions.push_back(
        {entry->labels, AlertState::kPending, AlertState::kInactive, entry->value});
    return false;
  }
  if (settings.keep_firing_for_ms > 0) {
    if (entry->keep_firing_since_ms == 0) {
      entry->keep_firing_since_ms = now_ms;
      entry->dirty = true;
    }
    if (now_ms - entry->keep_firing_since_ms < settings.keep_firing_for_ms) return true;
  }
  Move(entry, AlertState::kInactive, changes);
  entry->resolved_at_ms = now_ms;
  return true;
}

std::vector<Alert> AlertTable::TakeDue(model::Timestamp now_ms, int64_t resend_delay_ms,
                                       int64_t interval_ms, const std::string& generator_url) {
  std::vector<Alert> due;
  for (auto& [labels, entry] : entries_) {
    if (!NeedsSending(entry, now_ms, resend_delay_ms)) continue;
    entry.last_sent_at_ms = now_ms;
    entry.valid_until_ms = ValidUntil(now_ms, resend_delay_ms, interval_ms);
    entry.dirty = true;
    due.push_back(ToAlert(entry, now_ms, generator_url));
  }
  std::sort(due.begin(), due.end(),
            [](const Alert& a, const Alert& b) { return a.labels < b.labels; });
  return due;
}

std::vector<Alert> AlertTable::Firing(model::Timestamp now_ms, int64_t resend_delay_ms,
                                      int64_t interval_ms, const std::string& generator_url) const {
  std::vector<Alert> firing;
  for (const auto& [labels, entry] : entries_) {
    if (entry.state != AlertState::kFiring) continue;
    firing.push_back(ToAlert(entry, now_ms, generator_url));
    firing.back().ends_at_ms = ValidUntil(now_ms, resend_delay_ms, interval_ms);
  }
  return firing;
}

void AlertTable::ShiftTimes(int64_t step_ms) {
  for (auto& [labels, entry] : entries_) {
    entry.active_at_ms += step_ms;
    for (model::Timestamp* time :
         {&entry.fired_at_ms, &entry.resolved_at_ms, &entry.keep_firing_since_ms,
          &entry.last_sent_at_ms, &entry.valid_until_ms}) {
      if (*time != 0) *time += step_ms;
    }
    entry.dirty = true;
  }
}

std::vector<AlertEntry> AlertTable::TakeDirty() {
  std::vector<AlertEntry> dirty;
  for (auto& [labels, entry] : entries_) {
    if (!entry.dirty) continue;
    entry.dirty = false;
    dirty.push_back(entry);
  }
  return dirty;
}

void AlertTable::MarkDirty(const std::vector<AlertEntry>& entries) {
  for (const AlertEntry& entry : entries) {
    if (const auto it = entries_.find(entry.labels); it != entries_.end()) it->second.dirty = true;
  }
}

void AlertTable::Insert(AlertEntry entry) {
  model::Labels labels = entry.labels;
  entries_.insert_or_assign(std::move(labels), std::move(entry));
}

AlertState AlertTable::HighestState() const {
  AlertState highest = AlertState::kInactive;
  for (const auto& [labels, entry] : entries_) highest = std::max(highest, entry.state);
  return highest;
}

std::vector<AlertView> AlertTable::Active() const {
  std::vector<AlertView> views;
  for (const auto& [labels, entry] : entries_) {
    if (entry.state == AlertState::kInactive) continue;
    AlertView view;
    view.labels = labels;
    view.annotations = entry.annotations;
    view.state = entry.state;
    view.active_at_ms = entry.active_at_ms;
    view.keep_firing_since_ms = entry.keep_firing_since_ms;
    view.value = entry.value;
    views.push_back(std::move(view));
  }
  std::sort(views.begin(), views.end(),
            [](const AlertView& a, const AlertView& b) { return a.labels < b.labels; });
  return views;
}

}  // namespace tocsin::alerting
