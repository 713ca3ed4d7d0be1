// Fields and rules of every way of finding targets that Prometheus has. Built here: static_configs
// and file_sd_configs; the others are checked in full and named as not built yet.
#include <algorithm>
#include <string>

#include "base/regex.h"
#include "daemon/config/schema.h"
#include "daemon/config/url_parts.h"
#include "discovery/provider.h"
#include "model/labels.h"

namespace tocsin::daemon {
namespace {

std::string Quoted(std::string_view text) { return model::QuoteString(text); }

// ---- helpers of several

// As for http_sd and puppetdb_sd: a URL that can be asked by HTTP.
void RequireHttpUrl(SectionCheck& s, std::string_view field) {
  const std::string text = s.Text(field);
  if (text.empty()) return s.Fail(field, "URL is missing");
  const auto url = ParseUrl(text);
  if (!url) return;  // said already
  if (url->scheme != "http" && url->scheme != "https") {
    s.Fail(field, "URL scheme must be 'http' or 'https'");
  } else if (url->host.empty()) {
    s.Fail(field, "host is missing in URL");
  }
}

void RequireOneOf(SectionCheck& s, std::string_view field, std::string_view options,
                  const std::string& when_missing) {
  const std::string text = s.Text(field);
  if (text.empty()) return s.Fail(field, when_missing);
  for (const std::string_view option : SplitBars(options)) {
    if (text == option) return;
  }
  s.Fail(
      field, "unknown " + std::string(field) + " " + Quoted(text) + ", must be one of " + [&] {
        std::string list;
        for (const std::string_view option : SplitBars(options)) {
          if (!list.empty()) list += ", ";
          list += option;
        }
        return list;
      }());
}

// ---- one by one

void ValidateStaticConfig(SectionCheck& s) {
  for (const YamlNode& target : s.Node("targets").items()) {
    if (!model::IsValidUtf8(target.text())) {
      s.context().errors->Add(target, Quoted(target.text()) + " is not a valid target");
    }
  }
}

void ValidateFile(SectionCheck& s) {
  const std::vector<YamlNode> files = s.Node("files").items();
  if (files.empty()) {
    s.Fail("files", "file service discovery config must contain at least one path name");
  }
  for (const YamlNode& file : files) {
    if (const Status status = discovery::ValidateFilePattern(file.text()); !status.ok()) {
      s.context().errors->Add(file, status.message());
    }
  }
}

void ValidateAzure(SectionCheck& s) {
  const std::string method = s.Text("authentication_method");
  s.Require("subscription_id", "azure SD configuration requires a subscription_id");
  if (method == "OAuth") {
    for (const std::string_view field : {"tenant_id", "client_id", "client_secret"}) {
      s.Require(field, "azure SD configuration requires a " + std::string(field));
    }
  }
}

void ValidateConsul(SectionCheck& s) {
  s.Require("server", "consul SD configuration requires a server address");
  if ((s.Set("username") || s.Set("password")) && s.Given("basic_auth")) {
    s.Fail("basic_auth",
           "at most one of consul SD configuration username and password and basic auth can be "
           "configured");
  }
  if (s.Set("token") && (s.Given("authorization") || s.Given("oauth2"))) {
    s.Fail("token", "at most one of consul SD token, authorization, or oauth2 can be configured");
  }
}

void ValidateDocker(SectionCheck& s) { s.Require("host", "host missing"); }

void ValidateDockerSwarm(SectionCheck& s) {
  s.Require("host", "host missing");
  RequireOneOf(s, "role", "services|nodes|tasks", "role missing (one of: tasks, services, nodes)");
}

void ValidateDns(SectionCheck& s) {
  if (s.Texts("names").empty()) {
    s.Fail("names", "DNS-SD config must contain at least one SRV record name");
  }
  std::string type = s.Text("type");
  for (char& c : type) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - ('a' - 'A'));
  }
  if (type == "A" || type == "AAAA" || type == "MX" || type == "NS") {
    if (s.Number("port") == 0) {
      s.Fail("port", "a port is required in DNS-SD configs for all record types except SRV");
    }
  } else if (type != "SRV") {
    s.Fail("type", "invalid DNS-SD records type " + type);
  }
}

void ValidateEc2(SectionCheck& s) {
  for (const YamlNode& filter : s.Node("filters").items()) {
    if (filter.Find("values").items().empty()) {
      s.context().errors->Add(filter, "EC2 SD configuration filter values cannot be empty");
    }
  }
}

