#include "alerting/config_receivers.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/http/client_config_yaml.h"

namespace tocsin::alerting {
namespace {

// What is known of one kind of receiver. Field lists are words separated by spaces.
struct Kind {
  std::string_view key;        // in a receiver: "slack_configs"
  std::string_view type;       // in complaints: "slack"
  std::string_view fields;     // besides send_resolved and http_config
  std::string_view urls;       // of those, the ones that must be http(s) URLs
  std::string_view exclusive;  // pairs "a,b" of which at most one may be given
  // Alternatives "a,b,global:c" of which one must be given, followed by "|" and the complaint;
  // several are separated by newlines.
  std::string_view required;
};

constexpr std::array<Kind, 17> kKinds = {{
    {"discord_configs", "discord",
     "webhook_url webhook_url_file content title message username avatar_url", "webhook_url",
     "webhook_url,webhook_url_file",
     "webhook_url,webhook_url_file|one of webhook_url or webhook_url_file must be configured"},
    {"email_configs", "email",
     "to from hello smarthost auth_username auth_password auth_password_file auth_secret "
     "auth_secret_file auth_identity headers html text require_tls force_implicit_tls tls_config "
     "threading",
     "", "auth_password,auth_password_file auth_secret,auth_secret_file",
     "to|missing to address in email config\n"
     "smarthost,global:smtp_smarthost|no global SMTP smarthost set\n"
     "from,global:smtp_from|no global SMTP from set"},
    {"incidentio_configs", "incidentio",
     "url url_file alert_source_token alert_source_token_file max_alerts timeout metadata", "url",
     "url,url_file alert_source_token,alert_source_token_file",
     "url,url_file|one of url or url_file must be configured\n"
     "alert_source_token,alert_source_token_file,http_config|at least one of alert_source_token, "
     "alert_source_token_file or http_config.authorization must be configured"},
    {"pagerduty_configs", "pagerduty",
     "service_key service_key_file routing_key routing_key_file url client client_url description "
     "details images links source severity class component group timeout",
     "url", "service_key,service_key_file routing_key,routing_key_file",
     "service_key,service_key_file,routing_key,routing_key_file|missing service or routing key in "
     "PagerDuty config"},
    {"slack_configs", "slack",
     "api_url api_url_file app_token app_token_file app_url channel username color title "
     "title_link "
     "pretext text fields short_fields footer fallback callback_id icon_emoji icon_url image_url "
     "thumb_url link_names mrkdwn_in actions message_text timeout update_message",
     "api_url app_url",
     "api_url,api_url_file app_token,app_token_file app_token,api_url app_token,api_url_file "
     "app_token_file,api_url app_token_file,api_url_file",
     "api_url,api_url_file,app_token,app_token_file,http_config,global:slack_api_url,global:slack_"
     "api_url_file,global:slack_app_token,global:slack_app_token_file|no Slack API URL nor App "
     "token set either inline or in a file"},
    {"opsgenie_configs", "opsgenie",
     "api_key api_key_file api_url message description source details entity responders actions "
     "tags note priority update_alerts",
     "api_url", "api_key,api_key_file",
     "api_key,api_key_file,global:opsgenie_api_key,global:opsgenie_api_key_file|no global OpsGenie "
     "API Key set either inline or in a file"},
    {"wechat_configs", "wechat",
     "api_secret api_secret_file corp_id message api_url to_user to_party to_tag agent_id "
     "message_type",
     "api_url", "api_secret,api_secret_file",
     "api_secret,api_secret_file,global:wechat_api_secret,global:wechat_api_secret_file|no global "
     "Wechat Api Secret set either inline or in a file\n"
     "corp_id,global:wechat_api_corp_id|no global Wechat CorpID set"},
    {"pushover_configs", "pushover",
     "user_key user_key_file token token_file title message url url_title device sound priority "
     "retry expire ttl html monospace",
     "", "user_key,user_key_file token,token_file html,monospace",
     "user_key,user_key_file|one of user_key or user_key_file must be configured\n"
     "token,token_file|one of token or token_file must be configured"},
    {"victorops_configs", "victorops",
     "api_key api_key_file api_url routing_key message_type state_message entity_display_name "
     "monitoring_tool custom_fields",
     "api_url", "api_key,api_key_file",
     "routing_key|missing Routing key in VictorOps config\n"
     "api_key,api_key_file,global:victorops_api_key,global:victorops_api_key_file|no global "
     "VictorOps API Key set"},
    {"sns_configs", "sns",
     "api_url sigv4 topic_arn phone_number target_arn subject message attributes", "", "",
     "topic_arn,phone_number,target_arn|must provide either a Target ARN, Topic ARN, or Phone "
     "Number "
     "for SNS config"},
    {"telegram_configs", "telegram",
     "api_url bot_token bot_token_file chat_id chat_id_file message_thread_id message "
     "disable_notifications parse_mode",
     "api_url", "bot_token,bot_token_file chat_id,chat_id_file",
     "chat_id,chat_id_file|missing chat_id or chat_id_file on telegram_config\n"
     "bot_token,bot_token_file,global:telegram_bot_token,global:telegram_bot_token_file|missing "
     "bot_token or bot_token_file on telegram_config"},
    {"webex_configs", "webex", "api_url message room_id", "api_url", "",
     "room_id|missing room_id on webex_config\n"
     "http_config|missing webex_configs.http_config.authorization"},
    {"msteams_configs", "msteams", "webhook_url webhook_url_file title summary text", "webhook_url",
     "webhook_url,webhook_url_file",
     "webhook_url,webhook_url_file|one of webhook_url or webhook_url_file must be configured"},
    {"msteamsv2_configs", "msteamsv2", "webhook_url webhook_url_file title text", "webhook_url",
     "webhook_url,webhook_url_file",
     "webhook_url,webhook_url_file|one of webhook_url or webhook_url_file must be configured"},
    {"jira_configs", "jira",
     "api_url api_type project summary description labels priority issue_type reopen_transition "
     "resolve_transition wont_fix_resolution reopen_duration fields custom_fields",
     "api_url", "",
     "project|missing project in jira_config\nissue_type|missing issue_type in jira_config\n"
     "api_url,global:jira_api_url|no global Jira Cloud URL set"},
    {"rocketchat_configs", "rocketchat",
     "api_url token_id token_id_file token token_file channel color title title_link text fields "
     "short_fields emoji icon_url image_url thumb_url link_names actions",
     "api_url", "token,token_file token_id,token_id_file",
     "token_id,token_id_file,global:rocketchat_token_id,global:rocketchat_token_id_file|no global "
     "Rocketchat TokenID set either inline or in a file\n"
     "token,token_file,global:rocketchat_token,global:rocketchat_token_file|no global Rocketchat "
     "Token set either inline or in a file"},
    {"mattermost_configs", "mattermost",
     "webhook_url webhook_url_file channel username text icon_url icon_emoji attachments type "
     "props "
     "priority fallback color pretext author_name author_link author_icon title title_link fields "
     "thumb_url footer footer_icon image_url",
     "webhook_url", "webhook_url,webhook_url_file",
     "webhook_url,webhook_url_file,global:mattermost_webhook_url,global:mattermost_webhook_url_"
     "file|"
     "no global Mattermost Webhook URL set either inline or in a file"},
}};

constexpr std::string_view kGlobalFields =
    "smtp_from smtp_hello smtp_smarthost smtp_auth_username smtp_auth_password "
    "smtp_auth_password_file smtp_auth_secret smtp_auth_secret_file smtp_auth_identity "
    "smtp_require_tls smtp_force_implicit_tls smtp_tls_config jira_api_url slack_api_url "
    "slack_api_url_file slack_app_token slack_app_token_file slack_app_url pagerduty_url "
    "opsgenie_api_url opsgenie_api_key opsgenie_api_key_file wechat_api_url wechat_api_secret "
    "wechat_api_secret_file wechat_api_corp_id victorops_api_url victorops_api_key "
    "victorops_api_key_file telegram_api_url telegram_bot_token telegram_bot_token_file "
    "webex_api_url rocketchat_api_url rocketchat_token rocketchat_token_file rocketchat_token_id "
    "rocketchat_token_id_file mattermost_webhook_url mattermost_webhook_url_file";
constexpr std::string_view kGlobalUrls =
    "jira_api_url slack_api_url slack_app_url pagerduty_url opsgenie_api_url wechat_api_url "
    "victorops_api_url telegram_api_url webex_api_url rocketchat_api_url mattermost_webhook_url";
constexpr std::string_view kGlobalExclusive =
    "slack_api_url,slack_api_url_file slack_app_token,slack_app_token_file "
    "opsgenie_api_key,opsgenie_api_key_file victorops_api_key,victorops_api_key_file "
    "wechat_api_secret,wechat_api_secret_file smtp_auth_password,smtp_auth_password_file "
    "smtp_auth_secret,smtp_auth_secret_file telegram_bot_token,telegram_bot_token_file "
    "rocketchat_token,rocketchat_token_file rocketchat_token_id,rocketchat_token_id_file "
    "mattermost_webhook_url,mattermost_webhook_url_file";
// Slack's own address for app tokens; with it an app token and api_url go together.
constexpr std::string_view kSlackPostMessage = "https://slack.com/api/chat.postMessage";

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t end = text.find(separator);
    if (end != 0) parts.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return parts;
}

// The field is there and says something.
bool Given(const YamlNode& map, const std::string& field) {
  const YamlNode node = map.Find(field);
  if (!node.present() || node.is_null()) return false;
  return !node.is_scalar() || !node.text().empty();
}

bool GivenIn(const YamlNode& map, const GlobalDefaults& global, const std::string& field) {
  constexpr std::string_view kGlobal = "global:";
  if (field.starts_with(kGlobal)) return Given(global.node, field.substr(kGlobal.size()));
  return Given(map, field);
}

void CheckUrl(const YamlNode& node, YamlErrors* errors) {
  if (!node.present() || node.is_null()) return;
  const std::string& url = node.text();
  if (url == kSecretMask) return;
  const size_t scheme_end = url.find("://");
  const std::string scheme = url.substr(0, scheme_end);
  if (scheme_end == std::string::npos || (scheme != "http" && scheme != "https")) {
    errors->Add(node, "unsupported scheme \"" +
                          (scheme_end == std::string::npos ? std::string() : scheme) +
                          "\" for URL");
  } else if (url.size() == scheme_end + 3 || url[scheme_end + 3] == '/') {
    errors->Add(node, "missing host for URL");
  }
}

void CheckExclusive(const YamlNode& map, std::string_view pairs, YamlErrors* errors) {
  for (const std::string& pair : Split(pairs, ' ')) {
    const auto names = Split(pair, ',');
    if (Given(map, names[0]) && Given(map, names[1])) {
      errors->Add(map, "at most one of " + names[0] + " & " + names[1] + " must be configured");
    }
  }
}

void CheckRequired(const Kind& kind, const YamlNode& map, const GlobalDefaults& global,
                   YamlErrors* errors) {
  for (const std::string& rule : Split(kind.required, '\n')) {
    const size_t bar = rule.find('|');
    const auto alternatives = Split(rule.substr(0, bar), ',');
    const bool satisfied =
        std::any_of(alternatives.begin(), alternatives.end(),
                    [&](const std::string& field) { return GivenIn(map, global, field); });
    if (!satisfied) errors->Add(map, rule.substr(bar + 1));
  }
}

void CheckSlack(const YamlNode& map, YamlErrors* errors) {
  const YamlNode update = map.Find("update_message");
  const bool updates = update.present() && update.AsBool().value_or(false);
  if (updates && map.Find("api_url").text() != kSlackPostMessage) {
    errors->Add(map, "update_message can only be used with bot tokens. api_url must be set to " +
                         std::string(kSlackPostMessage));
  }
}

void CheckOpsGenie(const YamlNode& map, YamlErrors* errors) {
  for (const YamlNode& responder : map.Find("responders").items()) {
    if (!Given(responder, "id") && !Given(responder, "name") && !Given(responder, "username")) {
      errors->Add(responder,
                  "opsGenieConfig responder has to have at least one of id, username or name "
                  "specified");
    }
    const std::string type = responder.Find("type").text();
    constexpr std::array<std::string_view, 5> kTypes = {"team", "teams", "user", "escalation",
                                                        "schedule"};
    if (type.find("{{") == std::string::npos &&
        std::find(kTypes.begin(), kTypes.end(), type) == kTypes.end()) {
      errors->Add(responder,
                  "opsGenieConfig responder type does not match valid options "
                  "^(team|teams|user|escalation|schedule)$");
    }
  }
}

void CheckOther(const Kind& kind, const YamlNode& node, const GlobalDefaults& global,
                YamlErrors* errors) {
  YamlMapReader map(node, "type " + std::string(kind.type) + ".plain", errors);
  bool send_resolved = false;
  map.Read("send_resolved", &send_resolved);
  if (const YamlNode http = map.Take("http_config"); http.present() && !http.is_null()) {
    YamlMapReader fields(http, "type config.HTTPClientConfig", errors);
    HttpClientConfig unused;
    std::vector<std::string> unused_not_built;  // the receiver itself is not built
    ReadHttpClientFields(&fields, &unused, errors, &unused_not_built);
    fields.Finish();
  }
  for (const std::string& field : Split(kind.fields, ' ')) map.Take(field);
  map.Finish();
  for (const std::string& field : Split(kind.urls, ' ')) CheckUrl(node.Find(field), errors);
  CheckExclusive(node, kind.exclusive, errors);
  CheckRequired(kind, node, global, errors);
  if (kind.type == "slack") CheckSlack(node, errors);
  if (kind.type == "opsgenie") CheckOpsGenie(node, errors);
}

WebhookConfig ReadWebhook(const YamlNode& node, const GlobalDefaults& global,
                          std::vector<std::string>* not_built, YamlErrors* errors) {
  WebhookConfig webhook;
  webhook.http = global.http;
  YamlMapReader map(node, "type webhook.plain", errors);
  map.Read("send_resolved", &webhook.send_resolved);
  map.Read("url", &webhook.url);
  map.Read("url_file", &webhook.url_file);
  map.Read("max_alerts", &webhook.max_alerts);
  map.ReadDuration("timeout", &webhook.timeout_ms);
  if (const YamlNode http = map.Take("http_config"); http.present() && !http.is_null()) {
    webhook.http = HttpClientConfig();
    YamlMapReader fields(http, "type config.HTTPClientConfig", errors);
    ReadHttpClientFields(&fields, &webhook.http, errors, not_built);
    fields.Finish();
  }
  if (const YamlNode payload = map.Take("payload"); payload.present() && !payload.is_null()) {
    not_built->push_back(
        payload.ErrorHere("webhook payload templates are not built yet").message());
  }
  map.Finish();
  if (webhook.url.Reveal().find("{{") != std::string::npos) {
    not_built->push_back(node.ErrorHere("templates in webhook URLs are not built yet").message());
  } else {
    CheckUrl(node.Find("url"), errors);
  }
  if (webhook.url.empty() && webhook.url_file.empty()) {
    errors->Add(node, "one of url or url_file must be configured");
  }
  if (!webhook.url.empty() && !webhook.url_file.empty()) {
    errors->Add(node, "at most one of url & url_file must be configured");
  }
  return webhook;
}

}  // namespace

