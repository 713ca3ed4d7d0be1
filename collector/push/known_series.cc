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
  return {hash.low64 | 1, hash.high64};  // never {0, 0}
}

KnownEntry* KnownSeries::Find(const LabelHasher::Hash& hash) {
  if (entries_.empty()) return nullptr;
  const size_t mask = entries_.size() - 1;
  for (size_t i = hash.high & mask;; i = (i + 1) & mask) {
    KnownEntry& entry = entries_[i];
    if (entry.hash.high == hash.high && entry.hash.low == hash.low) return &entry;
    if (IsFree(entry)) return nullptr;
  }
}

size_t KnownSeries::MemoryBytesAfterInsert() const {
  const size_t count = IsFull() ? std::max(kLeastEntries, entries_.size() * 2) : entries_.size();
  return count * sizeof(KnownEntry);
}

void KnownSeries::Insert(const KnownEntry& entry) {
  if (IsFull()) {
    std::vector<KnownEntry> old = std::move(entries_);
    entries_.assign(std::max(kLeastEntries, old.size() * 2), KnownEntry());
    size_ = 0;
    for (const KnownEntry& one : old) {
      if (!IsFree(one)) Place(one);
    }
  }
  Place(entry);
}

void KnownSeries::Rebuild(const std::vector<KnownEntry>& kept) {
  size_t count = kLeastEntries;
  while (kept.size() * 4 >= count * 3) count *= 2;
  entries_ = std::vector<KnownEntry>(count);
  size_ = 0;
  for (const KnownEntry& one : kept) Place(one);
}

void KnownSeries::Place(const KnownEntry& entry) {
  DCHECK(!IsFree(entry));
  const size_t mask = entries_.size() - 1;
  size_t i = entry.hash.high & mask;
  while (!IsFree(entries_[i])) i = (i + 1) & mask;
  entries_[i] = entry;
  ++size_;
}

}  // namespace tocsin::collector
