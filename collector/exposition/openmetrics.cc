#include "collector/exposition/openmetrics.h"

#include <algorithm>
#include <cmath>

#include "collector/exposition/number.h"
#include "collector/exposition/scanner.h"
#include "model/labels.h"

namespace tocsin::collector {
namespace {

using scanning::IsNameStart;
using scanning::Scanner;

constexpr scanning::LabelRules kOpenMetricsLabels = {
    .blanks_between = false, .comma_optional = false, .newline_ends_value = true};
constexpr const char* kNoEof = "data does not end with # EOF";

bool ParseType(std::string_view text, model::MetricType* type) {
  using enum model::MetricType;
  for (const model::MetricType candidate :
       {kCounter, kGauge, kHistogram, kGaugeHistogram, kSummary, kInfo, kStateset, kUnknown}) {
    if (model::MetricTypeName(candidate) == text) {
      *type = candidate;
      return true;
    }
  }
  return false;
}

bool IsUnitOf(std::string_view metric, std::string_view unit) {
  return metric.ends_with(unit) && metric.size() > unit.size() &&
         metric[metric.size() - unit.size() - 1] == '_';
}

// Behind "# HELP ", "# TYPE " or "# UNIT ".
ItemKind ReadMetadata(Scanner& s, std::string_view keyword, ItemKind kind, Item* item) {
  const char* const token = s.p;
  const std::string expected = "expected metric name after " + std::string(keyword);
  if (s.At('"')) {
    if (!s.Quoted(false, &item->metric)) {
      return s.last ? s.Unexpected(expected, token, s.end, "INVALID") : ItemKind::kIncomplete;
    }
  } else if (!s.AtEnd() && (IsNameStart(*s.p) || *s.p == ':')) {
    item->metric.text = s.Name(true);
  } else {
    return s.Unexpected(expected, token, std::min(token + 1, s.end), "INVALID");
  }
  if (s.AtEnd() && !s.last) return ItemKind::kIncomplete;
  const size_t newline = s.Rest().find('\n');
  if (!s.At(' ') || newline == std::string_view::npos) {
    if (s.At(' ') && !s.last) return ItemKind::kIncomplete;
    return s.Fail("expected text in " + std::string(keyword));
  }
  item->text = s.Rest().substr(1, newline - 1);
  s.p += newline + 1;
  item->length = static_cast<size_t>(s.p - s.begin);
  if (kind == ItemKind::kType && !ParseType(item->text, &item->type)) {
    return s.Fail("invalid metric type " + model::QuoteString(item->text));
  }
  if (kind == ItemKind::kHelp && !model::IsValidUtf8(item->text)) {
    return s.Fail("help text " + model::QuoteString(item->text) + " is not a valid utf8 string");
  }
  if (kind == ItemKind::kUnit && !item->text.empty() && !IsUnitOf(item->metric.text, item->text)) {
    return s.Fail("unit " + model::QuoteString(item->text) + " not a suffix of metric " +
                  model::QuoteString(item->metric.text));
  }
  return kind;
}

// At '#': HELP, TYPE, UNIT or EOF; there are no comments.
ItemKind ReadComment(Scanner& s, Item* item) {
  struct Keyword {
    std::string_view name;
    ItemKind kind;
  };
  static constexpr Keyword kKeywords[] = {
      {"HELP", ItemKind::kHelp}, {"TYPE", ItemKind::kType}, {"UNIT", ItemKind::kUnit}};
  const std::string_view rest = s.Rest();
  for (const Keyword& keyword : kKeywords) {
    if (rest.substr(0, 2) == "# " && rest.substr(2, 5) == std::string(keyword.name) + " ") {
      s.p += 7;
      return ReadMetadata(s, keyword.name, keyword.kind, item);
    }
  }
  if (rest.starts_with("# EOF")) {
    item->length = rest.substr(5).starts_with('\n') ? 6 : 5;
    if (item->length == 5 && rest.size() == 5 && !s.last) return ItemKind::kIncomplete;
    return ItemKind::kEnd;
  }
  // Short of bytes, the line may still become one of the above.
  if (!s.last && rest.find('\n') == std::string_view::npos && rest.size() < 7) {
    return ItemKind::kIncomplete;
  }
  const size_t wrong = std::min<size_t>(rest.starts_with("# ") ? 2 : 1, rest.size());
  return s.Unexpected("expected a valid start token", s.p, s.p + wrong, "INVALID");
}

// The token behind one space: [^ \n]+. False when there is none.
bool ReadToken(Scanner& s, std::string_view* token) {
  if (!s.At(' ')) return false;
  const char* const first = s.p + 1;
  const char* q = first;
  while (q != s.end && *q != ' ' && *q != '\n') ++q;
  if (q == first) return false;
  *token = {first, static_cast<size_t>(q - first)};
  s.p = q;
  return true;
}

ItemKind ReadSeconds(Scanner& s, std::string_view token, const char* what,
                     model::Timestamp* timestamp_ms) {
  double seconds = 0;
  std::string problem = ParseNumber(token, &seconds);
  if (!problem.empty()) return s.FailWhileParsing(std::move(problem));
  if (std::isnan(seconds)) return s.Fail(std::string("invalid ") + what + " NaN");
  if (std::isinf(seconds)) {
    return s.Fail(std::string("invalid ") + what + (seconds > 0 ? " +Inf" : " -Inf"));
  }
  // Beyond what milliseconds in 64 bits can hold: as far away as can be, storage refuses it.
  constexpr double kSecondsMax = 9.2e15;
  if (std::fabs(seconds) > kSecondsMax) {
    *timestamp_ms = seconds > 0 ? model::kMaxTimestamp : model::kMinTimestamp;
    return ItemKind::kSample;
  }
  *timestamp_ms = static_cast<model::Timestamp>(seconds * 1000);
  return ItemKind::kSample;
}

bool OutOfBytes(const Scanner& s) { return s.AtEnd() && !s.last; }

// Behind " # {".
ItemKind ReadExemplar(Scanner& s, SampleTail* tail) {
  tail->exemplar_labels.clear();
  ItemKind kind =
      scanning::ScanLabels(s, kOpenMetricsLabels, nullptr, nullptr, &tail->exemplar_labels);
  if (kind != ItemKind::kSample) return kind;
  std::string_view token;
  const char* const value = s.p;
  if (!ReadToken(s, &token)) {
    return s.Unexpected("expected value after exemplar labels", value, std::min(value + 1, s.end),
                        "INVALID");
  }
  if (OutOfBytes(s)) return ItemKind::kIncomplete;
  std::string problem = ParseNumber(token, &tail->exemplar_value);
  if (!problem.empty()) return s.FailWhileParsing(std::move(problem));
  tail->has_exemplar = true;
  tail->exemplar_has_timestamp = false;
  if (s.At('\n')) return ItemKind::kSample;
  if (s.AtEnd()) return s.Fail(kNoEof);
  const char* const stamp = s.p;
  if (!ReadToken(s, &token)) {
    return s.Unexpected("expected timestamp or comment", stamp, std::min(stamp + 1, s.end),
                        "INVALID");
  }
  if (OutOfBytes(s)) return ItemKind::kIncomplete;
  kind = ReadSeconds(s, token, "exemplar timestamp", &tail->exemplar_timestamp_ms);
  if (kind != ItemKind::kSample) return kind;
  tail->exemplar_has_timestamp = true;
  if (!s.At('\n')) {
    return s.Unexpected("expected next entry after exemplar timestamp", s.p,
                        std::min(s.p + 1, s.end), "INVALID");
  }
  return ItemKind::kSample;
}

// At the space in front of the value.
ItemKind ReadTail(Scanner& s, SampleTail* tail) {
  tail->has_timestamp = false;
  tail->has_exemplar = false;
  std::string_view token;
  const char* const value = s.p;
  if (!ReadToken(s, &token)) {
    return s.Unexpected("expected value after metric", value, std::min(value + 1, s.end),
                        "INVALID");
  }
  if (OutOfBytes(s)) return ItemKind::kIncomplete;
  std::string problem = ParseNumber(token, &tail->value);
  if (!problem.empty()) return s.FailWhileParsing(std::move(problem));

  const auto at_exemplar = [&] { return s.Rest().starts_with(" # {"); };
  const auto maybe_exemplar = [&] {
    return !s.last && s.Rest().size() < 4 && std::string_view(" # {").starts_with(s.Rest());
  };
  if (maybe_exemplar()) return ItemKind::kIncomplete;
  if (s.At(' ') && !at_exemplar()) {
    const char* const stamp = s.p;
    if (!ReadToken(s, &token)) {
      return s.Unexpected("expected next entry after timestamp", stamp, std::min(stamp + 1, s.end),
                          "INVALID");
    }
    if (OutOfBytes(s)) return ItemKind::kIncomplete;
    const ItemKind kind = ReadSeconds(s, token, "timestamp", &tail->timestamp_ms);
    if (kind != ItemKind::kSample) return kind;
    tail->has_timestamp = true;
    if (maybe_exemplar()) return ItemKind::kIncomplete;
  }
  if (at_exemplar()) {
    s.p += 4;
    return ReadExemplar(s, tail);
  }
  if (s.AtEnd()) return s.Fail(kNoEof);
  if (!s.At('\n')) {
    return s.Unexpected("expected next entry after timestamp", s.p, std::min(s.p + 1, s.end),
                        "INVALID");
  }
  return ItemKind::kSample;
}

}  // namespace

ItemKind ReadOpenMetricsItem(std::string_view input, bool last, Item* item) {
  Scanner s{input.data(), input.data(), input.data() + input.size(), last, &item->error};
  item->labels.clear();
  item->metric = {};
  if (s.AtEnd()) return last ? s.Fail(kNoEof) : ItemKind::kIncomplete;
  if (*s.p == '#') return ReadComment(s, item);
  bool has_metric = false;
  if (IsNameStart(*s.p) || *s.p == ':') {
    item->metric.text = s.Name(true);
    has_metric = true;
  } else if (*s.p != '{') {
    return s.Unexpected("expected a valid start token", s.p, s.p + 1, "INVALID");
  }
  if (s.At('{')) {
    ++s.p;
    const ItemKind kind =
        scanning::ScanLabels(s, kOpenMetricsLabels, &item->metric, &has_metric, &item->labels);
    if (kind != ItemKind::kSample) return kind;
  }
  if (OutOfBytes(s)) return ItemKind::kIncomplete;
  if (!has_metric) return s.FailWhileParsing("metric name not set");
  item->value_offset = static_cast<size_t>(s.p - s.begin) + 1;
  const ItemKind kind = ReadTail(s, &item->tail);
  if (kind == ItemKind::kSample) item->length = static_cast<size_t>(s.p + 1 - s.begin);
  return kind;
}

ItemKind ReadOpenMetricsTail(std::string_view input, const char* line, bool last, SampleTail* tail,
                             size_t* length, std::string* error) {
  // The space in front of the value was matched with the line; the scanner wants to see it.
  Scanner s{line, input.data() - 1, input.data() + input.size(), last, error};
  const ItemKind kind = ReadTail(s, tail);
  if (kind == ItemKind::kSample) *length = static_cast<size_t>(s.p + 1 - input.data());
  return kind;
}

}  // namespace tocsin::collector
