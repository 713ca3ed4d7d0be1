#include "collector/target.h"

#include <algorithm>

#include "base/duration.h"

namespace tocsin::collector {
namespace {

using model::Labels;
using model::LabelsBuilder;
using model::LabelView;

constexpr std::string_view kAddress = "__address__";
constexpr std::string_view kScheme = "__scheme__";
constexpr std::string_view kMetricsPath = "__metrics_path__";
constexpr std::string_view kScrapeInterval = "__scrape_interval__";
constexpr std::string_view kScrapeTimeout = "__scrape_timeout__";
constexpr std::string_view kParamPrefix = "__param_";
constexpr std::string_view kHiddenPrefix = "__";

bool IsUnreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.' || c == '~';
}

std::string PercentEncode(std::string_view text, std::string_view allowed) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (IsUnreserved(c) || allowed.find(c) != std::string_view::npos) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

std::string QueryEscape(std::string_view text) {
  std::string out;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t space = std::min(text.find(' ', begin), text.size());
    out += PercentEncode(text.substr(begin, space - begin), "");
    if (space < text.size()) out += '+';
    begin = space + 1;
  }
  return out;
}

// The configured parameters; a __param_NAME label replaces the first value of NAME.
std::string Query(const ScrapeConfig& config, const LabelsBuilder& labels) {
  auto params = config.params;
  for (const auto& [name, value] : labels.pairs()) {
    if (!name.starts_with(kParamPrefix)) continue;
    auto& values = params[name.substr(kParamPrefix.size())];
    if (values.empty()) {
      values.push_back(value);
    } else {
      values[0] = value;
    }
  }
  std::string query;
  for (const auto& [name, values] : params) {
    for (const std::string& value : values) {
      query += query.empty() ? '?' : '&';
      query += QueryEscape(name) + "=" + QueryEscape(value);
    }
  }
  return query;
}

std::string Url(const ScrapeConfig& config, const LabelsBuilder& labels) {
  std::string url(labels.Get(kScheme));
  url += "://";
  url += labels.Get(kAddress);
  const std::string_view path = labels.Get(kMetricsPath);
  if (!path.empty() && path.front() != '/') url += '/';
  url += PercentEncode(path, "$&+,/:;=@");
  return url + Query(config, labels);
}

Result<int64_t> ReadDuration(const LabelsBuilder& labels, std::string_view label,
                             const std::string& what) {
  const auto duration_ms = ParseDuration(labels.Get(label));
  if (!duration_ms) {
    return Error(Code::kInvalidArgument,
                 "error parsing scrape " + what + ": " + duration_ms.error().message());
  }
  if (*duration_ms == 0) {
    return Error(Code::kInvalidArgument, "scrape " + what + " cannot be 0");
  }
  return *duration_ms;
}

// All but the hidden labels; the instance is the address when nobody set it.
Result<Labels> PublicLabels(const LabelsBuilder& labels) {
  LabelsBuilder out;
  for (const auto& [name, value] : labels.pairs()) {
    if (!model::IsValidUtf8(value)) {
      return Error(Code::kInvalidArgument, "invalid label value for " + model::QuoteString(name) +
                                               ": " + model::QuoteString(value));
    }
    if (!name.starts_with(kHiddenPrefix)) out.Set(name, value);
  }
  if (out.Get(model::kInstanceLabel).empty()) {
    out.Set(model::kInstanceLabel, labels.Get(kAddress));
  }
  return out.Build();
}

}  // namespace

std::string_view TargetHealthName(TargetHealth health) {
  switch (health) {
    case TargetHealth::kUnknown:
      return "unknown";
    case TargetHealth::kUp:
      return "up";
    case TargetHealth::kDown:
      return "down";
  }
  return "unknown";
}

uint64_t Target::Hash() const {
  uint64_t hash = labels.Hash();
  const auto mix = [&](uint64_t value) {
    hash ^= value + 0x9e3779b97f4a7c15 + (hash << 6) + (hash >> 2);
  };
  mix(std::hash<std::string>()(job));
  mix(std::hash<std::string>()(url));
  mix(static_cast<uint64_t>(scrape_interval_ms));
  mix(static_cast<uint64_t>(scrape_timeout_ms));
  return hash;
}

Labels DiscoveredLabels(const ScrapeConfig& config, const discovery::TargetGroup& group,
                        const Labels& target) {
  LabelsBuilder labels(group.labels);
  for (const LabelView& label : target) labels.Set(label.name, label.value);
  const auto set_default = [&](std::string_view name, std::string_view value) {
    if (labels.Get(name).empty()) labels.Set(name, value);
  };
  set_default(model::kJobLabel, config.job_name);
  set_default(kScrapeInterval, FormatDuration(config.scrape_interval_ms));
  set_default(kScrapeTimeout, FormatDuration(config.scrape_timeout_ms));
  set_default(kMetricsPath, config.metrics_path);
  set_default(kScheme, config.scheme);
  set_default("__scrape_native_histograms__", "false");
  set_default("__always_scrape_classic_histograms__", "false");
  set_default("__convert_classic_histograms_to_nhcb__", "false");
  for (const auto& [name, values] : config.params) {
    if (!values.empty()) set_default(std::string(kParamPrefix) + name, values[0]);
  }
  return labels.Build();
}

Result<std::optional<Target>> MakeTarget(const ScrapeConfig& config, const Labels& discovered) {
  const auto invalid = [](std::string message) {
    return Error(Code::kInvalidArgument, std::move(message));
  };
  LabelsBuilder labels(discovered);
  if (!model::ApplyRelabelRules(config.relabel_configs, &labels)) return std::nullopt;
  const std::string address(labels.Get(kAddress));
  if (address.empty()) return invalid("no address");
  if (address.find('/') != std::string::npos) {
    return invalid(model::QuoteString(address) + " is not a valid hostname");
  }
  Target target;
  TOCSIN_ASSIGN_OR_RETURN(target.scrape_interval_ms,
                          ReadDuration(labels, kScrapeInterval, "interval"));
  TOCSIN_ASSIGN_OR_RETURN(target.scrape_timeout_ms,
                          ReadDuration(labels, kScrapeTimeout, "timeout"));
  if (target.scrape_timeout_ms > target.scrape_interval_ms) {
    return invalid("scrape timeout cannot be greater than scrape interval (" +
                   model::QuoteString(labels.Get(kScrapeTimeout)) + " > " +
                   model::QuoteString(labels.Get(kScrapeInterval)) + ")");
  }
  const std::string_view scheme = labels.Get(kScheme);
  if (scheme != "http" && scheme != "https") {
    return invalid("unsupported scheme " + model::QuoteString(scheme));
  }
  target.job = config.job_name;
  target.discovered_labels = discovered;
  target.url = Url(config, labels);
  TOCSIN_ASSIGN_OR_RETURN(target.labels, PublicLabels(labels));
  return std::optional<Target>(std::move(target));
}

}  // namespace tocsin::collector
