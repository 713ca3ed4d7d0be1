#include "model/labels.h"

#include <xxhash.h>

#include <algorithm>
#include <cstdio>

#include "base/check.h"

namespace tocsin::model {
namespace {

void AppendLength(std::string& out, size_t n) {
  while (n >= 0x80) {
    out.push_back(static_cast<char>(n | 0x80));
    n >>= 7;
  }
  out.push_back(static_cast<char>(n));
}

// Reads a length and the bytes behind it; moves `p` past them.
std::string_view ReadString(const char*& p) {
  size_t n = 0;
  int shift = 0;
  uint8_t byte;
  do {
    byte = static_cast<uint8_t>(*p++);
    n |= static_cast<size_t>(byte & 0x7f) << shift;
    shift += 7;
  } while (byte & 0x80);
  std::string_view text(p, n);
  p += n;
  return text;
}

// As ReadString, for bytes that may be anything. False past `end`.
bool ReadStringChecked(const char*& p, const char* end, std::string_view* text) {
  size_t n = 0;
  for (int shift = 0; shift < 35; shift += 7) {
    if (p == end) return false;
    const auto byte = static_cast<uint8_t>(*p++);
    n |= static_cast<size_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) {
      if (n > static_cast<size_t>(end - p)) return false;
      *text = std::string_view(p, n);
      p += n;
      return true;
    }
  }
  return false;
}

void AppendPair(std::string& out, std::string_view name, std::string_view value) {
  AppendLength(out, name.size());
  out.append(name);
  AppendLength(out, value.size());
  out.append(value);
}

bool IsLegacyName(std::string_view name, bool colon) {
  if (name.empty()) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool alpha =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colon && c == ':');
    if (!alpha && !(i > 0 && c >= '0' && c <= '9')) return false;
  }
  return true;
}

// Decodes one UTF-8 rune at text[i]; its length in bytes, or 0 when the bytes are not valid there.
size_t DecodeRune(std::string_view text, size_t i, uint32_t* rune) {
  const auto at = [&](size_t k) { return static_cast<uint8_t>(text[k]); };
  const uint8_t c = at(i);
  if (c < 0x80) {
    *rune = c;
    return 1;
  }
  size_t length = 0;
  uint32_t value = 0;
  uint32_t least = 0;
  if ((c & 0xe0) == 0xc0) {
    length = 2, value = c & 0x1f, least = 0x80;
  } else if ((c & 0xf0) == 0xe0) {
    length = 3, value = c & 0x0f, least = 0x800;
  } else if ((c & 0xf8) == 0xf0) {
    length = 4, value = c & 0x07, least = 0x10000;
  } else {
    return 0;
  }
  if (i + length > text.size()) return 0;
  for (size_t k = 1; k < length; ++k) {
    if ((at(i + k) & 0xc0) != 0x80) return 0;
    value = (value << 6) | (at(i + k) & 0x3f);
  }
  if (value < least || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) return 0;
  *rune = value;
  return length;
}

}  // namespace

void Labels::Iterator::Read() {
  if (position_ == end_) return;
  const char* p = position_;
  current_.name = ReadString(p);
  current_.value = ReadString(p);
  next_ = p;
}

Labels Labels::FromPairs(
    std::initializer_list<std::pair<std::string_view, std::string_view>> pairs) {
  std::vector<LabelView> views;
  views.reserve(pairs.size());
  for (const auto& [name, value] : pairs) views.push_back({name, value});
  return FromViews(std::move(views));
}

Labels Labels::FromPairs(std::vector<std::pair<std::string, std::string>> pairs) {
  std::vector<LabelView> views;
  views.reserve(pairs.size());
  for (const auto& [name, value] : pairs) views.push_back({name, value});
  return FromViews(std::move(views));
}

Labels Labels::FromViews(std::vector<LabelView> labels) {
  std::stable_sort(labels.begin(), labels.end(),
                   [](const LabelView& a, const LabelView& b) { return a.name < b.name; });
  size_t kept = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (i + 1 < labels.size() && labels[i + 1].name == labels[i].name) continue;
    if (labels[i].value.empty()) continue;
    labels[kept++] = labels[i];
  }
  return FromSorted(labels.data(), kept);
}

Labels Labels::FromSorted(const LabelView* labels, size_t count) {
  Labels result;
  size_t bytes = 0;
  for (size_t i = 0; i < count; ++i) bytes += labels[i].name.size() + labels[i].value.size() + 2;
  result.packed_.reserve(bytes);
  for (size_t i = 0; i < count; ++i) {
    DCHECK(i == 0 || labels[i - 1].name < labels[i].name);
    AppendPair(result.packed_, labels[i].name, labels[i].value);
  }
  return result;
}

Labels Labels::FromPacked(std::string packed) {
  DCHECK(ValidatePacked(packed));
  Labels result;
  result.packed_ = std::move(packed);
  return result;
}

