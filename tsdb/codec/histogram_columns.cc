#include "tsdb/codec/histogram_columns.h"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "tsdb/codec/histograms.h"
#include "tsdb/codec/values.h"

namespace tocsin::tsdb {
namespace {

using model::Histogram;

constexpr uint8_t kStrings = 0;
constexpr uint8_t kColumns = 1;

// (schema, negative, index).
using BucketKey = std::tuple<int32_t, bool, int64_t>;

// The buckets of a shape in the order in which a histogram lists them; none when spans overlap.
bool ListBuckets(const Histogram& shape, size_t buckets_max, std::vector<BucketKey>* keys) {
  keys->clear();
  for (const bool negative : {false, true}) {
    int64_t next = 0;
    bool first = true;
    for (const model::BucketSpan& span : negative ? shape.negative_spans : shape.positive_spans) {
      if ((!first && span.offset < 0) || keys->size() + span.length > buckets_max) return false;
      first = false;
      next += span.offset;
      for (uint32_t i = 0; i < span.length; ++i) {
        keys->emplace_back(shape.schema, negative, next++);
      }
    }
  }
  return true;
}

// A shape, its buckets, and their columns.
struct Shape {
  std::vector<BucketKey> keys;
  std::vector<uint32_t> columns;  // of the keys
};

// One column for every bucket that a shape has, in order.
std::map<BucketKey, uint32_t> PlaceBuckets(std::vector<Shape>* shapes) {
  std::map<BucketKey, uint32_t> places;
  for (const Shape& shape : *shapes) {
    for (const BucketKey& key : shape.keys) places.emplace(key, 0);
  }
  uint32_t place = 0;
  for (auto& [key, column] : places) column = place++;
  for (Shape& shape : *shapes) {
    for (const BucketKey& key : shape.keys) shape.columns.push_back(places.at(key));
  }
  return places;
}

// The histograms of a column by their shapes.
struct Shaped {
  std::vector<std::string> encoded;  // shapes
  std::vector<Shape> shapes;
  std::vector<int64_t> shape_of;  // each histogram
};

// False: not all of them can be told as columns.
bool FindShapes(std::span<const Histogram* const> histograms, Shaped* shaped) {
  std::unordered_map<std::string, int64_t> ids;
  std::string bytes;
  size_t shape_buckets = 0;
  size_t all_buckets = 0;
  for (const Histogram* histogram : histograms) {
    bytes.clear();
    EncodeShape(*histogram, &bytes);
    const auto [known, fresh] = ids.try_emplace(bytes, static_cast<int64_t>(ids.size()));
    if (fresh) {
      Shape& shape = shaped->shapes.emplace_back();
      if (!ListBuckets(*histogram, kShapeBucketsMax - shape_buckets, &shape.keys)) return false;
      shape_buckets += shape.keys.size();
      shaped->encoded.push_back(bytes);
    }
    shaped->shape_of.push_back(known->second);
    const size_t buckets = histogram->positive_buckets.size() + histogram->negative_buckets.size();
    all_buckets += buckets;
    size_t positive = 0;
    for (const model::BucketSpan& span : histogram->positive_spans) positive += span.length;
    if (positive != histogram->positive_buckets.size() ||
        buckets != shaped->shapes[static_cast<size_t>(known->second)].keys.size() ||
        all_buckets > kColumnBucketsMax) {
      return false;
    }
  }
  return true;
}

void EncodeStrings(std::span<const Histogram* const> histograms, std::string* out) {
  PutFixed8(*out, kStrings);
  std::string one;
  for (const Histogram* histogram : histograms) {
    one.clear();
    EncodeHistogram(*histogram, &one);
    PutString(*out, one);
  }
}

// Columns one behind the other; each may be told by the one before.
class ColumnWriter {
 public:
  ColumnWriter(Effort effort, std::string* out) : effort_(effort), out_(out) {}
  void Put(std::vector<double> values, bool told_by_previous) {
    ValueEncoding encoding{.effort = effort_, .reference = {}};
    if (told_by_previous && effort_ == Effort::kSmall) encoding.reference = previous_;
    std::string bytes;
    EncodeValues(values, encoding, &bytes);
    PutString(*out_, bytes);
    previous_ = std::move(values);
  }

 private:
  const Effort effort_;
  std::string* out_;
  std::vector<double> previous_;
};

class ColumnSource {
 public:
  explicit ColumnSource(ByteReader* in) : in_(in) {}
  bool Get(size_t count, bool told_by_previous, std::vector<double>* values) {
    const std::string_view bytes = in_->String();
    values->resize(count);
    const std::span<const double> reference =
        told_by_previous ? std::span<const double>(previous_) : std::span<const double>();
    if (!in_->ok() || !DecodeValues(bytes, count, reference, values->data())) return false;
    previous_ = *values;
    return true;
  }

