// Sections about what is far away: remote_write, remote_read, otlp, tracing, and signing for AWS.
#include <algorithm>
#include <set>
#include <string>

#include "base/regex.h"
#include "daemon/config/schema.h"
#include "model/labels.h"

namespace tocsin::daemon {
namespace {

std::string Quoted(std::string_view text) { return model::QuoteString(text); }

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return lower;
}

void ValidateSigV4(SectionCheck& s) {
  if (s.Set("access_key") != s.Set("secret_key")) {
    s.Fail(
        "must provide a AWS SigV4 Access key and Secret Key if credentials are specified in the "
        "SigV4 config");
  }
}

constexpr Field kSigV4Fields[] = {
    Text("region"),   Text("access_key"),  SecretText("secret_key"),      Text("profile"),
    Text("role_arn"), Text("external_id"), Flag("use_fips_sts_endpoint"), Text("service_name"),
};

// ---- remote write and read

constexpr std::string_view kReservedHeaders[] = {
    "host",
    "content-encoding",
    "content-length",
    "content-type",
    "user-agent",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "www-authenticate",
    "accept-encoding",
    "x-prometheus-remote-write-version",
    "x-prometheus-remote-read-version",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
};

void ValidateHeaders(SectionCheck& s, std::string_view authorization_complaint) {
  for (const YamlEntry& entry : s.Node("headers").entries()) {
    const std::string name = Lower(entry.key.text());
    if (name == "authorization") {
      s.context().errors->Add(entry.key, authorization_complaint);
    } else if (std::find(std::begin(kReservedHeaders), std::end(kReservedHeaders), name) !=
               std::end(kReservedHeaders)) {
      s.context().errors->Add(entry.key,
                              entry.key.text() + " is a reserved header. It must not be changed");
    }
  }
}

constexpr std::string_view kRemoteAuthorization =
    "authorization header must be changed via the basic_auth, authorization, oauth2, sigv4, "
    "azuread "
    "or google_iam parameter";

bool IsUuid(std::string_view text) {
  static const Regex uuid =
      *Regex::Compile("(urn:uuid:)?\\{?[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\\}?");
  return uuid.FullMatch(text);
}

void ValidateAzureAd(SectionCheck& s) {
  const YamlNode cloud = s.Node("cloud");
  const std::string cloud_name = cloud.is_map()    ? cloud.Find("name").text()
                                 : cloud.present() ? cloud.text()
                                                   : "AzurePublic";
  const std::string_view clouds[] = {"AzureChina", "AzureGovernment", "AzurePublic", "AzureCustom"};
  if (std::find(std::begin(clouds), std::end(clouds), cloud_name) == std::end(clouds)) {
    s.Fail("cloud", "must provide a cloud in the Azure AD config");
  }
  const int ways = static_cast<int>(s.Given("managed_identity")) +
                   static_cast<int>(s.Given("oauth")) + static_cast<int>(s.Given("sdk")) +
                   static_cast<int>(s.Given("workload_identity"));
  if (ways == 0) {
    s.Fail(
        "must provide an Azure Managed Identity, Azure Workload Identity, Azure OAuth or Azure SDK "
        "in the Azure AD config");
  }
  if (ways > 1) s.Fail("cannot provide multiple authentication methods in the Azure AD config");
  const YamlNode identity = s.Node("managed_identity").Find("client_id");
  if (!identity.text().empty() && !IsUuid(identity.text())) {
    s.context().errors->Add(identity, "the provided Azure Managed Identity client_id is invalid");
  }
  const YamlNode oauth = s.Node("oauth");
  for (const std::string_view field : {"client_id", "client_secret", "tenant_id"}) {
    if (!s.Given("oauth") || !oauth.Find(field).text().empty()) continue;
    s.Fail("oauth",
           "must provide an Azure OAuth " + std::string(field) + " in the Azure AD config");
  }
  const YamlNode oauth_client = oauth.Find("client_id");
  if (!oauth_client.text().empty() && !IsUuid(oauth_client.text())) {
    s.context().errors->Add(oauth_client, "the provided Azure OAuth client_id is invalid");
  }
}

constexpr Field kAzureIdentityFields[] = {Text("client_id")};
constexpr Section kAzureIdentitySection{.name = "managed_identity", .fields = kAzureIdentityFields};
constexpr Field kAzureWorkloadFields[] = {
    Text("client_id"),
    Text("tenant_id"),
    FilePath("token_file_path"),
};
constexpr Section kAzureWorkloadSection{.name = "workload_identity",
                                        .fields = kAzureWorkloadFields};
constexpr Field kAzureOAuthFields[] = {Text("client_id"), SecretText("client_secret"),
                                       Text("tenant_id")};
constexpr Section kAzureOAuthSection{.name = "oauth", .fields = kAzureOAuthFields};
constexpr Field kAzureSdkFields[] = {Text("tenant_id")};
constexpr Section kAzureSdkSection{.name = "sdk", .fields = kAzureSdkFields};
constexpr Field kAzureAdFields[] = {
    Text("cloud", "AzurePublic"),
    Sub("managed_identity", &kAzureIdentitySection),
    Sub("workload_identity", &kAzureWorkloadSection),
    Sub("oauth", &kAzureOAuthSection),
    Sub("sdk", &kAzureSdkSection),
    Text("scope"),
};
constexpr Section kAzureAdSection{
    .name = "azuread", .fields = kAzureAdFields, .validate = ValidateAzureAd};

constexpr Field kGoogleIamFields[] = {FilePath("credentials_file")};
constexpr Section kGoogleIamSection{.name = "google_iam", .fields = kGoogleIamFields};

void ValidateQueue(SectionCheck& s) {
  for (const std::string_view field :
       {"capacity", "max_samples_per_send", "min_shards", "max_shards"}) {
    if (s.Number(field) <= 0) {
      s.Fail(field, "remote write queue " + std::string(field) + " must be positive");
    }
  }
  for (const std::string_view field : {"batch_send_deadline", "min_backoff", "max_backoff"}) {
    if (s.DurationMs(field) <= 0) {
      s.Fail(field, "remote write queue " + std::string(field) + " must be positive");
    }
  }
  if (s.Number("max_shards") < s.Number("min_shards")) {
    s.Fail("max_shards", "remote write queue max_shards must not be less than min_shards");
  }
  if (s.DurationMs("max_backoff") < s.DurationMs("min_backoff")) {
    s.Fail("max_backoff", "remote write queue max_backoff must not be less than min_backoff");
  }
}

constexpr Field kQueueFields[] = {
    Int("capacity", "10000"),
    Int("max_shards", "50"),
    Int("min_shards", "1"),
    Int("max_samples_per_send", "2000"),
    Duration("batch_send_deadline", "5s"),
    Duration("min_backoff", "30ms"),
    Duration("max_backoff", "5s"),
    Flag("retry_on_http_429"),
    Duration("sample_age_limit"),
};
constexpr Section kQueueSection{
    .name = "queue_config", .fields = kQueueFields, .validate = ValidateQueue};

constexpr Field kMetadataFields[] = {
    Shown(Flag("send", "true")),
    Duration("send_interval", "1m"),
    Int("max_samples_per_send", "2000"),
};
constexpr Section kMetadataSection{.name = "metadata_config", .fields = kMetadataFields};

void ValidateRemoteWrite(SectionCheck& s) {
  if (!s.Given("url")) s.Fail("url", "url for remote_write is empty");
  ValidateHeaders(s, kRemoteAuthorization);
  const std::string message = s.Text("protobuf_message");
  if (message != "prometheus.WriteRequest" && message != "io.prometheus.write.v2.Request") {
    s.Fail("protobuf_message",
           "invalid protobuf_message value: unknown type for remote write protobuf message " +
               message + ", supported: prometheus.WriteRequest, io.prometheus.write.v2.Request");
  }
  std::string configured;
  int count = 0;
  for (const std::string_view way :
       {"basic_auth", "authorization", "oauth2", "sigv4", "azuread", "google_iam"}) {
    if (!s.Given(way)) continue;
    if (++count > 1) configured += ' ';
    configured += way;
  }
  if (count > 1) {
    s.Fail(
        "at most one of basic_auth, authorization, oauth2, sigv4, azuread or google_iam must be "
        "configured. Currently configured: [" +
        configured + "]");
  }
}

constexpr Field kRemoteWriteFields[] = {
    Url("url"),
    Duration("remote_timeout", "30s"),
    Map("headers"),
    Relabel("write_relabel_configs", "empty or null relabeling rule in remote write config"),
    Text("name"),
    Flag("send_exemplars"),
    Flag("send_native_histograms"),
    Flag("round_robin_dns"),
    Text("protobuf_message", "prometheus.WriteRequest"),
    Shown(Sub("queue_config", &kQueueSection)),
    Shown(Sub("metadata_config", &kMetadataSection)),
    Sub("sigv4", &kSigV4Section),
    Sub("azuread", &kAzureAdSection),
    Sub("google_iam", &kGoogleIamSection),
};
constexpr const Section* kRemoteWriteInlined[] = {&kRemoteHttpClientSection};

void ValidateRemoteRead(SectionCheck& s) {
  if (!s.Given("url")) s.Fail("url", "url for remote_read is empty");
  ValidateHeaders(s, kRemoteAuthorization);
}

constexpr Field kRemoteReadFields[] = {
    Url("url"),
    Duration("remote_timeout", "1m"),
    Uint("chunked_read_limit", "50000000"),
    Map("headers"),
    Flag("read_recent"),
    Text("name"),
    {.name = "required_matchers", .type = FieldType::kLabelMap},
    Shown(Flag("filter_external_labels", "true")),
};
constexpr const Section* kRemoteReadInlined[] = {&kHttpClientSection};

// ---- otlp and tracing

void ValidateAttributes(SectionCheck& s, std::string_view field, const std::string& adjective) {
  std::set<std::string> seen;
  std::string problems;
  for (std::string attribute : s.Texts(field)) {
    attribute.erase(0, std::min(attribute.find_first_not_of(" \t"), attribute.size()));
    attribute.erase(attribute.find_last_not_of(" \t") + 1);
    std::string problem;
    if (attribute.empty()) {
      problem = "empty " + adjective + " OTel resource attribute";
    } else if (!seen.insert(attribute).second) {
      problem = "duplicated " + adjective + " OTel resource attribute " + Quoted(attribute);
    }
    if (problem.empty()) continue;
    if (!problems.empty()) problems += ", ";
    problems += problem;
  }
  if (!problems.empty()) {
    s.Fail(field, "invalid '" + std::string(field) + "': " + problems);
  }
}

void ValidateOtlp(SectionCheck& s) {
  const bool promote_all = s.Bool("promote_all_resource_attributes");
  if (promote_all && s.Set("promote_resource_attributes")) {
    s.Fail("promote_resource_attributes",
           "'promote_all_resource_attributes' and 'promote_resource_attributes' cannot be "
           "configured simultaneously");
  }
  if (!promote_all && s.Set("ignore_resource_attributes")) {
    s.Fail("ignore_resource_attributes",
           "'ignore_resource_attributes' cannot be configured unless "
           "'promote_all_resource_attributes' is true");
  }
  ValidateAttributes(s, "ignore_resource_attributes", "ignored");
  ValidateAttributes(s, "promote_resource_attributes", "promoted");
  const std::string strategy = s.Text("translation_strategy");
  const bool needs_utf8 = strategy == "NoTranslation" || strategy == "NoUTF8EscapingWithSuffixes";
  if (needs_utf8 && s.context().global.scheme == model::NameScheme::kLegacy) {
    s.Fail("translation_strategy", "OTLP translation strategy " + Quoted(strategy) +
                                       " is not allowed when UTF8 is disabled");
  } else if (!needs_utf8 && !strategy.empty() && strategy != "UnderscoreEscapingWithSuffixes" &&
             strategy != "UnderscoreEscapingWithoutSuffixes") {
    s.Fail("translation_strategy", "unsupported OTLP translation strategy " + Quoted(strategy));
  }
}

// Has an effect only with --web.enable-otlp-receiver, which is what is refused while it is not
// built.
constexpr Field kOtlpFields[] = {
    Flag("promote_all_resource_attributes"),
    List("promote_resource_attributes"),
    List("ignore_resource_attributes"),
    Text("translation_strategy", "UnderscoreEscapingWithSuffixes"),
    Flag("keep_identifying_resource_attributes"),
    Flag("convert_histograms_to_nhcb"),
    Flag("promote_scope_metadata"),
    Flag("label_name_underscore_sanitization", "true"),
    Flag("label_name_preserve_multiple_underscores", "true"),
};

void ValidateTracing(SectionCheck& s) {
  ValidateHeaders(s, "custom authorization header configuration is not yet supported");
  s.Require("endpoint", "tracing endpoint must be set");
  const std::string compression = s.Text("compression");
  if (!compression.empty() && compression != "gzip") {
    s.Fail("compression",
           "invalid compression type " + compression + " provided, valid options: gzip");
  }
}

constexpr Field kTracingFields[] = {
    Enum("client_type", "http|grpc", "grpc"),
    Text("endpoint"),
    Float("sampling_fraction"),
    Flag("insecure"),
    Sub("tls_config", &kTlsSection),
    Map("headers"),
    Text("compression"),
    Duration("timeout"),
};

}  // namespace

constinit const Section kSigV4Section{
    .name = "sigv4", .fields = kSigV4Fields, .validate = ValidateSigV4};

constinit const Section kRemoteWriteSection{.name = "remote_write",
                                            .fields = kRemoteWriteFields,
                                            .inlined = kRemoteWriteInlined,
                                            .validate = ValidateRemoteWrite};

constinit const Section kRemoteReadSection{.name = "remote_read",
                                           .fields = kRemoteReadFields,
                                           .inlined = kRemoteReadInlined,
                                           .validate = ValidateRemoteRead};

constinit const Section kOtlpSection{
    .name = "otlp", .fields = kOtlpFields, .validate = ValidateOtlp};

constinit const Section kTracingSection{
    .name = "tracing", .fields = kTracingFields, .validate = ValidateTracing};

}  // namespace tocsin::daemon
