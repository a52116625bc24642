#include "train/pass/gemm_peak.h"

#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>

#include <algorithm>

#include "base/os/clock.h"

namespace longshot::train {

double measure_gemm_flops(const std::string& device, NumberFormat dtype) {
  // On a GPU a small product takes less time than its launch.
  const int64_t size = at::Device(device).is_cuda() ? 8192 : 768;
  constexpr int kRepeats = 24;  // a CPU reaches its full speed after about 15 of them
  const auto options = at::TensorOptions()
                           .dtype(dtype == NumberFormat::bf16 ? at::kBFloat16 : at::kFloat)
                           .device(at::Device(device));
  const at::Tensor a = at::ones({size, size}, options), b = at::ones({size, size}, options);
  double best = 0;
  for (int i = 0; i < kRepeats; ++i) {
    const Stopwatch watch;
    at::matmul(a, b)[0][0].item<float>();  // waits for an asynchronous device
    const double flops = 2.0 * static_cast<double>(size * size * size);
    best = std::max(best, flops / watch.seconds());
  }
  return best;
}

}  // namespace longshot::train
