// Secret: a password, token or key. It has no operator<< and no conversion: logs, configuration
// dumps and error texts can only show "<secret>". Reveal() is for the one place that needs the
// bytes.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace tocsin {

inline constexpr std::string_view kSecretMask = "<secret>";

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}

  const std::string& Reveal() const { return value_; }
  bool empty() const { return value_.empty(); }
  // What may be shown: "<secret>", or "" when there is none.
  std::string Show() const { return value_.empty() ? std::string() : std::string(kSecretMask); }

  friend bool operator==(const Secret&, const Secret&) = default;

 private:
  std::string value_;
};

}  // namespace tocsin
