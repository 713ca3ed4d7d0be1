#include "alerting/template/go_format.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <optional>

#include "alerting/template/go_time.h"
#include "alerting/template/utf8.h"
#include "base/number.h"

namespace tocsin::alerting::tmpl {
namespace {

using Kind = Value::Kind;

std::string NonFinite(double value) {
  if (std::isnan(value)) return "NaN";
  return value > 0 ? "+Inf" : "-Inf";
}

// One directive of a format string.
struct Directive {
  bool minus = false, plus = false, sharp = false, space = false, zero = false;
  std::optional<int> width;
  std::optional<int> precision;
  char32_t verb = 0;
};

class Formatter {
 public:
  Formatter(std::string_view format, std::span<const Value> values, size_t max_bytes)
      : format_(format), values_(values), max_bytes_(max_bytes) {}

  std::string Run() {
    while (pos_ < format_.size() && out_.size() <= max_bytes_) {
      const size_t percent = format_.find('%', pos_);
      out_.append(format_.substr(pos_, percent - pos_));
      if (percent == std::string_view::npos) break;
      pos_ = percent + 1;
      RunDirective();
    }
    AppendExtra();
    return std::move(out_);
  }

 private:
  void RunDirective() {
    Directive d;
    good_index_ = true;
    after_index_ = false;
    ReadFlags(&d);
    ReadArgumentIndex();
    ReadWidth(&d);
    ReadPrecision(&d);
    if (!after_index_) ReadArgumentIndex();
    if (pos_ >= format_.size()) {
      out_ += "%!(NOVERB)";
      return;
    }
    const Rune rune = DecodeRune(format_.substr(pos_));
    const std::string_view verb_text = format_.substr(pos_, rune.size);
    pos_ += rune.size;
    d.verb = rune.value;
    if (d.verb == '%') {
      out_ += '%';
    } else if (!good_index_) {
      out_ += "%!" + std::string(verb_text) + "(BADINDEX)";
    } else if (next_ >= values_.size()) {
      out_ += "%!" + std::string(verb_text) + "(MISSING)";
    } else {
      FormatValue(d, values_[next_++]);
    }
  }

  void ReadFlags(Directive* d) {
    for (; pos_ < format_.size(); ++pos_) {
      switch (format_[pos_]) {
        case '-':
          d->minus = true;
          d->zero = false;
          break;
        case '+':
          d->plus = true;
          break;
        case '#':
          d->sharp = true;
          break;
        case ' ':
          d->space = true;
          break;
        case '0':
          d->zero = true;
          break;
        default:
          return;
      }
    }
  }

  // "[3]" makes the third value the next one.
  void ReadArgumentIndex() {
    if (pos_ >= format_.size() || format_[pos_] != '[') return;
    reordered_ = true;
    const size_t close = format_.find(']', pos_);
    size_t number = 0;
    bool good = false;
    if (close != std::string_view::npos) {
      const char* first = format_.data() + pos_ + 1;
      const char* last = format_.data() + close;
      const auto [end, ec] = std::from_chars(first, last, number);
      good = ec == std::errc() && end == last && number >= 1 && number <= values_.size();
      pos_ = close + 1;
    } else {
      ++pos_;
    }
    if (good) {
      next_ = number - 1;
      after_index_ = true;
    } else {
      good_index_ = false;
    }
  }

  std::optional<int> StarArgument(const char* complaint) {
    after_index_ = false;
    if (next_ < values_.size() && values_[next_].kind() == Kind::kInt) {
      const int64_t number = values_[next_++].AsInt();
      if (number >= -kMaxWidth && number <= kMaxWidth) return static_cast<int>(number);
    } else if (next_ < values_.size()) {
      ++next_;
    }
    out_ += complaint;
    return std::nullopt;
  }

  std::optional<int> ReadNumber() {
    int number = 0;
    bool any = false;
    while (pos_ < format_.size() && format_[pos_] >= '0' && format_[pos_] <= '9') {
      number = number * 10 + (format_[pos_++] - '0');
      any = true;
      if (number > kMaxWidth) return std::nullopt;
    }
    return any ? std::optional<int>(number) : std::nullopt;
  }

  void ReadWidth(Directive* d) {
    if (pos_ < format_.size() && format_[pos_] == '*') {
      ++pos_;
      d->width = StarArgument("%!(BADWIDTH)");
      if (d->width && *d->width < 0) {
        d->width = -*d->width;
        d->minus = true;
        d->zero = false;
      }
      return;
    }
    d->width = ReadNumber();
    if (after_index_ && d->width) good_index_ = false;
  }

