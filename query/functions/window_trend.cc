// deriv and predict_linear (least squares) and double_exponential_smoothing.
//
// Windows that overlap little are summed up one by one, in the reference's own order of operations;
// others slide over moments about the mean.
#include <fmt/format.h>

#include <cmath>

#include "base/number.h"
#include "query/functions/sliding.h"
#include "query/functions/window_kernels.h"

namespace tocsin::query {

using model::Timestamp;

namespace {

constexpr int64_t kDirectVisits = 8;

struct RegressionSums {
  double n = 0;
  KahanSum x, y, xy, xx;
  bool constant = true;  // all y equal
  double first_y = 0;

  void AddPoint(double px, double py) {
    if (n == 0) {
      first_y = py;
    } else if (py != first_y) {
      constant = false;
    }
    n += 1;
    x.Add(px);
    y.Add(py);
    xy.Add(px * py);
    xx.Add(px * px);
  }
};

// The same for SlidingFold: about the means, so that far from the origin nothing is lost (Chan's
// formula joins two).
struct RegressionMoments {
  double n = 0;
  double mean_x = 0, mean_y = 0;
  double xx = 0, xy = 0;  // sums of products of the distances from the means
  bool constant = true;
  double first_y = 0;

  void Append(const RegressionMoments& later) {
    if (later.n == 0) return;
    if (n == 0) {
      *this = later;
      return;
    }
    constant = constant && later.constant && later.first_y == first_y;
    const double total = n + later.n;
    const double dx = later.mean_x - mean_x;
    const double dy = later.mean_y - mean_y;
    xx += later.xx + dx * dx * (n * later.n / total);
    xy += later.xy + dx * dy * (n * later.n / total);
    mean_x += dx * (later.n / total);
    mean_y += dy * (later.n / total);
    n = total;
  }
};

struct Line {
  double slope;
  double intercept;
};

Line FitLine(const RegressionSums& s) {
  if (s.constant) {
    if (std::isinf(s.first_y)) return {model::NormalNan(), model::NormalNan()};
    return {0, s.first_y};
  }
  const double sum_x = s.x.sum + s.x.compensation;
  const double sum_y = s.y.sum + s.y.compensation;
  const double covariance = s.xy.sum + s.xy.compensation - sum_x * sum_y / s.n;
  const double variance = s.xx.sum + s.xx.compensation - sum_x * sum_x / s.n;
  const double slope = covariance / variance;
  return {slope, sum_y / s.n - slope * sum_x / s.n};
}

// `origin`: the x where the intercept is asked for.
Line FitLine(const RegressionMoments& m, double origin) {
  if (m.constant) {
    if (std::isinf(m.first_y)) return {model::NormalNan(), model::NormalNan()};
    return {0, m.first_y};
  }
  const double slope = m.xy / m.xx;
  return {slope, m.mean_y - slope * (m.mean_x - origin)};
}

double Seconds(Timestamp from, Timestamp to) { return static_cast<double>(to - from) / 1000; }

// Calls emit(t, line) for every window of at least two floats; origin(t) is where x is 0.
template <typename Origin, typename Emit>
void ForEachLine(const WindowCall& call, const WindowInput& in, const Origin& origin,
                 const Emit& emit) {
  const std::span<const double> values = in.column->values;
  const std::span<const Timestamp> times = in.column->timestamps;
  if (in.floats->total <= kDirectVisits * static_cast<int64_t>(values.size())) {
    for (size_t t = 0; t < call.times.size(); ++t) {
      if (in.FloatsIn(t) < 2) continue;
      RegressionSums sums;
      for (size_t i = in.floats->begin[t]; i < in.floats->end[t]; ++i) {
        sums.AddPoint(Seconds(origin(t), times[i]), values[i]);
      }
      emit(t, FitLine(sums));
    }
    return;
  }
  const Timestamp fixed = times.front();
  const auto make = [&](size_t i) {
    RegressionMoments one;
    one.n = 1;
    one.mean_x = Seconds(fixed, times[i]);
    one.mean_y = values[i];
    one.first_y = values[i];
    return one;
  };
  SlidingFold<RegressionMoments, decltype(make)> sliding(make);
  for (size_t t = 0; t < call.times.size(); ++t) {
    if (in.FloatsIn(t) < 2) continue;
    emit(t, FitLine(sliding.Window(in.floats->begin[t], in.floats->end[t]),
                    Seconds(fixed, origin(t))));
  }
}

double SmoothWindow(std::span<const double> values, double level_factor, double trend_factor) {
  double before = 0;
  double level = values[0];
  double trend = values[1] - values[0];
  for (size_t i = 1; i < values.size(); ++i) {
    if (i > 1) trend = trend_factor * (level - before) + (1 - trend_factor) * trend;
    const double next = level_factor * values[i] + (1 - level_factor) * (level + trend);
    before = level;
    level = next;
  }
  return level;
}

Status RefuseFactor(std::string_view kind, std::string_view symbol, double value) {
  const std::string text = std::isinf(value) ? FormatFloatGo(value) : fmt::format("{:f}", value);
  return Status(Code::kExecution, fmt::format("invalid {} factor. Expected: 0 < {} < 1, got: {}",
                                              kind, symbol, text));
}

}  // namespace

TOCSIN_WINDOW_KERNEL(Deriv) {
  AnnotateIgnoredHistograms(call, in);
  ForEachLine(
      call, in, [&](size_t t) { return in.column->timestamps[in.floats->begin[t]]; },
      [&](size_t t, const Line& line) { out.Set(t, line.slope); });
  return Status::Ok();
}

TOCSIN_WINDOW_KERNEL(PredictLinear) {
  AnnotateIgnoredHistograms(call, in);
  ForEachLine(
      call, in, [&](size_t t) { return call.grid.at(t); },
      [&](size_t t, const Line& line) {
        out.Set(t, line.slope * call.scalars[0][t] + line.intercept);
      });
  return Status::Ok();
}

TOCSIN_WINDOW_KERNEL(DoubleExponentialSmoothing) {
  AnnotateIgnoredHistograms(call, in);
  RunningPoll poll(*call.context);
  for (size_t t = 0; t < call.times.size(); ++t) {
    if (in.FloatsIn(t) + in.HistogramsIn(t) == 0) continue;
    TOCSIN_RETURN_IF_ERROR(poll.LookedAt(in.FloatsIn(t)));
    const double level_factor = call.scalars[0][t];
    const double trend_factor = call.scalars[1][t];
    if (level_factor <= 0 || level_factor >= 1)
      return RefuseFactor("smoothing", "sf", level_factor);
    if (trend_factor <= 0 || trend_factor >= 1) return RefuseFactor("trend", "tf", trend_factor);
    if (in.FloatsIn(t) >= 2) {
      out.Set(t, SmoothWindow(in.FloatValues(t), level_factor, trend_factor));
    }
  }
  return Status::Ok();
}

}  // namespace tocsin::query
