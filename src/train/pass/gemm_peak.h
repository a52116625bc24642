#pragma once
// What a large matrix product reaches on a device: the figure that utilization is measured against.

#include <string>

namespace longshot::train {

// Operations per second, a multiply-add counting two, of products of 768 x 768 matrices through libtorch: the best of two
// dozen, a tenth of a second or two in all on a CPU. dtype: "float32", "bfloat16".
double measure_gemm_flops(const std::string& device, const std::string& dtype);

}  // namespace longshot::train