 private:
  ByteReader* in_;
  std::vector<double> previous_;
};

// Which shapes have a bucket: two columns are of the same histograms if these are equal.
std::vector<std::vector<uint32_t>> ShapesOfColumns(const std::vector<Shape>& shapes,
                                                   size_t column_count) {
  std::vector<std::vector<uint32_t>> having(column_count);
  for (uint32_t s = 0; s < shapes.size(); ++s) {
    for (const uint32_t column : shapes[s].columns) having[column].push_back(s);
  }
  return having;
}

bool SameHistograms(const std::vector<std::vector<uint32_t>>& having, size_t column) {
  return column > 0 && having[column] == having[column - 1];
}

struct DecodedShapes {
  std::vector<Histogram> models;  // without numbers
  std::vector<Shape> shapes;
  std::vector<int64_t> shape_of;
};

bool DecodeShapes(ByteReader* in, size_t count, DecodedShapes* out) {
  const uint64_t shapes = in->Varint();
  if (!in->ok() || shapes == 0 || shapes > count) return false;
  size_t buckets = 0;
  for (uint64_t s = 0; s < shapes; ++s) {
    Histogram& model = out->models.emplace_back();
    Shape& shape = out->shapes.emplace_back();
    if (!DecodeShape(in, &model) || !ListBuckets(model, kShapeBucketsMax - buckets, &shape.keys)) {
      return false;
    }
    buckets += shape.keys.size();
  }
  out->shape_of.assign(count, 0);
  if (shapes > 1) {
    ByteReader ids(in->String());
    if (!in->ok() || !DecodeIntegers(&ids, count, out->shape_of.data()) || !ids.at_end()) {
      return false;
    }
  }
  size_t all_buckets = 0;
  for (const int64_t id : out->shape_of) {
    if (id < 0 || static_cast<uint64_t>(id) >= shapes) return false;
    all_buckets += out->shapes[static_cast<size_t>(id)].keys.size();
    if (all_buckets > kColumnBucketsMax) return false;
  }
  return true;
}

bool DecodeColumns(ByteReader* in, std::span<Histogram* const> out) {
  DecodedShapes decoded;
  if (!DecodeShapes(in, out.size(), &decoded)) return false;
  ColumnSource columns(in);
  std::vector<double> counts;
  std::vector<double> sums;
  std::vector<double> zeros;
  if (!columns.Get(out.size(), false, &counts) || !columns.Get(out.size(), false, &sums) ||
      !columns.Get(out.size(), false, &zeros)) {
    return false;
  }
  const size_t column_count = PlaceBuckets(&decoded.shapes).size();
  const std::vector<std::vector<uint32_t>> having = ShapesOfColumns(decoded.shapes, column_count);
  std::vector<size_t> histograms_of_shape(decoded.shapes.size());
  for (const int64_t id : decoded.shape_of) ++histograms_of_shape[static_cast<size_t>(id)];
  std::vector<std::vector<double>> buckets(column_count);
  for (size_t c = 0; c < column_count; ++c) {
    size_t count = 0;
    for (const uint32_t s : having[c]) count += histograms_of_shape[s];
    if (!columns.Get(count, SameHistograms(having, c), &buckets[c])) return false;
  }
  if (!in->at_end()) return false;
  std::vector<size_t> next(column_count);
  for (size_t i = 0; i < out.size(); ++i) {
    const auto id = static_cast<size_t>(decoded.shape_of[i]);
    const Shape& shape = decoded.shapes[id];
    Histogram* histogram = out[i];
    if (histogram != nullptr) {
      *histogram = decoded.models[id];
      histogram->count = counts[i];
      histogram->sum = sums[i];
      histogram->zero_count = zeros[i];
    }
    for (size_t b = 0; b < shape.keys.size(); ++b) {
      const double population = buckets[shape.columns[b]][next[shape.columns[b]]++];
      if (histogram == nullptr) continue;
      (std::get<1>(shape.keys[b]) ? histogram->negative_buckets : histogram->positive_buckets)
          .push_back(population);
    }
  }
  return true;
}

}  // namespace

void EncodeHistograms(std::span<const Histogram* const> histograms, Effort effort,
                      std::string* out) {
  Shaped shaped;
  if (!FindShapes(histograms, &shaped)) return EncodeStrings(histograms, out);
  PutFixed8(*out, kColumns);
  PutVarint(*out, shaped.shapes.size());
  for (const std::string& shape : shaped.encoded) out->append(shape);
  if (shaped.shapes.size() > 1) {
    std::string ids;
    EncodeIntegers(shaped.shape_of, effort, &ids);
    PutString(*out, ids);
  }
  ColumnWriter columns(effort, out);
  for (const auto number : {&Histogram::count, &Histogram::sum, &Histogram::zero_count}) {
    std::vector<double> values;
    for (const Histogram* histogram : histograms) values.push_back(histogram->*number);
    columns.Put(std::move(values), false);
  }
  const size_t column_count = PlaceBuckets(&shaped.shapes).size();
  const std::vector<std::vector<uint32_t>> having = ShapesOfColumns(shaped.shapes, column_count);
  std::vector<std::vector<double>> buckets(column_count);
  for (size_t i = 0; i < histograms.size(); ++i) {
    const Shape& shape = shaped.shapes[static_cast<size_t>(shaped.shape_of[i])];
    const Histogram& h = *histograms[i];
    const size_t positive = h.positive_buckets.size();
    for (size_t b = 0; b < shape.columns.size(); ++b) {
      buckets[shape.columns[b]].push_back(b < positive ? h.positive_buckets[b]
                                                       : h.negative_buckets[b - positive]);
    }
  }
  for (size_t c = 0; c < column_count; ++c) {
    columns.Put(std::move(buckets[c]), SameHistograms(having, c));
  }
}

bool DecodeHistogramStrings(ByteReader* in, std::span<Histogram* const> out) {
  for (Histogram* histogram : out) {
    const std::string_view bytes = in->String();
    if (!in->ok()) return false;
    if (histogram == nullptr) continue;
    ByteReader one(bytes);
    if (!DecodeHistogram(&one, histogram) || !one.at_end()) return false;
  }
  return in->at_end();
}

bool DecodeHistograms(std::string_view bytes, std::span<Histogram* const> out) {
  if (out.empty()) return bytes.empty();
  ByteReader in(bytes);
  switch (in.Fixed8()) {
    case kStrings:
      return in.ok() && DecodeHistogramStrings(&in, out);
    case kColumns:
      return DecodeColumns(&in, out);
    default:
      return false;
  }
}

}  // namespace tocsin::tsdb
