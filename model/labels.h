// Labels: the identity of a series, a sorted list of name/value pairs without empty values or
// repeated names.
//
// Held packed in one string (varint length + bytes, name then value, in order of name), so that a
// label set is one allocation, equality is one comparison of bytes and hashing one pass. Immutable;
// LabelsBuilder makes changed ones.
//
//   Labels up = Labels::FromPairs({{"__name__", "up"}, {"job", "node"}});
//   up.Get("job");                                  // "node"; "" when absent
//   for (LabelView l : up) …                        // views live as long as `up` is neither moved
//   nor destroyed
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tocsin::model {

inline constexpr std::string_view kMetricName = "__name__";
inline constexpr std::string_view kJobLabel = "job";
inline constexpr std::string_view kInstanceLabel = "instance";
inline constexpr std::string_view kBucketLabel = "le";
inline constexpr std::string_view kQuantileLabel = "quantile";

struct LabelView {
  std::string_view name;
  std::string_view value;
  friend bool operator==(const LabelView&, const LabelView&) = default;
};

class Labels {
 public:
  class Iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = LabelView;
    using difference_type = std::ptrdiff_t;
    using pointer = const LabelView*;
    using reference = const LabelView&;

    Iterator() = default;
    reference operator*() const { return current_; }
    pointer operator->() const { return &current_; }
    Iterator& operator++() {
      position_ = next_;
      Read();
      return *this;
    }
    Iterator operator++(int) {
      Iterator old = *this;
      ++*this;
      return old;
    }
    bool operator==(const Iterator& other) const { return position_ == other.position_; }

   private:
    friend class Labels;
    Iterator(const char* position, const char* end) : position_(position), end_(end) { Read(); }
    void Read();

    const char* position_ = nullptr;
    const char* next_ = nullptr;
    const char* end_ = nullptr;
    LabelView current_;
  };

  Labels() = default;

  // Sorts; drops pairs with an empty value; of equal names the last wins.
  static Labels FromPairs(
      std::initializer_list<std::pair<std::string_view, std::string_view>> pairs);
  static Labels FromPairs(std::vector<std::pair<std::string, std::string>> pairs);
  static Labels FromViews(std::vector<LabelView> labels);
  // Precondition: strictly ascending names, no empty values.
  static Labels FromSorted(const LabelView* labels, size_t count);
  // The packed form as `packed()` gave it. Untrusted bytes go through ValidatePacked first.
  static Labels FromPacked(std::string packed);
  static bool ValidatePacked(std::string_view packed);

  bool empty() const { return packed_.empty(); }
  size_t size() const;  // O(size)
  Iterator begin() const { return Iterator(packed_.data(), packed_.data() + packed_.size()); }
  Iterator end() const {
    return Iterator(packed_.data() + packed_.size(), packed_.data() + packed_.size());
  }

  std::string_view Get(std::string_view name) const;  // "" when absent
  bool Has(std::string_view name) const;
  std::string_view MetricName() const { return Get(kMetricName); }

  const std::string& packed() const { return packed_; }
  uint64_t Hash() const;
  // {a="1", b="2"} with the metric name in front when there is one: up{job="node"}. Values are
  // escaped as in PromQL; names that are not legacy-valid are quoted: {"my.metric",
  // "my.label"="v"}.
  std::string ToString() const;
  // The same with every label inside the braces, as the reference's messages name series:
  // {__name__="up", job="node"}.
  std::string ToBracedString() const;

  friend bool operator==(const Labels&, const Labels&) = default;
  // Label by label: name, then value; a set that is a prefix of another sorts first.
  static int Compare(const Labels& a, const Labels& b);
  friend bool operator<(const Labels& a, const Labels& b) { return Compare(a, b) < 0; }

 private:
  std::string packed_;
};

// A label set being changed. Setting an empty value deletes.
class LabelsBuilder {
 public:
  LabelsBuilder() = default;
  explicit LabelsBuilder(const Labels& base);

  LabelsBuilder& Set(std::string_view name, std::string_view value);
  LabelsBuilder& Del(std::string_view name);
  // Keeps only the named labels / all but the named ones.
  LabelsBuilder& Keep(const std::vector<std::string>& names);
  std::string_view Get(std::string_view name) const;  // "" when absent
  const std::vector<std::pair<std::string, std::string>>& pairs() const { return pairs_; }
  Labels Build() const;

 private:
  std::vector<std::pair<std::string, std::string>> pairs_;  // sorted by name
};

// [a-zA-Z_][a-zA-Z0-9_]*
bool IsLegacyLabelName(std::string_view name);
// [a-zA-Z_:][a-zA-Z0-9_:]*
bool IsLegacyMetricName(std::string_view name);
bool IsValidUtf8(std::string_view text);
// "text" with Go escapes: \" \\ \n \t \r, \x.. and \u.... for what does not print.
std::string QuoteString(std::string_view text);

struct LabelsHash {
  size_t operator()(const Labels& labels) const { return static_cast<size_t>(labels.Hash()); }
};

}  // namespace tocsin::model
