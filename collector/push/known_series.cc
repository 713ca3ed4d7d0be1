#include "collector/push/known_series.h"

#include <xxhash.h>

#include <algorithm>

#include "base/check.h"

namespace tocsin::collector {
namespace {

constexpr size_t kLeastEntries = 256;

}  // namespace

LabelHasher::LabelHasher(Env* env) {
  static_assert(sizeof secret_ >= XXH3_SECRET_SIZE_MIN);
  env->FillRandom(secret_, sizeof secret_);
}

LabelHasher::Hash LabelHasher::operator()(std::string_view raw_labels) const {
  const XXH128_hash_t hash =
      XXH3_128bits_withSecret(raw_labels.data(), raw_labels.size(), secret_, sizeof secret_);
  return {hash.low64 | 1, static_cast<uint32_t>(hash.high64 >> 32)};  // never {0, 0}
}

KnownEntry* KnownSeries::Find(const LabelHasher::Hash& hash) {
  if (entries_.empty()) return nullptr;
  for (size_t i = Home(hash.high);; i = After(i)) {
    KnownEntry& entry = entries_[i];
    if (entry.hash_low == hash.low && entry.hash_high == hash.high) return &entry;
    if (IsFree(entry)) return nullptr;
  }
}

size_t KnownSeries::GrownSize() const {
  return std::max(kLeastEntries, entries_.size() + entries_.size() * 2 / 5);
}

size_t KnownSeries::MemoryBytesAfterInsert() const {
  return (IsFull() ? GrownSize() : entries_.size()) * sizeof(KnownEntry);
}

void KnownSeries::Insert(const KnownEntry& entry) {
  if (IsFull()) {
    std::vector<KnownEntry> old(GrownSize());
    old.swap(entries_);
    size_ = 0;
    for (const KnownEntry& one : old) {
      if (!IsFree(one)) Place(one);
    }
  }
  Place(entry);
}

void KnownSeries::Rebuild(const std::vector<KnownEntry>& kept) {
  entries_ = std::vector<KnownEntry>(std::max(kLeastEntries, kept.size() * 8 / 5));
  size_ = 0;
  for (const KnownEntry& one : kept) Place(one);
}

void KnownSeries::Place(const KnownEntry& entry) {
  DCHECK(!IsFree(entry));
  size_t i = Home(entry.hash_high);
  while (!IsFree(entries_[i])) i = After(i);
  entries_[i] = entry;
  ++size_;
}

}  // namespace tocsin::collector
