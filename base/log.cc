#include "base/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <atomic>
#include <memory>

#include "base/env.h"
#include "base/json.h"
#include "base/mutex.h"
#include "base/number.h"
#include "base/time_text.h"

namespace tocsin {
namespace {

std::atomic<LogLevel> level_threshold{LogLevel::kInfo};
std::atomic<LogFormat> line_format{LogFormat::kLogfmt};

struct TestSink {
  Mutex mu;
  std::function<void(std::string_view)> write GUARDED_BY(mu);
};
TestSink& test_sink() {
  static TestSink* const sink = new TestSink;
  return *sink;
}
std::atomic<bool> has_test_sink{false};

spdlog::logger& StderrLogger() {
  static spdlog::logger* const logger = [] {
    auto* created = new spdlog::logger("tocsin", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    created->set_pattern("%v");
    created->set_level(spdlog::level::trace);  // levels are decided above
    created->flush_on(spdlog::level::trace);
    return created;
  }();
  return *logger;
}

bool NeedsQuotes(std::string_view text) {
  if (text.empty()) return true;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= ' ' || c == '=' || c == '"' || c == '\\' || c == 0x7f) {
      return true;
    }
  }
  return false;
}

void AppendLogfmt(std::string& line, std::string_view key, std::string_view value) {
  if (!line.empty()) line += ' ';
  line += key;
  line += '=';
  if (NeedsQuotes(value)) {
    AppendJsonString(line, value, JsonEscape::kPlain);
  } else {
    line += value;
  }
}

std::string LogfmtLine(LogLevel level, std::string_view component, std::string_view message,
                       LogFields fields) {
  std::string line;
  AppendLogfmt(line, "ts", FormatTimeMs(Env::Default().NowMs()));
  AppendLogfmt(line, "level", LogLevelName(level));
  AppendLogfmt(line, "component", component);
  AppendLogfmt(line, "msg", message);
  for (const LogField& field : fields) AppendLogfmt(line, field.key, field.value.text());
  return line;
}

std::string JsonLine(LogLevel level, std::string_view component, std::string_view message,
                     LogFields fields) {
  std::string line;
  JsonWriter json(line);
  json.BeginObject();
  json.Key("ts").String(FormatTimeMs(Env::Default().NowMs()));
  json.Key("level").String(LogLevelName(level));
  json.Key("component").String(component);
  json.Key("msg").String(message, JsonEscape::kPlain);
  for (const LogField& field : fields) {
    json.Key(field.key);
    if (field.value.bare()) {
      json.Raw(field.value.text());
    } else {
      json.String(field.value.text(), JsonEscape::kPlain);
    }
  }
  json.EndObject();
  return line;
}

}  // namespace

LogValue::LogValue(double v) : text_(FormatFloat(v)) {
  bare_ = text_.find_first_of("NI") == std::string::npos;
}

void Log(LogLevel level, std::string_view component, std::string_view message, LogFields fields) {
  if (!LogEnabled(level)) return;
  const std::string line = line_format == LogFormat::kJson
                               ? JsonLine(level, component, message, fields)
                               : LogfmtLine(level, component, message, fields);
  if (has_test_sink) {
    TestSink& sink = test_sink();
    MutexLock lock(sink.mu);
    if (sink.write) {
      sink.write(line);
      return;
    }
  }
  StderrLogger().log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
}

bool LogEnabled(LogLevel level) { return level >= level_threshold.load(std::memory_order_relaxed); }

void ConfigureLog(LogLevel level, LogFormat format) {
  level_threshold = level;
  line_format = format;
}

Result<LogLevel> ParseLogLevel(std::string_view text) {
  for (const LogLevel level :
       {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError}) {
    if (text == LogLevelName(level)) return level;
  }
  return Error(Code::kInvalidArgument,
               "unknown log level \"" + std::string(text) + "\" (known: debug, info, warn, error)");
}

Result<LogFormat> ParseLogFormat(std::string_view text) {
  if (text == "logfmt") return LogFormat::kLogfmt;
  if (text == "json") return LogFormat::kJson;
  return Error(Code::kInvalidArgument,
               "unknown log format \"" + std::string(text) + "\" (known: logfmt, json)");
}

std::string_view LogLevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
  }
  return "unknown";
}

void SetLogSink(std::function<void(std::string_view line)> sink) {
  TestSink& test = test_sink();
  MutexLock lock(test.mu);
  has_test_sink = static_cast<bool>(sink);
  test.write = std::move(sink);
}

}  // namespace tocsin
