#include "collector/page_shape.h"

#include <algorithm>

namespace tocsin::collector {
namespace {

bool SameShape(const PageShape& a, const PageShape& b) {
  return a.format == b.format && a.text == b.text &&
         std::equal(a.lines.begin(), a.lines.end(), b.lines.begin(), b.lines.end(),
                    [](const ShapeLine& x, const ShapeLine& y) {
                      return x.end == y.end && x.prefix_length == y.prefix_length;
                    });
}

std::string PlainText(const RawText& raw) {
  return raw.escaped ? Unescape(raw.text) : std::string(raw.text);
}

// Takes what one HELP, TYPE or UNIT line says.
void Note(ItemKind kind, const Item& item, std::unordered_map<std::string, size_t>* places,
          std::vector<TargetMetadata>* families) {
  const std::string name = PlainText(item.metric);
  const auto [place, is_new] = places->try_emplace(name, families->size());
  if (is_new) families->push_back({name, "unknown", "", ""});
  TargetMetadata& family = (*families)[place->second];
  if (kind == ItemKind::kHelp) {
    family.help = Unescape(item.text);
  } else if (kind == ItemKind::kType) {
    family.type = model::MetricTypeName(item.type);
  } else {
    family.unit = item.text;
  }
}

}  // namespace

std::vector<TargetMetadata> MetadataOf(const PageShape& shape) {
  std::vector<TargetMetadata> families;
  std::unordered_map<std::string, size_t> places;
  Item item;
  const auto read = [&](std::string_view comments) {
    while (!comments.empty()) {
      const ItemKind kind = ReadItem(shape.format, comments, true, &item);
      if (kind == ItemKind::kInvalid || kind == ItemKind::kIncomplete || item.length == 0) return;
      if (kind == ItemKind::kHelp || kind == ItemKind::kType || kind == ItemKind::kUnit) {
        Note(kind, item, &places, &families);
      }
      comments.remove_prefix(item.length);
    }
  };
  for (size_t i = 0; i < shape.lines.size(); ++i) {
    const std::string_view gap = shape.Gap(i);
    read(gap.substr(0, gap.size() - shape.lines[i].prefix_length));
  }
  read(shape.Rest());
  return families;
}

std::shared_ptr<const PageShape> PageShapes::Intern(PageShape shape) {
  const uint64_t hash = std::hash<std::string>()(shape.text);
  MutexLock lock(mu_);
  const auto [first, last] = shapes_.equal_range(hash);
  for (auto it = first; it != last; ++it) {
    if (auto known = it->second.lock(); known != nullptr && SameShape(*known, shape)) return known;
  }
  if (shapes_.size() >= sweep_at_) {
    std::erase_if(shapes_, [](const auto& entry) { return entry.second.expired(); });
    sweep_at_ = std::max<size_t>(64, shapes_.size() * 2);
  }
  shape.text.shrink_to_fit();
  shape.lines.shrink_to_fit();
  auto fresh = std::make_shared<const PageShape>(std::move(shape));
  shapes_.emplace(hash, fresh);
  return fresh;
}

size_t PageShapes::MemoryBytes() const {
  MutexLock lock(mu_);
  size_t bytes = 0;
  for (const auto& [hash, entry] : shapes_) {
    if (const auto shape = entry.lock()) bytes += shape->MemoryBytes();
  }
  return bytes;
}

}  // namespace tocsin::collector
