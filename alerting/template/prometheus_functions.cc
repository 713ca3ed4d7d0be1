// Prometheus' template functions: queries, the humanize family, strings, links.
#include <arpa/inet.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "alerting/template/function_tables.h"
#include "alerting/template/go_format.h"
#include "alerting/template/utf8.h"
#include "base/duration.h"
#include "base/number.h"
#include "base/regex.h"

namespace tocsin::alerting::tmpl {
namespace {

using Kind = Value::Kind;
using Args = std::span<const Value>;

std::unexpected<Status> Failure(std::string message) {
  return Error(Code::kExecution, std::move(message));
}

// ---- query results

Result<Value> Query(const FunctionContext& context, Args args) {
  if (!context.query) return Failure("queries are not available here");
  auto vector = context.query(args[0].AsString());
  if (!vector) return Failure(vector.error().message());
  return Value::OfVector(*vector);
}

Result<Value> First(const FunctionContext&, Args args) {
  if (args[0].AsList().empty()) return Failure("first() called on vector with no elements");
  return args[0].AsList().front();
}

Result<Value> Label(const FunctionContext&, Args args) {
  return args[1].Field("Labels")->MapEntry(args[0].AsString());
}

Result<Value> SampleValue(const FunctionContext&, Args args) { return *args[0].Field("Value"); }

Result<Value> StrValue(const FunctionContext&, Args args) {
  return args[0].Field("Labels")->MapEntry("__value__");
}

Result<Value> SortByLabel(const FunctionContext&, Args args) {
  List items = args[1].AsList();
  const std::string& by = args[0].AsString();
  std::stable_sort(items.begin(), items.end(), [&](const Value& a, const Value& b) {
    return a.Field("Labels")->MapEntry(by).AsString() < b.Field("Labels")->MapEntry(by).AsString();
  });
  return Value::OfList(std::move(items), kVectorType);
}

Result<Value> MakeArgs(const FunctionContext&, Args args) {
  Map entries;
  for (size_t i = 0; i < args.size(); ++i) entries.emplace("arg" + std::to_string(i), args[i]);
  Value made = Value::OfMap(std::move(entries), false);
  if (made.depth() > kMaxValueDepth || made.print_bytes() > kMaxTextBytes) {
    return Failure("arguments are too large");
  }
  return made;
}

// ---- numbers

Result<double> ToFloat(const Value& value) {
  switch (value.kind()) {
    case Kind::kFloat:
      return value.AsFloat();
    case Kind::kInt:
      return static_cast<double>(value.AsInt());
    case Kind::kDuration:
      return static_cast<double>(value.AsDuration().ns) / 1e9;
    case Kind::kString: {
      const auto number = ParseFloat(value.AsString());
      if (number) return *number;
      return Failure("strconv.ParseFloat: parsing " + GoQuote(value.AsString()) +
                     ": invalid syntax");
    }
    default:
      return Failure("can't convert " + value.TypeName() + " to float");
  }
}

std::string FourDigits(double number, std::string_view suffix) {
  const Value value(number);
  return GoSprintf("%.4g", {&value, 1}, 64) + std::string(suffix);
}

constexpr std::string_view kLargePrefixes = "kMGTPEZY";
constexpr std::string_view kSmallPrefixes = "munpfazy";

// Scales by thousands to [1, 1000), naming the step.
std::string WithSmallPrefix(double v, std::string_view suffix) {
  std::string prefix;
  for (const char p : kSmallPrefixes) {
    if (std::fabs(v) >= 1) break;
    prefix = p;
    v *= 1000;
  }
  return FourDigits(v, prefix + std::string(suffix));
}

Result<Value> Humanize(const FunctionContext&, Args args) {
  TOCSIN_ASSIGN_OR_RETURN(double v, ToFloat(args[0]));
  if (v == 0 || !std::isfinite(v)) return Value(FourDigits(v, ""));
  if (std::fabs(v) < 1) return Value(WithSmallPrefix(v, ""));
  std::string prefix;
  for (const char p : kLargePrefixes) {
    if (std::fabs(v) < 1000) break;
    prefix = p;
    v /= 1000;
  }
  return Value(FourDigits(v, prefix));
}

Result<Value> Humanize1024(const FunctionContext&, Args args) {
  TOCSIN_ASSIGN_OR_RETURN(double v, ToFloat(args[0]));
  if (std::fabs(v) <= 1 || !std::isfinite(v)) return Value(FourDigits(v, ""));
  std::string prefix;
  for (const char p : kLargePrefixes) {
    if (std::fabs(v) < 1024) break;
    prefix = std::string(1, p) + "i";
    v /= 1024;
  }
  return Value(FourDigits(v, prefix));
}

Result<Value> HumanizeDuration(const FunctionContext&, Args args) {
  TOCSIN_ASSIGN_OR_RETURN(double v, ToFloat(args[0]));
  if (!std::isfinite(v)) return Value(FourDigits(v, ""));
  if (v == 0) return Value(FourDigits(v, "s"));
  if (std::fabs(v) < 1) return Value(WithSmallPrefix(v, "s"));
  const std::string sign = v < 0 ? "-" : "";
  v = std::fabs(v);
  const int64_t total = v < 9e18 ? static_cast<int64_t>(v) : INT64_MIN;
  const int64_t seconds = total % 60;
  const int64_t minutes = total / 60 % 60;
  const int64_t hours = total / 3600 % 24;
  const int64_t days = total / 86400;
  const auto part = [](int64_t n, const char* unit) { return std::to_string(n) + unit; };
  std::string out = part(seconds, "s");
  if (days != 0) {
    out = part(days, "d ") + part(hours, "h ") + part(minutes, "m ") + out;
  } else if (hours != 0) {
    out = part(hours, "h ") + part(minutes, "m ") + out;
  } else if (minutes != 0) {
    out = part(minutes, "m ") + out;
  } else {
    out = FourDigits(v, "s");
  }
  return Value(sign + out);
}

Result<Value> HumanizePercentage(const FunctionContext&, Args args) {
  TOCSIN_ASSIGN_OR_RETURN(const double v, ToFloat(args[0]));
  return Value(FourDigits(v * 100, "%"));
}

Result<Time> ToTimeValue(double v) {
  const double ns = v * 1e9;
  // 2^63 as a double: what is at or beyond it does not fit.
  constexpr double kLimit = 9223372036854775808.0;
  if (!(ns < kLimit && ns >= -kLimit)) {
    return Failure(FormatFloatGo(v) +
                   " cannot be represented as a nanoseconds timestamp since it overflows int64");
  }
  // Millisecond precision, as Prometheus' own timestamps.
  return Time{static_cast<int64_t>(ns) / 1'000'000 * 1'000'000};
}

Result<Value> HumanizeTimestamp(const FunctionContext&, Args args) {
  TOCSIN_ASSIGN_OR_RETURN(const double v, ToFloat(args[0]));
  if (!std::isfinite(v)) return Value(FourDigits(v, ""));
  TOCSIN_ASSIGN_OR_RETURN(const Time time, ToTimeValue(v));
  return Value(Value(time).Print());
}

Result<Value> ToTime(const FunctionContext&, Args args) {
  TOCSIN_ASSIGN_OR_RETURN(const double v, ToFloat(args[0]));
  if (!std::isfinite(v)) return Failure("value is NaN or Inf");
  TOCSIN_ASSIGN_OR_RETURN(const Time time, ToTimeValue(v));
  return Value(time);
}

Result<Value> ToDuration(const FunctionContext&, Args args) {
  TOCSIN_ASSIGN_OR_RETURN(const double v, ToFloat(args[0]));
  const double ns = v * 1e9;
  if (!(std::fabs(ns) < 9.2e18)) return Failure("value does not fit a duration");
  return Value(Duration{static_cast<int64_t>(ns)});
}

Result<Value> Now(const FunctionContext& context, Args) {
  return Value(static_cast<double>(context.now_ms) / 1000);
}

Result<Value> ParseDurationText(const FunctionContext&, Args args) {
  auto duration_ms = ParseDuration(args[0].AsString());
  if (!duration_ms) return Failure(duration_ms.error().message());
  return Value(static_cast<double>(*duration_ms) / 1000);
}

// ---- strings

// ASCII letters and those of Latin-1, Greek and Cyrillic, whose cases lie a fixed distance apart.
char32_t MapCase(char32_t c, bool upper) {
  const auto within = [c](char32_t low, char32_t high) { return c >= low && c <= high; };
  if (upper) {
    if (within('a', 'z') || within(0xe0, 0xf6) || within(0xf8, 0xfe)) return c - 32;
    if ((within(0x3b1, 0x3c9) && c != 0x3c2) || within(0x430, 0x44f)) return c - 32;
    if (within(0x450, 0x45f)) return c - 80;
  } else {
    if (within('A', 'Z') || within(0xc0, 0xd6) || within(0xd8, 0xde)) return c + 32;
    if ((within(0x391, 0x3a9) && c != 0x3a2) || within(0x410, 0x42f)) return c + 32;
    if (within(0x400, 0x40f)) return c + 80;
  }
  return c;
}

template <typename Mapping>
std::string MapRunes(std::string_view text, Mapping mapping) {
  std::string out;
  while (!text.empty()) {
    const Rune rune = DecodeRune(text);
    out += EncodeRune(mapping(rune.value));
    text.remove_prefix(rune.size);
  }
  return out;
}

Result<Value> ToUpper(const FunctionContext&, Args args) {
  return Value(MapRunes(args[0].AsString(), [](char32_t c) { return MapCase(c, true); }));
}
Result<Value> ToLower(const FunctionContext&, Args args) {
  return Value(MapRunes(args[0].AsString(), [](char32_t c) { return MapCase(c, false); }));
}

bool SeparatesWords(char32_t c) {
  if (c < 0x80) {
    return !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
             c == '_');
  }
  return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
         c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

Result<Value> Title(const FunctionContext&, Args args) {
  char32_t previous = ' ';
  return Value(MapRunes(args[0].AsString(), [&previous](char32_t c) {
    const char32_t out = SeparatesWords(previous) ? MapCase(c, true) : c;
    previous = c;
    return out;
  }));
}

Result<Value> ReReplaceAll(const FunctionContext&, Args args) {
  auto regex = Regex::Compile(args[0].AsString(), Regex::Dot::kNotNewline);
  if (!regex)
    return Failure("regexp: Compile(`" + args[0].AsString() + "`): " + regex.error().message());
  std::string out = regex->ReplaceAll(args[2].AsString(), args[1].AsString());
  if (out.size() > kMaxTextBytes) {
    return Failure("text is longer than " + std::to_string(kMaxTextBytes) + " bytes");
  }
  return Value(std::move(out));
}

Result<Value> Match(const FunctionContext&, Args args) {
  auto regex = Regex::Compile(args[0].AsString(), Regex::Dot::kNotNewline);
  if (!regex) return Failure(regex.error().message());
  return Value(regex->PartialMatch(args[1].AsString()));
}

Result<Value> SafeHtml(const FunctionContext&, Args args) { return args[0]; }
Result<Value> UrlQueryEscape(const FunctionContext&, Args args) {
  return Value(QueryEscape(args[0].AsString()));
}

// "host:port", "[v6]:port"; false when the text is not of that form.
bool SplitHostPort(std::string_view text, std::string* host, std::string* port) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  std::string_view name = text.substr(0, colon);
  if (name.starts_with('[')) {
    if (!name.ends_with(']')) return false;
    name = name.substr(1, name.size() - 2);
  } else if (name.find(':') != std::string_view::npos) {
    return false;
  }
  if (name.find_first_of("[]") != std::string_view::npos) return false;
  *host = std::string(name);
  *port = std::string(text.substr(colon + 1));
  return true;
}

Result<Value> StripPort(const FunctionContext&, Args args) {
  std::string host, port;
  if (!SplitHostPort(args[0].AsString(), &host, &port)) return args[0];
  return Value(std::move(host));
}

bool IsIpAddress(const std::string& host) {
  unsigned char address[16];
  return inet_pton(AF_INET, host.c_str(), address) == 1 ||
         inet_pton(AF_INET6, host.c_str(), address) == 1;
}

Result<Value> StripDomain(const FunctionContext&, Args args) {
  std::string host, port;
  if (!SplitHostPort(args[0].AsString(), &host, &port)) host = args[0].AsString();
  if (IsIpAddress(host)) return args[0];
  host = host.substr(0, host.find('.'));
  return Value(port.empty() ? host : host + ":" + port);
}

// ---- links

Result<Value> TableLink(const FunctionContext&, Args args) {
  return Value("/graph?g0.expr=" + QueryEscape(args[0].AsString()) + "&g0.tab=1");
}
Result<Value> GraphLink(const FunctionContext&, Args args) {
  return Value("/graph?g0.expr=" + QueryEscape(args[0].AsString()) + "&g0.tab=0");
}
Result<Value> ExternalUrl(const FunctionContext& context, Args) {
  return Value(context.external_url);
}
Result<Value> PathPrefix(const FunctionContext& context, Args) {
  const size_t scheme = context.external_url.find("://");
  if (scheme == std::string::npos) return Value(context.external_url);
  const size_t path = context.external_url.find('/', scheme + 3);
  return Value(path == std::string::npos ? std::string() : context.external_url.substr(path));
}

}  // namespace

