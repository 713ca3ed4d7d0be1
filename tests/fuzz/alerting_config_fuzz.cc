// Rule files, Alertmanager configurations and matchers of any bytes. The first byte chooses which.
// Seeds: tests/alerting's tables and the shared corpus, which run as plain tests.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "alerting/config.h"
#include "alerting/route/matcher_text.h"
#include "alerting/rules/rule_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      (void)tocsin::alerting::ParseRuleFile("f", text, {});
      break;
    case 1:
      (void)tocsin::alerting::ParseNotifierConfig(text, "f");
      break;
    default: {
      const auto matchers = tocsin::alerting::ParseMatchers(text);
      if (!matchers) break;
      // What was read must read back as the same.
      const auto again = tocsin::alerting::ParseMatchers(tocsin::alerting::MatchersText(*matchers));
      if (!again || again->size() != matchers->size()) __builtin_trap();
    }
  }
  return 0;
}
