// The bytes of a native histogram in a frame: the whole value, canonical, so that equal histograms
// have equal bytes (doubles by their bits). Layout: docs/format/frame.md.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "model/histogram.h"

namespace tocsin::tsdb {

void EncodeHistogram(const model::Histogram& histogram, std::string* out);
// kCorruption for bytes that EncodeHistogram did not write. Sizes are bounded by the input's.
Status DecodeHistogram(std::string_view bytes, model::Histogram* histogram);

}  // namespace tocsin::tsdb
