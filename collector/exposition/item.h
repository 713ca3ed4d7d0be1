// Item: one line of an exposition page, as the parsers of the text formats (text.h, openmetrics.h)
// see it. They read one item at a time from a buffer that may end anywhere, so that pages are
// parsed while they arrive; names and label values stay views into that buffer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/metadata.h"
#include "model/sample.h"

namespace tocsin::collector {

enum class ItemKind : uint8_t {
  kSample,
  kHelp,
  kType,
  kUnit,
  kNothing,     // a blank line or a comment
  kEnd,         // "# EOF"; nothing may follow
  kIncomplete,  // the buffer ends inside the item: call again with more bytes
  kInvalid,     // Item::error says why, in Prometheus' words
};

// As written between its quotes; `escaped` = holds backslashes (see Unescape).
struct RawText {
  std::string_view text;
  bool escaped = false;
};

struct RawLabel {
  RawText name;
  RawText value;
};

// What follows a sample's labels.
struct SampleTail {
  double value = 0;
  bool has_timestamp = false;
  bool has_exemplar = false;
  bool exemplar_has_timestamp = false;
  model::Timestamp timestamp_ms = 0;
  double exemplar_value = 0;
  model::Timestamp exemplar_timestamp_ms = 0;
  std::vector<RawLabel> exemplar_labels;
};

struct Item {
  size_t length = 0;  // bytes of the item, its newline included
  // kSample
  RawText metric;  // empty: the name is missing
  std::vector<RawLabel> labels;
  size_t value_offset = 0;  // from the item's first byte to the value's: name, labels and blanks
  SampleTail tail;
  // kHelp, kType, kUnit: `metric` and these
  std::string_view text;
  model::MetricType type = model::MetricType::kUnknown;
  // kInvalid
  std::string error;
};

// \\, \" and \n become what they stand for; other backslashes stay.
std::string Unescape(std::string_view text);

}  // namespace tocsin::collector
