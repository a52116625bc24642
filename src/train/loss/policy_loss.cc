#include "train/loss/policy_loss.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace longshot::train {
namespace {

constexpr double kLargestExponent = 20;

// Sums over a response's tokens, or their means.
struct SequenceSums {
  double pull = 0;   // A L
  double ratio = 0;  // rho
  double scale = 1;  // dL / dl_t
};

SequenceSums sums(const ResponseView& r, const ObjectiveOptions& options) {
  LS_CHECK(r.logprobs.size() == r.reference.size(), "one reference log-probability per token");
  SequenceSums s;
  if (options.length_mean && !r.logprobs.empty())
    s.scale = 1.0 / static_cast<double>(r.logprobs.size());
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

double limited_exp(double x) {
  return std::exp(std::min(x, kLargestExponent));
}

ResponseLoss grpo(const ResponseView& r, const ObjectiveOptions& options, std::span<double> grad) {
  const double scale = sums(r, options).scale;
  const auto kl_reference = r.kl_reference.empty() ? r.reference : r.kl_reference;
  LS_CHECK(kl_reference.size() == r.logprobs.size(), "one log-probability per token for the KL");
  ResponseLoss out;
  for (size_t t = 0; t < r.logprobs.size(); ++t) {
    const double ratio = limited_exp(r.logprobs[t] - r.reference[t]);
    const double advantage = r.advantages[t];
    const double plain = ratio * advantage;
    const double limited =
        std::clamp(ratio, 1 - options.clip_low, 1 + options.clip_high) * advantage;
    const bool clipped = limited < plain;
    out.clipped += clipped;
    out.loss -= scale * std::min(plain, limited);
    grad[t] = clipped ? 0.0 : -scale * plain;
    if (options.kl_coef != 0) {
      const double behind = kl_reference[t] - r.logprobs[t];
      const double inverse = limited_exp(behind);
      out.kl += scale * options.kl_coef * (inverse - behind - 1);
      grad[t] += scale * options.kl_coef * (1 - inverse);
    }
  }
  out.loss += out.kl;
  return out;
}

const char* objective_name(const AlgorithmOptions& algorithm) {
  switch (algorithm.name) {
    case Algorithm::kimi:
      return algorithm.baseline == Baseline::logz ? "kimi_logz" : "kimi";
    case Algorithm::grpo:
      return "grpo";
    case Algorithm::reinforce:
    case Algorithm::rloo:
    case Algorithm::rest:
      break;
  }
  return "pg";
}

}  // namespace

const std::vector<Objective>& objectives() {
  static const std::vector<Objective> table = {
      {"kimi", kimi}, {"kimi_logz", kimi_logz}, {"pg", policy_gradient}, {"grpo", grpo}};
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
  bound.options = {a.tau, a.length_normalize == LengthNormalize::mean, a.clip_low, a.clip_high,
                   a.kl_coef};
  const bool kimi_without_pull = a.name == Algorithm::kimi && a.tau == 0;
  bound.reads_reference =
      (a.name == Algorithm::kimi || a.name == Algorithm::grpo) && !kimi_without_pull;
  return bound;
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