void ValidateAws(SectionCheck& s) {
  RequireOneOf(s, "role", "ec2|ecs|elasticache|lightsail|mq|msk|rds", "unknown AWS SD role \"\"");
  ValidateEc2(s);
}

void ValidateEureka(SectionCheck& s) {
  s.Require("server", "eureka_sd: empty or null eureka server");
  const auto url = ParseUrl(s.Text("server"));
  if (!s.Text("server").empty() && (!url || url->scheme.empty() || url->host.empty())) {
    s.Fail("server", "eureka_sd: invalid eureka server URL");
  }
}

void ValidateGce(SectionCheck& s) {
  s.Require("project", "GCE SD configuration requires a project");
  s.Require("zone", "GCE SD configuration requires a zone");
}

void ValidateHetzner(SectionCheck& s) {
  RequireOneOf(s, "role", "robot|hcloud", "role missing (one of: robot, hcloud)");
}

void ValidateHttp(SectionCheck& s) { RequireHttpUrl(s, "url"); }

void ValidateIonos(SectionCheck& s) { s.Require("datacenter_id", "datacenter id can't be empty"); }

void ValidateKuma(SectionCheck& s) {
  const std::string server = s.Text("server");
  const auto url = ParseUrl(server);
  if (server.empty() || (url && (url->scheme.empty() || url->host.empty()))) {
    s.Fail("server", "kuma SD server must not be empty and have a scheme: " + server);
  }
}

void ValidateMarathon(SectionCheck& s) {
  if (s.Texts("servers").empty()) {
    s.Fail("servers", "marathon_sd: must contain at least one Marathon server");
  }
  const bool token = s.Set("auth_token");
  const bool token_file = s.Set("auth_token_file");
  if (token && token_file) {
    s.Fail("auth_token_file",
           "marathon_sd: at most one of auth_token & auth_token_file must be configured");
  }
  if (!token && !token_file) return;
  if (s.Given("basic_auth")) {
    s.Fail("basic_auth",
           "marathon_sd: at most one of basic_auth, auth_token & auth_token_file must be "
           "configured");
  }
  if (s.Set("bearer_token") || s.Set("bearer_token_file")) {
    s.Fail(s.Set("bearer_token") ? "bearer_token" : "bearer_token_file",
           "marathon_sd: at most one of bearer_token, bearer_token_file, auth_token & "
           "auth_token_file must be configured");
  }
  if (s.Given("authorization")) {
    s.Fail("authorization",
           "marathon_sd: at most one of auth_token, auth_token_file & authorization must be "
           "configured");
  }
}

void ValidateZookeeper(SectionCheck& s, const std::string& kind) {
  if (s.Texts("servers").empty()) {
    s.Fail("servers", kind + " SD config must contain at least one Zookeeper server");
  }
  const std::vector<YamlNode> paths = s.Node("paths").items();
  if (paths.empty()) s.Fail("paths", kind + " SD config must contain at least one path");
  for (const YamlNode& path : paths) {
    if (!path.text().starts_with('/')) {
      s.context().errors->Add(path, kind + " SD config paths must begin with '/': " + path.text());
    }
  }
}
void ValidateNerve(SectionCheck& s) { ValidateZookeeper(s, "nerve"); }
void ValidateServerset(SectionCheck& s) { ValidateZookeeper(s, "serverset"); }

void ValidateNomad(SectionCheck& s) {
  s.Require("server", "nomad SD configuration requires a server address");
}

void ValidateOci(SectionCheck& s) {
  for (const std::string_view field : {"region", "tenancy", "user", "fingerprint", "key_file"}) {
    s.Require(field, "oci SD configuration requires a " + std::string(field));
  }
}

void ValidateOpenstack(SectionCheck& s) {
  const std::string availability = s.Text("availability");
  if (availability != "public" && availability != "internal" && availability != "admin") {
    s.Fail("availability",
           "unknown availability " + availability + ", must be one of admin, internal or public");
  }
  RequireOneOf(s, "role", "hypervisor|instance|loadbalancer",
               "role missing (one of: instance, hypervisor, loadbalancer)");
  s.Require("region", "openstack SD configuration requires a region");
}

void ValidateOutscale(SectionCheck& s) {
  s.Require("region", "outscale SD configuration requires a region");
  s.Require("access_key", "outscale SD configuration requires an access_key");
  const int secrets = s.Count({"secret_key", "secret_key_file"});
  if (secrets == 0) s.Fail("one of secret_key & secret_key_file must be configured");
  if (secrets > 1) s.Fail("at most one of secret_key & secret_key_file must be configured");
}

