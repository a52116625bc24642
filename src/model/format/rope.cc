#include "model/format/rope.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "model/format/config.h"

namespace longshot::model {
namespace {

using Type = RopeScaling::Type;

// Wavelengths longer than original / low_freq_factor are divided by `factor`. Those shorter than
// original / high_freq_factor are kept. Between them the two are mixed linearly in original /
// wavelength (_compute_llama3_parameters).
double llama3_frequency(double frequency, const RopeScaling& s) {
  const double original = s.original_max_position_embeddings;
  const double wavelength = 2 * std::numbers::pi / frequency;
  if (wavelength < original / s.high_freq_factor) return frequency;
  if (wavelength > original / s.low_freq_factor) return frequency / s.factor;
  const double smooth =
      (original / wavelength - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
  return (1 - smooth) * frequency / s.factor + smooth * frequency;
}

// The dimensions between which YaRN's ramp runs: their frequencies make beta_fast and beta_slow
// turns over the original length (2309.00071, section 3.2; _compute_yarn_parameters).
struct YarnRamp {
  double low, high;

  YarnRamp(const RopeScaling& s, double theta, int dim) {
    const auto dimension = [&](double turns) {
      return dim * std::log(s.original_max_position_embeddings / (turns * 2 * std::numbers::pi)) /
             (2 * std::log(theta));
    };
    low = dimension(s.beta_fast);
    high = dimension(s.beta_slow);
    if (s.truncate) {
      low = std::floor(low);
      high = std::ceil(high);
    }
    low = std::max(low, 0.0);
    high = std::min(high, dim - 1.0);
    if (low == high) high += 0.001;
  }
  // 0 keeps the frequency; 1 divides it by the factor.
  double at(size_t i) const {
    return std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
  }
};

double dynamic_theta(const ModelConfig& c, int length) {
  const double factor = c.rope_scaling->factor, positions = c.max_position_embeddings;
  const double stretch = factor * std::max<double>(length, positions) / positions - (factor - 1);
  return c.rope_theta * std::pow(stretch, c.rotary_width() / (c.rotary_width() - 2.0));
}

double yarn_mscale(double scale, double mscale) {
  return scale <= 1 ? 1.0 : 0.1 * mscale * std::log(scale) + 1.0;
}

double attention_factor(const RopeScaling& s) {
  if (s.attention_factor) return *s.attention_factor;
  if (s.type == Type::yarn) {
    if (s.mscale != 0 && s.mscale_all_dim != 0)
      return yarn_mscale(s.factor, s.mscale) / yarn_mscale(s.factor, s.mscale_all_dim);
    return yarn_mscale(s.factor, 1);
  }
  if (s.type == Type::longrope && s.factor > 1)
    return std::sqrt(1 + std::log(s.factor) / std::log(s.original_max_position_embeddings));
  return 1;
}

double scaled(double frequency, size_t i, const RopeScaling& s, const YarnRamp& ramp,
              bool is_long) {
  switch (s.type) {
    case Type::linear:
      return frequency / s.factor;
    case Type::yarn:
      return frequency * ((1 - ramp.at(i)) + ramp.at(i) / s.factor);
    case Type::longrope:
      return frequency / (is_long ? s.long_factor : s.short_factor)[i];
    case Type::llama3:
      return llama3_frequency(frequency, s);
    case Type::dynamic:
      break;  // theta is already changed
  }
  return frequency;
}

}  // namespace

RopeScaling RopeScaling::llama3(double factor, double low_freq_factor, double high_freq_factor,
                                int original_max_position_embeddings) {
  RopeScaling scaling;
  scaling.type = Type::llama3;
  scaling.factor = factor;
  scaling.low_freq_factor = low_freq_factor;
  scaling.high_freq_factor = high_freq_factor;
  scaling.original_max_position_embeddings = original_max_position_embeddings;
  return scaling;
}

Rope rope_of(const ModelConfig& c, int length) {
  const bool dynamic = c.rope_scaling && c.rope_scaling->type == Type::dynamic;
  const double theta = dynamic ? dynamic_theta(c, length) : c.rope_theta;
  const RopeScaling scaling = c.rope_scaling.value_or(RopeScaling{});
  const int width = c.rotary_width();
  const YarnRamp ramp(scaling, theta, width);
  const bool is_long = length > rope_steady_length(c);
  Rope rope;
  rope.inverse_frequencies.resize(static_cast<size_t>(width / 2));
  for (size_t i = 0; i < rope.inverse_frequencies.size(); ++i) {
    const double plain = std::pow(theta, -2.0 * static_cast<double>(i) / width);
    rope.inverse_frequencies[i] = static_cast<float>(scaled(plain, i, scaling, ramp, is_long));
  }
  rope.attention_factor = static_cast<float>(attention_factor(scaling));
  return rope;
}

Rope local_rope_of(const ModelConfig& config) {
  ModelConfig local = config;
  local.rope_theta = config.local_rope_theta;
  local.rope_scaling.reset();
  return rope_of(local, 1);
}

int rope_steady_length(const ModelConfig& c) {
  if (!c.rope_scaling) return std::numeric_limits<int>::max();
  if (c.rope_scaling->type == Type::dynamic) return c.max_position_embeddings;
  if (c.rope_scaling->type == Type::longrope)
    return c.rope_scaling->original_max_position_embeddings;
  return std::numeric_limits<int>::max();
}

int context_length(const ModelConfig& c) {
  double length = c.max_position_embeddings;
  if (c.rope_scaling && c.rope_scaling->type == Type::linear) length *= c.rope_scaling->factor;
  if (c.rope_scaling && c.rope_scaling->type == Type::yarn) {
    length =
        std::max(length, c.rope_scaling->factor * c.rope_scaling->original_max_position_embeddings);
  }
  return static_cast<int>(std::min<double>(length, rope_steady_length(c)));
}

Status check_rope_length(const ModelConfig& c, int length) {
  const int steady = rope_steady_length(c);
  if (length <= steady) return ok_status();
  return invalid_argument(fmt::format(
      "the model's rope scaling '{}' turns every token of a sequence longer than {} by its final "
      "length, which no growing sequence can be computed with: prompt and response may have {} "
      "tokens, not {}",
      c.rope_scaling->type == Type::dynamic ? "dynamic" : "longrope", steady, steady, length));
}

}  // namespace longshot::model
