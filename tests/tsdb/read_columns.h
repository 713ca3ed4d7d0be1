// Reads what a selection holds, series by series.
#pragma once

#include <boost/test/unit_test.hpp>
#include <cstddef>

#include "model/storage.h"

namespace tocsin::tsdb {

// Calls visit(i, column) for each series of the selection; a read that fails fails the case.
template <typename Visit>
void ForEachColumn(const model::SeriesSelection& selection, const Visit& visit) {
  const auto reader = selection.NewReader();
  model::ColumnBatch batch;
  for (size_t i = 0; i < selection.size(); ++i) {
    BOOST_REQUIRE(reader->Read(i, 1, &batch).ok());
    visit(i, batch.columns[0]);
  }
}

}  // namespace tocsin::tsdb
