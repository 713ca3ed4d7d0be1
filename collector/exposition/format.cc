#include "collector/exposition/format.h"

#include <cctype>

#include "model/labels.h"

namespace tocsin::collector {
namespace {

struct Protocol {
  ScrapeProtocol protocol;
  std::string_view name;
  std::string_view media_range;
  bool escaping;  // new enough to be told how to escape names
};

constexpr Protocol kProtocols[] = {
    {ScrapeProtocol::kPrometheusProto, "PrometheusProto",
     "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
     false},
    {ScrapeProtocol::kPrometheusText0_0_4, "PrometheusText0.0.4", "text/plain;version=0.0.4",
     false},
    {ScrapeProtocol::kPrometheusText1_0_0, "PrometheusText1.0.0", "text/plain;version=1.0.0", true},
    {ScrapeProtocol::kOpenMetricsText0_0_1, "OpenMetricsText0.0.1",
     "application/openmetrics-text;version=0.0.1", false},
    {ScrapeProtocol::kOpenMetricsText1_0_0, "OpenMetricsText1.0.0",
     "application/openmetrics-text;version=1.0.0", true},
};

std::string_view Trim(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) {
    text.remove_prefix(1);
  }
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) {
    text.remove_suffix(1);
  }
  return text;
}

// type/subtype in lower case, "" when it is none.
std::string MediaType(std::string_view content_type) {
  std::string media(Trim(content_type.substr(0, content_type.find(';'))));
  size_t slashes = 0;
  for (char& c : media) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '/') {
      ++slashes;
    } else if (std::isalnum(byte) == 0 &&
               std::string_view("!#$%&'*+-.^_`|~").find(c) == std::string_view::npos) {
      return {};
    }
    c = static_cast<char>(std::tolower(byte));
  }
  if (slashes != 1 || media.front() == '/' || media.back() == '/') return {};
  return media;
}

ExpositionFormat FormatOf(ScrapeProtocol protocol) {
  return protocol == ScrapeProtocol::kOpenMetricsText0_0_1 ||
                 protocol == ScrapeProtocol::kOpenMetricsText1_0_0
             ? ExpositionFormat::kOpenMetrics
             : ExpositionFormat::kText;
}

}  // namespace

ScrapeProtocol ParseScrapeProtocol(std::string_view name) {
  for (const Protocol& entry : kProtocols) {
    if (entry.name == name) return entry.protocol;
  }
  return ScrapeProtocol::kNone;
}

std::string_view ScrapeProtocolName(ScrapeProtocol protocol) {
  for (const Protocol& entry : kProtocols) {
    if (entry.protocol == protocol) return entry.name;
  }
  return "";
}

std::string AcceptHeader(std::span<const ScrapeProtocol> protocols, model::NameScheme scheme) {
  std::string header;
  size_t weight = std::size(kProtocols) + 1;
  for (const ScrapeProtocol protocol : protocols) {
    for (const Protocol& entry : kProtocols) {
      if (entry.protocol != protocol) continue;
      header += entry.media_range;
      if (entry.escaping) {
        header +=
            scheme == model::NameScheme::kUtf8 ? ";escaping=allow-utf-8" : ";escaping=underscores";
      }
      header += ";q=0." + std::to_string(weight--) + ",";
    }
  }
  return header + "*/*;q=0." + std::to_string(weight);
}

Result<ExpositionFormat> ChooseFormat(std::string_view content_type, ScrapeProtocol fallback) {
  const bool has_fallback = fallback != ScrapeProtocol::kNone;
  if (Trim(content_type).empty()) {
    if (has_fallback) return FormatOf(fallback);
    return Error(Code::kInvalidArgument,
                 "non-compliant scrape target sending blank Content-Type and no "
                 "fallback_scrape_protocol specified for target");
  }
  const std::string media = MediaType(content_type);
  if (media == "text/plain") return ExpositionFormat::kText;
  if (media == "application/openmetrics-text") return ExpositionFormat::kOpenMetrics;
  if (has_fallback) return FormatOf(fallback);
  if (media.empty()) {
    return Error(Code::kInvalidArgument, "cannot parse Content-Type " +
                                             model::QuoteString(content_type) +
                                             " and no fallback_scrape_protocol for target");
  }
  return Error(Code::kInvalidArgument, "received unsupported Content-Type " +
                                           model::QuoteString(content_type) +
                                           " and no fallback_scrape_protocol specified for target");
}

}  // namespace tocsin::collector
