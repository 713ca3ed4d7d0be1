#include "tsdb/codec/presence.h"

namespace tocsin::tsdb {
namespace {

constexpr uint8_t kBitmapForm = 0;
constexpr uint8_t kRunsForm = 1;

std::string RunsOf(std::span<const uint32_t> rows, size_t row_count) {
  std::string runs;
  size_t at = 0;
  for (size_t i = 0; i < rows.size();) {
    PutVarint(runs, rows[i] - at);
    size_t end = i + 1;
    while (end < rows.size() && rows[end] == rows[end - 1] + 1) ++end;
    PutVarint(runs, end - i);
    at = size_t{rows[end - 1]} + 1;
    i = end;
  }
  if (at < row_count) PutVarint(runs, row_count - at);
  return runs;
}

bool DecodeRuns(ByteReader* in, size_t row_count, std::vector<uint32_t>* rows) {
  bool present = false;
  for (size_t at = 0; at < row_count; present = !present) {
    const uint64_t run = in->Varint();
    // Only the first run may be empty: so the loop ends.
    if (!in->ok() || run > row_count - at || (run == 0 && (present || at > 0))) return false;
    for (uint64_t i = 0; present && i < run; ++i) rows->push_back(static_cast<uint32_t>(at + i));
    at += run;
  }
  return true;
}

bool DecodeBitmap(ByteReader* in, size_t row_count, std::vector<uint32_t>* rows) {
  const std::string_view bitmap = in->Bytes((row_count + 7) / 8);
  if (!in->ok()) return false;
  for (size_t row = 0; row < row_count; ++row) {
    if ((static_cast<uint8_t>(bitmap[row / 8]) >> (row % 8) & 1) != 0) {
      rows->push_back(static_cast<uint32_t>(row));
    }
  }
  return true;
}

}  // namespace

void EncodePresence(std::span<const uint32_t> rows, size_t row_count, std::string* out) {
  PutVarint(*out, rows.size());
  if (rows.empty() || rows.size() == row_count) return;
  const std::string runs = RunsOf(rows, row_count);
  const size_t bitmap_bytes = (row_count + 7) / 8;
  if (runs.size() < bitmap_bytes) {
    PutFixed8(*out, kRunsForm);
    out->append(runs);
    return;
  }
  PutFixed8(*out, kBitmapForm);
  const size_t start = out->size();
  out->append(bitmap_bytes, '\0');
  for (const uint32_t row : rows) {
    char& byte = (*out)[start + row / 8];
    byte = static_cast<char>(static_cast<uint8_t>(byte) | 1u << (row % 8));
  }
}

bool DecodePresence(ByteReader* in, size_t row_count, bool* full, std::vector<uint32_t>* rows) {
  rows->clear();
  const uint64_t present = in->Varint();
  *full = present == row_count;
  if (!in->ok() || present > row_count) return false;
  if (*full || present == 0) return true;
  const uint8_t form = in->Fixed8();
  if (form > kRunsForm) return false;
  const bool read =
      form == kRunsForm ? DecodeRuns(in, row_count, rows) : DecodeBitmap(in, row_count, rows);
  return read && rows->size() == present;
}

}  // namespace tocsin::tsdb
