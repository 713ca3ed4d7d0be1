// Form parameters: `a=1&b=x+y` of a query string or an application/x-www-form-urlencoded body.
// Malformed pairs are left out and remembered in error(), as Go's url.ParseQuery does, because
// that is what clients of this API were tested against.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/http/message.h"

namespace tocsin::http {

// `%41` to bytes, and `+` to a space when `plus_is_space`. False at a malformed escape.
bool PercentDecode(std::string_view text, bool plus_is_space, std::string* decoded);
// Everything but letters, digits and -_.~ as %XX.
std::string PercentEncode(std::string_view text);

class FormParams {
 public:
  // More pairs than this are ignored and reported in error().
  static constexpr size_t kPairsMax = 10'000;

  // Appends the pairs of `encoded`, behind those already there.
  void Parse(std::string_view encoded);
  // Of a whole request: the body's pairs (when it is a form) come before the query string's.
  static FormParams FromRequest(const HttpRequest& request);

  std::string_view Get(std::string_view name) const;  // the first value; "" when absent
  bool Has(std::string_view name) const;
  std::vector<std::string_view> GetAll(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& pairs() const { return pairs_; }
  const std::string& error() const { return error_; }  // of the first malformed pair; "" if none

 private:
  std::vector<std::pair<std::string, std::string>> pairs_;
  std::string error_;
};

}  // namespace tocsin::http