void ValidateOvhcloud(SectionCheck& s) {
  s.Require("endpoint", "endpoint can not be empty");
  s.Require("application_key", "application key can not be empty");
  s.Require("application_secret", "application secret can not be empty");
  s.Require("consumer_key", "consumer key can not be empty");
  s.Require("service", "service can not be empty");
  const std::string service = s.Text("service");
  if (!service.empty() && service != "vps" && service != "dedicated_server") {
    s.Fail("service", "unknown service: " + service);
  }
}

void ValidatePuppetDb(SectionCheck& s) {
  RequireHttpUrl(s, "url");
  s.Require("query", "query missing");
}

// What Scaleway's own client refuses.
void ValidateScalewayFormats(SectionCheck& s) {
  static const Regex access_key = *Regex::Compile("SCW[A-Z0-9]{17}");
  static const Regex uuid = *Regex::Compile("[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}");
  static const Regex zone = *Regex::Compile("[a-z]{2}-[a-z]{3}-[1-9]");
  if (!s.Text("access_key").empty() && !access_key.FullMatch(s.Text("access_key"))) {
    s.Fail("access_key", "invalid access key format, expected SCWXXXXXXXXXXXXXXXXX format");
  }
  for (const std::string_view field : {"secret_key", "project_id"}) {
    if (!s.Text(field).empty() && !uuid.FullMatch(s.Text(field))) {
      s.Fail(field, "invalid " + std::string(field) + " format, expected a UUID");
    }
  }
  if (!zone.FullMatch(s.Text("zone"))) {
    s.Fail("zone", "invalid zone format, expected xx-xxx-x");
  }
}

void ValidateScaleway(SectionCheck& s) {
  RequireOneOf(s, "role", "instance|baremetal", "role missing (one of: instance, baremetal)");
  s.Require("project_id", "project_id is mandatory");
  s.Require("access_key", "access_key is mandatory");
  const int secrets = s.Count({"secret_key", "secret_key_file"});
  if (secrets == 0) s.Fail("one of secret_key & secret_key_file must be configured");
  if (secrets > 1) s.Fail("at most one of secret_key & secret_key_file must be configured");
  ValidateScalewayFormats(s);
}

void ValidateStackit(SectionCheck& s) {
  if (s.Text("endpoint").empty() && s.Text("region").empty()) {
    s.Fail("stackit_sd: endpoint or region missing");
  }
}

void ValidateTriton(SectionCheck& s) {
  const std::string role = s.Text("role");
  if (role != "container" && role != "cn") {
    s.Fail("role", "triton SD configuration requires role to be 'container' or 'cn'");
  }
  s.Require("account", "triton SD configuration requires an account");
  s.Require("dns_suffix", "triton SD configuration requires a dns_suffix");
  s.Require("endpoint", "triton SD configuration requires an endpoint");
  if (s.DurationMs("refresh_interval") <= 0) {
    s.Fail("refresh_interval",
           "triton SD configuration requires RefreshInterval to be a positive integer");
  }
}

void ValidateUyuni(SectionCheck& s) {
  s.Require("server", "Uyuni SD configuration requires server host");
  s.Require("username", "Uyuni SD configuration requires a username");
  s.Require("password", "Uyuni SD configuration requires a password");
}

// ---- Kubernetes

std::string_view SelectorRolesOf(std::string_view role) {
  if (role == "pod") return "pod|node";
  if (role == "endpoints") return "pod|service|endpoints";
  if (role == "endpointslice") return "pod|service|endpointslice";
  return role;
}

std::string JoinBars(std::string_view options) {
  std::string text;
  for (const std::string_view option : SplitBars(options)) {
    if (!text.empty()) text += ", ";
    text += option;
  }
  return text;
}

// "a=b,c!=d": every term has an operator.
std::string FieldSelectorComplaint(std::string_view selector) {
  const std::string whole(selector);
  while (!selector.empty()) {
    size_t comma = 0;
    while (comma < selector.size() && selector[comma] != ',') {
      comma += selector[comma] == '\\' ? 2 : 1;
    }
    comma = std::min(comma, selector.size());
    const std::string_view term = selector.substr(0, comma);
    if (!term.empty() && term.find('=') == std::string_view::npos) {
      return "invalid selector: '" + whole + "'; can't understand '" + std::string(term) + "'";
    }
    selector.remove_prefix(std::min(comma + 1, selector.size()));
  }
  return "";
}

bool IsSelectorNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.' || c == '-' || c == '/';
}

// Label selectors: key, !key, key=v, key==v, key!=v, key in (a, b), key notin (a), joined by
// commas.
class LabelSelectorParser {
 public:
  explicit LabelSelectorParser(std::string_view text) : text_(text) {}

