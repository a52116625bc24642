#pragma once
// Speed of a large matrix product on a device, the reference for utilization.

#include <string>

#include "base/number_format.h"

namespace longshot::train {

// Floating-point operations per second (a multiply-add is two) of square matrix products through
// libtorch: the best of 24 products of 768 x 768 matrices, on a CUDA device 8192 x 8192. Takes 0.1
// to 0.2 s on a CPU. dtype: f32 or bf16.
double measure_gemm_flops(const std::string& device, NumberFormat dtype);

}  // namespace longshot::train
