#include "bench/peak.h"

#include <thread>
#include <vector>

#include "base/os/clock.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bench/peak.cc"
#include "kernels/targets.h"
// Order matters: targets.h, its re-inclusion for each target, then everything else.

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace longshot::bench::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Multiply-adds per second, measured for `seconds`, in 1e9 operations.
double peak_target(double seconds) {
  const hn::ScalableTag<float> d;
  constexpr int kChains = 10;  // enough to hide the latency, few enough for 16 registers
  constexpr int kRounds = 100'000;
  const auto a = hn::Set(d, 0.999f), b = hn::Set(d, 0.001f);
  hn::Vec<decltype(d)> acc[kChains];
#pragma GCC unroll 10
  for (int i = 0; i < kChains; ++i) acc[i] = hn::Set(d, static_cast<float>(i));
  int64_t rounds = 0;
  const Stopwatch watch;
  while (watch.seconds() < seconds) {
    for (int round = 0; round < kRounds; ++round) {
#pragma GCC unroll 10
      for (int i = 0; i < kChains; ++i) acc[i] = hn::MulAdd(acc[i], a, b);
    }
    rounds += kRounds;
  }
  const double rate = 2.0 * kChains * static_cast<double>(hn::Lanes(d)) *
                      static_cast<double>(rounds) / watch.seconds() / 1e9;
  float sink = 0;  // the sums are used, so the compiler cannot remove the computation
#pragma GCC unroll 10
  for (int i = 0; i < kChains; ++i) sink += hn::GetLane(acc[i]);
  return sink == 12345.0f ? 0 : rate;
}

}  // namespace longshot::bench::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace longshot::bench {

HWY_EXPORT(peak_target);

double measured_peak_gflops(int threads, double seconds) {
  std::vector<double> rates(threads);
  std::vector<std::thread> workers;
  for (double& rate : rates) {
    workers.emplace_back([&rate, seconds] { rate = HWY_DYNAMIC_DISPATCH(peak_target)(seconds); });
  }
  for (std::thread& worker : workers) worker.join();
  double sum = 0;
  for (const double rate : rates) sum += rate;
  return sum;
}

}  // namespace longshot::bench
#endif  // HWY_ONCE