  bool Good() {
    Spaces();
    if (text_.empty()) return true;
    while (true) {
      if (!Requirement()) return false;
      Spaces();
      if (text_.empty()) return true;
      if (!Take(",")) return false;
      Spaces();
    }
  }

 private:
  void Spaces() {
    while (text_.starts_with(' ')) text_.remove_prefix(1);
  }
  bool Take(std::string_view token) {
    if (!text_.starts_with(token)) return false;
    text_.remove_prefix(token.size());
    return true;
  }
  std::string_view Word() {
    size_t end = 0;
    while (end < text_.size() && IsSelectorNameCharacter(text_[end])) ++end;
    const std::string_view word = text_.substr(0, end);
    text_.remove_prefix(end);
    return word;
  }
  bool Requirement() {
    const bool negated = Take("!");
    Spaces();
    if (Word().empty()) return false;
    Spaces();
    if (text_.empty() || text_.starts_with(',')) return true;
    if (negated) return false;
    if (Take("==") || Take("!=") || Take("=")) {
      Spaces();
      Word();
      return true;
    }
    if (Take(">") || Take("<")) {
      Spaces();
      return !Word().empty();
    }
    const std::string_view word = Word();
    if (word != "in" && word != "notin") return false;
    Spaces();
    if (!Take("(")) return false;
    while (true) {
      Spaces();
      Word();
      Spaces();
      if (Take(")")) return true;
      if (!Take(",")) return false;
    }
  }

  std::string_view text_;
};

void ValidateSelectors(SectionCheck& s, const std::string& role) {
  std::vector<std::string> seen;
  const std::string_view allowed = SelectorRolesOf(role);
  for (const YamlNode& selector : s.Node("selectors").items()) {
    const std::string selector_role = selector.Find("role").text();
    if (std::find(seen.begin(), seen.end(), selector_role) != seen.end()) {
      s.context().errors->Add(selector, "duplicated selector role: " + selector_role);
    }
    seen.push_back(selector_role);
    const auto options = SplitBars(allowed);
    if (std::find(options.begin(), options.end(), selector_role) == options.end()) {
      s.context().errors->Add(selector,
                              role + " role supports only " + JoinBars(allowed) + " selectors");
    }
    const YamlNode field = selector.Find("field");
    if (const std::string why = FieldSelectorComplaint(field.text()); !why.empty()) {
      s.context().errors->Add(field, why);
    }
    const YamlNode label = selector.Find("label");
    if (!LabelSelectorParser(label.text()).Good()) {
      s.context().errors->Add(label, "unable to parse requirement: " + Quoted(label.text()));
    }
  }
}

void ValidateKubernetes(SectionCheck& s) {
  RequireOneOf(s, "role", "pod|service|endpoints|endpointslice|node|ingress",
               "role missing (one of: pod, service, endpoints, endpointslice, node, ingress)");
  const bool api_server = s.Set("api_server");
  const bool kubeconfig = s.Set("kubeconfig_file");
  const bool own_namespace = s.Node("namespaces").Find("own_namespace").AsBool().value_or(false);
  const bool custom_http =
      s.Count({"basic_auth", "authorization", "oauth2", "bearer_token", "bearer_token_file",
               "tls_config", "follow_redirects", "enable_http2", "http_headers", "proxy_url",
               "no_proxy", "proxy_from_environment", "proxy_connect_header"}) > 0;
  if (api_server && kubeconfig) {
    s.Fail("kubeconfig_file", "cannot use 'kubeconfig_file' and 'api_server' simultaneously");
  }
  if (kubeconfig && custom_http) {
    s.Fail("kubeconfig_file",
           "cannot use a custom HTTP client configuration together with 'kubeconfig_file'");
  } else if (!api_server && custom_http) {
    s.Fail(
        "to use custom HTTP client configuration please provide the 'api_server' URL explicitly");
  }
  if (api_server && own_namespace) {
    s.Fail("namespaces", "cannot use 'api_server' and 'namespaces.own_namespace' simultaneously");
  }
  if (kubeconfig && own_namespace) {
    s.Fail("namespaces",
           "cannot use 'kubeconfig_file' and 'namespaces.own_namespace' simultaneously");
  }
  ValidateSelectors(s, s.Text("role"));
}

// ---- tables

constexpr const Section* kWithHttp[] = {&kHttpClientSection};

constexpr Field kFilterFields[] = {Text("name"), List("values")};
constexpr Section kFilterSection{.name = "filters", .fields = kFilterFields};
constexpr Field kFilters = SubList("filters", &kFilterSection, "empty or null filter");

