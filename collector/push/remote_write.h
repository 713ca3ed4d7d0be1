// RemoteWriteReceiver: remote write 1.0 (https://prometheus.io/docs/specs/prw/remote_write_spec/),
// from the compressed body to committed rows. The HTTP route (api/routes/write.cc) checks method
// and headers, hands the body over and answers with what comes back.
//
// A series that is known by its raw label bytes costs no decoding (known_series.h); rows and groups
// are made by push_sender.h. Left out without a word, but counted: series without a name, with
// invalid or repeated labels. Left out with a 400 that says so, the rest being written: new series
// over a limit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "model/metadata.h"
#include "model/storage.h"

namespace tocsin {
class Env;
}

namespace tocsin::collector {

struct RemoteWriteOptions {
  size_t compressed_bytes_max = size_t{32} << 20;     // refused with 413
  size_t inflated_bytes_max = size_t{32} << 20;       // as declared by snappy; refused with 413
  size_t known_series_bytes_max = size_t{512} << 20;  // of all senders
  size_t groups_max = 100'000;                        // push groups of all senders
  size_t senders_max = 10'000;                        // more share one set of groups
  // Told what senders say about families, from their requests' threads; may be null.
  std::function<void(std::string_view family, const model::Metadata&)> note_metadata;
};

struct RemoteWriteOutcome {
  int http_status = 204;  // 204, 400, 413, 500 or 503
  std::string message;    // body of a refusal, "" with 204
  uint64_t samples_written = 0;
  uint64_t histograms_written = 0;
  uint64_t exemplars_written = 0;
};

// 415 decisions for the route: "" = fine, else the body of the answer.
std::string CheckRemoteWriteHeaders(std::string_view content_type,
                                    std::string_view content_encoding);

// Thread-safe: requests of different senders run side by side, those of one sender in turn.
class RemoteWriteReceiver {
 public:
  RemoteWriteReceiver(Env* env, model::Appender* appender, RemoteWriteOptions options);
  ~RemoteWriteReceiver();

  // `sender`: who pushes (the peer's address without its port, or an authenticated name). Answers
  // once the rows are with the kernel, or refuses the whole request (http-api.md §8.1).
  RemoteWriteOutcome Write(std::string_view sender, std::string_view compressed_body);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tocsin::collector
