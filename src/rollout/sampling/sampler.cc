#include "rollout/sampling/sampler.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "rollout/sampling/vocab_kernels.h"

namespace longshot::rollout {
namespace {

// Returns the first index in [0, n) at which the running sum, starting at `sum`, exceeds `target`.
// If rounding keeps the sum below, returns the last index with weight > 0.
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

// Bins of weights in (0, 1], from 1 down: 16 per power of two.
constexpr int kDroppedBits = 19;
constexpr int kTopBin = 0x3F800000 >> kDroppedBits;  // of the weight 1
constexpr int kBins = kTopBin + 1;

int bin_of(float weight) {
  return kTopBin -
         std::min(kTopBin, static_cast<int>(std::bit_cast<uint32_t>(weight) >> kDroppedBits));
}

}  // namespace

bool cuts_distribution(const SamplingOptions& o) {
  return o.top_p < 1 || o.top_k > 0 || o.min_p > 0;
}

// Its inverse is finite in f32, so that a difference of 0 between logits stays 0.
constexpr double kLeastTemperature = 1e-37;

Status check_sampling(const SamplingOptions& o) {
  if (!(o.temperature >= 0 && std::isfinite(o.temperature))) {
    return invalid_argument(fmt::format("temperature must be 0 or larger, not {}", o.temperature));
  }
  if (o.temperature > 0 && o.temperature < kLeastTemperature) {
    return invalid_argument(fmt::format("temperature must be 0 (greedy) or at least {}, not {}",
                                        kLeastTemperature, o.temperature));
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
  if (o.top_logprobs < 0)
    return invalid_argument(
        fmt::format("top_logprobs must be 0 or larger, not {}", o.top_logprobs));
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
  const double total = weigh(logits, max, greedy ? 1.0 : options.temperature);
  if (!std::isfinite(total) || total <= 0) return {};
  const int vocab = static_cast<int>(logits.size());
  Choice choice;
  if (greedy) {
    const auto at = std::find(logits.begin(), logits.end(), max) - logits.begin();
    choice = {static_cast<data::TokenId>(at), static_cast<float>(-std::log(total)), {}};
  } else if ((options.top_k > 0 && options.top_k < vocab) || options.top_p < 1 ||
             options.min_p > 0) {
    choice = pick_filtered(total, uniform, options);
  } else {
    choice = pick_unfiltered(logits, max, total, uniform, options.temperature);
  }
  if (options.top_logprobs > 0)
    choice.top = top(logits, max, greedy ? 1.0 : options.temperature,
                     std::min(options.top_logprobs, kept_count_));
  return choice;
}

Choice Sampler::score(std::span<const float> logits, data::TokenId token, int top_count) {
  const float max = max_value(logits);
  if (!std::isfinite(max)) return {};
  const double total = weigh(logits, max, 1.0);
  if (!std::isfinite(total) || total <= 0) return {};
  const double scaled = static_cast<double>(logits[token]) - max;
  Choice choice{token, static_cast<float>(scaled - std::log(total)), {}};
  if (top_count > 0) choice.top = top(logits, max, 1.0, std::min(top_count, kept_count_));
  return choice;
}

// Fills weights_ and block_sums_, and returns the sum of all weights.
double Sampler::weigh(std::span<const float> logits, float max, double temperature) {
  weights_.resize(logits.size());
  block_sums_.resize((logits.size() + kWeightBlock - 1) / kWeightBlock);
  exp_weights(logits, max, static_cast<float>(1.0 / temperature), weights_.data(),
              block_sums_.data());
  double total = 0;
  for (const double sum : block_sums_) total += sum;
  kept_mass_ = total;
  kept_count_ = static_cast<int>(logits.size());
  return total;
}

// The `count` most probable tokens. `scale` divides the logits.
std::vector<TokenLogprob> Sampler::top(std::span<const float> logits, float max, double scale,
                                       int count) {
  ids_.resize(logits.size());
  std::iota(ids_.begin(), ids_.end(), 0);
  const auto end = ids_.begin() + count;
  std::partial_sort(ids_.begin(), end, ids_.end(), [&](int a, int b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  });
  std::vector<TokenLogprob> top;
  for (auto id = ids_.begin(); id != end; ++id) {
    const double scaled = (static_cast<double>(logits[*id]) - max) / scale;
    top.push_back({*id, static_cast<float>(scaled - std::log(kept_mass_))});
  }
  return top;
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
  return {id, static_cast<float>(scaled - std::log(total)), {}};
}

// Counts and sums the weights by their leading bits. The bins are in order of weight, so only those
// that contain an edge or the draw have to be sorted.
void Sampler::rank() {
  bins_.assign(kBins, {});
  last_bin_ = 0;
  for (const float w : weights_) {
    if (w <= 0) continue;
    Bin& bin = bins_[bin_of(w)];
    bin.mass += w;
    ++bin.count;
  }
  for (int b = 0; b < kBins; ++b) {
    if (bins_[b].count > 0) last_bin_ = b;
  }
  members_of_ = -1;
}

// The tokens of a bin, the most probable first, equal ones by ascending id.
std::span<const Sampler::Candidate> Sampler::members(int bin) {
  if (members_of_ != bin) {
    members_of_ = bin;
    members_.clear();
    for (size_t i = 0; i < weights_.size(); ++i) {
      const float w = weights_[i];
      if (w > 0 && bin_of(w) == bin) members_.push_back({w, static_cast<int>(i)});
    }
    std::sort(members_.begin(), members_.end(), [](const Candidate& a, const Candidate& b) {
      return a.weight != b.weight ? a.weight > b.weight : a.id < b.id;
    });
  }
  return members_;
}

double Sampler::bin_mass(int bin, const Cut& cut) {
  if (bin < cut.bin || cut.count == bins_[bin].count) return bins_[bin].mass;
  double sum = 0;
  for (const Candidate& c : members(bin).first(cut.count)) sum += c.weight;
  return sum;
}

double Sampler::mass(const Cut& cut) {
  double sum = 0;
  for (int b = 0; b <= cut.bin; ++b) sum += bin_mass(b, cut);
  return sum;
}

Sampler::Cut Sampler::cut_top_k(int k) const {
  int seen = 0;
  for (int b = 0; b <= last_bin_; ++b) {
    if (seen + bins_[b].count >= k) return {b, k - seen};
    seen += bins_[b].count;
  }
  return {last_bin_, bins_[last_bin_].count};
}

// The fewest tokens of `all` with the probability mass `wanted`.
Sampler::Cut Sampler::cut_top_p(const Cut& all, double wanted) {
  double before = 0;
  for (int b = 0; b <= all.bin; ++b) {
    const double here = bin_mass(b, all);
    if (before + here >= wanted) {
      const int available = b < all.bin ? bins_[b].count : all.count;
      int n = 0;
      while (n < available && before < wanted) before += members(b)[n++].weight;
      return {b, n};
    }
    before += here;
  }
  return all;
}

Sampler::Cut Sampler::cut_min_p(const Cut& all, double threshold) {
  float floor = static_cast<float>(threshold);
  if (floor < threshold) floor = std::nextafter(floor, 2.0f);
  int bin = bin_of(floor);
  if (bin > all.bin) return all;
  int n = 0;
  for (const Candidate& c : members(bin)) n += c.weight >= floor ? 1 : 0;
  if (bin == all.bin) n = std::min(n, all.count);
  while (n == 0) n = bins_[--bin].count;  // ends: the largest weight is above every threshold
  return {bin, n};
}

Choice Sampler::pick_filtered(double total, double uniform, const SamplingOptions& options) {
  rank();
  const int vocab = static_cast<int>(weights_.size());
  Cut cut = cut_top_k(options.top_k > 0 ? options.top_k : vocab);
  if (options.top_p < 1) {
    cut = cut_top_p(cut, options.top_p * (options.top_k > 0 ? mass(cut) : total));
  }
  // Weights are relative to the largest, which is 1.
  if (options.min_p > 0) cut = cut_min_p(cut, options.min_p);
  const double kept = mass(cut), target = uniform * kept;
  kept_mass_ = kept;
  kept_count_ = cut.count;
  for (int b = 0; b < cut.bin; ++b) kept_count_ += bins_[b].count;
  double before = 0;
  int bin = 0;
  while (bin < cut.bin && before + bins_[bin].mass <= target) before += bins_[bin++].mass;
  const std::span<const Candidate> tokens = members(bin);
  const int count = bin < cut.bin ? bins_[bin].count : cut.count;
  const Candidate& c = tokens[walk(count, before, target, [&](int i) { return tokens[i].weight; })];
  return {c.id, static_cast<float>(std::log(c.weight / kept)), {}};
}

}  // namespace longshot::rollout
