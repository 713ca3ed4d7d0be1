#include "query/query_log.h"

#include "base/json.h"
#include "base/log.h"
#include "base/number.h"
#include "base/time_text.h"

namespace tocsin::query {
namespace {

void AppendNumber(std::string& out, std::string_view key, double v) {
  out += key;
  AppendFloat(out, v);
}

void AppendSeconds(std::string& out, model::Timestamp time_ms) {
  JsonWriter(out).TimestampMs(time_ms);
}

}  // namespace

void AppendQueryStats(const QueryStats& stats, bool per_step, std::string* text) {
  std::string& out = *text;
  const double eval_total =
      stats.prepare_seconds + stats.inner_eval_seconds + stats.result_sort_seconds;
  AppendNumber(out, R"({"timings":{"evalTotalTime":)", eval_total);
  AppendNumber(out, R"(,"resultSortTime":)", stats.result_sort_seconds);
  AppendNumber(out, R"(,"queryPreparationTime":)", stats.prepare_seconds);
  AppendNumber(out, R"(,"innerEvalTime":)", stats.inner_eval_seconds);
  AppendNumber(out, R"(,"execQueueTime":)", stats.queue_seconds);
  AppendNumber(out, R"(,"execTotalTime":)", stats.exec_total_seconds);
  out += R"(},"resolution":)";
  AppendJsonString(out, stats.resolution, JsonEscape::kPlain);
  out += R"(,"samples":{)";
  if (per_step && !stats.samples_per_step.empty()) {
    out += R"("totalQueryableSamplesPerStep":[)";
    for (size_t i = 0; i < stats.samples_per_step.size(); ++i) {
      out += i > 0 ? ",[" : "[";
      AppendSeconds(out, stats.samples_per_step[i].timestamp_ms);
      out += ',' + std::to_string(stats.samples_per_step[i].samples) + ']';
    }
    out += "],";
  }
  out += R"("totalQueryableSamples":)" + std::to_string(stats.total_queryable_samples);
  out += R"(,"samplesRead":)" + std::to_string(stats.samples_read);
  out += R"(,"peakSamples":)" + std::to_string(stats.peak_samples) + "}}";
}

std::string QueryLogLine(const FinishedQuery& query) {
  const QueryDescription& what = query.description;
  std::string line;
  JsonWriter json(line);
  json.BeginObject();
  json.Key("time").String(FormatTimeMs(query.now_ms));
  json.Key("level").String("INFO");
  json.Key("source").String("query_log");
  json.Key("msg").String("promql query logged");
  json.Key("params").BeginObject();
  json.Key("end").String(FormatTimeMs(what.end_ms));
  json.Key("query").String(what.text);
  json.Key("start").String(FormatTimeMs(what.start_ms));
  json.Key("step").Int(what.step_ms / 1000);
  json.EndObject();
  if (!query.status.ok()) json.Key("error").String(query.status.message());
  std::string stats;
  AppendQueryStats(query.stats, false, &stats);
  json.Key("stats").Raw(stats);
  if (!what.origin.rule_group.empty()) {
    json.Key("ruleGroup").BeginObject();
    json.Key("file").String(what.origin.rule_file);
    json.Key("name").String(what.origin.rule_group);
    json.EndObject();
  } else if (!what.origin.path.empty()) {
    json.Key("httpRequest").BeginObject();
    json.Key("clientIP").String(what.origin.client);
    json.Key("method").String(what.origin.method);
    json.Key("path").String(what.origin.path);
    json.EndObject();
  }
  json.EndObject();
  line += '\n';
  return line;
}

QueryLog::QueryLog(Env* env) : env_(env) {
  thread_ = Thread("query-log", [this] { Run(); });
}

QueryLog::~QueryLog() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
    work_.NotifyAll();
  }
  thread_.Join();
}

Status QueryLog::Open(const std::string& path) {
  std::unique_ptr<WritableFile> file;
  if (!path.empty()) {
    TOCSIN_ASSIGN_OR_RETURN_STATUS(file, env_->NewWritableFile(path, WriteMode::kAppend));
  }
  enabled_ = file != nullptr;
  MutexLock lock(file_mu_);
  file_ = std::move(file);
  return Status::Ok();
}

void QueryLog::Write(const FinishedQuery& query) {
  if (!enabled()) return;
  std::string line = QueryLogLine(query);
  MutexLock lock(mu_);
  if (queued_bytes_ + line.size() > kQueuedBytesMax) {
    dropped_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  queued_bytes_ += line.size();
  queue_.push_back(std::move(line));
  work_.NotifyOne();
}

void QueryLog::Flush() {
  MutexLock lock(mu_);
  while (!queue_.empty() || writing_) idle_.Wait(mu_);
}

void QueryLog::Run() {
  while (true) {
    std::deque<std::string> lines;
    {
      MutexLock lock(mu_);
      while (queue_.empty() && !stopping_) work_.Wait(mu_);
      if (queue_.empty()) return;
      lines.swap(queue_);
      queued_bytes_ = 0;
      writing_ = true;
    }
    Append(lines);
    MutexLock lock(mu_);
    writing_ = false;
    if (queue_.empty()) idle_.NotifyAll();
  }
}

void QueryLog::Append(const std::deque<std::string>& lines) {
  MutexLock lock(file_mu_);
  if (file_ == nullptr) return;
  Status status;
  for (const std::string& line : lines) {
    if (status.ok()) status = file_->Append(line);
  }
  if (status.ok()) status = file_->Flush();
  if (status.ok()) return;
  if (failures_.fetch_add(lines.size(), std::memory_order_relaxed) == 0) {
    LogWarn("query", "the query log cannot be written", {{"err", status}});
  }
}

}  // namespace tocsin::query
