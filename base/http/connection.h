// Connection: one client's connection as the front sees it. Owned and touched by the thread `http`
// only; workers carry its address and give it back. Private to base/http.
//
//   kReading ──whole request──▶ kHandling ──answer──▶ kWriting ──sent──▶ kReading (keep-alive)
//       │ refused                                        │ sent, to be closed
//       └──────────────▶ kWriting (refusal) ─────────────┴──▶ kLingering ──▶ closed
//
// kLingering (after a refusal): the answer is out and our side is shut; what the client still sends
// is read and dropped for a moment, because closing over unread bytes would reset the connection
// and may take the answer back from the client.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/budget.h"
#include "base/http/message.h"
#include "base/http/request_parser.h"
#include "base/http/router.h"

namespace tocsin::http {

struct Connection {
  explicit Connection(Budget& request_budget) : charge(request_budget) {}

  enum class State : uint8_t { kReading, kHandling, kWriting, kLingering };

  int fd = -1;
  State state = State::kReading;
  size_t index = 0;  // in the front's list
  std::string remote_address;
  uint16_t remote_port = 0;
  bool loopback_listener = false;

  // Edge-triggered readiness: true until a call says otherwise.
  bool readable = false;
  bool writable = true;
  bool peer_closed = false;   // its sending half
  bool broken = false;        // reset or closed while a worker holds the request
  bool queued_again = false;  // in the front's list of connections with more to read

  // Bytes received and not consumed: a partial head, or what a client sends ahead. Beyond a head
  // under way never more than one read (kReadBytes).
  std::string in;
  size_t in_consumed = 0;

  // The request being read.
  HeadScanner scanner;
  bool in_body = false;
  RequestHead head;
  Router::Match match;
  BodyDecoder decoder;
  std::string body;
  BudgetCharge charge;
  int64_t request_start_ms = 0;
  int64_t body_start_ms = 0;

  // The request with a worker.
  std::shared_ptr<std::atomic<bool>> client_gone;

  // The answer being sent.
  std::string out_head;
  size_t out_head_sent = 0;
  ResponseBody out_body;
  size_t out_piece_sent = 0;  // of out_body's first piece
  bool close_after = false;
  bool refused = false;  // in the middle of a request
  size_t lingered_bytes = 0;

  // When the state is left by force; kNoDeadline while a worker has the request.
  int64_t deadline_ms = 0;
  int64_t last_active_ms = 0;

  std::string_view unconsumed() const { return std::string_view(in).substr(in_consumed); }
  bool idle() const { return state == State::kReading && !in_body && in.empty(); }
};

inline constexpr int64_t kNoDeadline = INT64_MAX;

}  // namespace tocsin::http
