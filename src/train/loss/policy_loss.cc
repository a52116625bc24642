#include "train/loss/policy_loss.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "train/loss/kl_penalty.h"

namespace longshot::train {
namespace {

// Sums over a response's tokens, or their means.
struct SequenceSums {
  double pull = 0;   // A L
  double ratio = 0;  // rho
  double scale = 1;  // dL / dl_t
};

double scale_of(const ObjectiveOptions& options, size_t tokens) {
  const double mean = options.length_mean && tokens > 0 ? 1.0 / static_cast<double>(tokens) : 1.0;
  return mean / options.divisor;
}

SequenceSums sums(const ResponseView& r, const ObjectiveOptions& options) {
  LS_CHECK(r.logprobs.size() == r.reference.size(), "one reference log-probability per token");
  SequenceSums s;
  s.scale = scale_of(options, r.logprobs.size());
  double logprob = 0, weighted = 0;
  for (size_t t = 0; t < r.logprobs.size(); ++t) {
    logprob += r.logprobs[t];
    weighted += r.advantages[t] * r.logprobs[t];
    s.ratio += r.logprobs[t] - r.reference[t];
  }
  s.pull = r.advantages.differ() ? s.scale * weighted : r.advantages.all() * (s.scale * logprob);
  s.ratio *= s.scale;
  return s;
}

// d loss / d l_t = scale (push - A_t)
void fill(std::span<double> grad, double scale, double push, const Advantages& advantages) {
  for (size_t t = 0; t < grad.size(); ++t) grad[t] = scale * (-advantages[t] + push);
}

ResponseLoss kimi(const ResponseView& r, const ObjectiveOptions& options, std::span<double> grad) {
  const auto s = sums(r, options);
  fill(grad, s.scale, options.tau * s.ratio, r.advantages);
  const double kl = 0.5 * options.tau * s.ratio * s.ratio;
  return {-s.pull + kl, kl, 0};
}

double reference_pull(const ResponseView& r, double scale) {
  double sum = 0;
  for (size_t t = 0; t < r.reference.size(); ++t) sum += r.advantages[t] * r.reference[t];
  return scale * sum;
}

ResponseLoss kimi_logz(const ResponseView& r, const ObjectiveOptions& options,
                       std::span<double> grad) {
  const auto s = sums(r, options);
  fill(grad, s.scale, options.tau * s.ratio, r.advantages);
  const double kl = 0.5 * options.tau * s.ratio * s.ratio;
  if (r.advantages.differ()) return {kl - s.pull + reference_pull(r, s.scale), kl, 0};
  const double residual = r.advantages.all() - options.tau * s.ratio;
  return {residual * residual / (2 * options.tau), kl, 0};
}

ResponseLoss policy_gradient(const ResponseView& r, const ObjectiveOptions& options,
                             std::span<double> grad) {
  const auto s = sums(r, options);
  fill(grad, s.scale, 0, r.advantages);
  return {-s.pull, 0, 0};
}

double clip(double ratio, const ObjectiveOptions& options) {
  return std::clamp(ratio, 1 - options.clip_low, 1 + options.clip_high);
}

ResponseLoss grpo(const ResponseView& r, const ObjectiveOptions& options, std::span<double> grad) {
  const double scale = sums(r, options).scale;
  ResponseLoss out;
  for (size_t t = 0; t < r.logprobs.size(); ++t) {
    const double ratio = limited_exp(r.logprobs[t] - r.reference[t]);
    const double advantage = r.advantages[t];
    const double plain = ratio * advantage, limited = clip(ratio, options) * advantage;
    const bool clipped = limited < plain;
    out.clipped += clipped;
    out.loss -= scale * std::min(plain, limited);
    grad[t] = clipped ? 0.0 : -scale * plain;
  }
  return out;
}

// One ratio for the whole response. With advantages that differ, the mean over the tokens of the
// losses with each one (2507.18071, GSPO-token).
ResponseLoss gspo(const ResponseView& r, const ObjectiveOptions& options, std::span<double> grad) {
  ResponseLoss out;
  if (r.logprobs.empty()) return out;
  const double share = 1.0 / static_cast<double>(r.logprobs.size());
  const double ratio = limited_exp(share * (sums(r, {}).ratio));
  for (size_t t = 0; t < r.logprobs.size(); ++t) {
    const double plain = ratio * r.advantages[t], limited = clip(ratio, options) * r.advantages[t];
    const bool clipped = limited < plain;
    out.clipped += clipped;
    out.loss -= share * std::min(plain, limited);
    grad[t] = clipped ? 0.0 : -share * plain;
  }
  return out;
}

ResponseLoss cispo(const ResponseView& r, const ObjectiveOptions& options, std::span<double> grad) {
  const double scale = sums(r, options).scale;
  ResponseLoss out;
  for (size_t t = 0; t < r.logprobs.size(); ++t) {
    const double ratio = limited_exp(r.logprobs[t] - r.reference[t]);
    const double weight = clip(ratio, options);
    out.clipped += weight != ratio;
    out.loss -= scale * weight * r.advantages[t] * r.logprobs[t];
    grad[t] = -scale * weight * r.advantages[t];
  }
  return out;
}

void add_kl_penalty(const ResponseView& r, const ObjectiveOptions& options, double scale,
                    std::span<double> grad, ResponseLoss& out) {
  const auto fixed = r.kl_reference.empty() ? r.reference : r.kl_reference;
  LS_CHECK(fixed.size() == r.logprobs.size(), "one log-probability per token for the KL");
  double sum = 0;
  for (size_t t = 0; t < r.logprobs.size(); ++t) {
    const KlTerm term = kl_term(options.kl_estimator, r.logprobs[t], fixed[t]);
    sum += scale * options.kl_coef * term.value;
    grad[t] += scale * options.kl_coef * term.slope;
  }
  out.kl += sum;
  out.loss += sum;
}

const char* objective_name(const AlgorithmOptions& algorithm) {
  switch (algorithm.name) {
    case Algorithm::kimi:
      return algorithm.baseline == Baseline::logz ? "kimi_logz" : "kimi";
    case Algorithm::grpo:
    case Algorithm::gspo:
    case Algorithm::cispo:
      return name_of(algorithm.name);
    case Algorithm::reinforce:
    case Algorithm::rloo:
    case Algorithm::rest:
      break;
  }
  return "pg";
}

}  // namespace

const std::vector<Objective>& objectives() {
  static const std::vector<Objective> table = {{"kimi", kimi},          {"kimi_logz", kimi_logz},
                                               {"pg", policy_gradient}, {"grpo", grpo},
                                               {"gspo", gspo},          {"cispo", cispo}};
  return table;
}

const Objective* find_objective(const std::string& name) {
  for (const auto& objective : objectives()) {
    if (name == objective.name) return &objective;
  }
  return nullptr;
}

BoundObjective make_objective(const AlgorithmOptions& a) {
  BoundObjective bound;
  bound.objective = find_objective(objective_name(a));
  LS_CHECK(bound.objective != nullptr, "every algorithm has an objective");
  const bool constant = a.length_normalize == LengthNormalize::constant;
  const double in_loss = a.kl_place == KlPlace::loss ? a.kl_coef : 0.0;
  bound.options = {
      .tau = a.tau,
      .length_mean = a.length_normalize == LengthNormalize::mean || a.name == Algorithm::gspo,
      .divisor = constant ? static_cast<double>(a.max_response_length) : 1.0,
      .clip_low = a.clip_low,
      .clip_high = a.clip_high,
      .kl_coef = in_loss,
      .kl_estimator = a.kl_estimator};
  bound.rollout_weights = {a.rollout_weights, a.rollout_weights_low, a.rollout_weights_high};
  bound.entropy_coef = a.entropy_coef;
  const bool kimi_without_pull = a.name == Algorithm::kimi && a.tau == 0;
  const bool pulled_to_the_start = in_loss != 0 && a.kl_reference.empty();
  bound.reads_reference =
      (has_reference(a.name) && !kimi_without_pull) || pulled_to_the_start || bound.weighs_tokens();
  return bound;
}

ResponseLoss BoundObjective::operator()(const ResponseView& response,
                                        std::span<double> grad) const {
  std::vector<double> weights, weighted;
  ResponseView view = response;
  if (weighs_tokens()) {
    weights = train::rollout_weights(response.reference, response.rollout, rollout_weights);
    for (size_t t = 0; t < weights.size(); ++t)
      weighted.push_back(weights[t] * response.advantages[t]);
    if (!weighted.empty()) view.advantages = std::span<const double>(weighted);
  }
  ResponseLoss out = objective->compute(view, options, grad);
  for (size_t t = 0; t < weights.size(); ++t) {
    out.rollout_weights += weights[t];
    out.limited_weights += weights[t] == 0 || weights[t] == rollout_weights.high;
  }
  if (options.kl_coef != 0)
    add_kl_penalty(response, options, scale(response.logprobs.size()), grad, out);
  return out;
}

double BoundObjective::scale(size_t tokens) const {
  return scale_of(options, tokens);
}

bool has_reference(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kimi:
    case Algorithm::grpo:
    case Algorithm::gspo:
    case Algorithm::cispo:
      return true;
    case Algorithm::reinforce:
    case Algorithm::rloo:
    case Algorithm::rest:
      break;
  }
  return false;
}

