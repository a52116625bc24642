#include "rollout/sampler.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "rollout/vocab_kernels.h"

namespace longshot::rollout {
namespace {

// First index of [0, n) at which the running sum from `sum` exceeds `target`; the last one with weight > 0 if
// rounding keeps the sum below.
template <typename Weight>
int walk(int n, double sum, double target, const Weight& weight) {
  int last = 0;
  for (int i = 0; i < n; ++i) {
    const double w = weight(i);
    if (w <= 0) continue;
    last = i;
    sum += w;
    if (sum > target) break;
  }
  return last;
}

}  // namespace

Status check_sampling(const SamplingOptions& o) {
  if (!(o.temperature >= 0 && std::isfinite(o.temperature))) {
    return invalid_argument(fmt::format("temperature must be 0 or larger, not {}", o.temperature));
  }
  if (!(o.top_p > 0 && o.top_p <= 1)) {
    return invalid_argument(fmt::format("top_p must be in (0, 1], not {}", o.top_p));
  }
  if (o.top_k < 0)
    return invalid_argument(fmt::format("top_k must be 0 or larger, not {}", o.top_k));
  if (!(o.min_p >= 0 && o.min_p <= 1)) {
    return invalid_argument(fmt::format("min_p must be in [0, 1], not {}", o.min_p));
  }
  if (o.max_response_length < 1) {
    return invalid_argument(
        fmt::format("max_response_length must be positive, not {}", o.max_response_length));
  }
  for (const std::string& s : o.stop_strings) {
    if (s.empty()) return invalid_argument("an empty stop string would end every sample at once");
  }
  return ok_status();
}

Choice Sampler::pick(std::span<const float> logits, double uniform,
                     const SamplingOptions& options) {
  const float max = max_value(logits);
  if (!std::isfinite(max)) return {};
  const bool greedy = options.temperature == 0;
  const float scale = greedy ? 1.0f : static_cast<float>(1.0 / options.temperature);
  weights_.resize(logits.size());
  block_sums_.resize((logits.size() + kWeightBlock - 1) / kWeightBlock);
  exp_weights(logits, max, scale, weights_.data(), block_sums_.data());
  double total = 0;
  for (const double sum : block_sums_) total += sum;
  if (!std::isfinite(total) || total <= 0) return {};
  if (greedy) {
    const auto at = std::find(logits.begin(), logits.end(), max) - logits.begin();
    return {static_cast<data::TokenId>(at), static_cast<float>(-std::log(total))};
  }
  const int vocab = static_cast<int>(logits.size());
  const bool filtered =
      (options.top_k > 0 && options.top_k < vocab) || options.top_p < 1 || options.min_p > 0;
  return filtered ? pick_filtered(total, uniform, options)
                  : pick_unfiltered(logits, max, total, uniform, options.temperature);
}

Choice Sampler::pick_unfiltered(std::span<const float> logits, float max, double total,
                                double uniform, double temperature) const {
  const double target = uniform * total;
  double before = 0;
  int block =
      walk(static_cast<int>(block_sums_.size()), 0, target, [&](int b) { return block_sums_[b]; });
  for (int b = 0; b < block; ++b) before += block_sums_[b];
  const int begin = block * kWeightBlock;
  const int count = std::min<int>(kWeightBlock, static_cast<int>(logits.size()) - begin);
  const int id = begin + walk(count, before, target, [&](int i) { return weights_[begin + i]; });
  const double scaled = (static_cast<double>(logits[id]) - max) / temperature;
  return {id, static_cast<float>(scaled - std::log(total))};
}

// Gathers every token that the filters could keep, without sorting the vocabulary: weights are binned by their
// power of two, and the bins are taken from the top until they hold enough tokens or probability.
void Sampler::collect(double total, const SamplingOptions& options) {
  std::array<double, 128> mass{};
  std::array<int, 128>
      count{};  // bin b: weights in (2^-(b + 1), 2^-b]; the last one takes the rest
  const auto bin_of = [](float w) {  // weights lie in [0, 1]; 127 is the exponent bias
    return std::clamp(127 - static_cast<int>(std::bit_cast<uint32_t>(w) >> 23), 0, 127);
  };
  for (const float w : weights_) {
    const int bin = bin_of(w);
    mass[bin] += w;
    ++count[bin];
  }
  const int wanted = options.top_k > 0 ? options.top_k : static_cast<int>(weights_.size());
  const double wanted_mass =
      options.top_k > 0 || options.top_p >= 1 ? 2 * total : options.top_p * total;
  int seen = 0, last = 0;
  double seen_mass = 0;
  for (; last < 127; ++last) {
    seen += count[last];
    seen_mass += mass[last];
    // The margin covers the different rounding of the exact walk in filter().
    if (seen >= wanted || seen_mass > wanted_mass * (1 + 1e-9)) break;
  }
  // min-p comes after top-k; only without top-k may it shorten the list this early.
  const double floor = options.top_k > 0 ? 0 : options.min_p;
  kept_.clear();
  for (size_t i = 0; i < weights_.size(); ++i) {
    const float w = weights_[i];
    if (w >= floor && w > 0 && bin_of(w) <= last) kept_.push_back({w, static_cast<int>(i)});
  }
}

void Sampler::filter(double total, const SamplingOptions& options) {
  std::sort(kept_.begin(), kept_.end(), [](const Candidate& a, const Candidate& b) {
    return a.weight != b.weight ? a.weight > b.weight : a.id < b.id;
  });
  if (options.top_k > 0 && static_cast<int>(kept_.size()) > options.top_k)
    kept_.resize(options.top_k);
  if (options.top_p < 1) keep_top_p(total, options);
  while (kept_.size() > 1 && kept_.back().weight < options.min_p * kept_.front().weight)
    kept_.pop_back();
}

void Sampler::keep_top_p(double total, const SamplingOptions& options) {
  // Without top-k the kept tokens may lack some of the probability, which lies in `total`.
  double whole = total;
  if (options.top_k > 0) {
    whole = 0;
    for (const Candidate& c : kept_) whole += c.weight;
  }
  double before = 0;
  size_t n = 0;
  while (n < kept_.size() && before < options.top_p * whole) before += kept_[n++].weight;
  kept_.resize(std::max<size_t>(n, 1));
}

Choice Sampler::pick_filtered(double total, double uniform, const SamplingOptions& options) {
  collect(total, options);
  filter(total, options);
  double kept_total = 0;
  for (const Candidate& c : kept_) kept_total += c.weight;
  const int at = walk(static_cast<int>(kept_.size()), 0, uniform * kept_total,
                      [&](int i) { return kept_[i].weight; });
  return {kept_[at].id, static_cast<float>(std::log(kept_[at].weight / kept_total))};
}

}  // namespace longshot::rollout
