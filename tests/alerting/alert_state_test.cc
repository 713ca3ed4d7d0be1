// How alerts move, evaluation by evaluation.
#include "alerting/rules/alert_state.h"

#include <boost/test/unit_test.hpp>

namespace tocsin::alerting {
namespace alert_state_test {
namespace {

const model::Labels& One() {
  static const model::Labels labels = model::Labels::FromPairs({{"alertname", "A"}});
  return labels;
}

AlertEntry Found() {
  AlertEntry entry;
  entry.labels = One();
  entry.value = 1;
  return entry;
}

// One letter a step: what the expression says at 0 s, 10 s, 20 s, …: "1" true, "0" false.
// Result: i (none or inactive), p, f, k (kept firing).
std::string Run(const std::string& steps, const AlertTable::Settings& settings) {
  AlertTable table;
  std::string out;
  model::Timestamp now_ms = 1'000'000;
  for (const char step : steps) {
    AlertChanges changes;
    std::vector<AlertEntry> active;
    if (step == '1') active.push_back(Found());
    BOOST_TEST(table.Advance(std::move(active), now_ms, settings, &changes).ok());
    const auto views = table.Active();
    if (views.empty()) {
      out += 'i';
    } else if (views[0].state == AlertState::kPending) {
      out += 'p';
    } else {
      out += views[0].keep_firing_since_ms == 0 ? 'f' : 'k';
    }
    now_ms += 10'000;
  }
  return out;
}

AlertTable::Settings Settings(int64_t for_s, int64_t keep_s) {
  AlertTable::Settings settings;
  settings.for_ms = for_s * 1000;
  settings.keep_firing_for_ms = keep_s * 1000;
  return settings;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(alert_state_test_suite)

BOOST_AUTO_TEST_CASE(StatesFollowTheExpression) {
  const struct {
    std::string steps;
    int64_t for_s, keep_s;
    std::string want;
  } cases[] = {
      {"0000", 0, 0, "iiii"},
      {"0110", 0, 0, "iffi"},
      {"11111", 20, 0, "ppfff"},
      {"1101111", 20, 0, "ppippff"},
      {"1111010", 20, 0, "ppffipi"},
      {"110000", 0, 20, "ffkkii"},
      {"110100", 0, 20, "ffkfkk"},
      {"1100001", 20, 20, "ppiiiip"},
      {"1110001111", 20, 20, "ppfkkippff"},
  };
  for (const auto& c : cases) {
    BOOST_TEST_CONTEXT(c.steps << " for " << c.for_s << " keep " << c.keep_s) {
      BOOST_TEST(Run(c.steps, Settings(c.for_s, c.keep_s)) == c.want);
    }
  }
}

BOOST_AUTO_TEST_CASE(OverTheLimitEverythingIsDropped) {
  AlertTable table;
  AlertTable::Settings settings;
  settings.limit = 1;
  AlertEntry second = Found();
  second.labels = model::Labels::FromPairs({{"alertname", "B"}});
  AlertChanges changes;
  const Status status = table.Advance({Found(), second}, 1, settings, &changes);
  BOOST_TEST(status.message() == "exceeded limit of 1 with 2 alerts");
  BOOST_TEST(table.empty());
  BOOST_TEST(changes.removed.size() == 2u);
}

BOOST_AUTO_TEST_CASE(ResolvedAlertsAreToldForAQuarterOfAnHour) {
  AlertTable table;
  model::Timestamp now_ms = 10'000'000;
  AlertChanges changes;
  (void)table.Advance({Found()}, now_ms, {}, &changes);
  BOOST_TEST(table.TakeDue(now_ms, 60'000, 15'000, "u").size() == 1u);
  now_ms += 15'000;
  (void)table.Advance({}, now_ms, {}, &changes);
  const auto due = table.TakeDue(now_ms, 60'000, 15'000, "u");
  BOOST_REQUIRE(due.size() == 1u);
  BOOST_TEST(due[0].ends_at_ms == now_ms);
  int resends = 0;
  while (!table.empty()) {
    now_ms += 15'000;
    (void)table.Advance({}, now_ms, {}, &changes);
    resends += static_cast<int>(table.TakeDue(now_ms, 60'000, 15'000, "u").size());
    BOOST_REQUIRE(now_ms < 20'000'000);
  }
  BOOST_TEST(resends == 12);  // each 75 s for 900 s
}

BOOST_AUTO_TEST_CASE(FiringAlertsAreResentAndValidForFourDelays) {
  AlertTable table;
  AlertChanges changes;
  model::Timestamp now_ms = 10'000'000;
  (void)table.Advance({Found()}, now_ms, {}, &changes);
  auto due = table.TakeDue(now_ms, 60'000, 15'000, "http://x/graph");
  BOOST_REQUIRE(due.size() == 1u);
  BOOST_TEST(due[0].starts_at_ms == now_ms);
  BOOST_TEST(due[0].ends_at_ms == now_ms + 240'000);
  BOOST_TEST(due[0].generator_url == "http://x/graph");
  BOOST_TEST(table.TakeDue(now_ms + 60'000, 60'000, 15'000, "").empty());
  BOOST_TEST(table.TakeDue(now_ms + 60'001, 60'000, 15'000, "").size() == 1u);
  // An interval longer than the delay makes them valid longer.
  BOOST_TEST(table.TakeDue(now_ms + 600'000, 60'000, 300'000, "")[0].ends_at_ms ==
             now_ms + 600'000 + 1'200'000);
  // The clock was set back by an hour: told again rather than silent for an hour.
  BOOST_TEST(table.TakeDue(now_ms - 3'600'000, 60'000, 15'000, "").size() == 1u);
}

BOOST_AUTO_TEST_CASE(RestoredAlertsWaitForTheirGrace) {
  AlertTable table;
  AlertEntry entry = Found();
  entry.state = AlertState::kFiring;
  entry.active_at_ms = 1'000;
  entry.restored = true;
  table.Insert(entry);
  AlertTable::Settings settings;
  settings.grace_until_ms = 100'000;
  AlertChanges changes;
  (void)table.Advance({}, 50'000, settings, &changes);
  BOOST_TEST((table.HighestState() == AlertState::kFiring));
  (void)table.Advance({}, 100'000, settings, &changes);
  BOOST_TEST((table.HighestState() == AlertState::kInactive));
}

BOOST_AUTO_TEST_CASE(OnceSeenARestoredAlertHasNoGrace) {
  AlertTable table;
  AlertEntry entry = Found();
  entry.state = AlertState::kFiring;
  entry.restored = true;
  table.Insert(entry);
  AlertTable::Settings settings;
  settings.grace_until_ms = 100'000;
  AlertChanges changes;
  (void)table.Advance({Found()}, 50'000, settings, &changes);
  (void)table.Advance({}, 60'000, settings, &changes);
  BOOST_TEST((table.HighestState() == AlertState::kInactive));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace alert_state_test
}  // namespace tocsin::alerting
