#include "collector/exposition/text.h"

#include <algorithm>
#include <charconv>

#include "collector/exposition/number.h"
#include "collector/exposition/scanner.h"
#include "model/labels.h"

namespace tocsin::collector {
namespace {

using scanning::IsBlank;
using scanning::IsNameStart;
using scanning::Scanner;

constexpr scanning::LabelRules kTextLabels = {
    .blanks_between = true, .comma_optional = true, .newline_ends_value = false};

// Up to and with the newline; the page's end counts as one.
ItemKind FinishLine(Scanner& s, ItemKind kind, Item* item) {
  if (!s.AtEnd()) ++s.p;
  item->length = static_cast<size_t>(s.p - s.begin);
  return kind;
}

bool ParseType(std::string_view text, model::MetricType* type) {
  using enum model::MetricType;
  struct Name {
    std::string_view name;
    model::MetricType type;
  };
  static constexpr Name kNames[] = {{"counter", kCounter},
                                    {"gauge", kGauge},
                                    {"histogram", kHistogram},
                                    {"summary", kSummary},
                                    {"untyped", kUnknown}};
  for (const Name& entry : kNames) {
    if (entry.name == text) {
      *type = entry.type;
      return true;
    }
  }
  return false;
}

// Behind "# HELP " or "# TYPE ".
ItemKind ReadMetadata(Scanner& s, ItemKind kind, Item* item) {
  const std::string_view keyword = kind == ItemKind::kHelp ? "HELP" : "TYPE";
  const char* const token = s.p;
  if (s.At('"')) {
    if (!s.Quoted(false, &item->metric)) {
      if (!s.last) return ItemKind::kIncomplete;
      return s.Unexpected("expected metric name after " + std::string(keyword), token, s.end,
                          "INVALID");
    }
  } else if (!s.AtEnd() && (IsNameStart(*s.p) || *s.p == ':')) {
    item->metric.text = s.Name(true);
  } else {
    return s.Unexpected("expected metric name after " + std::string(keyword), token,
                        std::min(token + 1, s.end), "INVALID");
  }
  const size_t newline = s.Rest().find('\n');
  if (newline == std::string_view::npos && !s.last) return ItemKind::kIncomplete;
  item->text = s.Rest().substr(0, newline);
  s.p += item->text.size();
  if (!item->text.empty()) item->text.remove_prefix(1);
  if (kind == ItemKind::kType && !ParseType(item->text, &item->type)) {
    return s.Fail("invalid metric type " + model::QuoteString(item->text));
  }
  if (kind == ItemKind::kHelp && !model::IsValidUtf8(item->text)) {
    return s.Fail("help text " + model::QuoteString(item->text) + " is not a valid utf8 string");
  }
  return FinishLine(s, kind, item);
}

// At '#'. Anything that is not HELP or TYPE is a comment.
ItemKind ReadComment(Scanner& s, Item* item) {
  ++s.p;
  if (!s.AtEnd() && IsBlank(*s.p)) {
    s.SkipBlanks();
    const std::string_view rest = s.Rest();
    for (const auto& [keyword, kind] :
         {std::pair(std::string_view("HELP"), ItemKind::kHelp), {"TYPE", ItemKind::kType}}) {
      if (rest.starts_with(keyword) && rest.size() > keyword.size() &&
          IsBlank(rest[keyword.size()])) {
        s.p += keyword.size();
        s.SkipBlanks();
        return ReadMetadata(s, kind, item);
      }
    }
  }
  const size_t newline = s.Rest().find('\n');
  if (newline == std::string_view::npos && !s.last) return ItemKind::kIncomplete;
  s.p = newline == std::string_view::npos ? s.end : s.p + newline;
  return FinishLine(s, ItemKind::kNothing, item);
}

ItemKind ReadTail(Scanner& s, SampleTail* tail) {
  const char* const value = s.p;
  if (s.AtEnd() || *s.p == '\n' || *s.p == '{') {
    return s.Unexpected("expected value after metric", value, std::min(value + 1, s.end),
                        "INVALID");
  }
  while (!s.AtEnd() && !IsBlank(*s.p) && *s.p != '\n' && *s.p != '{') ++s.p;
  if (s.AtEnd() && !s.last) return ItemKind::kIncomplete;
  std::string problem = ParseNumber({value, static_cast<size_t>(s.p - value)}, &tail->value);
  if (!problem.empty()) return s.FailWhileParsing(std::move(problem));
  s.SkipBlanks();
  tail->has_timestamp = false;
  tail->has_exemplar = false;
  if (s.AtEnd()) return s.last ? ItemKind::kSample : ItemKind::kIncomplete;
  if (*s.p == '\n') return ItemKind::kSample;
  const char* const stamp = s.p;
  while (!s.AtEnd() && number_internal::IsDigit(*s.p)) ++s.p;
  if (s.p == stamp) {
    return s.Unexpected("expected timestamp or new record", stamp, stamp + 1, "INVALID");
  }
  if (s.AtEnd() && !s.last) return ItemKind::kIncomplete;
  if (std::from_chars(stamp, s.p, tail->timestamp_ms).ec != std::errc()) {
    const std::string_view token(stamp, static_cast<size_t>(s.p - stamp));
    return s.FailWhileParsing("strconv.ParseInt: parsing " + model::QuoteString(token) +
                              ": value out of range");
  }
  tail->has_timestamp = true;
  s.SkipBlanks();
  if (s.AtEnd()) return s.last ? ItemKind::kSample : ItemKind::kIncomplete;
  if (*s.p != '\n') {
    return s.Unexpected("expected next entry after timestamp", s.p, s.p + 1, "INVALID");
  }
  return ItemKind::kSample;
}

}  // namespace

ItemKind ReadTextItem(std::string_view input, bool last, Item* item) {
  Scanner s{input.data(), input.data(), input.data() + input.size(), last, &item->error};
  item->labels.clear();
  item->metric = {};
  s.SkipBlanks();
  if (s.AtEnd()) {
    item->length = input.size();
    return last ? ItemKind::kNothing : ItemKind::kIncomplete;
  }
  if (*s.p == '\n') return FinishLine(s, ItemKind::kNothing, item);
  if (*s.p == '#') return ReadComment(s, item);
  bool has_metric = false;
  if (IsNameStart(*s.p) || *s.p == ':') {
    item->metric.text = s.Name(true);
    has_metric = true;
    s.SkipBlanks();
  } else if (*s.p != '{') {
    return s.Unexpected("expected a valid start token", s.p, s.p + 1, "INVALID");
  }
  if (s.At('{')) {
    ++s.p;
    const ItemKind kind =
        scanning::ScanLabels(s, kTextLabels, &item->metric, &has_metric, &item->labels);
    if (kind != ItemKind::kSample) return kind;
    s.SkipBlanks();
  }
  if (s.AtEnd() && !last) return ItemKind::kIncomplete;
  if (!has_metric) return s.FailWhileParsing("metric name not set");
  item->value_offset = static_cast<size_t>(s.p - s.begin);
  const ItemKind kind = ReadTail(s, &item->tail);
  return kind == ItemKind::kSample ? FinishLine(s, kind, item) : kind;
}

ItemKind ReadTextTail(std::string_view input, const char* line, bool last, SampleTail* tail,
                      size_t* length, std::string* error) {
  Scanner s{line, input.data(), input.data() + input.size(), last, error};
  const ItemKind kind = ReadTail(s, tail);
  if (kind == ItemKind::kSample) {
    if (!s.AtEnd()) ++s.p;
    *length = static_cast<size_t>(s.p - input.data());
  }
  return kind;
}

}  // namespace tocsin::collector
