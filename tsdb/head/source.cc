#include "tsdb/head/source.h"

#include <algorithm>

namespace tocsin::tsdb {

Page& Source::AddPage(uint32_t number) {
  Table* table = table_.load(std::memory_order_relaxed);
  if (table == nullptr || number >= table->capacity) {
    auto bigger = std::make_unique<Table>(std::max(uint32_t{1}, (number + 1) * 2));
    for (uint32_t i = 0; i < pages_.size(); ++i)
      bigger->pages[i].store(pages_[i].get(), std::memory_order_relaxed);
    table = bigger.get();
    tables_.push_back(std::move(bigger));
    table_.store(table, std::memory_order_release);
  }
  while (pages_.size() <= number) {
    const auto next = static_cast<uint32_t>(pages_.size());
    pages_.push_back(std::make_unique<Page>(id, next));
    table->pages[next].store(pages_.back().get(), std::memory_order_release);
  }
  return *pages_[number];
}

bool Source::has_runs() const {
  return std::any_of(pages_.begin(), pages_.end(),
                     [](const auto& page) { return page->first_run() != nullptr; });
}

}  // namespace tocsin::tsdb
