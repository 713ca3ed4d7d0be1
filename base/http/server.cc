#include "base/http/server.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <utility>

#include "base/check.h"
#include "base/env.h"
#include "base/http/front.h"
#include "base/http/handler_runner.h"
#include "base/http/lane_workers.h"
#include "base/http/listen_socket.h"
#include "base/thread.h"

namespace tocsin::http {

struct Server::Impl {
  Impl(ServerOptions server_options, Router server_router, RequestObserver request_observer)
      : options(std::move(server_options)),
        router(std::move(server_router)),
        observer(std::move(request_observer)),
        request_budget("http requests", options.request_budget_bytes),
        response_budget("http responses", options.response_budget_bytes) {
    if (options.env == nullptr) options.env = &Env::Default();
  }

  void MakeLanes() {
    const auto make = [this](Lane lane, LaneOptions lane_options) {
      lanes[static_cast<size_t>(lane)] = std::make_unique<LaneWorkers>(
          lane, lane_options,
          [this] { return std::make_unique<HandlerRunner>(&options, &response_budget, &observer); },
          [this](std::unique_ptr<Exchange> exchange) { front->Complete(std::move(exchange)); });
    };
    make(Lane::kStatus, options.status_lane);
    make(Lane::kWrite, options.write_lane);
    make(Lane::kQuery, options.query_lane);
  }

  // What has no route answers on the status lane.
  bool Dispatch(std::unique_ptr<Exchange>* exchange) {
    const Route* route = (*exchange)->match.route;
    const Lane lane = route != nullptr ? route->lane : Lane::kStatus;
    return lanes[static_cast<size_t>(lane)]->TryEnqueue(exchange);
  }

  ServerOptions options;
  const Router router;
  const RequestObserver observer;
  Budget request_budget;
  Budget response_budget;
  std::vector<std::string> addresses;
  // Destroyed after the lanes: exchanges hold charges of the budgets, workers call the front.
  std::unique_ptr<Front> front;
  std::array<std::unique_ptr<LaneWorkers>, kLaneCount> lanes;
  Thread thread;
};

Server::Server(ServerOptions options, Router router, RequestObserver observer)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(router), std::move(observer))) {}

Server::~Server() { Shutdown(0); }

Status Server::Start() {
  CHECK(impl_->front == nullptr);
  std::vector<ListenSocket> sockets;
  for (const std::string& address : impl_->options.listen_addresses) {
    Result<std::vector<ListenSocket>> opened = OpenListenSockets(address);
    if (!opened) {
      for (const ListenSocket& socket : sockets) close(socket.fd);
      return opened.error();
    }
    impl_->addresses.push_back(opened->front().address);
    sockets.insert(sockets.end(), opened->begin(), opened->end());
  }
  Impl* impl = impl_.get();
  impl->front = std::make_unique<Front>(
      impl->options, impl->router, std::move(sockets), &impl->request_budget,
      [impl](std::unique_ptr<Exchange>* exchange) { return impl->Dispatch(exchange); });
  TOCSIN_RETURN_IF_ERROR(impl->front->Open());
  impl->MakeLanes();
  for (const std::unique_ptr<LaneWorkers>& lane : impl->lanes) lane->Start();
  impl->thread = Thread("http", [impl] { impl->front->Run(); });
  return Status::Ok();
}

std::vector<std::string> Server::addresses() const { return impl_->addresses; }

void Server::Shutdown(int64_t grace_ms) {
  if (!impl_->thread.joinable()) return;
  impl_->front->Stop(grace_ms);
  impl_->thread.Join();
  for (const std::unique_ptr<LaneWorkers>& lane : impl_->lanes) lane->Stop();
}

ServerStats Server::stats() const {
  ServerStats stats;
  stats.request_bytes_held = impl_->request_budget.used();
  stats.response_bytes_held = impl_->response_budget.used();
  if (impl_->front == nullptr) return stats;
  const Front::Counters& counters = impl_->front->counters();
  stats.connections_accepted = counters.accepted.load();
  stats.connections_refused = counters.refused_connections.load();
  stats.connections_timed_out = counters.timed_out.load();
  stats.requests_malformed = counters.malformed.load();
  stats.requests_refused = counters.refused_requests.load();
  stats.requests_handled = counters.handled.load();
  stats.bytes_received = counters.bytes_received.load();
  stats.bytes_sent = counters.bytes_sent.load();
  stats.connections_open = counters.open.load();
  for (size_t i = 0; i < impl_->lanes.size(); ++i) {
    if (impl_->lanes[i] != nullptr) stats.lane_queued[i] = impl_->lanes[i]->queued();
  }
  return stats;
}

const Router& Server::router() const { return impl_->router; }

}  // namespace tocsin::http