  void ReadPrecision(Directive* d) {
    if (pos_ >= format_.size() || format_[pos_] != '.') return;
    ++pos_;
    if (after_index_) good_index_ = false;
    ReadArgumentIndex();
    if (pos_ < format_.size() && format_[pos_] == '*') {
      ++pos_;
      d->precision = StarArgument("%!(BADPREC)");
      if (d->precision && *d->precision < 0) {
        d->precision.reset();
        out_ += "%!(BADPREC)";
      }
      return;
    }
    d->precision = ReadNumber().value_or(0);
  }

  void AppendExtra() {
    if (reordered_ || next_ >= values_.size() || out_.size() > max_bytes_) return;
    out_ += "%!(EXTRA ";
    for (size_t i = next_; i < values_.size(); ++i) {
      if (i > next_) out_ += ", ";
      out_ += values_[i].is_nil() ? "<nil>" : values_[i].TypeName() + "=" + values_[i].Print();
    }
    out_ += ")";
  }

  void FormatValue(const Directive& d, const Value& v) {
    if (d.verb == 'T') return Pad(d, v.TypeName());
    if (v.is_nil()) {
      if (d.verb == 'v') return Pad(d, "<nil>");
      return BadVerb(d, v);
    }
    switch (v.kind()) {
      case Kind::kBool:
        if (d.verb == 't' || d.verb == 'v') return Pad(d, v.AsBool() ? "true" : "false");
        return BadVerb(d, v);
      case Kind::kInt:
        return FormatInt(d, v);
      case Kind::kFloat:
        return FormatFloat(d, v);
      case Kind::kString:
        return FormatString(d, v, v.AsString());
      case Kind::kTime:
      case Kind::kDuration:
        return FormatString(d, v, v.Print());
      case Kind::kList:
      case Kind::kMap:
      case Kind::kStruct:
        return FormatComposite(d, v);
      case Kind::kNil:
        return;
    }
  }

  // The directive applies to each element, as in Go.
  void FormatComposite(const Directive& d, const Value& v) {
    if (d.verb == 'v' && d.sharp) return Pad(d, v.TypeName() + v.Print());
    const auto elements = [&](const auto& range, const auto& one, std::string_view open,
                              std::string_view close) {
      out_ += open;
      bool first = true;
      for (const auto& element : range) {
        if (!first) out_ += ' ';
        first = false;
        one(element);
      }
      out_ += close;
    };
    const auto named = [&](const auto& entry) {
      FormatValue(d, Value(std::string(entry.first)));
      out_ += ':';
      FormatValue(d, entry.second);
    };
    if (v.kind() == Kind::kList) {
      elements(v.AsList(), [&](const Value& item) { FormatValue(d, item); }, "[", "]");
    } else if (v.kind() == Kind::kMap) {
      elements(v.AsMap(), named, "map[", "]");
    } else {
      elements(
          v.AsStruct(),
          [&](const auto& field) {
            if (d.plus && d.verb == 'v') out_ += field.first + ":";
            FormatValue(d, field.second);
          },
          v.IsSample() ? "&{" : "{", "}");
    }
  }

  void FormatInt(const Directive& d, const Value& v) {
    const int64_t number = v.AsInt();
    const uint64_t magnitude =
        number < 0 ? 0 - static_cast<uint64_t>(number) : static_cast<uint64_t>(number);
    switch (d.verb) {
      case 'v':
      case 'd':
        return FormatDigits(d, number < 0, magnitude, 10, "");
      case 'b':
        return FormatDigits(d, number < 0, magnitude, 2, d.sharp ? "0b" : "");
      case 'o':
        return FormatDigits(d, number < 0, magnitude, 8, d.sharp ? "0" : "");
      case 'O':
        return FormatDigits(d, number < 0, magnitude, 8, "0o");
      case 'x':
        return FormatDigits(d, number < 0, magnitude, 16, d.sharp ? "0x" : "");
      case 'X':
        return FormatDigits(d, number < 0, magnitude, 16, d.sharp ? "0X" : "", true);
      case 'c':
        return Pad(d, EncodeRune(RuneOf(number)));
      case 'q':
        return Pad(d, QuoteRune(RuneOf(number)));
      case 'U':
        return FormatUnicode(d, number);
      default:
        return BadVerb(d, v);
    }
  }