constexpr Field kStaticFields[] = {
    List("targets"),
    {.name = "labels", .type = FieldType::kLabelMap},
};
constexpr Section kStaticSection{
    .name = "static_configs", .fields = kStaticFields, .validate = ValidateStaticConfig};

constexpr Field kFileFields[] = {
    {.name = "files", .type = FieldType::kStringList, .is_file = true},
    Duration("refresh_interval", "5m"),
};
constexpr Section kFileSection{
    .name = "file_sd_configs", .fields = kFileFields, .validate = ValidateFile};

constexpr Field kAwsFields[] = {
    Text("role"),
    Text("region"),
    Text("endpoint"),
    Text("access_key"),
    SecretText("secret_key"),
    Text("profile"),
    Text("role_arn"),
    Text("external_id"),
    Duration("refresh_interval", "60s"),
    Int("port", "80"),
    kFilters,
    List("clusters"),
    Int("request_concurrency", "20"),
};
constexpr Section kAwsSection{
    .name = "aws_sd_configs", .fields = kAwsFields, .inlined = kWithHttp, .validate = ValidateAws};

constexpr Field kAzureFields[] = {
    Text("environment", "AzurePublicCloud"),
    Enum("authentication_method", "OAuth|ManagedIdentity|SDK|WorkloadIdentity", "OAuth"),
    Text("subscription_id"),
    Text("tenant_id"),
    Text("client_id"),
    SecretText("client_secret"),
    Text("resource_group"),
    Duration("refresh_interval", "300s"),
    Int("port", "80"),
};
constexpr Section kAzureSection{.name = "azure_sd_configs",
                                .fields = kAzureFields,
                                .inlined = kWithHttp,
                                .validate = ValidateAzure};

constexpr Field kConsulFields[] = {
    Text("server", "localhost:8500"),
    Text("path_prefix"),
    SecretText("token"),
    Text("datacenter"),
    Text("namespace"),
    Text("partition"),
    Text("scheme", "http"),
    Text("username"),
    SecretText("password"),
    List("services"),
    Text("filter"),
    Text("health_filter"),
    List("tags"),
    Map("node_meta"),
    Text("tag_separator", ","),
    Flag("allow_stale", "true"),
    Duration("refresh_interval", "30s"),
};
constexpr Section kConsulSection{.name = "consul_sd_configs",
                                 .fields = kConsulFields,
                                 .inlined = kWithHttp,
                                 .validate = ValidateConsul};

constexpr Field kPortAndRefreshFields[] = {Int("port", "80"), Duration("refresh_interval", "60s")};

constexpr Field kDigitalOceanFields[] = {Enum("role", "|droplets|databases", ""), Int("port", "80"),
                                         Duration("refresh_interval", "60s")};
constexpr Section kDigitalOceanSection{
    .name = "digitalocean_sd_configs", .fields = kDigitalOceanFields, .inlined = kWithHttp};

constexpr Field kDockerFields[] = {
    Url("host"),
    Int("port", "80"),
    Text("host_networking_host", "localhost"),
    Flag("match_first_network", "true"),
    kFilters,
    Duration("refresh_interval", "60s"),
};
constexpr Section kDockerSection{.name = "docker_sd_configs",
                                 .fields = kDockerFields,
                                 .inlined = kWithHttp,
                                 .validate = ValidateDocker};

constexpr Field kDockerSwarmFields[] = {
    Url("host"), Text("role"), Int("port", "80"), kFilters, Duration("refresh_interval", "60s"),
};
constexpr Section kDockerSwarmSection{.name = "dockerswarm_sd_configs",
                                      .fields = kDockerSwarmFields,
                                      .inlined = kWithHttp,
                                      .validate = ValidateDockerSwarm};

constexpr Field kDnsFields[] = {
    List("names"),
    Text("type", "SRV"),
    Int("port"),
    Duration("refresh_interval", "30s"),
};
constexpr Section kDnsSection{
    .name = "dns_sd_configs", .fields = kDnsFields, .validate = ValidateDns};

constexpr Field kEc2Fields[] = {
    Text("region"),    Text("endpoint"), Text("access_key"),  SecretText("secret_key"),
    Text("profile"),   Text("role_arn"), Text("external_id"), Duration("refresh_interval", "60s"),
    Int("port", "80"), kFilters,
};
constexpr Section kEc2Section{
    .name = "ec2_sd_configs", .fields = kEc2Fields, .inlined = kWithHttp, .validate = ValidateEc2};

