// Status and Result<T>: how every function of Tocsin reports failure. No exception crosses one of
// our function boundaries; libraries that throw are caught in the .cc that wraps them.
//
//   Result<Config> ParseConfig(std::string_view text);
//   TOCSIN_ASSIGN_OR_RETURN(Config config, ParseConfig(text));
//   TOCSIN_RETURN_IF_ERROR(Apply(config).Annotate("reload"));
//
// The code is for callers (it picks an HTTP status, a retry, a counter); the message is for people,
// and each layer adds in front what it knows: "segment L0-…: directory: offset 4096 past end 3980".
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace tocsin {

enum class Code : uint8_t {
  kOk = 0,
  kInvalidArgument,    // the caller's input is wrong (configuration, query text, parameter)
  kExecution,          // a well-formed query failed while running
  kNotFound,           // no such thing
  kAlreadyExists,      // there is one already
  kCorruption,         // stored or received bytes are not what was written
  kIo,                 // the operating system refused an operation
  kNoSpace,            // ENOSPC or EDQUOT
  kResourceExhausted,  // a named bound of ours was reached
  kUnavailable,        // not now; the same call may succeed later
  kDeadlineExceeded,   // a time limit passed
  kCancelled,          // the caller went away or said stop
  kPermissionDenied,   // not allowed
  kUnimplemented,      // valid, but not built yet
  kInternal,           // a broken promise of our own code
};

// "invalid_argument", "io", …: the form used in logs and metric labels.
std::string_view CodeName(Code code);

class [[nodiscard]] Status {
 public:
  Status() = default;  // kOk
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  static Status Ok() { return Status(); }
  // From errno: ENOSPC and EDQUOT become kNoSpace, ENOENT kNotFound, EEXIST kAlreadyExists, EACCES
  // kPermissionDenied, the rest kIo. The message is "WHAT: strerror".
  static Status FromErrno(std::string_view what, int error_number);

  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }

  // The same status with "context: " in front of its message; an ok status is returned unchanged.
  Status Annotate(std::string_view context) const;
  std::string ToString() const;  // "ok", or "CODE: message"

  friend bool operator==(const Status& a, const Status& b) = default;

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

template <typename T>
using Result = std::expected<T, Status>;

// return Error(Code::kNotFound, "…") from a function that gives Result<T>.
inline std::unexpected<Status> Error(Code code, std::string message) {
  return std::unexpected<Status>(Status(code, std::move(message)));
}
inline std::unexpected<Status> Error(Status status) {
  return std::unexpected<Status>(std::move(status));
}

}  // namespace tocsin

#define TOCSIN_CONCAT_INNER_(a, b) a##b
#define TOCSIN_CONCAT_(a, b) TOCSIN_CONCAT_INNER_(a, b)

// For functions that return Status.
#define TOCSIN_RETURN_IF_ERROR(expr)                                                           \
  do {                                                                                         \
    if (::tocsin::Status tocsin_status_ = (expr); !tocsin_status_.ok()) return tocsin_status_; \
  } while (false)

// For functions that return Result<T>.
#define TOCSIN_TRY(expr)                                                \
  do {                                                                  \
    if (::tocsin::Status tocsin_status_ = (expr); !tocsin_status_.ok()) \
      return std::unexpected(std::move(tocsin_status_));                \
  } while (false)

// Both forms evaluate `expr`, a Result<T>, and bind its value to `lhs`.
#define TOCSIN_ASSIGN_OR_RETURN(lhs, expr) \
  TOCSIN_ASSIGN_OR_RETURN_IMPL_(TOCSIN_CONCAT_(tocsin_result_, __LINE__), lhs, expr)
#define TOCSIN_ASSIGN_OR_RETURN_IMPL_(result, lhs, expr)          \
  auto result = (expr);                                           \
  if (!result) return std::unexpected(std::move(result).error()); \
  lhs = *std::move(result)

// In a function that returns Status (not Result).
#define TOCSIN_ASSIGN_OR_RETURN_STATUS(lhs, expr) \
  TOCSIN_ASSIGN_OR_RETURN_STATUS_IMPL_(TOCSIN_CONCAT_(tocsin_result_, __LINE__), lhs, expr)
#define TOCSIN_ASSIGN_OR_RETURN_STATUS_IMPL_(result, lhs, expr) \
  auto result = (expr);                                         \
  if (!result) return std::move(result).error();                \
  lhs = *std::move(result)