  static char32_t RuneOf(int64_t number) {
    return number < 0 || number > 0x10ffff ? U'\ufffd' : static_cast<char32_t>(number);
  }

  void FormatUnicode(const Directive& d, int64_t number) {
    char text[32];
    std::snprintf(
        text, sizeof text, "U+%0*llX",
        std::max(d.precision.value_or(4), 4) > 16 ? 16 : std::max(d.precision.value_or(4), 4),
        static_cast<unsigned long long>(number));
    std::string out = text;
    if (d.sharp && number >= 0 && number <= 0x10ffff)
      out += " '" + EncodeRune(RuneOf(number)) + "'";
    Pad(d, out, false);
  }

  void FormatDigits(const Directive& d, bool negative, uint64_t magnitude, unsigned base,
                    std::string_view prefix, bool upper = false) {
    std::string digits;
    const char* const alphabet = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    for (uint64_t rest = magnitude; rest != 0; rest /= base)
      digits.insert(digits.begin(), alphabet[rest % base]);
    if (digits.empty() && !(d.precision && *d.precision == 0)) digits = "0";
    int least = d.precision.value_or(0);
    const bool sign = negative || d.plus || d.space;
    if (!d.precision && d.zero && d.width && !d.minus) least = *d.width - (sign ? 1 : 0);
    if (static_cast<int>(digits.size()) < least)
      digits.insert(0, static_cast<size_t>(least) - digits.size(), '0');
    std::string out = negative ? "-" : d.plus ? "+" : d.space ? " " : "";
    if (prefix == "0" && digits.starts_with('0')) prefix = "";
    out += prefix;
    out += digits;
    Directive padding = d;
    padding.zero = false;
    Pad(padding, out);
  }

  void FormatFloat(const Directive& d, const Value& v) {
    const double number = v.AsFloat();
    std::string text;
    if (!std::isfinite(number)) {
      if (d.verb > 127 || std::string_view("vgGeEfFxXb").find(static_cast<char>(d.verb)) ==
                              std::string_view::npos) {
        return BadVerb(d, v);
      }
      text = NonFinite(number);
    } else {
      switch (d.verb) {
        case 'v':
        case 'g':
        case 'G':
          text = d.precision ? CFormat('g', *d.precision, d.sharp, number) : FormatFloatGo(number);
          if (d.verb == 'G') {
            for (char& c : text) c = c == 'e' ? 'E' : c;
          }
          break;
        case 'e':
        case 'E':
          text = CFormat(static_cast<char>(d.verb), d.precision.value_or(6), d.sharp, number);
          break;
        case 'f':
        case 'F':
          text = CFormat('f', d.precision.value_or(6), d.sharp, number);
          break;
        default:
          return BadVerb(d, v);
      }
    }
    const bool has_sign = text[0] == '-' || text[0] == '+';
    std::string sign = has_sign ? text.substr(0, 1) : "+";
    if (has_sign) text.erase(0, 1);
    if (sign == "+" && !d.plus && !(std::isinf(number) && !d.space)) sign = d.space ? " " : "";
    if (d.plus && std::isnan(number)) sign = "+";
    if (d.zero && !d.minus && d.width && std::isfinite(number)) {
      const size_t width = static_cast<size_t>(*d.width);
      if (width > text.size() + sign.size()) text.insert(0, width - text.size() - sign.size(), '0');
    }
    Directive padding = d;
    padding.zero = false;
    Pad(padding, sign + text);
  }

  static std::string CFormat(char verb, int precision, bool sharp, double number) {
    const char format[] = {
        '%', sharp ? '#' : '.', sharp ? '.' : '*', sharp ? '*' : verb, sharp ? verb : '\0', '\0'};
    const int size = std::snprintf(nullptr, 0, format, precision, number);
    std::string out(static_cast<size_t>(size) + 1, '\0');
    std::snprintf(out.data(), out.size(), format, precision, number);
    out.pop_back();
    return out;
  }

  void FormatString(const Directive& d, const Value& v, std::string_view text) {
    switch (d.verb) {
      case 'v':
        return Pad(d, d.sharp ? GoQuote(text) : std::string(Truncated(d, text)));
      case 's':
        return Pad(d, std::string(Truncated(d, text)));
      case 'q': {
        const std::string_view cut = Truncated(d, text);
        if (d.sharp && cut.find('`') == std::string_view::npos &&
            cut.find('\n') == std::string_view::npos) {
          return Pad(d, "`" + std::string(cut) + "`");
        }
        return Pad(d, GoQuote(cut));
      }
      case 'x':
      case 'X':
        return Pad(d, Hex(d, text));
      default:
        return BadVerb(d, v);
    }
  }