constexpr Field kEurekaFields[] = {Text("server"), Duration("refresh_interval", "30s")};
constexpr Section kEurekaSection{.name = "eureka_sd_configs",
                                 .fields = kEurekaFields,
                                 .inlined = kWithHttp,
                                 .validate = ValidateEureka};

constexpr Field kGceFields[] = {
    Text("project"),   Text("zone"),
    Text("filter"),    Duration("refresh_interval", "60s"),
    Int("port", "80"), Text("tag_separator", ","),
};
constexpr Section kGceSection{
    .name = "gce_sd_configs", .fields = kGceFields, .validate = ValidateGce};

constexpr Field kHetznerFields[] = {
    Text("role"),
    Int("port", "80"),
    Duration("refresh_interval", "60s"),
    Text("label_selector"),
};
constexpr Section kHetznerSection{.name = "hetzner_sd_configs",
                                  .fields = kHetznerFields,
                                  .inlined = kWithHttp,
                                  .validate = ValidateHetzner};

constexpr Field kHttpFields[] = {Url("url"), Duration("refresh_interval", "60s")};
constexpr Section kHttpSection{.name = "http_sd_configs",
                               .fields = kHttpFields,
                               .inlined = kWithHttp,
                               .validate = ValidateHttp};

constexpr Field kIonosFields[] = {Text("datacenter_id"), Int("port", "80"),
                                  Duration("refresh_interval", "60s")};
constexpr Section kIonosSection{.name = "ionos_sd_configs",
                                .fields = kIonosFields,
                                .inlined = kWithHttp,
                                .validate = ValidateIonos};

constexpr Field kNamespaceFields[] = {Flag("own_namespace"), List("names")};
constexpr Section kNamespaceSection{.name = "namespaces", .fields = kNamespaceFields};
constexpr Field kSelectorFields[] = {
    Enum("role", "pod|service|endpoints|endpointslice|node|ingress"),
    Text("label"),
    Text("field"),
};
constexpr Section kSelectorSection{.name = "selectors", .fields = kSelectorFields};
constexpr Field kAttachMetadataFields[] = {Flag("node"), Flag("namespace")};
constexpr Section kAttachMetadataSection{.name = "attach_metadata",
                                         .fields = kAttachMetadataFields};
constexpr Field kKubernetesFields[] = {
    Url("api_server"),
    Text("role"),
    FilePath("kubeconfig_file"),
    Sub("namespaces", &kNamespaceSection),
    SubList("selectors", &kSelectorSection, "empty or null selector"),
    Sub("attach_metadata", &kAttachMetadataSection),
};
constexpr Section kKubernetesSection{.name = "kubernetes_sd_configs",
                                     .fields = kKubernetesFields,
                                     .inlined = kWithHttp,
                                     .validate = ValidateKubernetes};

constexpr Field kKumaFields[] = {
    Url("server"),
    Text("client_id"),
    Duration("refresh_interval", "30s"),
    Duration("fetch_timeout", "2m"),
};
constexpr Section kKumaSection{.name = "kuma_sd_configs",
                               .fields = kKumaFields,
                               .inlined = kWithHttp,
                               .validate = ValidateKuma};

constexpr Field kLightsailFields[] = {
    Text("region"),    Text("endpoint"), Text("access_key"),  SecretText("secret_key"),
    Text("profile"),   Text("role_arn"), Text("external_id"), Duration("refresh_interval", "60s"),
    Int("port", "80"),
};
constexpr Section kLightsailSection{
    .name = "lightsail_sd_configs", .fields = kLightsailFields, .inlined = kWithHttp};

constexpr Field kLinodeFields[] = {
    Text("region"),
    Int("port", "80"),
    Text("tag_separator", ","),
    Duration("refresh_interval", "60s"),
};
constexpr Section kLinodeSection{
    .name = "linode_sd_configs", .fields = kLinodeFields, .inlined = kWithHttp};

constexpr Field kMarathonFields[] = {
    List("servers"),
    Duration("refresh_interval", "30s"),
    SecretText("auth_token"),
    FilePath("auth_token_file"),
};
constexpr Section kMarathonSection{.name = "marathon_sd_configs",
                                   .fields = kMarathonFields,
                                   .inlined = kWithHttp,
                                   .validate = ValidateMarathon};

constexpr Field kZookeeperFields[] = {List("servers"), List("paths"), Duration("timeout", "10s")};
constexpr Section kNerveSection{
    .name = "nerve_sd_configs", .fields = kZookeeperFields, .validate = ValidateNerve};
