#include "collector/push/remote_write.h"

#include <snappy.h>

#include <algorithm>
#include <array>
#include <map>
#include <unordered_map>
#include <vector>

#include "base/env.h"
#include "base/mutex.h"
#include "base/self_metrics.h"
#include "collector/push/push_sender.h"
#include "collector/push/write_request.h"

namespace tocsin::collector {
namespace {

constexpr std::string_view kWriteV1 = "prometheus.WriteRequest";

RemoteWriteOutcome Refuse(int http_status, std::string message) {
  RemoteWriteOutcome outcome;
  outcome.http_status = http_status;
  outcome.message = std::move(message);
  return outcome;
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

const char* RefusalText(model::AppendOutcome outcome) {
  switch (outcome) {
    case model::AppendOutcome::kOk:
    case model::AppendOutcome::kDuplicate:
      return nullptr;
    case model::AppendOutcome::kDuplicateTimestamp:
      return "duplicate sample for timestamp";
    case model::AppendOutcome::kOutOfOrder:
      return "out of order sample";
    case model::AppendOutcome::kTooOld:
      return "too old sample";
    case model::AppendOutcome::kTooFarInFuture:
      return "out of bounds";
    case model::AppendOutcome::kOverLimit:
      return "series limit exceeded";
    case model::AppendOutcome::kStorageFull:
      return "storage is full";
  }
  return nullptr;
}

RemoteWriteOutcome Verdict(const model::CommitResult& result) {
  RemoteWriteOutcome outcome;
  if (result.status.ok()) return outcome;
  for (const model::Refusal& refusal : result.refusals) {
    if (const char* const text = RefusalText(refusal.outcome)) {
      const bool full = refusal.outcome == model::AppendOutcome::kStorageFull;
      return Refuse(full ? 503 : 400, text);
    }
  }
  // A full disk or a stopping server: the sender shall come again.
  const Code code = result.status.code();
  const bool later = code == Code::kNoSpace || code == Code::kUnavailable;
  return Refuse(later ? 503 : 500, result.status.message());
}

model::Exemplar MakeExemplar(const WireExemplar& wire) {
  model::Exemplar exemplar;
  exemplar.labels = model::Labels::FromViews(wire.labels).packed();
  exemplar.value = wire.value;
  exemplar.timestamp_ms = wire.timestamp_ms;
  exemplar.has_timestamp = wire.timestamp_ms != 0;
  return exemplar;
}

struct Metrics {
  static Counter& Get(const char* name, const char* help, const MetricLabels& labels = {}) {
    return SelfMetrics::Default().GetCounter(name, help, labels);
  }
  static Counter& Lost(const char* reason) {
    return Get("tocsin_remote_write_samples_lost_total",
               "Received samples that were not stored, nor refused with their request.",
               {{"reason", reason}});
  }
  Counter& requests = Get("tocsin_remote_write_requests_total", "Remote write requests received.");
  Counter& refused = Get("tocsin_remote_write_requests_refused_total",
                         "Remote write requests answered with an error.");
  Counter& samples =
      Get("tocsin_remote_write_samples_total", "Samples stored, histograms included.");
  Counter& invalid_series = Lost("invalid_series");
  Counter& over_limit = Lost("over_limit");
  Counter& duplicates = Lost("duplicate");
  Counter& bad_exemplars = Get("tocsin_remote_write_exemplars_dropped_total",
                               "Exemplars of series that are not stored.");
};

// Inflated bodies need no zeroing and are about the same size each time.
class BufferPool {
 public:
  std::vector<char> Take() {
    MutexLock lock(mu_);
    if (spare_.empty()) return {};
    auto buffer = std::move(spare_.back());
    spare_.pop_back();
    return buffer;
  }
  void Give(std::vector<char> buffer) {
    constexpr size_t kKeepBytesMax = 4 << 20;
    constexpr size_t kKeepMax = 8;
    if (buffer.capacity() > kKeepBytesMax) return;
    MutexLock lock(mu_);
    if (spare_.size() < kKeepMax) spare_.push_back(std::move(buffer));
  }

 private:
  Mutex mu_;
  std::vector<std::vector<char>> spare_ GUARDED_BY(mu_);
};

}  // namespace

std::string CheckRemoteWriteHeaders(std::string_view content_type,
                                    std::string_view content_encoding) {
  content_encoding = Trim(content_encoding);
  if (!content_encoding.empty() && content_encoding != "snappy") {
    return std::string(content_encoding) +
           " encoding (compression) is not accepted by this server; only snappy is acceptable";
  }
  content_type = Trim(content_type);
  if (content_type.empty()) return {};
  size_t semicolon = std::min(content_type.find(';'), content_type.size());
  if (Trim(content_type.substr(0, semicolon)) != "application/x-protobuf") {
    return "unsupported content type: " + std::string(content_type);
  }
  while (semicolon < content_type.size()) {
    content_type.remove_prefix(semicolon + 1);
    semicolon = std::min(content_type.find(';'), content_type.size());
    const std::string_view parameter = Trim(content_type.substr(0, semicolon));
    if (parameter.starts_with("proto=") && parameter.substr(6) != kWriteV1) {
      return std::string(parameter.substr(6)) +
             " protobuf message is not accepted by this server; only " + std::string(kWriteV1) +
             " is acceptable";
    }
  }
  return {};
}

struct RemoteWriteReceiver::Impl {
  struct Sender {
    template <typename... Args>
    explicit Sender(Args&&... args) : groups(std::forward<Args>(args)...) {}
    Mutex mu;
    PushSender groups GUARDED_BY(mu);
  };

