// Exchange: one request and its answer on their way through the server. Owned by one thread at a
// time: the front fills it, a lane's queue holds it, a worker answers it, the front sends it.
// Private to base/http.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "base/budget.h"
#include "base/http/message.h"
#include "base/http/router.h"

namespace tocsin::http {

struct Connection;

struct Exchange {
  explicit Exchange(BudgetCharge charge) : request_charge(std::move(charge)) {}

  Connection* connection = nullptr;  // the front's; workers do not look inside
  HttpRequest request;
  BudgetCharge request_charge;  // of the request's bytes; given back once it was handled
  Router::Match match;
  int version_minor = 1;
  bool keep_alive = true;

  // Made by the worker. The head is ready to send; an empty one means "close without an answer".
  std::string response_head;
  ResponseBody response_body;
  bool close_after = false;
};

}  // namespace tocsin::http
