// Functions that look at presence, order and change: count, present, first, last, changes, resets.
// They take floats and histograms alike.
#include <cmath>

#include "query/functions/window_histogram.h"
#include "query/functions/window_kernels.h"

namespace tocsin::query {

using model::Timestamp;

namespace {

// Calls visit(t) for each step whose window holds anything.
template <typename Visit>
void ForEachFilled(const WindowCall& call, const WindowInput& in, const Visit& visit) {
  for (size_t t = 0; t < call.times.size(); ++t) {
    if (in.FloatsIn(t) + in.HistogramsIn(t) > 0) visit(t);
  }
}

struct End {
  bool is_float;
  Timestamp time;
};

End FirstOf(const WindowInput& in, size_t t) {
  const bool has_float = in.FloatsIn(t) > 0;
  const bool has_histogram = in.HistogramsIn(t) > 0;
  const Timestamp f = has_float ? in.FloatTimes(t).front() : model::kMaxTimestamp;
  const Timestamp h = has_histogram ? in.HistogramTimes(t).front() : model::kMaxTimestamp;
  return has_float && (!has_histogram || f < h) ? End{true, f} : End{false, h};
}

End LastOf(const WindowInput& in, size_t t) {
  const bool has_float = in.FloatsIn(t) > 0;
  const bool has_histogram = in.HistogramsIn(t) > 0;
  const Timestamp f = has_float ? in.FloatTimes(t).back() : model::kMinTimestamp;
  const Timestamp h = has_histogram ? in.HistogramTimes(t).back() : model::kMinTimestamp;
  return has_float && (!has_histogram || f > h) ? End{true, f} : End{false, h};
}

enum class Event : uint8_t { kChange, kReset };

bool FloatEvent(Event event, double before, double after) {
  if (event == Event::kReset) return after < before;
  return after != before && !(std::isnan(after) && std::isnan(before));
}

// events[i]: how many events lie between the first sample of the column and sample i.
void CountFloatEvents(const WindowCall& call, const WindowInput& in, Event event,
                      std::vector<uint32_t>* events) {
  const model::Column& column = *in.column;
  const bool start_times = event == Event::kReset && call.context->language.start_timestamps &&
                           !column.start_timestamps.empty();
  events->resize(column.values.size());
  uint32_t count = 0;
  for (size_t i = 0; i < column.values.size(); ++i) {
    if (i > 0 &&
        (FloatEvent(event, column.values[i - 1], column.values[i]) ||
         (start_times && IsStartTimeReset(column.timestamps[i - 1], column.start_timestamps[i - 1],
                                          column.timestamps[i], column.start_timestamps[i])))) {
      ++count;
    }
    (*events)[i] = count;
  }
}

// One step of the walk over floats and histograms in order of time.
struct MixedSample {
  const model::Histogram* histogram = nullptr;  // null: a float
  double value = 0;
  Timestamp time = 0;
  Timestamp start = 0;
};

bool MixedEvent(Event event, bool start_times, const MixedSample& before,
                const MixedSample& after) {
  if (start_times && IsStartTimeReset(before.time, before.start, after.time, after.start)) {
    return true;
  }
  if ((before.histogram == nullptr) != (after.histogram == nullptr)) return true;
  if (after.histogram == nullptr) return FloatEvent(event, before.value, after.value);
  return event == Event::kReset ? IsHistogramReset(*before.histogram, *after.histogram)
                                : HistogramsDiffer(*before.histogram, *after.histogram);
}

// The whole column in order of time; mixed columns are rare, so this is plain rather than fast.
std::vector<MixedSample> MergeColumn(const model::Column& column) {
  std::vector<MixedSample> samples;
  samples.reserve(column.values.size() + column.histograms.size());
  size_t f = 0;
  size_t h = 0;
  while (f < column.values.size() || h < column.histograms.size()) {
    const bool take_float =
        h == column.histograms.size() ||
        (f < column.values.size() && column.timestamps[f] < column.histogram_timestamps[h]);
    MixedSample sample;
    if (take_float) {
      sample.value = column.values[f];
      sample.time = column.timestamps[f];
      if (!column.start_timestamps.empty()) sample.start = column.start_timestamps[f];
      ++f;
    } else {
      sample.histogram = column.histograms[h];
      sample.time = column.histogram_timestamps[h];
      if (!column.histogram_start_timestamps.empty()) {
        sample.start = column.histogram_start_timestamps[h];
      }
      ++h;
    }
    samples.push_back(sample);
  }
  return samples;
}

Status CountMixedEvents(const WindowCall& call, const WindowInput& in, const WindowOutput& out,
                        Event event) {
  const std::vector<MixedSample> samples = MergeColumn(*in.column);
  const bool start_times = event == Event::kReset && call.context->language.start_timestamps;
  std::vector<uint32_t> events(samples.size());
  for (size_t i = 1; i < samples.size(); ++i) {
    events[i] =
        events[i - 1] + (MixedEvent(event, start_times, samples[i - 1], samples[i]) ? 1 : 0);
  }
  // Windows of the merged samples: both parts' windows side by side.
  for (size_t t = 0; t < call.times.size(); ++t) {
    const size_t begin = in.floats->begin[t] + in.histograms->begin[t];
    const size_t end = in.floats->end[t] + in.histograms->end[t];
    if (begin < end) out.Set(t, events[end - 1] - events[begin]);
  }
  return Status::Ok();
}

Status CountEvents(const WindowCall& call, const WindowInput& in, const WindowOutput& out,
                   Event event) {
  if (in.histograms != nullptr) return CountMixedEvents(call, in, out, event);
  std::vector<uint32_t>& events = in.scratch->indices;
  CountFloatEvents(call, in, event, &events);
  for (size_t t = 0; t < call.times.size(); ++t) {
    if (in.FloatsIn(t) == 0) continue;
    out.Set(t, events[in.floats->end[t] - 1] - events[in.floats->begin[t]]);
  }
  return Status::Ok();
}

// The newest sample at or before the window's start, not older than the lookback allows. It joins
// the window, provided that there is anything in the window.
Status CountAnchored(const WindowCall& call, const WindowInput& in, const WindowOutput& out,
                     Event event) {
  const std::vector<MixedSample> samples = MergeColumn(*in.column);
  const bool start_times = event == Event::kReset && call.context->language.start_timestamps;
  for (size_t t = 0; t < call.times.size(); ++t) {
    const Timestamp open_start = call.times[t] - call.range_ms;
    const size_t begin =
        in.floats->begin[t] + (in.histograms == nullptr ? 0 : in.histograms->begin[t]);
    const size_t end = in.floats->end[t] + (in.histograms == nullptr ? 0 : in.histograms->end[t]);
    if (begin == end) continue;
    const bool anchored =
        begin > 0 && samples[begin - 1].time > open_start - call.context->lookback_delta_ms;
    size_t count = 0;
    for (size_t i = anchored ? begin : begin + 1; i < end; ++i) {
      if (MixedEvent(event, start_times, samples[i - 1], samples[i])) ++count;
    }
    out.Set(t, static_cast<double>(count));
  }
  return Status::Ok();
}

}  // namespace

TOCSIN_WINDOW_KERNEL(Changes) { return CountEvents(call, in, out, Event::kChange); }
TOCSIN_WINDOW_KERNEL(Resets) { return CountEvents(call, in, out, Event::kReset); }
TOCSIN_WINDOW_KERNEL(AnchoredChanges) { return CountAnchored(call, in, out, Event::kChange); }
TOCSIN_WINDOW_KERNEL(AnchoredResets) { return CountAnchored(call, in, out, Event::kReset); }

TOCSIN_WINDOW_KERNEL(CountOverTime) {
  ForEachFilled(call, in, [&](size_t t) {
    out.Set(t, static_cast<double>(in.FloatsIn(t) + in.HistogramsIn(t)));
  });
  return Status::Ok();
}

TOCSIN_WINDOW_KERNEL(PresentOverTime) {
  ForEachFilled(call, in, [&](size_t t) { out.Set(t, 1); });
  return Status::Ok();
}

TOCSIN_WINDOW_KERNEL(FirstOverTime) {
  ForEachFilled(call, in, [&](size_t t) {
    if (FirstOf(in, t).is_float) {
      out.Set(t, in.FloatValues(t).front());
    } else {
      out.Set(t, *in.Histograms(t).front());
    }
  });
  return Status::Ok();
}

TOCSIN_WINDOW_KERNEL(LastOverTime) {
  ForEachFilled(call, in, [&](size_t t) {
    if (LastOf(in, t).is_float) {
      out.Set(t, in.FloatValues(t).back());
    } else {
      out.Set(t, *in.Histograms(t).back());
    }
  });
  return Status::Ok();
}

TOCSIN_WINDOW_KERNEL(TsOfFirstOverTime) {
  ForEachFilled(call, in,
                [&](size_t t) { out.Set(t, static_cast<double>(FirstOf(in, t).time) / 1000); });
  return Status::Ok();
}

TOCSIN_WINDOW_KERNEL(TsOfLastOverTime) {
  ForEachFilled(call, in,
                [&](size_t t) { out.Set(t, static_cast<double>(LastOf(in, t).time) / 1000); });
  return Status::Ok();
}

}  // namespace tocsin::query