  // What one request held beside what went into its batch.
  struct Tally {
    uint64_t samples = 0;
    uint64_t histograms = 0;
    uint64_t exemplars = 0;
    uint64_t refused_samples = 0;
    std::string refused_series;  // the first, for the message
    std::string bad_histogram;   // why the request is refused
  };

  Impl(Env* e, model::Appender* a, RemoteWriteOptions o)
      : env(e), appender(a), options(o), hasher(e) {
    limits.known_series_bytes_max = o.known_series_bytes_max;
    limits.groups_max = o.groups_max;
  }

  Sender& SenderOf(std::string_view name) {
    MutexLock lock(mu);
    std::string key(name);
    if (!senders.contains(key) && senders.size() >= options.senders_max) key = "(others)";
    auto& sender = senders[key];
    if (sender == nullptr) {
      sender = std::make_unique<Sender>(env, appender, &hasher, &limits, key);
    }
    return *sender;
  }

  RemoteWriteOutcome WriteMessage(std::string_view name, std::string_view message);
  bool AddAll(std::string_view message, PushSender* groups, Tally* tally);
  bool FindAndAdd(std::string_view message, const WireSeries& series, const LabelHasher::Hash& hash,
                  PushSender* groups, Tally* tally);
  static bool GiveLesson(std::string_view message, PushSender* groups);
  void AddSeries(const WireSeries& series, const PushSender::SeriesRef& ref, PushSender* groups,
                 Tally* tally);
  void NoteMetadata(const WireMetadata& metadata);

  Env* const env;
  model::Appender* const appender;
  const RemoteWriteOptions options;
  const LabelHasher hasher;
  PushLimits limits;
  Metrics metrics;
  BufferPool buffers;

