#include "collector/exposition/scanner.h"

#include <algorithm>

#include "model/labels.h"

namespace tocsin::collector {

std::string Unescape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) {
      const char next = text[i + 1];
      if (next == '\\' || next == '"' || next == 'n') {
        out.push_back(next == 'n' ? '\n' : next);
        ++i;
        continue;
      }
    }
    out.push_back(text[i]);
  }
  return out;
}

namespace scanning {

bool Scanner::Quoted(bool newline_ends, RawText* out) {
  const char* const first = p + 1;
  out->escaped = false;
  for (const char* q = first; q != end; ++q) {
    if (*q == '"') {
      out->text = {first, static_cast<size_t>(q - first)};
      p = q + 1;
      return true;
    }
    if (*q == '\\') {
      out->escaped = true;
      if (++q == end) return false;
    } else if (newline_ends && *q == '\n') {
      return false;
    }
  }
  return false;
}

ItemKind Scanner::Unexpected(std::string_view what, const char* token, const char* token_end,
                             std::string_view kind) const {
  if (!last && token_end == end) return ItemKind::kIncomplete;
  // Long enough to recognise the place, short enough for a status page.
  constexpr ptrdiff_t kQuotedBytesMax = 256;
  const char* const stop = std::min(token_end + (token_end != end ? 1 : 0), end);
  const auto clip = [&](const char* from) {
    return model::QuoteString(
        std::string_view(from, static_cast<size_t>(std::min(stop - from, kQuotedBytesMax))));
  };
  return Fail(std::string(what) + ", got " + clip(token) + " (\"" + std::string(kind) +
              "\") while parsing: " + clip(begin));
}

ItemKind Scanner::Fail(std::string message) const {
  *error = std::move(message);
  return ItemKind::kInvalid;
}

ItemKind Scanner::FailWhileParsing(std::string message) const {
  constexpr size_t kQuotedBytesMax = 256;
  const std::string_view line(begin, static_cast<size_t>(p - begin));
  return Fail(std::move(message) +
              " while parsing: " + model::QuoteString(line.substr(0, kQuotedBytesMax)));
}

ItemKind ScanLabels(Scanner& s, const LabelRules& rules, RawText* metric, bool* has_metric,
                    std::vector<RawLabel>* labels) {
  const auto blanks = [&] {
    if (rules.blanks_between) s.SkipBlanks();
  };
  const auto incomplete = [&] { return s.AtEnd() && !s.last; };
  blanks();
  while (!s.At('}')) {
    const char* const token = s.p;
    RawLabel label;
    const bool quoted = s.At('"');
    if (incomplete()) return ItemKind::kIncomplete;
    if (quoted) {
      if (!s.Quoted(false, &label.name)) {
        return s.last ? s.Unexpected("expected label name", token, s.end, "INVALID")
                      : ItemKind::kIncomplete;
      }
    } else if (!s.AtEnd() && IsNameStart(*s.p)) {
      label.name.text = s.Name(false);
    } else {
      return s.Unexpected("expected label name", token, std::min(token + 1, s.end),
                          s.At(',') ? "COMMA" : "INVALID");
    }
    blanks();
    if (incomplete()) return ItemKind::kIncomplete;
    if (quoted && metric != nullptr && (s.At(',') || s.At('}'))) {
      if (*has_metric) return s.FailWhileParsing("metric name already set");
      *has_metric = true;
      *metric = label.name;
      if (s.At('}')) break;
      ++s.p;
      blanks();
      continue;
    }
    if (!s.At('=')) {
      return s.Unexpected("expected equal", s.p, std::min(s.p + 1, s.end),
                          s.At('}') ? "BCLOSE" : "INVALID");
    }
    ++s.p;
    blanks();
    if (incomplete()) return ItemKind::kIncomplete;
    const char* const value = s.p;
    if (!s.At('"')) {
      return s.Unexpected("expected label value", value, std::min(value + 1, s.end), "INVALID");
    }
    if (!s.Quoted(rules.newline_ends_value, &label.value)) {
      // Unfinished for want of bytes, unless a newline has ended it.
      const bool newline =
          rules.newline_ends_value && s.Rest().find('\n') != std::string_view::npos;
      if (!newline && !s.last) return ItemKind::kIncomplete;
      return s.Unexpected("expected label value", value, std::min(value + 1, s.end), "INVALID");
    }
    if (!model::IsValidUtf8(label.value.text)) {
      return s.Fail("invalid UTF-8 label value: " + model::QuoteString(label.value.text));
    }
    labels->push_back(label);
    blanks();
    if (incomplete()) return ItemKind::kIncomplete;
    if (s.At(',')) {
      ++s.p;
      blanks();
    } else if (!s.At('}') && !rules.comma_optional) {
      return s.Unexpected("expected comma or brace close", s.p, std::min(s.p + 1, s.end),
                          "INVALID");
    }
    if (incomplete()) return ItemKind::kIncomplete;
  }
  ++s.p;  // the closing brace
  return ItemKind::kSample;
}

}  // namespace scanning
}  // namespace tocsin::collector
