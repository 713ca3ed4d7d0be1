// Parameters of API requests, of any bytes: times, durations, limits, selectors, escaped label
// names.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "api/parameters.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tocsin;  // NOLINT(google-build-using-namespace)
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)api::ParseTimeText(text);
  (void)api::ParseDurationText(text);
  (void)api::UnescapeLabelName(text);
  http::FormParams params;
  params.Parse(text);
  (void)api::LimitParameter(params);
  (void)api::RangeParameters(params);
  (void)api::MatchParameters(params);
  if (api::TimeParameter(params, "time", 7).value_or(7) != 7 && text.size() < 6) __builtin_trap();
  return 0;
}