GlobalDefaults ReadGlobal(const YamlNode& node, NotifierConfig* config, YamlErrors* errors) {
  GlobalDefaults global;
  if (!node.present() || node.is_null()) return global;
  global.node = node;
  YamlMapReader map(node, "type config.plain", errors);
  map.ReadDuration("resolve_timeout", &config->resolve_timeout_ms);
  if (const YamlNode http = map.Take("http_config"); http.present() && !http.is_null()) {
    YamlMapReader fields(http, "type config.HTTPClientConfig", errors);
    ReadHttpClientFields(&fields, &global.http, errors, &config->not_built);
    fields.Finish();
  }
  for (const std::string& field : Split(kGlobalFields, ' ')) map.Take(field);
  map.Finish();
  for (const std::string& field : Split(kGlobalUrls, ' ')) CheckUrl(node.Find(field), errors);
  CheckExclusive(node, kGlobalExclusive, errors);
  const bool slack_url = Given(node, "slack_api_url") || Given(node, "slack_api_url_file");
  const bool slack_token = Given(node, "slack_app_token") || Given(node, "slack_app_token_file");
  if (slack_url && slack_token && node.Find("slack_api_url").text() != kSlackPostMessage) {
    errors->Add(node,
                "at most one of slack_app_token/slack_app_token_file & "
                "slack_api_url/slack_api_url_file must be configured");
  }
  if (const YamlNode smarthost = node.Find("smtp_smarthost");
      Given(node, "smtp_smarthost") && smarthost.text().rfind(':') == std::string::npos) {
    errors->Add(smarthost, "address " + smarthost.text() + ": missing port in address");
  }
  return global;
}

ReceiverConfig ReadReceiver(const YamlNode& node, const GlobalDefaults& global,
                            std::vector<std::string>* not_built, YamlErrors* errors) {
  ReceiverConfig receiver;
  YamlMapReader map(node, "type config.plain", errors);
  map.Read("name", &receiver.name);
  if (const YamlNode labels = map.Take("labels");
      labels.present() && !labels.is_null() && !labels.is_map()) {
    errors->Add(labels, "cannot unmarshal " + labels.Describe() + " into map[string]string");
  }
  for (const YamlNode& item : map.Take("webhook_configs").items()) {
    receiver.webhooks.push_back(ReadWebhook(item, global, not_built, errors));
  }
  for (const Kind& kind : kKinds) {
    const YamlNode list = map.Take(kind.key);
    for (const YamlNode& item : list.items()) CheckOther(kind, item, global, errors);
    if (!list.items().empty()) {
      not_built->push_back(list.ErrorHere("receiver \"" + receiver.name +
                                          "\": " + std::string(kind.key) +
                                          " are not built yet (only webhook_configs are)")
                               .message());
    }
  }
  map.Finish();
  if (receiver.name.empty()) errors->Add(node, "missing name in receiver");
  return receiver;
}

}  // namespace tocsin::alerting
