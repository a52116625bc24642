#include "rollout/cpu/rope_table.h"

#include <algorithm>
#include <cmath>

namespace longshot::rollout::cpu {

void RopeTable::reset(const model::ModelConfig& config) {
  rope_ = model::rope_of(config, 1);  // sequences are at most rope_steady_length() long
  local_rope_ = config.has_local_rope() ? model::local_rope_of(config) : model::Rope{};
  stride_ = 2 * rope_.inverse_frequencies.size();
  values_.clear();
  local_values_.clear();
}

void RopeTable::grow(int positions) {
  const size_t have = values_.size() / stride_, wanted = static_cast<size_t>(positions);
  if (wanted <= have) return;
  const size_t count = std::max(wanted, have * 2);
  fill(rope_, have, count, values_);
  if (!local_rope_.inverse_frequencies.empty()) fill(local_rope_, have, count, local_values_);
}

void RopeTable::fill(const model::Rope& rope, size_t have, size_t count,
                     std::vector<float>& values) const {
  const std::vector<float>& frequencies = rope.inverse_frequencies;
  const double factor = rope.attention_factor;
  const size_t half = frequencies.size();
  values.resize(count * stride_);
  for (size_t p = have; p < count; ++p) {
    for (size_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(p) * static_cast<double>(frequencies[i]);
      values[p * stride_ + i] = static_cast<float>(factor * std::cos(angle));
      values[p * stride_ + half + i] = static_cast<float>(factor * std::sin(angle));
    }
  }
}

}  // namespace longshot::rollout::cpu
