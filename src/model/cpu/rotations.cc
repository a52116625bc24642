#include "model/cpu/rotations.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"

namespace longshot::model::cpu {
namespace {

constexpr int64_t kRows = 32;  // rows in one task

void fill_row(const Rope& rope, int32_t position, float* row) {
  const size_t half = rope.inverse_frequencies.size();
  const double factor = rope.attention_factor;
  for (size_t i = 0; i < half; ++i) {
    const double angle =
        static_cast<double>(position) * static_cast<double>(rope.inverse_frequencies[i]);
    row[i] = static_cast<float>(factor * std::cos(angle));
    row[half + i] = static_cast<float>(factor * std::sin(angle));
  }
}

void fill_range(const Rope& rope, const DecoderBatch& batch, const kernels::TokenRange& range,
                ThreadPool& pool, kernels::AlignedFloats& cos_sin) {
  const size_t width = 2 * rope.inverse_frequencies.size();
  pool.parallel_for(static_cast<int>((range.size() + kRows - 1) / kRows), [&](int block) {
    const int64_t first = range.begin + block * kRows;
    for (int64_t r = first; r < std::min(range.end, first + kRows); ++r)
      fill_row(rope, batch.positions[r], cos_sin.data() + r * width);
  });
}

}  // namespace

void fill_rotations(const ModelConfig& config, const DecoderBatch& batch, ThreadPool& pool,
                    kernels::AlignedFloats& cos_sin) {
  const int64_t steady = rope_steady_length(config);
  cos_sin.resize(batch.tokens.size() * config.rotary_width());
  const auto fill = [&](const kernels::TokenRange& range, int64_t length) {
    fill_range(rope_of(config, static_cast<int>(length)), batch, range, pool, cos_sin);
  };
  if (steady == std::numeric_limits<int>::max())
    return fill({0, static_cast<int64_t>(batch.tokens.size())}, 1);
  for (const kernels::PromptFamily& family : *batch.families) {
    for (size_t m = 0; m < family.members.size(); ++m) {
      const int64_t length = family.members[m].size() + (m == 0 ? 0 : family.members[0].size());
      LS_CHECK(family.members.size() == 1 || length <= steady,
               "a shared prompt of a sequence longer than the rope's steady length");
      fill(family.members[m], length);
    }
  }
}

void fill_local_rotations(const ModelConfig& config, const DecoderBatch& batch, ThreadPool& pool,
                          kernels::AlignedFloats& cos_sin) {
  cos_sin.resize(batch.tokens.size() * config.rotary_width());
  fill_range(local_rope_of(config), batch, {0, static_cast<int64_t>(batch.tokens.size())}, pool,
             cos_sin);
}

}  // namespace longshot::model::cpu
