// Captured pages of real exporters as columns: what the size benchmark stores.
//
// A capture is a folder of files NAME-UNIXMS.txt, one scrape each, as an exporter answered it in
// the text format; NAME says which exporter, UNIXMS when.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/labels.h"
#include "model/sample.h"

namespace tocsin::tsdb {

struct CapturedSeries {
  model::Labels key;
  std::vector<uint32_t> rows;  // of the capture's, ascending
  std::vector<double> values;
};

struct Capture {
  std::vector<model::Timestamp> rows;
  std::vector<CapturedSeries> series;
  uint64_t samples = 0;
};

// By exporter.
Result<std::map<std::string, Capture>> ReadCaptures(const std::string& directory);

}  // namespace tocsin::tsdb
