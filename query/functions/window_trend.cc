// deriv and predict_linear (least squares) and double_exponential_smoothing.
//
// The regression keeps sums of x, y, xy and x² about a fixed origin (SlidingFold) and moves them to
// the window's own origin at the end, where the reference computes them.
#include <fmt/format.h>

#include <cmath>

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
  void Append(const RegressionSums& later) {
    if (later.n == 0) return;
    if (n == 0) {
      *this = later;
      return;
    }
    constant = constant && later.constant && later.first_y == first_y;
    n += later.n;
    x.Add(later.x);
    y.Add(later.y);
    xy.Add(later.xy);
    xx.Add(later.xx);
  }
  // The same sums with x measured from `origin` instead.
  RegressionSums MovedTo(double origin) const {
    RegressionSums moved = *this;
    moved.x = {x.value() - n * origin, 0};
    moved.xy = {xy.value() - origin * y.value(), 0};
    moved.xx = {xx.value() - 2 * origin * x.value() + n * origin * origin, 0};
    return moved;
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
    RegressionSums sums;
    sums.AddPoint(Seconds(fixed, times[i]), values[i]);
    return sums;
  };
  SlidingFold<RegressionSums, decltype(make)> sliding(make);
  for (size_t t = 0; t < call.times.size(); ++t) {
    if (in.FloatsIn(t) < 2) continue;
    const RegressionSums sums = sliding.Window(in.floats->begin[t], in.floats->end[t]);
    emit(t, FitLine(sums.MovedTo(Seconds(fixed, origin(t)))));
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
  for (size_t t = 0; t < call.times.size(); ++t) {
    const double level_factor = call.scalars[0][t];
    const double trend_factor = call.scalars[1][t];
    if (level_factor <= 0 || level_factor >= 1) {
      return Status(
          Code::kExecution,
          fmt::format("invalid smoothing factor. Expected: 0 < sf < 1, got: {:f}", level_factor));
    }
    if (trend_factor <= 0 || trend_factor >= 1) {
      return Status(
          Code::kExecution,
          fmt::format("invalid trend factor. Expected: 0 < tf < 1, got: {:f}", trend_factor));
    }
    if (in.FloatsIn(t) >= 2) {
      out.Set(t, SmoothWindow(in.FloatValues(t), level_factor, trend_factor));
    }
  }
  return Status::Ok();
}

}  // namespace tocsin::query
