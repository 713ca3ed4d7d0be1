#include "alerting/notify/alert.h"

namespace tocsin::alerting {

uint64_t Fingerprint(const model::Labels& labels) {
  constexpr uint64_t kPrime = 1099511628211u;
  uint64_t hash = 14695981039346656037u;
  const auto add = [&hash](std::string_view text) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * kPrime;
    hash = (hash ^ 0xff) * kPrime;
  };
  for (const model::LabelView& label : labels) {
    add(label.name);
    add(label.value);
  }
  return hash;
}

std::string FingerprintHex(uint64_t fingerprint) {
  std::string hex(16, '0');
  for (size_t i = 16; i-- > 0; fingerprint >>= 4) hex[i] = "0123456789abcdef"[fingerprint & 15];
  return hex;
}

}  // namespace tocsin::alerting
