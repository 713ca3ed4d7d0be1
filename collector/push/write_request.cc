#include "collector/push/write_request.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <bit>
#include <cstring>

namespace tocsin::collector {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

constexpr uint32_t Tag(int field, WireFormatLite::WireType type) {
  return static_cast<uint32_t>(field << 3) | static_cast<uint32_t>(type);
}
constexpr auto kVarint = WireFormatLite::WIRETYPE_VARINT;
constexpr auto kFixed64 = WireFormatLite::WIRETYPE_FIXED64;
constexpr auto kBytes = WireFormatLite::WIRETYPE_LENGTH_DELIMITED;

CodedInputStream Stream(std::string_view bytes) {
  return CodedInputStream(reinterpret_cast<const uint8_t*>(bytes.data()),
                          static_cast<int>(bytes.size()));
}

// A length-delimited field as a view into the message.
bool ReadView(CodedInputStream& in, std::string_view* view) {
  uint32_t length = 0;
  if (!in.ReadVarint32(&length)) return false;
  const void* data = nullptr;
  int available = 0;
  if (length == 0) {
    *view = {};
    return true;
  }
  if (!in.GetDirectBufferPointer(&data, &available)) return false;
  if (length > static_cast<uint32_t>(available)) return false;
  *view = {static_cast<const char*>(data), length};
  return in.Skip(static_cast<int>(length));
}

bool ReadDouble(CodedInputStream& in, double* value) {
  uint64_t bits = 0;
  if (!in.ReadLittleEndian64(&bits)) return false;
  *value = std::bit_cast<double>(bits);
  return true;
}

bool ReadInt64(CodedInputStream& in, int64_t* value) {
  uint64_t bits = 0;
  if (!in.ReadVarint64(&bits)) return false;
  *value = static_cast<int64_t>(bits);
  return true;
}

bool ReadZigZag(CodedInputStream& in, int64_t* value) {
  uint64_t bits = 0;
  if (!in.ReadVarint64(&bits)) return false;
  *value = WireFormatLite::ZigZagDecode64(bits);
  return true;
}

bool SkipField(CodedInputStream& in, uint32_t tag) { return WireFormatLite::SkipField(&in, tag); }

bool ReadLabel(std::string_view bytes, model::LabelView* label) {
  CodedInputStream in = Stream(bytes);
  while (const uint32_t tag = in.ReadTag()) {
    bool good = false;
    if (tag == Tag(1, kBytes)) {
      good = ReadView(in, &label->name);
    } else if (tag == Tag(2, kBytes)) {
      good = ReadView(in, &label->value);
    } else {
      good = SkipField(in, tag);
    }
    if (!good) return false;
  }
  return in.ConsumedEntireMessage();
}

bool ReadSample(std::string_view bytes, model::Sample* sample) {
  *sample = {0, 0};
  CodedInputStream in = Stream(bytes);
  while (const uint32_t tag = in.ReadTag()) {
    bool good = false;
    if (tag == Tag(1, kFixed64)) {
      good = ReadDouble(in, &sample->value);
    } else if (tag == Tag(2, kVarint)) {
      good = ReadInt64(in, &sample->timestamp_ms);
    } else {
      good = SkipField(in, tag);
    }
    if (!good) return false;
  }
  return in.ConsumedEntireMessage();
}

bool ReadExemplar(std::string_view bytes, WireExemplar* exemplar) {
  CodedInputStream in = Stream(bytes);
  while (const uint32_t tag = in.ReadTag()) {
    bool good = false;
    std::string_view view;
    if (tag == Tag(1, kBytes)) {
      model::LabelView label;
      good = ReadView(in, &view) && ReadLabel(view, &label);
      exemplar->labels.push_back(label);
    } else if (tag == Tag(2, kFixed64)) {
      good = ReadDouble(in, &exemplar->value);
    } else if (tag == Tag(3, kVarint)) {
      good = ReadInt64(in, &exemplar->timestamp_ms);
    } else {
      good = SkipField(in, tag);
    }
    if (!good) return false;
  }
  return in.ConsumedEntireMessage();
}

bool ReadSpan(std::string_view bytes, model::BucketSpan* span) {
  CodedInputStream in = Stream(bytes);
  while (const uint32_t tag = in.ReadTag()) {
    bool good = false;
    if (tag == Tag(1, kVarint)) {
      uint32_t bits = 0;
      good = in.ReadVarint32(&bits);
      span->offset = WireFormatLite::ZigZagDecode32(bits);
    } else if (tag == Tag(2, kVarint)) {
      good = in.ReadVarint32(&span->length);
    } else {
      good = SkipField(in, tag);
    }
    if (!good) return false;
  }
  return in.ConsumedEntireMessage();
}

// Repeated numbers come packed (one length-delimited field) or one by one.
template <typename T>
bool ReadRepeated(CodedInputStream& in, uint32_t tag, bool (*read)(CodedInputStream&, T*),
                  std::vector<T>* out) {
  T value{};
  if (WireFormatLite::GetTagWireType(tag) != kBytes) {
    if (!read(in, &value)) return false;
    out->push_back(value);
    return true;
  }
  std::string_view packed;
  if (!ReadView(in, &packed)) return false;
  CodedInputStream numbers = Stream(packed);
  while (static_cast<size_t>(numbers.CurrentPosition()) < packed.size()) {
    if (!read(numbers, &value)) return false;
    out->push_back(value);
  }
  return true;
}

// Integer buckets are each the difference to the one before.
std::vector<double> FromDeltas(const std::vector<int64_t>& deltas) {
  std::vector<double> counts;
  counts.reserve(deltas.size());
  uint64_t count = 0;  // wraps on nonsense, which Validate then refuses
  for (const int64_t delta : deltas) {
    count += static_cast<uint64_t>(delta);
    counts.push_back(static_cast<double>(static_cast<int64_t>(count)));
  }
  return counts;
}

bool ReadHistogram(std::string_view bytes, WireHistogram* out) {
  model::Histogram& h = out->histogram;
  h.integer = true;  // unless a float count says otherwise
  std::vector<int64_t> negative_deltas;
  std::vector<int64_t> positive_deltas;
  CodedInputStream in = Stream(bytes);
  while (const uint32_t tag = in.ReadTag()) {
    bool good = true;
    uint64_t number = 0;
    std::string_view view;
    switch (WireFormatLite::GetTagFieldNumber(tag)) {
      case 1:  // count_int
        good = in.ReadVarint64(&number);
        h.count = static_cast<double>(number);

        break;
      case 2:  // count_float
        good = ReadDouble(in, &h.count);
        h.integer = false;
        break;
      case 3:
        good = ReadDouble(in, &h.sum);
        break;
      case 4:
        good = in.ReadVarint64(&number);
        h.schema = WireFormatLite::ZigZagDecode32(static_cast<uint32_t>(number));
        break;
      case 5:
        good = ReadDouble(in, &h.zero_threshold);
        break;
      case 6:  // zero_count_int
        good = in.ReadVarint64(&number);
        h.zero_count = static_cast<double>(number);
        break;
      case 7:  // zero_count_float
        good = ReadDouble(in, &h.zero_count);
        break;
      case 8:
        good = ReadView(in, &view) && ReadSpan(view, &h.negative_spans.emplace_back());
        break;
      case 9:
        good = ReadRepeated<int64_t>(in, tag, &ReadZigZag, &negative_deltas);
        break;
      case 10:
        good = ReadRepeated<double>(in, tag, &ReadDouble, &h.negative_buckets);
        break;
      case 11:
        good = ReadView(in, &view) && ReadSpan(view, &h.positive_spans.emplace_back());
        break;
      case 12:
        good = ReadRepeated<int64_t>(in, tag, &ReadZigZag, &positive_deltas);
        break;
      case 13:
        good = ReadRepeated<double>(in, tag, &ReadDouble, &h.positive_buckets);
        break;
      case 14:
        good = in.ReadVarint64(&number) && number <= 3;
        if (good) h.hint = static_cast<model::CounterResetHint>(number);
        break;
      case 15:
        good = ReadInt64(in, &out->timestamp_ms);
        break;
      case 16:
        good = ReadRepeated<double>(in, tag, &ReadDouble, &h.custom_values);
        break;
      default:
        good = SkipField(in, tag);
    }
    if (!good) return false;
  }
  if (h.integer) {
    h.negative_buckets = FromDeltas(negative_deltas);
    h.positive_buckets = FromDeltas(positive_deltas);
  }
  return in.ConsumedEntireMessage();
}

bool ReadMetadata(std::string_view bytes, WireMetadata* metadata) {
  using enum model::MetricType;
  static constexpr model::MetricType kTypes[] = {kUnknown,        kCounter, kGauge, kHistogram,
                                                 kGaugeHistogram, kSummary, kInfo,  kStateset};
  *metadata = WireMetadata();
  CodedInputStream in = Stream(bytes);
  while (const uint32_t tag = in.ReadTag()) {
    bool good = false;
    if (tag == Tag(1, kVarint)) {
      uint64_t type = 0;
      good = in.ReadVarint64(&type);
      metadata->type = type < std::size(kTypes) ? kTypes[type] : kUnknown;
    } else if (tag == Tag(2, kBytes)) {
      good = ReadView(in, &metadata->family);
    } else if (tag == Tag(4, kBytes)) {
      good = ReadView(in, &metadata->help);
    } else if (tag == Tag(5, kBytes)) {
      good = ReadView(in, &metadata->unit);
    } else {
      good = SkipField(in, tag);
    }
    if (!good) return false;
  }
  return in.ConsumedEntireMessage();
}

// Moves `p` over a length-delimited field whose tag was just read; null when it does not fit.
const char* SkipBytes(const char* p, const char* end) {
  uint64_t length = 0;
  for (int shift = 0; p != end && shift < 35; shift += 7) {
    const auto byte = static_cast<uint8_t>(*p++);
    length |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) {
      return length <= static_cast<uint64_t>(end - p) ? p + length : nullptr;
    }
  }
  return nullptr;
}