  Mutex mu;
  std::unordered_map<std::string, std::unique_ptr<Sender>> senders GUARDED_BY(mu);
};

RemoteWriteReceiver::RemoteWriteReceiver(Env* env, model::Appender* appender,
                                         RemoteWriteOptions options)
    : impl_(std::make_unique<Impl>(env, appender, options)) {}

RemoteWriteReceiver::~RemoteWriteReceiver() = default;

void RemoteWriteReceiver::Impl::NoteMetadata(const WireMetadata& wire) {
  if (!options.note_metadata) return;
  options.note_metadata(wire.family, {wire.type, std::string(wire.unit), std::string(wire.help)});
}

void RemoteWriteReceiver::Impl::AddSeries(const WireSeries& series,
                                          const PushSender::SeriesRef& ref, PushSender* groups,
                                          Tally* tally) {
  const size_t count = series.samples.size() + series.histograms.size();
  if (ref.fate != PushSender::Fate::kStored) {
    metrics.bad_exemplars.Add(series.exemplars.size());
    if (ref.fate == PushSender::Fate::kDropped) {
      metrics.invalid_series.Add(count);
    } else {
      metrics.over_limit.Add(count);
      tally->refused_samples += count;
    }
    return;
  }
  for (const model::Sample& sample : series.samples) {
    // Go's NaN of every kind is kept bit by bit: the staleness marker among them.
    groups->Add(ref, sample.timestamp_ms, sample.value);
  }
  tally->samples += series.samples.size();
  for (const WireHistogram& wire : series.histograms) {
    if (const Status status = wire.histogram.Validate(); !status.ok()) {
      if (tally->bad_histogram.empty()) tally->bad_histogram = status.message();
      continue;
    }
    groups->AddHistogram(ref, wire.timestamp_ms, wire.histogram);
    ++tally->histograms;
  }
  for (const WireExemplar& wire : series.exemplars) {
    groups->AddExemplar(ref, MakeExemplar(wire));
    ++tally->exemplars;
  }
}

// Shows the sender's split all series of the request. False: malformed.
bool RemoteWriteReceiver::Impl::GiveLesson(std::string_view message, PushSender* groups) {
  using Next = WriteRequestReader::Next;
  WriteRequestReader reader(message);
  WireSeries series;
  WireMetadata wire_metadata;
  std::vector<model::LabelView> labels;
  groups->BeginLesson();
  Next next = Next::kSeries;
  while (next != Next::kEnd) {
    next = reader.Read(&series, &wire_metadata);
    if (next == Next::kMalformed) return false;
    if (next != Next::kSeries) continue;
    labels.clear();
    if (!ReadLabels(series.message, &labels)) return false;
    groups->Teach(labels);
  }
  groups->EndLesson();
  return true;
}

// Finds the series, or resolves it. False: malformed.
bool RemoteWriteReceiver::Impl::FindAndAdd(std::string_view message, const WireSeries& series,
                                           const LabelHasher::Hash& hash, PushSender* groups,
                                           Tally* tally) {
  // Labels in several runs have no bytes that could be recognised.
  PushSender::SeriesRef ref;
  if (!series.labels_apart) ref = groups->Find(hash);
  if (ref.fate == PushSender::Fate::kUnknown) {
    std::vector<model::LabelView> labels;
    if (!ReadLabels(series.message, &labels)) return false;
    const std::string_view raw = series.labels_apart ? std::string_view() : series.raw_labels;
    ref = groups->Resolve(raw, labels);
    if (ref.fate == PushSender::Fate::kUnknown) {
      if (!GiveLesson(message, groups)) return false;
      ref = groups->Resolve(raw, labels);
    }
    if (ref.fate == PushSender::Fate::kRefused && tally->refused_series.empty()) {
      tally->refused_series = model::Labels::FromViews(labels).ToString();
    }
  }
  AddSeries(series, ref, groups, tally);
  return true;
}

// False: malformed. Series are taken a few at a time, so that the memo's entries are in the cache
// when they are asked for: without that two thirds of the time goes into waiting for memory
// (tests/bench/remote_write_bench.cc).
bool RemoteWriteReceiver::Impl::AddAll(std::string_view message, PushSender* groups, Tally* tally) {
  constexpr size_t kAhead = 16;
  using Next = WriteRequestReader::Next;
  WriteRequestReader reader(message);
  WireMetadata wire_metadata;
  std::array<WireSeries, kAhead> window;
  std::array<LabelHasher::Hash, kAhead> hashes;
  Next next = Next::kSeries;
  while (next != Next::kEnd) {
    size_t count = 0;
    while (count < kAhead && next != Next::kEnd) {
      next = reader.Read(&window[count], &wire_metadata);
      if (next == Next::kMalformed) return false;
      if (next == Next::kMetadata) NoteMetadata(wire_metadata);
      if (next != Next::kSeries) continue;
      hashes[count] = groups->Prefetch(window[count].raw_labels);
      ++count;
    }
    for (size_t i = 0; i < count; ++i) {
      if (!FindAndAdd(message, window[i], hashes[i], groups, tally)) return false;
    }
  }
  return true;
}

RemoteWriteOutcome RemoteWriteReceiver::Impl::WriteMessage(std::string_view name,
                                                           std::string_view message) {
  Sender& sender = SenderOf(name);
  Tally tally;
  uint64_t duplicates = 0;
  model::CommitResult result;
  {
    MutexLock lock(sender.mu);
    sender.groups.Begin();
    if (!AddAll(message, &sender.groups, &tally)) {
      sender.groups.Begin();
      return Refuse(400, "decode: malformed protobuf message");
    }
    if (!tally.bad_histogram.empty()) {
      sender.groups.Begin();
      return Refuse(400, "invalid native histogram: " + tally.bad_histogram);
    }
    model::CommitOptions commit;
    commit.durability = model::Durability::kKernel;
    commit.all_or_nothing = true;
    result = sender.groups.Commit(commit, &duplicates);
  }
  RemoteWriteOutcome outcome = Verdict(result);
  if (outcome.http_status != 204) return outcome;
  metrics.samples.Add(result.samples_committed);
  metrics.duplicates.Add(duplicates + result.refusals.size());
  outcome.samples_written = tally.samples;
  outcome.histograms_written = tally.histograms;
  outcome.exemplars_written = tally.exemplars;
  if (tally.refused_samples > 0) {
    outcome.http_status = 400;
    outcome.message = "limit on series reached: " + std::to_string(tally.refused_samples) +
                      " samples of new series were not stored, the first of " +
                      tally.refused_series + "; the rest was";
  }
  return outcome;
}

RemoteWriteOutcome RemoteWriteReceiver::Write(std::string_view sender, std::string_view body) {
  Impl& impl = *impl_;
  impl.metrics.requests.Add();
  const auto refuse = [&](int http_status, std::string message) {
    impl.metrics.refused.Add();
    return Refuse(http_status, std::move(message));
  };
  if (body.size() > impl.options.compressed_bytes_max) {
    return refuse(413, "request body too large");
  }
  size_t inflated = 0;
  if (!snappy::GetUncompressedLength(body.data(), body.size(), &inflated)) {
    return refuse(400, "snappy: corrupt input");
  }
  if (inflated > impl.options.inflated_bytes_max) {
    return refuse(413, "request body too large when decompressed: " + std::to_string(inflated) +
                           " bytes, limit " + std::to_string(impl.options.inflated_bytes_max));
  }
  std::vector<char> buffer = impl.buffers.Take();
  if (buffer.size() < inflated) buffer.resize(inflated);
  RemoteWriteOutcome outcome;
  if (snappy::RawUncompress(body.data(), body.size(), buffer.data())) {
    outcome = impl.WriteMessage(sender, {buffer.data(), inflated});
  } else {
    outcome = Refuse(400, "snappy: corrupt input");
  }
  impl.buffers.Give(std::move(buffer));
  if (outcome.http_status != 204) impl.metrics.refused.Add();
  return outcome;
}

}  // namespace tocsin::collector
