#include "policy/gemm_peak.h"

#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>

#include <algorithm>

#include "base/clock.h"

namespace longshot::policy {

double measure_gemm_flops(const std::string& device, const std::string& dtype) {
  constexpr int64_t kSize = 768;
  constexpr int kRepeats = 24;  // a processor takes some fifteen of them to reach its full speed
  const auto options = at::TensorOptions()
                           .dtype(dtype == "bfloat16" ? at::kBFloat16 : at::kFloat)
                           .device(at::Device(device));
  const at::Tensor a = at::ones({kSize, kSize}, options), b = at::ones({kSize, kSize}, options);
  double best = 0;
  for (int i = 0; i < kRepeats; ++i) {
    const Stopwatch watch;
    at::matmul(a, b)[0][0].item<float>();  // waits for a device that works on its own
    best = std::max(best, 2.0 * kSize * kSize * kSize / watch.seconds());
  }
  return best;
}

}  // namespace longshot::policy
