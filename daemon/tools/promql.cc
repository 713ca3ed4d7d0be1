#include "daemon/tools/promql.h"

#include <fmt/format.h>

#include <iostream>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "base/http/client.h"
#include "base/http/form.h"
#include "base/json.h"
#include "query/parser.h"
#include "query/printer.h"
#include "query/promql_json.h"

namespace tocsin::daemon {
namespace {

constexpr int kExitRefused = 1;
constexpr int kExitUsage = 2;
constexpr std::string_view kUsage =
    "usage: tocsin promql format EXPR    pretty-print an expression (- reads standard input)\n"
    "       tocsin promql parse EXPR     print its syntax tree as JSON\n"
    "       tocsin promql explain [--server=URL] [--time=T | --start=T --end=T --step=D] EXPR\n"
    "                                    run it and print what each part of its plan did\n";

std::string ExpressionOf(const std::string& argument) {
  if (argument != "-") return argument;
  return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
}

int Format(const std::string& text, const Console& console) {
  const auto expr = query::ParseExpr(text, query::LanguageOptions::All());
  if (!expr) {
    console.err(std::string(expr.error().message()) + "\n");
    return kExitRefused;
  }
  console.out(query::Prettify(**expr) + "\n");
  return 0;
}

int Parse(const std::string& text, const Console& console) {
  const auto expr = query::ParseExpr(text, query::LanguageOptions::All());
  std::string json;
  const Status status = expr ? query::AppendExprJson(**expr, &json) : expr.error();
  if (!status.ok()) {
    console.err(std::string(status.message()) + "\n");
    return kExitRefused;
  }
  console.out(json + "\n");
  return 0;
}

struct ExplainRequest {
  std::string server = "http://localhost:9090";
  std::string expr;
  std::vector<std::pair<std::string, std::string>> parameters;
};

std::optional<ExplainRequest> ParseExplain(std::span<const std::string> args) {
  ExplainRequest request;
  for (const std::string& arg : args) {
    if (!arg.starts_with("--")) {
      if (!request.expr.empty()) return std::nullopt;
      request.expr = ExpressionOf(arg);
      continue;
    }
    const size_t equals = arg.find('=');
    if (equals == std::string::npos) return std::nullopt;
    const std::string name = arg.substr(2, equals - 2);
    std::string value = arg.substr(equals + 1);
    if (name == "server") {
      request.server = std::move(value);
      while (request.server.ends_with('/')) request.server.pop_back();
    } else if (name == "time" || name == "start" || name == "end" || name == "step") {
      request.parameters.emplace_back(name, std::move(value));
    } else {
      return std::nullopt;
    }
  }
  if (request.expr.empty()) return std::nullopt;
  return request;
}

double NumberOf(const JsonValue& object, std::string_view key) {
  const JsonValue* value = object.Find(key);
  return value != nullptr && value->is_number() ? value->AsDouble() : 0;
}

bool IsSet(const JsonValue& object, std::string_view key) {
  const JsonValue* value = object.Find(key);
  return value != nullptr && value->is_bool() && value->AsBool();
}

// What a selector did not have to read.
std::string_view HintsOf(const JsonValue& node) {
  const bool newest_only = IsSet(node, "newestOnly");
  if (IsSet(node, "timesOnly")) return newest_only ? "  [newest times only]" : "  [times only]";
  return newest_only ? "  [newest only]" : "";
}

// Depth is bounded by kJsonDepthMax.
void PrintNode(const JsonValue& node, int depth, std::string* out) {
  *out += fmt::format("{:>10.3f} {:>9.0f} {:>11.0f} {:>11.0f} {:>12.0f}  {}{}{}\n",
                      NumberOf(node, "milliseconds"), NumberOf(node, "series"),
                      NumberOf(node, "samples"), NumberOf(node, "points"), NumberOf(node, "bytes"),
                      std::string(static_cast<size_t>(depth) * 2, ' '), node.FindString("expr"),
                      HintsOf(node));
  const JsonValue* children = node.Find("children");
  if (children == nullptr || !children->is_array()) return;
  for (const JsonValue& child : children->AsArray()) PrintNode(child, depth + 1, out);
}

int Explain(const ExplainRequest& request, const Console& console) {
  static constexpr int64_t kTimeoutMs = 5 * 60'000;
  http::HttpClient client({.timeout_ms = kTimeoutMs, .response_bytes_max = size_t{64} << 20});
  std::string form = "query=" + http::PercentEncode(request.expr);
  for (const auto& [name, value] : request.parameters) {
    form += "&" + name + "=" + http::PercentEncode(value);
  }
  const auto answer =
      client.Post(request.server + "/api/v1/explain", "application/x-www-form-urlencoded", form);
  const auto fail = [&console](std::string_view why) {
    console.err(std::string(why) + "\n");
    return kExitRefused;
  };
  if (!answer) return fail(answer.error().message());
  const auto body = ParseJson(answer->body);
  if (!body) return fail(fmt::format("HTTP status {}: {}", answer->status, answer->body));
  if (body->FindString("status") != "success") return fail(body->FindString("error"));
  const JsonValue* data = body->Find("data");
  const JsonValue* plan = data == nullptr ? nullptr : data->Find("plan");
  if (plan == nullptr || !plan->is_array()) return fail("the server's answer has no plan");
  std::string out = fmt::format(
      "{} of {:.0f} series, {:.0f} points; {:.3f} ms of CPU, {:.0f} bytes\n",
      data->FindString("resultType"), NumberOf(*data, "series"), NumberOf(*data, "points"),
      NumberOf(*data, "cpuMilliseconds"), NumberOf(*data, "peakBytes"));
  out += fmt::format("{:>10} {:>9} {:>11} {:>11} {:>12}  {}\n", "ms", "series", "samples", "points",
                     "bytes", "expression");
  for (const JsonValue& node : plan->AsArray()) PrintNode(node, 0, &out);
  console.out(out);
  return 0;
}

}  // namespace

int RunPromql(std::span<const std::string> args, const Console& console) {
  const std::string command = args.empty() ? "" : args.front();
  // Also an expression, but never meant as one.
  if (!args.empty() && (args.back() == "--help" || args.back() == "-h")) {
    console.out(kUsage);
    return 0;
  }
  if (args.size() == 2 && command == "format") return Format(ExpressionOf(args[1]), console);
  if (args.size() == 2 && command == "parse") return Parse(ExpressionOf(args[1]), console);
  if (command == "explain") {
    if (const auto request = ParseExplain(args.subspan(1))) return Explain(*request, console);
  }
  console.err(kUsage);
  return kExitUsage;
}

}  // namespace tocsin::daemon
