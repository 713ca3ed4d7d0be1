// RemoteWriteReceiver: remote write 1.0 (https://prometheus.io/docs/specs/prw/remote_write_spec/),
// from the compressed body to committed rows. The HTTP route (api/routes/write.cc) checks method
// and headers, hands the body over and answers with what comes back.
//
// Senders → sources: the series of one (sender, job, instance) are a push group, one source; their
// other labels are keys. Which series a label set is, is remembered by its raw bytes (hash, then
// comparison), so a known series costs no decoding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "model/storage.h"

namespace tocsin::collector {

struct RemoteWriteOptions {
  size_t compressed_bytes_max = size_t{32} << 20;     // refused with 413
  size_t inflated_bytes_max = size_t{128} << 20;      // declared by snappy; refused with 413
  size_t known_series_bytes_max = size_t{512} << 20;  // of the label-set memo; the oldest go first
  size_t groups_max = 100'000;                        // push groups over all senders
};

struct RemoteWriteOutcome {
  int http_status = 204;  // 204, 400, 413, 500 or 503
  std::string message;    // body of a refusal, "" with 204
  uint64_t samples_written = 0;
  uint64_t histograms_written = 0;
  uint64_t exemplars_written = 0;
};

// 415 decisions, shared by the route: "" = fine, else the body of the answer.
std::string CheckRemoteWriteHeaders(std::string_view content_type,
                                    std::string_view content_encoding);

// Thread-safe: requests of different senders run side by side, those of one sender in turn.
class RemoteWriteReceiver {
 public:
  RemoteWriteReceiver(model::Appender* appender, RemoteWriteOptions options);
  ~RemoteWriteReceiver();

  // `sender`: who pushes (the peer's address without its port, or an authenticated name). Answers
  // once the rows are with the kernel, or refuses the whole request (http-api.md §8.1).
  RemoteWriteOutcome Write(std::string_view sender, std::string_view compressed_body);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tocsin::collector