std::vector<double> response_weights(const std::vector<int64_t>& group) {
  std::map<int64_t, int64_t> responses;
  for (const int64_t g : group) ++responses[g];
  std::vector<double> weights;
  weights.reserve(group.size());
  for (const int64_t g : group) {
    weights.push_back(1.0 /
                      (static_cast<double>(responses.size()) * static_cast<double>(responses[g])));
  }
  return weights;
}

std::vector<double> token_weights(const std::vector<int64_t>& tokens) {
  double all = 0;
  for (const int64_t n : tokens) all += static_cast<double>(n);
  return std::vector<double>(tokens.size(), all > 0 ? 1.0 / all : 0.0);
}

void KlEstimate::add(std::span<const double> logprobs, std::span<const double> recorded) {
  LS_CHECK(logprobs.size() == recorded.size(), "one recorded log-probability per token");
  for (size_t t = 0; t < logprobs.size(); ++t) {
    const double log_ratio = logprobs[t] - recorded[t];
    k1_sum -= log_ratio;
    k3_sum += std::expm1(log_ratio) - log_ratio;
  }
  tokens += static_cast<int64_t>(logprobs.size());
}

void KlEstimate::merge(const KlEstimate& other) {
  k1_sum += other.k1_sum;
  k3_sum += other.k3_sum;
  tokens += other.tokens;
}

}  // namespace longshot::train
