#include "alerting/config.h"

#include <algorithm>
#include <set>

#include "alerting/config_receivers.h"
#include "alerting/route/matcher_text.h"
#include "base/env.h"
#include "base/http/client_config_yaml.h"
#include "base/yaml.h"
#include "model/labels.h"

namespace tocsin::alerting {
namespace {

class ConfigReader {
 public:
  explicit ConfigReader(const std::string& path) : directory_(DirName(path)) {}

  Result<NotifierConfig> Read(const YamlNode& root) {
    YamlMapReader map(root, "type config.plain", &errors_);
    const GlobalDefaults global = ReadGlobal(map.Take("global"), &config_, &errors_);
    ReadReceivers(map.Take("receivers"), global);
    ReadTimeIntervals(map.Take("time_intervals"));
    ReadTimeIntervals(map.Take("mute_time_intervals"));
    for (const YamlNode& rule : map.Take("inhibit_rules").items()) ReadInhibitRule(rule);
    map.Read("templates", &config_.templates);
    if (const YamlNode tracing = map.Take("tracing"); tracing.present() && !tracing.is_null()) {
      config_.not_built.push_back(tracing.ErrorHere("tracing is not built yet").message());
    }
    const YamlNode route = map.Take("route");
    map.Finish();
    if (route.present() && !route.is_null()) {
      config_.route = ReadRoute(route, 0);
      CheckRoot(route);
    } else {
      errors_.Add(root, "no route provided in config");
    }
    TOCSIN_TRY(errors_.ToStatus());
    for (ReceiverConfig& receiver : config_.receivers) {
      for (WebhookConfig& webhook : receiver.webhooks) {
        ResolveHttpClientPaths(directory_, &webhook.http);
        if (!webhook.url_file.empty()) webhook.url_file = JoinPath(directory_, webhook.url_file);
      }
    }
    return std::move(config_);
  }

 private:
  void ReadReceivers(const YamlNode& list, const GlobalDefaults& global) {
    for (const YamlNode& item : list.items()) {
      ReceiverConfig receiver = ReadReceiver(item, global, &config_.not_built, &errors_);
      if (!receivers_.insert(receiver.name).second) {
        errors_.Add(item, "notification config name \"" + receiver.name + "\" is not unique");
      }
      config_.receivers.push_back(std::move(receiver));
    }
  }

  void ReadTimeIntervals(const YamlNode& list) {
    for (const YamlNode& item : list.items()) {
      NamedTimeIntervals named;
      YamlMapReader map(item, "type config.plain", &errors_);
      map.Read("name", &named.name);
      for (const YamlNode& interval : map.Take("time_intervals").items()) {
        named.intervals.push_back(ParseTimeInterval(interval, &errors_));
      }
      map.Finish();
      if (named.name.empty()) errors_.Add(item, "missing name in time interval");
      if (!intervals_.insert(named.name).second) {
        errors_.Add(item, "time interval \"" + named.name + "\" is not unique");
      }
      config_.time_intervals.push_back(std::move(named));
    }
  }

  RouteConfig ReadRoute(const YamlNode& node, int depth) {
    RouteConfig route;
    if (depth > kMaxRouteDepth) {
      errors_.Add(node, "routes are nested too deeply");
      return route;
    }
    YamlMapReader map(node, "type config.plain", &errors_);
    map.Read("receiver", &route.receiver);
    ReadGroupBy(&map, &route);
    ReadMatchers(&map, "", &route.matchers);
    map.Read("continue", &route.continue_matching);
    route.group_wait_ms = ReadDuration(&map, "group_wait", true);
    route.group_interval_ms = ReadDuration(&map, "group_interval", false);
    route.repeat_interval_ms = ReadDuration(&map, "repeat_interval", false);
    ReadNames(&map, "mute_time_intervals", &route.mute_time_intervals);
    ReadNames(&map, "active_time_intervals", &route.active_time_intervals);
    map.Read("labels", &route.labels);
    std::sort(route.labels.begin(), route.labels.end());
    for (const auto& [name, text] : route.labels) {
      if (text.find("{{") == std::string::npos) continue;
      config_.not_built.push_back(
          node.Find("labels").ErrorHere("templates in route labels are not built yet").message());
      break;
    }
    for (const YamlNode& child : map.Take("routes").items()) {
      route.routes.push_back(ReadRoute(child, depth + 1));
    }
    map.Finish();
    if (!route.receiver.empty() && !receivers_.contains(route.receiver)) {
      errors_.Add(node.Find("receiver"),
                  "undefined receiver \"" + route.receiver + "\" used in route");
    }
    return route;
  }

  void CheckRoot(const YamlNode& node) {
    const RouteConfig& root = config_.route;
    if (root.receiver.empty()) errors_.Add(node, "root route must specify a default receiver");
    if (!root.matchers.empty()) errors_.Add(node, "root route must not have any matchers");
    if (root.continue_matching) errors_.Add(node, "cannot have continue in root route");
    if (!root.mute_time_intervals.empty()) {
      errors_.Add(node, "root route must not have any mute time intervals");
    }
    if (!root.active_time_intervals.empty()) {
      errors_.Add(node, "root route must not have any active time intervals");
    }
  }

