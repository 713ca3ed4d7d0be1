// The kernels behind FindWindowKernel, by family.
#pragma once

#include "query/functions/window.h"

namespace tocsin::query {

#define TOCSIN_WINDOW_KERNEL(name) \
  Status name(const WindowCall& call, const WindowInput& in, const WindowOutput& out)

// window_rate.cc
TOCSIN_WINDOW_KERNEL(Rate);
TOCSIN_WINDOW_KERNEL(Increase);
TOCSIN_WINDOW_KERNEL(Delta);
TOCSIN_WINDOW_KERNEL(Irate);
TOCSIN_WINDOW_KERNEL(Idelta);

// window_extended.cc
TOCSIN_WINDOW_KERNEL(AnchoredRate);
TOCSIN_WINDOW_KERNEL(AnchoredIncrease);
TOCSIN_WINDOW_KERNEL(AnchoredDelta);
TOCSIN_WINDOW_KERNEL(AnchoredChanges);
TOCSIN_WINDOW_KERNEL(AnchoredResets);
TOCSIN_WINDOW_KERNEL(SmoothedRate);
TOCSIN_WINDOW_KERNEL(SmoothedIncrease);
TOCSIN_WINDOW_KERNEL(SmoothedDelta);

// window_count.cc
TOCSIN_WINDOW_KERNEL(Changes);
TOCSIN_WINDOW_KERNEL(Resets);
TOCSIN_WINDOW_KERNEL(CountOverTime);
TOCSIN_WINDOW_KERNEL(PresentOverTime);
TOCSIN_WINDOW_KERNEL(FirstOverTime);
TOCSIN_WINDOW_KERNEL(LastOverTime);
TOCSIN_WINDOW_KERNEL(TsOfFirstOverTime);
TOCSIN_WINDOW_KERNEL(TsOfLastOverTime);

// window_sum.cc
TOCSIN_WINDOW_KERNEL(SumOverTime);
TOCSIN_WINDOW_KERNEL(AvgOverTime);
TOCSIN_WINDOW_KERNEL(StddevOverTime);
TOCSIN_WINDOW_KERNEL(StdvarOverTime);

// window_order.cc
TOCSIN_WINDOW_KERNEL(MinOverTime);
TOCSIN_WINDOW_KERNEL(MaxOverTime);
TOCSIN_WINDOW_KERNEL(TsOfMinOverTime);
TOCSIN_WINDOW_KERNEL(TsOfMaxOverTime);
TOCSIN_WINDOW_KERNEL(QuantileOverTime);
TOCSIN_WINDOW_KERNEL(MadOverTime);

// window_trend.cc
TOCSIN_WINDOW_KERNEL(Deriv);
TOCSIN_WINDOW_KERNEL(PredictLinear);
TOCSIN_WINDOW_KERNEL(DoubleExponentialSmoothing);

}  // namespace tocsin::query