// A Sample as every sender writes it: value, then timestamp, nothing else. Null for any other.
const char* ReadPlainSample(const char* p, const char* end, model::Sample* sample) {
  constexpr ptrdiff_t kLongest = 1 + 1 + 8 + 1 + 10;
  if (end - p < kLongest + 1) return nullptr;
  const auto length = static_cast<uint8_t>(p[0]);
  if (length > kLongest || p[1] != static_cast<char>(Tag(1, kFixed64)) ||
      p[10] != static_cast<char>(Tag(2, kVarint))) {
    return nullptr;
  }
  std::memcpy(&sample->value, p + 2, sizeof sample->value);
  const char* q = p + 11;
  uint64_t timestamp = 0;
  for (int shift = 0; shift < 70; shift += 7) {
    const auto byte = static_cast<uint8_t>(*q++);
    timestamp |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  sample->timestamp_ms = static_cast<int64_t>(timestamp);
  return q == p + 1 + length ? q : nullptr;
}

bool ReadOtherSeriesField(std::string_view rest, size_t* used, WireSeries* series) {
  CodedInputStream in = Stream(rest);
  const uint32_t tag = in.ReadTag();
  std::string_view view;
  bool good = tag != 0;
  if (tag == Tag(1, kBytes)) {
    series->labels_apart = true;
    good = ReadView(in, &view);
  } else if (tag == Tag(2, kBytes)) {
    good = ReadView(in, &view) && ReadSample(view, &series->samples.emplace_back());
  } else if (tag == Tag(3, kBytes)) {
    good = ReadView(in, &view) && ReadExemplar(view, &series->exemplars.emplace_back());
  } else if (tag == Tag(4, kBytes)) {
    good = ReadView(in, &view) && ReadHistogram(view, &series->histograms.emplace_back());
  } else if (good) {
    good = SkipField(in, tag);
  }
  *used = static_cast<size_t>(in.CurrentPosition());
  return good;
}

bool ReadSeries(std::string_view message, WireSeries* series) {
  series->message = message;
  series->labels_apart = false;
  series->samples.clear();
  series->exemplars.clear();
  series->histograms.clear();
  const char* p = message.data();
  const char* const end = p + message.size();
  while (p != end && *p == static_cast<char>(Tag(1, kBytes))) {
    p = SkipBytes(p + 1, end);
    if (p == nullptr) return false;
  }
  series->raw_labels = message.substr(0, static_cast<size_t>(p - message.data()));
  while (p != end) {
    if (*p == static_cast<char>(Tag(2, kBytes))) {
      model::Sample sample;
      if (const char* const behind = ReadPlainSample(p + 1, end, &sample)) {
        series->samples.push_back(sample);
        p = behind;
        continue;
      }
    }
    size_t used = 0;
    if (!ReadOtherSeriesField({p, static_cast<size_t>(end - p)}, &used, series)) return false;
    p += used;
  }
  return true;
}

}  // namespace

