// Clouds that Prometheus finds targets in: fields and rules. None is built yet.
#include <string>

#include "base/regex.h"
#include "daemon/config/schema.h"

namespace tocsin::daemon {
namespace {

void ValidateAzure(SectionCheck& s) {
  const std::string method = s.Text("authentication_method");
  s.Require("subscription_id", "azure SD configuration requires a subscription_id");
  if (method == "OAuth") {
    for (const std::string_view field : {"tenant_id", "client_id", "client_secret"}) {
      s.Require(field, "azure SD configuration requires a " + std::string(field));
    }
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
  s.RequireOneOf("role", "ec2|ecs|elasticache|lightsail|mq|msk|rds", "unknown AWS SD role \"\"");
  ValidateEc2(s);
}

void ValidateGce(SectionCheck& s) {
  s.Require("project", "GCE SD configuration requires a project");
  s.Require("zone", "GCE SD configuration requires a zone");
}

void ValidateHetzner(SectionCheck& s) {
  s.RequireOneOf("role", "robot|hcloud", "role missing (one of: robot, hcloud)");
}

void ValidateIonos(SectionCheck& s) { s.Require("datacenter_id", "datacenter id can't be empty"); }

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
  s.RequireOneOf("role", "hypervisor|instance|loadbalancer",
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
  s.RequireOneOf("role", "instance|baremetal", "role missing (one of: instance, baremetal)");
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

constexpr const Section* kWithHttp[] = {&kHttpClientSection};

constexpr Field kFilterFields[] = {Text("name"), List("values")};
constexpr Section kFilterSection{.name = "filters", .fields = kFilterFields};
constexpr Field kFilters = SubList("filters", &kFilterSection, "empty or null filter");

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
constexpr Field kDigitalOceanFields[] = {Enum("role", "|droplets|databases", ""), Int("port", "80"),
                                         Duration("refresh_interval", "60s")};
constexpr Field kEc2Fields[] = {
    Text("region"),    Text("endpoint"), Text("access_key"),  SecretText("secret_key"),
    Text("profile"),   Text("role_arn"), Text("external_id"), Duration("refresh_interval", "60s"),
    Int("port", "80"), kFilters,
};
constexpr Field kGceFields[] = {
    Text("project"),   Text("zone"),
    Text("filter"),    Duration("refresh_interval", "60s"),
    Int("port", "80"), Text("tag_separator", ","),
};
constexpr Field kHetznerFields[] = {
    Text("role"),
    Int("port", "80"),
    Duration("refresh_interval", "60s"),
    Text("label_selector"),
};
constexpr Field kIonosFields[] = {Text("datacenter_id"), Int("port", "80"),
                                  Duration("refresh_interval", "60s")};
constexpr Field kLightsailFields[] = {
    Text("region"),    Text("endpoint"), Text("access_key"),  SecretText("secret_key"),
    Text("profile"),   Text("role_arn"), Text("external_id"), Duration("refresh_interval", "60s"),
    Int("port", "80"),
};
constexpr Field kLinodeFields[] = {
    Text("region"),
    Int("port", "80"),
    Text("tag_separator", ","),
    Duration("refresh_interval", "60s"),
};
constexpr Field kOciFields[] = {
    Text("region"),       Text("tenancy"),      Text("user"),
    Text("fingerprint"),  FilePath("key_file"), SecretText("key_passphrase"),
    List("compartments"), Int("port", "80"),    Duration("refresh_interval", "60s"),
};
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
constexpr Field kOutscaleFields[] = {
    Text("endpoint"),         Text("region", "eu-west-2"), Text("access_key"),
    SecretText("secret_key"), FilePath("secret_key_file"), Duration("refresh_interval", "60s"),
    Int("port", "80"),
};
constexpr Field kOvhcloudFields[] = {
    Text("endpoint", "ovh-eu"),          Text("application_key"),
    SecretText("application_secret"),    SecretText("consumer_key"),
    Duration("refresh_interval", "60s"), Text("service"),
};
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
constexpr Field kPortAndRefreshFields[] = {Int("port", "80"), Duration("refresh_interval", "60s")};

}  // namespace

constinit const Section kAwsSection{
    .name = "aws_sd_configs", .fields = kAwsFields, .inlined = kWithHttp, .validate = ValidateAws};

constinit const Section kAzureSection{.name = "azure_sd_configs",
                                      .fields = kAzureFields,
                                      .inlined = kWithHttp,
                                      .validate = ValidateAzure};

constinit const Section kDigitalOceanSection{
    .name = "digitalocean_sd_configs", .fields = kDigitalOceanFields, .inlined = kWithHttp};

constinit const Section kEc2Section{
    .name = "ec2_sd_configs", .fields = kEc2Fields, .inlined = kWithHttp, .validate = ValidateEc2};

constinit const Section kGceSection{
    .name = "gce_sd_configs", .fields = kGceFields, .validate = ValidateGce};

constinit const Section kHetznerSection{.name = "hetzner_sd_configs",
                                        .fields = kHetznerFields,
                                        .inlined = kWithHttp,
                                        .validate = ValidateHetzner};

constinit const Section kIonosSection{.name = "ionos_sd_configs",
                                      .fields = kIonosFields,
                                      .inlined = kWithHttp,
                                      .validate = ValidateIonos};

constinit const Section kLightsailSection{
    .name = "lightsail_sd_configs", .fields = kLightsailFields, .inlined = kWithHttp};

constinit const Section kLinodeSection{
    .name = "linode_sd_configs", .fields = kLinodeFields, .inlined = kWithHttp};

constinit const Section kOciSection{
    .name = "oci_sd_configs", .fields = kOciFields, .inlined = kWithHttp, .validate = ValidateOci};

constinit const Section kOpenstackSection{
    .name = "openstack_sd_configs", .fields = kOpenstackFields, .validate = ValidateOpenstack};

constinit const Section kOutscaleSection{.name = "outscale_sd_configs",
                                         .fields = kOutscaleFields,
                                         .inlined = kWithHttp,
                                         .validate = ValidateOutscale};

constinit const Section kOvhcloudSection{
    .name = "ovhcloud_sd_configs", .fields = kOvhcloudFields, .validate = ValidateOvhcloud};

constinit const Section kScalewaySection{.name = "scaleway_sd_configs",
                                         .fields = kScalewayFields,
                                         .inlined = kWithHttp,
                                         .validate = ValidateScaleway};

constinit const Section kStackitSection{.name = "stackit_sd_configs",
                                        .fields = kStackitFields,
                                        .inlined = kWithHttp,
                                        .validate = ValidateStackit};

constinit const Section kTritonSection{
    .name = "triton_sd_configs", .fields = kTritonFields, .validate = ValidateTriton};

constinit const Section kVultrSection{
    .name = "vultr_sd_configs", .fields = kPortAndRefreshFields, .inlined = kWithHttp};

}  // namespace tocsin::daemon
