#include "tsdb/tombstone.h"

#include <algorithm>
#include <utility>

#include "tsdb/index/selector.h"

namespace tocsin::tsdb {

// varint commit | svarint min | svarint max | varint sets, each: varint matchers, each: u8 type,
// string name, string value
void EncodeTombstone(const Tombstone& tombstone, std::string* out) {
  PutVarint(*out, tombstone.commit);
  PutSignedVarint(*out, tombstone.range.min_ms);
  PutSignedVarint(*out, tombstone.range.max_ms);
  PutVarint(*out, tombstone.matcher_sets.size());
  for (const model::MatcherSet& set : tombstone.matcher_sets) {
    PutVarint(*out, set.size());
    for (const model::Matcher& matcher : set) {
      PutFixed8(*out, static_cast<uint8_t>(matcher.type()));
      PutString(*out, matcher.name());
      PutString(*out, matcher.value());
    }
  }
}

std::shared_ptr<const Tombstone> DecodeTombstone(ByteReader* in) {
  auto tombstone = std::make_shared<Tombstone>();
  tombstone->commit = in->Varint();
  tombstone->range.min_ms = in->SignedVarint();
  tombstone->range.max_ms = in->SignedVarint();
  const uint64_t sets = in->Varint();
  if (!in->ok() || sets == 0 || sets > in->remaining()) return nullptr;
  for (uint64_t s = 0; s < sets; ++s) {
    model::MatcherSet& set = tombstone->matcher_sets.emplace_back();
    const uint64_t matchers = in->Varint();
    if (!in->ok() || matchers == 0 || matchers > kMatchersMax) return nullptr;
    for (uint64_t m = 0; m < matchers; ++m) {
      const uint8_t type = in->Fixed8();
      std::string name(in->String());
      std::string value(in->String());
      if (!in->ok() || type > static_cast<uint8_t>(model::MatchType::kNotRegex)) return nullptr;
      auto matcher = model::Matcher::Create(static_cast<model::MatchType>(type), std::move(name),
                                            std::move(value));
      if (!matcher) return nullptr;
      set.push_back(*std::move(matcher));
    }
  }
  return tombstone;
}

TombstoneList TombstonesAbove(const TombstoneList& tombstones, uint64_t applied,
                              model::TimeRange range) {
  TombstoneList above;
  for (auto it = tombstones.rbegin(); it != tombstones.rend() && (*it)->commit > applied; ++it) {
    if ((*it)->range.Overlaps(range)) above.push_back(*it);
  }
  std::reverse(above.begin(), above.end());
  return above;
}

// ----------------------------------------------------------------------------------------------------------
// DeletedSeries

DeletedSeries::DeletedSeries(TombstoneList tombstones) : tombstones_(std::move(tombstones)) {
  for (const auto& tombstone : tombstones_) {
    for (const model::MatcherSet& set : tombstone->matcher_sets) {
      for (const model::Matcher& matcher : set) matchers_.push_back(&matcher);
    }
  }
}

const DeletedSeries::Part& DeletedSeries::PartOf(std::unordered_map<uint32_t, Part>* parts,
                                                 uint32_t id, const LabelsOf& labels_of) {
  const auto [it, fresh] = parts->try_emplace(id);
  Part& part = it->second;
  if (!fresh) return part;
  const model::Labels labels = labels_of(id);
  part.has.resize((matchers_.size() + 63) / 64);
  part.matches.resize(part.has.size());
  for (size_t m = 0; m < matchers_.size(); ++m) {
    const uint64_t bit = uint64_t{1} << (m % 64);
    if (labels.Has(matchers_[m]->name())) part.has[m / 64] |= bit;
    if (matchers_[m]->Matches(labels)) part.matches[m / 64] |= bit;
  }
  // Most sources rule every set out by themselves.
  part.possible = false;
  size_t m = 0;
  for (const auto& tombstone : tombstones_) {
    for (const model::MatcherSet& set : tombstone->matcher_sets) {
      bool all = true;
      for (const size_t end = m + set.size(); m < end; ++m) {
        const uint64_t bit = uint64_t{1} << (m % 64);
        all = all && ((part.has[m / 64] & bit) == 0 || (part.matches[m / 64] & bit) != 0);
      }
      part.possible = part.possible || all;
    }
  }
  return part;
}

bool DeletedSeries::SetMatches(size_t first, size_t last, const Part& source,
                               const Part& key) const {
  for (size_t m = first; m < last; ++m) {
    const uint64_t bit = uint64_t{1} << (m % 64);
    const Part& decides = (source.has[m / 64] & bit) != 0 ? source : key;
    if ((decides.matches[m / 64] & bit) == 0) return false;
  }
  return true;
}

std::span<const DeletedSpan> DeletedSeries::Find(uint32_t source, const LabelsOf& source_labels,
                                                 uint32_t key, const LabelsOf& key_labels) {
  found_.clear();
  const Part& source_part = PartOf(&sources_, source, source_labels);
  if (!source_part.possible) return found_;
  const Part& key_part = PartOf(&keys_, key, key_labels);
  size_t m = 0;
  for (const auto& tombstone : tombstones_) {
    bool hit = false;
    for (const model::MatcherSet& set : tombstone->matcher_sets) {
      hit = hit || SetMatches(m, m + set.size(), source_part, key_part);
      m += set.size();
    }
    if (hit) found_.push_back({tombstone->range, tombstone->commit});
  }
  return found_;
}

// ----------------------------------------------------------------------------------------------------------
// TombstoneFilter

void TombstoneFilter::AddDropped(const Column& column, std::vector<model::TimeRange>* dropped) {
  std::unique_ptr<DeletedSeries>& deleted = inputs_[&column.input];
  if (deleted == nullptr) {
    const SegmentMeta& meta = column.input.meta();
    deleted = std::make_unique<DeletedSeries>(
        TombstonesAbove(tombstones_, meta.deletes_applied, meta.range));
  }
  if (deleted->empty()) return;
  for (const DeletedSpan& span : deleted->Find(
           column.source, [&](uint32_t) { return column.source_labels; }, column.key,
           [&](uint32_t) { return column.key_labels; })) {
    dropped->push_back(span.range);
  }
}

}  // namespace tocsin::tsdb
