// GET /federate: the latest sample of each series that is selected, as an exposition page
// (http-api.md §8). Native histograms need the protobuf format, which is not offered yet; they are
// left out, as Prometheus leaves them out of text.
#include <algorithm>
#include <map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "api/api_router.h"
#include "api/parameters.h"
#include "api/request_memory.h"
#include "base/env.h"
#include "base/number.h"

namespace tocsin::api {
namespace {

using http::FormParams;
using http::HttpRequest;
using http::HttpResponse;

constexpr size_t kSeriesPerRead = 512;
constexpr std::string_view kAllowUtf8 = "escaping=allow-utf-8";

struct LatestSample {
  model::Labels labels;
  model::Timestamp timestamp_ms = 0;
  double value = 0;
};

// Appends the last float of each series, unless it says that the series ended.
Status ReadLatest(const model::Snapshot& snapshot, const model::MatcherSet& matchers,
                  model::TimeRange range, RequestMemory* memory,
                  std::unordered_set<model::Labels, model::LabelsHash>* seen,
                  std::vector<LatestSample>* samples) {
  model::SelectHints select;
  select.charge = memory->charge();
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::unique_ptr<model::SeriesSelection> selection,
                                 snapshot.Select(matchers, range, select));
  const std::unique_ptr<model::ColumnReader> reader = selection->NewReader();
  model::ColumnBatch batch;
  for (size_t first = 0; first < selection->size(); first += kSeriesPerRead) {
    TOCSIN_RETURN_IF_ERROR(memory->Charge(0));
    const size_t count = std::min(kSeriesPerRead, selection->size() - first);
    TOCSIN_RETURN_IF_ERROR(reader->Read(first, count, &batch));
    for (size_t i = 0; i < count; ++i) {
      const model::Column& column = batch.columns[i];
      if (column.values.empty() || model::IsStale(column.values.back())) continue;
      if (!column.histogram_timestamps.empty() &&
          column.histogram_timestamps.back() > column.timestamps.back()) {
        continue;
      }
      model::Labels labels = selection->LabelsAt(first + i);
      // In both lists, and a node.
      static constexpr uint64_t kSeriesBytes = 64 + sizeof(LatestSample);
      TOCSIN_RETURN_IF_ERROR(memory->Charge(kSeriesBytes + 2 * labels.packed().size()));
      if (!seen->insert(labels).second) continue;
      samples->push_back({std::move(labels), column.timestamps.back(), column.values.back()});
    }
  }
  return Status::Ok();
}

void AppendQuoted(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  out += '"';
}

// Names that the text format cannot hold get underscores, unless the client takes quoted ones.
std::string EscapedName(std::string_view name, bool metric) {
  std::string escaped(name);
  for (size_t i = 0; i < escaped.size(); ++i) {
    const char c = escaped[i];
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (!letter && !(c >= '0' && c <= '9' && i > 0) && !(c == ':' && metric)) escaped[i] = '_';
  }
  return escaped;
}

class PageWriter {
 public:
  PageWriter(bool utf8, const model::Labels& external_labels, http::ResponseBody* body)
      : utf8_(utf8), body_(*body) {
    for (const model::LabelView label : external_labels) external_.emplace(label.name, label.value);
    external_.emplace("instance", "");
  }

  void Write(const LatestSample& sample) {
    std::string& out = body_.tail();
    const std::string_view name = sample.labels.MetricName();
    const bool quoted = utf8_ && !model::IsLegacyMetricName(name);
    const std::string shown = utf8_ ? std::string(name) : EscapedName(name, true);
    if (name != last_name_) {
      out += "# TYPE ";
      quoted ? AppendQuoted(out, shown) : void(out += shown);
      out += " untyped\n";
      last_name_ = name;
    }
    bool first = true;
    const auto begin_label = [&] { out += std::exchange(first, false) ? '{' : ','; };
    if (quoted) {
      begin_label();
      AppendQuoted(out, shown);
    } else {
      out += shown;
    }
    const auto label = [&](std::string_view label_name, std::string_view value) {
      begin_label();
      if (utf8_ && !model::IsLegacyLabelName(label_name)) {
        AppendQuoted(out, label_name);
      } else {
        out += EscapedName(label_name, false);
      }
      out += '=';
      AppendQuoted(out, value);
    };
    for (const model::LabelView l : sample.labels) {
      if (l.name != model::kMetricName) label(l.name, l.value);
    }
    for (const auto& [label_name, value] : external_) {
      if (!sample.labels.Has(label_name)) label(label_name, value);
    }
    if (!first) out += '}';
    out += ' ';
    out += FormatFloatGo(sample.value);
    out += ' ';
    out += std::to_string(sample.timestamp_ms);
    out += '\n';
    body_.MaybeFlush();
  }

 private:
  const bool utf8_;
  http::ResponseBody& body_;
  std::map<std::string, std::string> external_;  // added where absent; an instance always is
  std::string last_name_;
};

int StatusOf(const Status& status) {
  const bool refused =
      status.code() == Code::kResourceExhausted || status.code() == Code::kDeadlineExceeded;
  return refused ? 503 : 500;
}

void Federate(const Dependencies& deps, const HttpRequest& request, HttpResponse* response) {
  const FormParams params = FormParams::FromRequest(request);
  if (!params.error().empty()) {
    return response->SetPlainError(400, "error parsing form values: " + params.error());
  }
  const Parsed<std::vector<model::MatcherSet>> sets = MatchParameters(params);
  if (!sets) return response->SetPlainError(400, sets.error().message);

  const model::Timestamp now_ms = deps.env->NowMs();
  // The lookback is open at its far end.
  const model::TimeRange range{now_ms - deps.engine->options().lookback_delta_ms + 1, now_ms};
  const std::unique_ptr<model::Snapshot> snapshot = deps.store->Pin();
  RequestMemory memory(deps, request);
  std::unordered_set<model::Labels, model::LabelsHash> seen;
  std::vector<LatestSample> samples;
  for (const model::MatcherSet& matchers : *sets) {
    const Status status = ReadLatest(*snapshot, matchers, range, &memory, &seen, &samples);
    if (!status.ok()) return response->SetPlainError(StatusOf(status), status.message());
  }
  std::erase_if(samples, [](const LatestSample& s) { return s.labels.MetricName().empty(); });
  std::sort(samples.begin(), samples.end(), [](const LatestSample& a, const LatestSample& b) {
    const int by_name = a.labels.MetricName().compare(b.labels.MetricName());
    return by_name != 0 ? by_name < 0 : a.labels < b.labels;
  });

  const bool utf8 = request.headers.Joined("Accept").find(kAllowUtf8) != std::string::npos;
  std::string type = "text/plain; version=0.0.4; charset=utf-8";
  if (utf8) type += "; " + std::string(kAllowUtf8);
  response->headers.Set("Content-Type", type);
  PageWriter page(utf8, deps.external_labels(), &response->body);
  for (const LatestSample& sample : samples) {
    page.Write(sample);
    if (response->body.overflowed()) return;
  }
}

}  // namespace

void AddFederateRoute(ApiRoutes* routes) {
  const Dependencies& deps = routes->dependencies();
  routes->router()->Add(
      {.methods = {"GET"},
       .pattern = "/federate",
       .lane = http::Lane::kQuery,
       .handler = routes->WhenReady([&deps](const HttpRequest& request, HttpResponse* response) {
         Federate(deps, request, response);
       })});
}

}  // namespace tocsin::api
