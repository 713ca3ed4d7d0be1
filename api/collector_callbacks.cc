// Joins the API's callbacks to the collector's classes. Apart from the routes, so that their tests
// need no collector.
#include "api/dependencies.h"
#include "collector/push/remote_write.h"
#include "collector/scrape_pools.h"

namespace tocsin::api {

TargetCallbacks TargetsOf(const collector::ScrapePools* pools) {
  TargetCallbacks callbacks;
  callbacks.pool_names = [pools] { return pools->PoolNames(); };
  callbacks.active = [pools](const std::string& pool) { return pools->Targets(pool); };
  callbacks.dropped = [pools](const std::string& pool) { return pools->DroppedTargets(pool); };
  callbacks.dropped_counts = [pools] { return pools->DroppedTargetCounts(); };
  callbacks.visit_metadata = [pools](const auto& visit) { pools->VisitMetadata(visit); };
  return callbacks;
}

RemoteWriteCallbacks RemoteWriteOf(collector::RemoteWriteReceiver* receiver) {
  return {.check_headers = collector::CheckRemoteWriteHeaders,
          .write = [receiver](std::string_view sender, std::string_view body) {
            return receiver->Write(sender, body);
          }};
}

}  // namespace tocsin::api