  static std::string_view Truncated(const Directive& d, std::string_view text) {
    if (!d.precision) return text;
    size_t end = 0;
    for (int n = 0; n < *d.precision && end < text.size(); ++n)
      end += DecodeRune(text.substr(end)).size;
    return text.substr(0, end);
  }

  static std::string Hex(const Directive& d, std::string_view text) {
    const char* const alphabet = d.verb == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    const std::string prefix = d.sharp ? (d.verb == 'X' ? "0X" : "0x") : "";
    if (d.precision && static_cast<size_t>(*d.precision) < text.size()) {
      text = text.substr(0, static_cast<size_t>(*d.precision));
    }
    std::string out = text.empty() ? "" : prefix;
    for (size_t i = 0; i < text.size(); ++i) {
      if (d.space && i > 0) out += " " + prefix;
      out += alphabet[static_cast<unsigned char>(text[i]) >> 4];
      out += alphabet[static_cast<unsigned char>(text[i]) & 15];
    }
    return out;
  }

  void BadVerb(const Directive& d, const Value& v) {
    out_ += "%!" + EncodeRune(d.verb) + "(";
    out_ += v.is_nil() ? "<nil>" : v.TypeName() + "=" + v.Print();
    out_ += ")";
  }

  void Pad(const Directive& d, const std::string& text, bool may_zero = true) {
    const size_t have = CountRunes(text);
    const size_t want = d.width ? static_cast<size_t>(*d.width) : 0;
    if (want <= have || want > max_bytes_) {
      out_ += text;
      if (want > max_bytes_) out_.append(max_bytes_ + 1, ' ');
      return;
    }
    if (d.minus) {
      out_ += text + std::string(want - have, ' ');
    } else {
      out_ += std::string(want - have, d.zero && may_zero ? '0' : ' ') + text;
    }
  }

  static std::string QuoteRune(char32_t rune) {
    const std::string quoted = GoQuote(EncodeRune(rune));
    if (rune == '\'') return "'\\''";
    if (rune == '"') return "'\"'";
    return "'" + quoted.substr(1, quoted.size() - 2) + "'";
  }

  const std::string_view format_;
  const std::span<const Value> values_;
  const size_t max_bytes_;
  size_t pos_ = 0;
  size_t next_ = 0;
  bool reordered_ = false;
  bool good_index_ = true;
  bool after_index_ = false;
  std::string out_;
};

}  // namespace

std::string GoSprint(std::span<const Value> values) {
  std::string out;
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0 && values[i].kind() != Kind::kString && values[i - 1].kind() != Kind::kString)
      out += ' ';
    out += values[i].Print();
  }
  return out;
}

std::string GoSprintln(std::span<const Value> values) {
  std::string out;
  for (size_t i = 0; i < values.size(); ++i) out += (i > 0 ? " " : "") + values[i].Print();
  return out + "\n";
}

std::string GoSprintf(std::string_view format, std::span<const Value> values, size_t max_bytes) {
  return Formatter(format, values, max_bytes).Run();
}

std::string GoQuote(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const Rune rune = DecodeRune(text);
    const std::string_view bytes = text.substr(0, rune.size);
    text.remove_prefix(rune.size);
    char escape[16];
    if (!rune.valid) {
      std::snprintf(escape, sizeof escape, "\\x%02x", static_cast<unsigned char>(bytes[0]));
      out += escape;
    } else if (rune.value == '"' || rune.value == '\\') {
      out += '\\';
      out += bytes;
    } else if (rune.value >= 0x20 && rune.value != 0x7f && IsPrintable(rune.value)) {
      out += bytes;
    } else if (rune.value >= 7 && rune.value <= 13) {
      out += '\\';
      out += "abtnvfr"[rune.value - 7];
    } else {
      const char* const form = rune.value < 0x20 || rune.value == 0x7f ? "\\x%02x"
                               : rune.value < 0x10000                  ? "\\u%04x"
                                                                       : "\\U%08x";
      std::snprintf(escape, sizeof escape, form, static_cast<unsigned>(rune.value));
      out += escape;
    }
  }
  return out + "\"";
}

}  // namespace tocsin::alerting::tmpl
