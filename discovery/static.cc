#include "discovery/static.h"

namespace tocsin::discovery {

bool StaticProvider::Poll(int64_t /*now_ms*/) {
  const bool first = !published_;
  published_ = true;
  return first;
}

}  // namespace tocsin::discovery
