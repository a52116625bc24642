#include "bench/peak.h"

#include <algorithm>

#include "base/clock.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bench/peak.cc"
#include "rollout/targets.h"
// Order matters: targets.h, the re-inclusion for each target, then everything else.

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace longshot::bench::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

double peak_target() {
  const hn::ScalableTag<float> d;
  constexpr int kChains = 10;  // enough to hide the latency, few enough for 16 registers
  double best = 0;
  float sink = 0;
  for (int run = 0; run < 20; ++run) {
    hn::Vec<decltype(d)> acc[kChains];
    const auto a = hn::Set(d, 0.999f), b = hn::Set(d, 0.001f);
#pragma GCC unroll 10
    for (int i = 0; i < kChains; ++i) acc[i] = hn::Set(d, static_cast<float>(i));
    constexpr int kRounds = 500'000;
    const Stopwatch watch;
    for (int round = 0; round < kRounds; ++round) {
#pragma GCC unroll 10
      for (int i = 0; i < kChains; ++i) acc[i] = hn::MulAdd(acc[i], a, b);
    }
    const double seconds = watch.seconds();
#pragma GCC unroll 10
    for (int i = 0; i < kChains; ++i) sink += hn::GetLane(acc[i]);
    best =
        std::max(best, 2.0 * kChains * static_cast<double>(hn::Lanes(d)) * kRounds / seconds / 1e9);
  }
  return sink == 12345.0f ? 0 : best;
}

}  // namespace longshot::bench::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace longshot::bench {

HWY_EXPORT(peak_target);

double measured_peak_gflops() {
  return HWY_DYNAMIC_DISPATCH(peak_target)();
}

}  // namespace longshot::bench
#endif  // HWY_ONCE