  void ReadGroupBy(YamlMapReader* map, RouteConfig* route) {
    std::vector<std::string> names;
    route->group_by_given = map->Read("group_by", &names);
    const YamlNode node = map->node().Find("group_by");
    for (const std::string& name : names) {
      if (name == "...") {
        route->group_by_all = true;
      } else if (name.empty() || !model::IsValidUtf8(name)) {
        errors_.Add(node, "invalid label name \"" + name + "\" in group_by list");
      } else if (std::find(route->group_by.begin(), route->group_by.end(), name) !=
                 route->group_by.end()) {
        errors_.Add(node, "duplicated label \"" + name + "\" in group_by");
      } else {
        route->group_by.push_back(name);
      }
    }
    if (route->group_by_all && !route->group_by.empty()) {
      errors_.Add(node, "cannot have wildcard group_by (`...`) and other labels at the same time");
    }
  }

  std::optional<int64_t> ReadDuration(YamlMapReader* map, std::string_view key, bool may_be_zero) {
    int64_t duration_ms = 0;
    if (!map->ReadDuration(key, &duration_ms)) return std::nullopt;
    if (duration_ms == 0 && !may_be_zero) {
      errors_.Add(map->node().Find(key), std::string(key) + " cannot be zero");
    }
    return duration_ms;
  }

  void ReadNames(YamlMapReader* map, std::string_view key, std::vector<std::string>* names) {
    map->Read(key, names);
    for (const std::string& name : *names) {
      if (intervals_.contains(name)) continue;
      errors_.Add(map->node().Find(key), "undefined time interval \"" + name + "\" used in route");
    }
  }

  // PREFIXmatch, PREFIXmatch_re and PREFIXmatchers, gathered and sorted by name as Alertmanager
  // does.
  void ReadMatchers(YamlMapReader* map, const std::string& prefix,
                    std::vector<model::Matcher>* matchers) {
    const auto add = [&](const YamlNode& at, Result<model::Matcher> matcher) {
      if (matcher) {
        matchers->push_back(*std::move(matcher));
      } else {
        errors_.Add(at, matcher.error().message());
      }
    };
    const YamlNode match = Texts(map, prefix + "match");
    for (const YamlEntry& entry : match.entries()) {
      CheckName(entry.key);
      add(entry.value,
          model::Matcher::Create(model::MatchType::kEqual, entry.key.text(), entry.value.text()));
    }
    const YamlNode match_re = Texts(map, prefix + "match_re");
    for (const YamlEntry& entry : match_re.entries()) {
      CheckName(entry.key);
      if (entry.value.is_null()) {
        errors_.Add(entry.value.present() ? entry.value : entry.key,
                    "invalid regexp value for \"" + entry.key.text() + "\"");
        continue;
      }
      add(entry.value,
          model::Matcher::Create(model::MatchType::kRegex, entry.key.text(), entry.value.text()));
    }
    for (const YamlNode& item : map->Take(prefix + "matchers").items()) {
      auto parsed = ParseMatchers(item.text());
      if (!parsed) {
        errors_.Add(item, parsed.error().message());
        continue;
      }
      matchers->insert(matchers->end(), parsed->begin(), parsed->end());
    }
    std::stable_sort(matchers->begin(), matchers->end(), [](const auto& a, const auto& b) {
      return std::pair(a.name(), a.value()) < std::pair(b.name(), b.value());
    });
  }

  YamlNode Texts(YamlMapReader* map, const std::string& key) {
    const YamlNode node = map->Take(key);
    if (node.present() && !node.is_null() && !node.is_map()) {
      errors_.Add(node, "cannot unmarshal " + node.Describe() + " into map[string]string");
    }
    return node;
  }

  void CheckName(const YamlNode& key) {
    if (!model::IsLegacyLabelName(key.text())) {
      errors_.Add(key, "invalid label name \"" + key.text() + "\"");
    }
  }

  void ReadInhibitRule(const YamlNode& node) {
    InhibitRuleConfig rule;
    YamlMapReader map(node, "type config.plain", &errors_);
    map.Read("name", &rule.name);
    ReadMatchers(&map, "source_", &rule.source_matchers);
    ReadMatchers(&map, "target_", &rule.target_matchers);
    map.Read("equal", &rule.equal);
    if (const YamlNode sources = map.Take("sources"); sources.present() && !sources.is_null()) {
      config_.not_built.push_back(
          sources.ErrorHere("inhibition rules with several sources are not built yet").message());
    }
    map.Finish();
    config_.inhibit_rules.push_back(std::move(rule));
  }

  const std::string directory_;
  NotifierConfig config_;
  YamlErrors errors_;
  std::set<std::string> receivers_;
  std::set<std::string> intervals_;
};

}  // namespace

Result<NotifierConfig> ParseNotifierConfig(std::string_view text, const std::string& path) {
  TOCSIN_ASSIGN_OR_RETURN(const YamlDocument document, ParseYaml(text, path));
  return ConfigReader(path).Read(document.root);
}

}  // namespace tocsin::alerting