constexpr Section kServersetSection{
    .name = "serverset_sd_configs", .fields = kZookeeperFields, .validate = ValidateServerset};

constexpr Field kNomadFields[] = {
    Flag("allow_stale", "true"),
    Text("namespace", "default"),
    Duration("refresh_interval", "60s"),
    Text("region", "global"),
    Text("server", "http://localhost:4646"),
    Text("tag_separator", ","),
};
constexpr Section kNomadSection{.name = "nomad_sd_configs",
                                .fields = kNomadFields,
                                .inlined = kWithHttp,
                                .validate = ValidateNomad};

constexpr Field kOciFields[] = {
    Text("region"),       Text("tenancy"),      Text("user"),
    Text("fingerprint"),  FilePath("key_file"), SecretText("key_passphrase"),
    List("compartments"), Int("port", "80"),    Duration("refresh_interval", "60s"),
};
constexpr Section kOciSection{
    .name = "oci_sd_configs", .fields = kOciFields, .inlined = kWithHttp, .validate = ValidateOci};

constexpr Field kOpenstackFields[] = {
    Text("identity_endpoint"),
    Text("username"),
    Text("userid"),
    SecretText("password"),
    Text("project_name"),
    Text("project_id"),
    Text("domain_name"),
    Text("domain_id"),
    Text("application_credential_name"),
    Text("application_credential_id"),
    SecretText("application_credential_secret"),
    Text("role"),
    Text("region"),
    Duration("refresh_interval", "60s"),
    Int("port", "80"),
    Flag("all_tenants"),
    Sub("tls_config", &kTlsSection),
    Text("availability", "public"),
};
constexpr Section kOpenstackSection{
    .name = "openstack_sd_configs", .fields = kOpenstackFields, .validate = ValidateOpenstack};

constexpr Field kOutscaleFields[] = {
    Text("endpoint"),         Text("region", "eu-west-2"), Text("access_key"),
    SecretText("secret_key"), FilePath("secret_key_file"), Duration("refresh_interval", "60s"),
    Int("port", "80"),
};
constexpr Section kOutscaleSection{.name = "outscale_sd_configs",
                                   .fields = kOutscaleFields,
                                   .inlined = kWithHttp,
                                   .validate = ValidateOutscale};

constexpr Field kOvhcloudFields[] = {
    Text("endpoint", "ovh-eu"),          Text("application_key"),
    SecretText("application_secret"),    SecretText("consumer_key"),
    Duration("refresh_interval", "60s"), Text("service"),
};
constexpr Section kOvhcloudSection{
    .name = "ovhcloud_sd_configs", .fields = kOvhcloudFields, .validate = ValidateOvhcloud};

constexpr Field kPuppetDbFields[] = {
    Url("url"),
    Text("query"),
    Flag("include_parameters"),
    Int("port", "80"),
    Duration("refresh_interval", "60s"),
};
constexpr Section kPuppetDbSection{.name = "puppetdb_sd_configs",
                                   .fields = kPuppetDbFields,
                                   .inlined = kWithHttp,
                                   .validate = ValidatePuppetDb};

constexpr Field kScalewayFields[] = {
    Text("project_id"),
    Text("zone", "fr-par-1"),
    Text("access_key"),
    SecretText("secret_key"),
    FilePath("secret_key_file"),
    Text("name_filter"),
    List("tags_filter"),
    Text("role"),
    Url("api_url", "https://api.scaleway.com"),
    Int("port", "80"),
    Duration("refresh_interval", "60s"),
};
constexpr Section kScalewaySection{.name = "scaleway_sd_configs",
                                   .fields = kScalewayFields,
                                   .inlined = kWithHttp,
                                   .validate = ValidateScaleway};

constexpr Field kStackitFields[] = {
    Text("project"),
    Text("region", "eu01"),
    Url("endpoint"),
    Int("port", "80"),
    SecretText("private_key"),
    FilePath("private_key_path"),
    SecretText("service_account_key"),
    FilePath("service_account_key_path"),
    FilePath("credentials_file_path"),
    Duration("refresh_interval", "60s"),
};
constexpr Section kStackitSection{.name = "stackit_sd_configs",
                                  .fields = kStackitFields,
                                  .inlined = kWithHttp,
                                  .validate = ValidateStackit};

constexpr Field kTritonFields[] = {
    Text("account"),
    Text("role", "container"),
    Text("dns_suffix"),
    Text("endpoint"),
    List("groups"),
    Int("port", "9163"),
    Duration("refresh_interval", "60s"),
    Int("version", "1"),
    Sub("tls_config", &kTlsSection),
};
constexpr Section kTritonSection{
    .name = "triton_sd_configs", .fields = kTritonFields, .validate = ValidateTriton};