WriteRequestReader::Next WriteRequestReader::Read(WireSeries* series, WireMetadata* metadata) {
  while (p_ != end_) {
    CodedInputStream in = Stream({p_, static_cast<size_t>(end_ - p_)});
    const uint32_t tag = in.ReadTag();
    std::string_view view;
    if (tag != Tag(1, kBytes) && tag != Tag(3, kBytes)) {
      if (tag == 0 || !SkipField(in, tag)) return Next::kMalformed;
      p_ += in.CurrentPosition();
      continue;
    }
    if (!ReadView(in, &view)) return Next::kMalformed;
    p_ += in.CurrentPosition();
    if (tag == Tag(1, kBytes)) {
      return ReadSeries(view, series) ? Next::kSeries : Next::kMalformed;
    }
    return ReadMetadata(view, metadata) ? Next::kMetadata : Next::kMalformed;
  }
  return Next::kEnd;
}

bool ReadLabels(std::string_view time_series, std::vector<model::LabelView>* labels) {
  labels->clear();
  CodedInputStream in = Stream(time_series);
  while (const uint32_t tag = in.ReadTag()) {
    if (tag != Tag(1, kBytes)) {
      if (!SkipField(in, tag)) return false;
      continue;
    }
    std::string_view view;
    model::LabelView label;
    if (!ReadView(in, &view) || !ReadLabel(view, &label)) return false;
    labels->push_back(label);
  }
  return in.ConsumedEntireMessage();
}

}  // namespace tocsin::collector
