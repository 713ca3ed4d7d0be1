// The envelope of /api/v1 (http-api.md §1): success with data, warnings and infos, or an error with
// its type, which also decides the HTTP status.
//
//   DataWriter out(response);            // {"status":"success","data":
//   out.json().BeginArray(); …
//   out.Finish(warnings, infos);
//   return RespondError(response, {ErrorType::kBadData, "no match[] parameter provided"});
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/http/message.h"
#include "base/json.h"
#include "base/status.h"

namespace tocsin::api {

enum class ErrorType : uint8_t {
  kBadData,        // 400
  kExecution,      // 422
  kCanceled,       // 499
  kTimeout,        // 503
  kInternal,       // 500
  kUnavailable,    // 500
  kNotFound,       // 404
  kNotAcceptable,  // 406
};
std::string_view ErrorTypeName(ErrorType type);  // "bad_data", …
int HttpStatusOf(ErrorType type);

struct ApiError {
  ErrorType type = ErrorType::kInternal;
  std::string message;
};

// invalid parameter "NAME": REASON
ApiError InvalidParameter(std::string_view name, std::string_view reason);
// Of a query or a store call. An invalid argument is about the parameter `query`.
ApiError FromStatus(const Status& status);

void RespondError(http::HttpResponse* response, const ApiError& error);
// 204 without a body.
void RespondNoData(http::HttpResponse* response);

// At most this many warnings, and as many infos, are shown.
inline constexpr size_t kAnnotationsMax = 10;

// Writes a success envelope into the response, piece by piece.
class DataWriter {
 public:
  explicit DataWriter(http::HttpResponse* response);

  // For the data: exactly one JSON value.
  JsonWriter& json() { return json_; }
  // Or, for hot loops, its text.
  std::string& text() { return response_.body.tail(); }
  // Between elements of a long answer. True: the answer has become too large, stop.
  bool Flush() {
    response_.body.MaybeFlush();
    return response_.body.overflowed();
  }
  void Finish(const std::vector<std::string>& warnings = {},
              const std::vector<std::string>& infos = {});

 private:
  http::HttpResponse& response_;
  JsonWriter json_;
};

}  // namespace tocsin::api
