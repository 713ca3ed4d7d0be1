// Fields and rules of every way of finding targets that Prometheus has. Built here: static_configs
// and file_sd_configs; the others are checked in full and named as not built yet.
#include <string>

#include "daemon/config/schema.h"
#include "daemon/config/url_parts.h"
#include "discovery/provider.h"
#include "model/labels.h"

namespace tocsin::daemon {
namespace {

std::string Quoted(std::string_view text) { return model::QuoteString(text); }

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
  s.RequireOneOf("role", "services|nodes|tasks", "role missing (one of: tasks, services, nodes)");
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

void ValidateEureka(SectionCheck& s) {
  s.Require("server", "eureka_sd: empty or null eureka server");
  const auto url = ParseUrl(s.Text("server"));
  if (!s.Text("server").empty() && (!url || url->scheme.empty() || url->host.empty())) {
    s.Fail("server", "eureka_sd: invalid eureka server URL");
  }
}

void ValidateHttp(SectionCheck& s) { s.RequireHttpUrl("url"); }

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

void ValidatePuppetDb(SectionCheck& s) {
  s.RequireHttpUrl("url");
  s.Require("query", "query missing");
}

void ValidateUyuni(SectionCheck& s) {
  s.Require("server", "Uyuni SD configuration requires server host");
  s.Require("username", "Uyuni SD configuration requires a username");
  s.Require("password", "Uyuni SD configuration requires a password");
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

constexpr Field kEurekaFields[] = {Text("server"), Duration("refresh_interval", "30s")};
constexpr Section kEurekaSection{.name = "eureka_sd_configs",
                                 .fields = kEurekaFields,
                                 .inlined = kWithHttp,
                                 .validate = ValidateEureka};

constexpr Field kHttpFields[] = {Url("url"), Duration("refresh_interval", "60s")};
constexpr Section kHttpSection{.name = "http_sd_configs",
                               .fields = kHttpFields,
                               .inlined = kWithHttp,
                               .validate = ValidateHttp};

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

constexpr Field kUyuniFields[] = {
    Url("server"),          Text("username"),
    SecretText("password"), Text("entitlement", "monitoring_entitled"),
    Text("separator", ","), Duration("refresh_interval", "60s"),
};
constexpr Section kUyuniSection{.name = "uyuni_sd_configs",
                                .fields = kUyuniFields,
                                .inlined = kWithHttp,
                                .validate = ValidateUyuni};

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
