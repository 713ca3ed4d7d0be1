// ImportExemplars: exemplars of Prometheus' log into a store. They are in no segment but in the
// ring of the head, which its log keeps: written like any other batch, to sources that have nothing
// else and stay as long as the ring has something of theirs.
#pragma once

#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "model/labels.h"
#include "model/metadata.h"

namespace tocsin::tsdb {

struct SeriesExemplar {
  model::Labels series;
  model::Exemplar exemplar;
};

// What the store at `dir`, which nobody has open, has not yet of them; how many that were.
Result<size_t> ImportExemplars(Env& env, const std::string& dir,
                               std::vector<SeriesExemplar> exemplars);

}  // namespace tocsin::tsdb
