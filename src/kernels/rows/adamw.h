#pragma once
// One step of AdamW (Loshchilov & Hutter, 1711.05101) over flat memory, in one pass. Thread-safe on
// disjoint ranges; an element's result does not depend on the range it is in.

#include <cstdint>

namespace longshot::kernels {

struct AdamWStep {
  float lr = 0, beta1 = 0.9F, beta2 = 0.95F, eps = 1e-8F;
  float decay = 0;             // weight_decay; 0 for norms and biases
  float gradient_scale = 1;    // clipping
  float correction1 = 1;       // 1 - beta1^t
  float root_correction2 = 1;  // sqrt(1 - beta2^t)
};

// With g = gradient_scale * gradient:
// m += (1 - beta1) (g - m); v += (1 - beta2) (g^2 - v);
// w = w (1 - lr decay) - lr / correction1 * m / (sqrt(v) / root_correction2 + eps)
void adamw(const AdamWStep& step, const float* gradient, int64_t count, float* weight, float* m,
           float* v);

// Sum of squares in double, in a fixed order.
double sum_of_squares(const float* values, int64_t count);

}  // namespace longshot::kernels
