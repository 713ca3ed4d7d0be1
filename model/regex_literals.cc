#include "model/regex_literals.h"

#include <algorithm>
#include <cstdint>

namespace tocsin::model {
namespace {

// Reads a pattern without alternatives, flags and \Q…\E, piece by piece.
class Scanner {
 public:
  explicit Scanner(std::string_view pattern) : pattern_(pattern) {}

  RegexLiterals Scan() {
    while (at_ < pattern_.size()) Piece();
    EndRun(/*at_end=*/true);
    out_.is_glob = glob_;
    if (glob_) out_.gaps.push_back(gap_);
    return std::move(out_);
  }

 private:
  void Piece() {
    const char c = pattern_[at_];
    switch (c) {
      case '\\':
        Escape();
        return;
      case '.':
        Dot();
        return;
      case '[':
        SkipClass();
        Opaque();
        return;
      case '(':
        SkipGroup();
        Opaque();
        return;
      case '^':
      case '$':
        ++at_;
        Opaque();
        return;
      default:
        // A character of several bytes stays whole.
        do {
          run_ += pattern_[at_++];
        } while (at_ < pattern_.size() && (static_cast<uint8_t>(pattern_[at_]) & 0xc0) == 0x80);
        Quantifier();
    }
  }

  void Escape() {
    const char next = at_ + 1 < pattern_.size() ? pattern_[at_ + 1] : '\0';
    at_ = std::min(at_ + 2, pattern_.size());
    const bool punctuation = next > ' ' && next < 127 && next != '_' &&
                             !(next >= '0' && next <= '9') && !(next >= 'a' && next <= 'z') &&
                             !(next >= 'A' && next <= 'Z');
    if (punctuation) {
      run_ += next;
      Quantifier();
      return;
    }
    // A class, an assertion, or a code of more characters: what follows may belong to it.
    if (next == 'x' || next == 'p' || next == 'P' || (next >= '0' && next <= '9')) {
      given_up_ = true;
    }
    Opaque();
    if (given_up_) at_ = pattern_.size();
  }

  void Dot() {
    ++at_;
    const char q = at_ < pattern_.size() ? pattern_[at_] : '\0';
    const bool lazy = at_ + 1 < pattern_.size() && pattern_[at_ + 1] == '?';
    if (q != '*' && q != '+') {
      Opaque();
      return;
    }
    at_ += lazy ? 2 : 1;
    EndRun(false);
    // ".*.+" is one gap of at least one.
    gap_ = std::max(gap_, q == '+' ? 1 : 0);
    if (q == '+' && plus_in_gap_) glob_ = false;  // ".+.+" wants two
    plus_in_gap_ = plus_in_gap_ || q == '+';
  }

  // After a literal character: what a quantifier leaves of it.
  void Quantifier() {
    if (at_ >= pattern_.size()) return;
    const char q = pattern_[at_];
    if (q == '+') {
      Opaque();  // the character stays, what follows may be more of it
      return;
    }
    if (q != '*' && q != '?' && q != '{') return;
    do {
      const auto last = static_cast<uint8_t>(run_.back());
      run_.pop_back();
      if ((last & 0xc0) != 0x80) break;
    } while (!run_.empty());
    Opaque();
  }

  // Something that is no literal: with its quantifier it may be anything.
  void Opaque() {
    EndRun(false);
    glob_ = false;
    while (at_ < pattern_.size()) {
      const char q = pattern_[at_];
      if (q == '{') {
        const size_t end = pattern_.find('}', at_);
        at_ = end == std::string_view::npos ? pattern_.size() : end + 1;
      } else if (q == '*' || q == '+' || q == '?') {
        ++at_;
      } else {
        return;
      }
    }
  }

  void SkipClass() {
    ++at_;
    if (at_ < pattern_.size() && pattern_[at_] == '^') ++at_;
    if (at_ < pattern_.size() && pattern_[at_] == ']') ++at_;
    while (at_ < pattern_.size() && pattern_[at_] != ']') {
      if (pattern_.substr(at_).starts_with("[:")) {
        const size_t end = pattern_.find(":]", at_);
        at_ = end == std::string_view::npos ? pattern_.size() : end + 2;
        continue;
      }
      at_ += pattern_[at_] == '\\' ? 2 : 1;
    }
    at_ = std::min(at_ + 1, pattern_.size());
  }

  void SkipGroup() {
    int depth = 0;
    while (at_ < pattern_.size()) {
      const char c = pattern_[at_];
      if (c == '[') {
        SkipClass();
        continue;
      }
      if (c == '(') ++depth;
      if (c == ')' && --depth == 0) {
        ++at_;
        return;
      }
      at_ += c == '\\' ? 2 : 1;
    }
    at_ = std::min(at_, pattern_.size());
  }

  void EndRun(bool at_end) {
    if (!run_.empty()) {
      if (first_) out_.prefix = run_;
      if (at_end && !given_up_) out_.suffix = run_;
      if (run_.size() > out_.inside.size()) out_.inside = run_;
      out_.literals.push_back(std::move(run_));
      out_.gaps.push_back(gap_);
      gap_ = RegexLiterals::kNoGap;
      plus_in_gap_ = false;
      run_.clear();
    }
    first_ = false;
  }

  const std::string_view pattern_;
  RegexLiterals out_;
  size_t at_ = 0;
  std::string run_;
  int gap_ = RegexLiterals::kNoGap;
  bool plus_in_gap_ = false;
  bool first_ = true;
  bool glob_ = true;
  bool given_up_ = false;
};

}  // namespace

RegexLiterals RegexLiterals::Of(std::string_view pattern) {
  if (pattern.find('|') != std::string_view::npos || pattern.find("(?") != std::string_view::npos ||
      pattern.find("\\Q") != std::string_view::npos) {
    return {};
  }
  return Scanner(pattern).Scan();
}

bool RegexLiterals::GlobMatches(std::string_view text) const {
  // The leftmost place for each literal leaves the most room for the rest.
  for (size_t i = 0; i < literals.size(); ++i) {
    const std::string& literal = literals[i];
    if (gaps[i] == kNoGap) {
      if (!text.starts_with(literal)) return false;
      text.remove_prefix(literal.size());
      continue;
    }
    if (i + 1 == literals.size() && gaps.back() == kNoGap) {
      return text.size() >= literal.size() + static_cast<size_t>(gaps[i]) &&
             text.ends_with(literal);
    }
    const size_t found = text.find(literal, static_cast<size_t>(gaps[i]));
    if (found == std::string_view::npos) return false;
    text.remove_prefix(found + literal.size());
  }
  return gaps.back() == kNoGap ? text.empty() : text.size() >= static_cast<size_t>(gaps.back());
}

}  // namespace tocsin::model