const std::vector<Function>& PrometheusFunctions() {
  constexpr Param any = Param::kAny;
  constexpr Param text = Param::kString;
  static const auto* const table = new std::vector<Function>{
      {"query", {text}, false, Query},
      {"first", {Param::kVector}, false, First},
      {"label", {text, Param::kSample}, false, Label},
      {"value", {Param::kSample}, false, SampleValue},
      {"strvalue", {Param::kSample}, false, StrValue},
      {"sortByLabel", {text, Param::kVector}, false, SortByLabel},
      {"args", {any}, true, MakeArgs},
      {"humanize", {any}, false, Humanize},
      {"humanize1024", {any}, false, Humanize1024},
      {"humanizeDuration", {any}, false, HumanizeDuration},
      {"humanizePercentage", {any}, false, HumanizePercentage},
      {"humanizeTimestamp", {any}, false, HumanizeTimestamp},
      {"toTime", {any}, false, ToTime},
      {"toDuration", {any}, false, ToDuration},
      {"now", {}, false, Now},
      {"parseDuration", {text}, false, ParseDurationText},
      {"toUpper", {text}, false, ToUpper},
      {"toLower", {text}, false, ToLower},
      {"title", {text}, false, Title},
      {"reReplaceAll", {text, text, text}, false, ReReplaceAll},
      {"match", {text, text}, false, Match},
      {"safeHtml", {text}, false, SafeHtml},
      {"urlQueryEscape", {text}, false, UrlQueryEscape},
      {"stripPort", {text}, false, StripPort},
      {"stripDomain", {text}, false, StripDomain},
      {"tableLink", {text}, false, TableLink},
      {"graphLink", {text}, false, GraphLink},
      {"externalURL", {}, false, ExternalUrl},
      {"pathPrefix", {}, false, PathPrefix},
  };
  return *table;
}

}  // namespace tocsin::alerting::tmpl
