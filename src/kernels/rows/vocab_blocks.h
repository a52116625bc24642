#pragma once
// The softmax over a vocabulary whose logits exist for one block at a time. A block must be
// readable and writable up to `count` rounded up to a multiple of 16. Thread-safe on different
// rows.

#include <cmath>
#include <limits>

namespace longshot::kernels {

// Sums over the blocks so far, relative to the largest logit.
struct VocabSums {
  float max = -std::numeric_limits<float>::infinity();
  float total = 0;     // sum of exp(logit - max)
  float weighted = 0;  // sum of exp(logit - max) * logit

  float log_sum() const { return max + std::log(total); }
  float mean_logit() const { return weighted / total; }
};

// Adds the logits row[i] * inverse_temperature; `weighted` only if `with_weighted`.
void add_block(float* row, int count, float inverse_temperature, bool with_weighted,
               VocabSums& sums);
// row[i] = factor * exp(row[i] * inverse_temperature - log_sum).
void softmax_times(float* row, int count, float inverse_temperature, float log_sum, float factor);
// With x = row[i] * inverse_temperature - log_sum: row[i] = exp(x) * (offset + slope * x).
void softmax_times_line(float* row, int count, float inverse_temperature, float log_sum,
                        float offset, float slope);

}  // namespace longshot::kernels
