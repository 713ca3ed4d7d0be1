// kubernetes_sd_configs: fields and rules. Not built yet.
#include <algorithm>
#include <string>

#include "daemon/config/schema.h"
#include "model/labels.h"

namespace tocsin::daemon {
namespace {

std::string Quoted(std::string_view text) { return model::QuoteString(text); }

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
  s.RequireOneOf("role", "pod|service|endpoints|endpointslice|node|ingress",
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

constexpr const Section* kWithHttp[] = {&kHttpClientSection};

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

}  // namespace

constinit const Section kKubernetesSection{.name = "kubernetes_sd_configs",
                                           .fields = kKubernetesFields,
                                           .inlined = kWithHttp,
                                           .validate = ValidateKubernetes};

}  // namespace tocsin::daemon