constexpr Field kUyuniFields[] = {
    Url("server"),          Text("username"),
    SecretText("password"), Text("entitlement", "monitoring_entitled"),
    Text("separator", ","), Duration("refresh_interval", "60s"),
};
constexpr Section kUyuniSection{.name = "uyuni_sd_configs",
                                .fields = kUyuniFields,
                                .inlined = kWithHttp,
                                .validate = ValidateUyuni};

constexpr Section kVultrSection{
    .name = "vultr_sd_configs", .fields = kPortAndRefreshFields, .inlined = kWithHttp};

#define TOCSIN_DISCOVERY(kind, section) SubList(kind, &section, "empty or null section in " kind)

constexpr Field kDiscoveryFields[] = {
    TOCSIN_DISCOVERY("static_configs", kStaticSection),
    TOCSIN_DISCOVERY("file_sd_configs", kFileSection),
    NotBuilt(TOCSIN_DISCOVERY("aws_sd_configs", kAwsSection)),
    NotBuilt(TOCSIN_DISCOVERY("azure_sd_configs", kAzureSection)),
    NotBuilt(TOCSIN_DISCOVERY("consul_sd_configs", kConsulSection)),
    NotBuilt(TOCSIN_DISCOVERY("digitalocean_sd_configs", kDigitalOceanSection)),
    NotBuilt(TOCSIN_DISCOVERY("dns_sd_configs", kDnsSection)),
    NotBuilt(TOCSIN_DISCOVERY("docker_sd_configs", kDockerSection)),
    NotBuilt(TOCSIN_DISCOVERY("dockerswarm_sd_configs", kDockerSwarmSection)),
    NotBuilt(TOCSIN_DISCOVERY("ec2_sd_configs", kEc2Section)),
    NotBuilt(TOCSIN_DISCOVERY("eureka_sd_configs", kEurekaSection)),
    NotBuilt(TOCSIN_DISCOVERY("gce_sd_configs", kGceSection)),
    NotBuilt(TOCSIN_DISCOVERY("hetzner_sd_configs", kHetznerSection)),
    NotBuilt(TOCSIN_DISCOVERY("http_sd_configs", kHttpSection)),
    NotBuilt(TOCSIN_DISCOVERY("ionos_sd_configs", kIonosSection)),
    NotBuilt(TOCSIN_DISCOVERY("kubernetes_sd_configs", kKubernetesSection)),
    NotBuilt(TOCSIN_DISCOVERY("kuma_sd_configs", kKumaSection)),
    NotBuilt(TOCSIN_DISCOVERY("lightsail_sd_configs", kLightsailSection)),
    NotBuilt(TOCSIN_DISCOVERY("linode_sd_configs", kLinodeSection)),
    NotBuilt(TOCSIN_DISCOVERY("marathon_sd_configs", kMarathonSection)),
    NotBuilt(TOCSIN_DISCOVERY("nerve_sd_configs", kNerveSection)),
    NotBuilt(TOCSIN_DISCOVERY("nomad_sd_configs", kNomadSection)),
    NotBuilt(TOCSIN_DISCOVERY("oci_sd_configs", kOciSection)),
    NotBuilt(TOCSIN_DISCOVERY("openstack_sd_configs", kOpenstackSection)),
    NotBuilt(TOCSIN_DISCOVERY("outscale_sd_configs", kOutscaleSection)),
    NotBuilt(TOCSIN_DISCOVERY("ovhcloud_sd_configs", kOvhcloudSection)),
    NotBuilt(TOCSIN_DISCOVERY("puppetdb_sd_configs", kPuppetDbSection)),
    NotBuilt(TOCSIN_DISCOVERY("scaleway_sd_configs", kScalewaySection)),
    NotBuilt(TOCSIN_DISCOVERY("serverset_sd_configs", kServersetSection)),
    NotBuilt(TOCSIN_DISCOVERY("stackit_sd_configs", kStackitSection)),
    NotBuilt(TOCSIN_DISCOVERY("triton_sd_configs", kTritonSection)),
    NotBuilt(TOCSIN_DISCOVERY("uyuni_sd_configs", kUyuniSection)),
    NotBuilt(TOCSIN_DISCOVERY("vultr_sd_configs", kVultrSection)),
};
#undef TOCSIN_DISCOVERY

}  // namespace

constinit const Section kDiscoverySection{.name = "service discovery", .fields = kDiscoveryFields};

}  // namespace tocsin::daemon