bool Labels::ValidatePacked(std::string_view packed) {
  const char* p = packed.data();
  const char* const end = p + packed.size();
  std::string_view previous;
  bool first = true;
  while (p != end) {
    std::string_view name, value;
    if (!ReadStringChecked(p, end, &name) || !ReadStringChecked(p, end, &value)) return false;
    if (value.empty() || (!first && name <= previous)) return false;
    previous = name;
    first = false;
  }
  return true;
}

size_t Labels::size() const {
  size_t n = 0;
  for (auto it = begin(); it != end(); ++it) ++n;
  return n;
}

std::string_view Labels::Get(std::string_view name) const {
  for (const LabelView& label : *this) {
    if (label.name == name) return label.value;
    if (label.name > name) break;
  }
  return {};
}

bool Labels::Has(std::string_view name) const { return !Get(name).empty(); }

uint64_t Labels::Hash() const { return XXH3_64bits(packed_.data(), packed_.size()); }

std::string Labels::ToString() const {
  const std::string_view metric = MetricName();
  const bool plain_metric = IsLegacyMetricName(metric);
  std::string body;
  if (!metric.empty() && !plain_metric) body += QuoteString(metric);
  for (const LabelView& label : *this) {
    if (label.name == kMetricName) continue;
    if (!body.empty()) body += ", ";
    body += IsLegacyLabelName(label.name) ? std::string(label.name) : QuoteString(label.name);
    body += '=';
    body += QuoteString(label.value);
  }
  std::string text;
  if (plain_metric) text = metric;
  if (!body.empty() || !plain_metric) text += '{' + body + '}';
  return text;
}

std::string Labels::ToBracedString() const {
  std::string text = "{";
  for (const LabelView& label : *this) {
    if (text.size() > 1) text += ", ";
    text += IsLegacyLabelName(label.name) ? std::string(label.name) : QuoteString(label.name);
    text += '=';
    text += QuoteString(label.value);
  }
  text += '}';
  return text;
}

int Labels::Compare(const Labels& a, const Labels& b) {
  auto x = a.begin();
  auto y = b.begin();
  for (; x != a.end() && y != b.end(); ++x, ++y) {
    if (const int c = x->name.compare(y->name); c != 0) return c;
    if (const int c = x->value.compare(y->value); c != 0) return c;
  }
  if (x == a.end()) return y == b.end() ? 0 : -1;
  return 1;
}

LabelsBuilder::LabelsBuilder(const Labels& base) {
  for (const LabelView& label : base) pairs_.emplace_back(label.name, label.value);
}

LabelsBuilder& LabelsBuilder::Set(std::string_view name, std::string_view value) {
  if (value.empty()) return Del(name);
  auto it = std::lower_bound(pairs_.begin(), pairs_.end(), name,
                             [](const auto& pair, std::string_view n) { return pair.first < n; });
  if (it != pairs_.end() && it->first == name) {
    it->second = value;
  } else {
    pairs_.emplace(it, name, value);
  }
  return *this;
}

LabelsBuilder& LabelsBuilder::Del(std::string_view name) {
  std::erase_if(pairs_, [&](const auto& pair) { return pair.first == name; });
  return *this;
}

LabelsBuilder& LabelsBuilder::Keep(const std::vector<std::string>& names) {
  std::erase_if(pairs_, [&](const auto& pair) {
    return std::find(names.begin(), names.end(), pair.first) == names.end();
  });
  return *this;
}

std::string_view LabelsBuilder::Get(std::string_view name) const {
  for (const auto& [n, value] : pairs_) {
    if (n == name) return value;
  }
  return {};
}

Labels LabelsBuilder::Build() const {
  std::vector<LabelView> views;
  views.reserve(pairs_.size());
  for (const auto& [name, value] : pairs_) views.push_back({name, value});
  return Labels::FromSorted(views.data(), views.size());
}

bool IsLegacyLabelName(std::string_view name) { return IsLegacyName(name, false); }
bool IsLegacyMetricName(std::string_view name) { return IsLegacyName(name, true); }

bool IsValidUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    uint32_t rune;
    const size_t length = DecodeRune(text, i, &rune);
    if (length == 0) return false;
    i += length;
  }
  return true;
}

std::string QuoteString(std::string_view text) {
  std::string out = "\"";
  char buffer[16];
  for (size_t i = 0; i < text.size();) {
    uint32_t rune;
    const size_t length = DecodeRune(text, i, &rune);
    if (length == 0) {
      std::snprintf(buffer, sizeof buffer, "\\x%02x", static_cast<uint8_t>(text[i]));
      out += buffer;
      ++i;
      continue;
    }
    switch (rune) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\a':
        out += "\\a";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\v':
        out += "\\v";
        break;
      default:
        if (rune < 0x20 || rune == 0x7f) {
          std::snprintf(buffer, sizeof buffer, "\\x%02x", rune);
          out += buffer;
        } else if ((rune >= 0x80 && rune < 0xa0) || rune == 0xad || rune == 0x2028 ||
                   rune == 0x2029 || rune == 0xfeff) {
          std::snprintf(buffer, sizeof buffer, "\\u%04x", rune);
          out += buffer;
        } else {
          out.append(text.substr(i, length));
        }
    }
    i += length;
  }
  out += '"';
  return out;
}

}  // namespace tocsin::model
