// Logs: one event a line on standard error, logfmt or JSON, written through spdlog's library
// (log.cc).
//
//   LogWarn("scrape", "scrape failed", {{"target", url}, {"err", status}});
//   ts=2026-11-24T08:15:00.123Z level=warn component=scrape msg="scrape failed" target=… err="…"
//
// The sentence is lower case and constant; what varies goes into fields. Warn means that a person
// may need to act. Nothing is logged per sample. Thread-safe; lines are never interleaved.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "base/status.h"

namespace tocsin {

enum class LogLevel : uint8_t { kDebug, kInfo, kWarn, kError };
enum class LogFormat : uint8_t { kLogfmt, kJson };

// A field's value as text; numbers and booleans stay unquoted in JSON.
class LogValue {
 public:
  LogValue(std::string_view text) : text_(text) {}    // NOLINT(google-explicit-constructor)
  LogValue(const std::string& text) : text_(text) {}  // NOLINT(google-explicit-constructor)
  LogValue(const char* text) : text_(text) {}         // NOLINT(google-explicit-constructor)
  LogValue(const Status& status)
      : text_(status.message()) {}                          // NOLINT(google-explicit-constructor)
  LogValue(const Secret& secret) : text_(secret.Show()) {}  // NOLINT(google-explicit-constructor)
  LogValue(bool v)
      : text_(v ? "true" : "false"), bare_(true) {}  // NOLINT(google-explicit-constructor)
  LogValue(double v);                                // NOLINT(google-explicit-constructor)
  template <std::integral T>
    requires(!std::same_as<T, bool> && !std::same_as<T, char>)
  LogValue(T v) : text_(std::to_string(v)), bare_(true) {}  // NOLINT(google-explicit-constructor)

  const std::string& text() const { return text_; }
  bool bare() const { return bare_; }

 private:
  std::string text_;
  bool bare_ = false;
};

struct LogField {
  std::string_view key;
  LogValue value;
};
using LogFields = std::initializer_list<LogField>;

void Log(LogLevel level, std::string_view component, std::string_view message,
         LogFields fields = {});
bool LogEnabled(LogLevel level);

inline void LogDebug(std::string_view component, std::string_view message, LogFields fields = {}) {
  if (LogEnabled(LogLevel::kDebug)) Log(LogLevel::kDebug, component, message, fields);
}
inline void LogInfo(std::string_view component, std::string_view message, LogFields fields = {}) {
  if (LogEnabled(LogLevel::kInfo)) Log(LogLevel::kInfo, component, message, fields);
}
inline void LogWarn(std::string_view component, std::string_view message, LogFields fields = {}) {
  if (LogEnabled(LogLevel::kWarn)) Log(LogLevel::kWarn, component, message, fields);
}
inline void LogError(std::string_view component, std::string_view message, LogFields fields = {}) {
  Log(LogLevel::kError, component, message, fields);
}

// --log.level and --log.format; info and logfmt until called.
void ConfigureLog(LogLevel level, LogFormat format);
Result<LogLevel> ParseLogLevel(std::string_view text);    // debug, info, warn, error
Result<LogFormat> ParseLogFormat(std::string_view text);  // logfmt, json
std::string_view LogLevelName(LogLevel level);

// For tests: lines (without the newline) go to `sink` instead; an empty one restores standard
// error.
void SetLogSink(std::function<void(std::string_view line)> sink);

}  // namespace tocsin
