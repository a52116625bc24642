#include "train/advantage/advantage.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace longshot::train {
namespace {

constexpr double kStdEpsilon = 1e-6;
constexpr double kRewardRounding = 1e-12;  // of the larger of two rewards

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return values.empty() ? 0.0 : sum / static_cast<double>(values.size());
}

double sample_std(const std::vector<double>& values) {
  if (values.size() < 2) return 0.0;
  const double center = mean(values);
  double sum = 0;
  for (const double v : values) sum += (v - center) * (v - center);
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

bool same_reward(double a, double b) {
  return std::abs(a - b) <= kRewardRounding * std::max(std::abs(a), std::abs(b));
}

std::vector<double> minus(const std::vector<double>& values, double baseline) {
  std::vector<double> out(values);
  for (double& v : out) v -= baseline;
  return out;
}

void divide(std::vector<double>& values, double divisor) {
  for (double& v : values) v /= divisor;
}

template <typename F>
GroupValues each_group(const GroupValues& rewards, F advantage_of) {
  GroupValues out;
  out.reserve(rewards.size());
  for (const auto& group : rewards) out.push_back(advantage_of(group));
  return out;
}

std::vector<double> nothing(const std::vector<double>& group) {
  return std::vector<double>(group.size(), 0.0);
}

std::vector<double> centered(const std::vector<double>& group, bool divide_by_std) {
  if (equal_rewards(group)) return nothing(group);
  auto out = minus(group, mean(group));
  if (divide_by_std) divide(out, sample_std(group) + kStdEpsilon);
  return out;
}

GroupValues mean_rule(const GroupValues& rewards, const AdvantageOptions& options) {
  return each_group(rewards, [&](const auto& g) { return centered(g, options.divide_by_std); });
}

GroupValues logz_rule(const GroupValues& rewards, const AdvantageOptions& options) {
  return each_group(rewards, [&](const auto& g) {
    return equal_rewards(g) ? nothing(g) : minus(g, log_mean_exp(g, options.tau));
  });
}

// r_j - (sum - r_j) / (k - 1) = (r_j - mean) k / (k - 1).
std::vector<double> leave_one_out(const std::vector<double>& group, bool divide_by_std) {
  auto out = centered(group, divide_by_std);
  const auto k = static_cast<double>(group.size());
  if (k > 1) divide(out, (k - 1) / k);
  return out;
}

GroupValues rloo_rule(const GroupValues& rewards, const AdvantageOptions& options) {
  return each_group(rewards,
                    [&](const auto& g) { return leave_one_out(g, options.divide_by_std); });
}

GroupValues reinforce_rule(const GroupValues& rewards, const AdvantageOptions& options) {
  std::vector<double> all;
  for (const auto& group : rewards) all.insert(all.end(), group.begin(), group.end());
  if (equal_rewards(all)) return each_group(rewards, nothing);
  const double baseline = mean(all);
  const double divisor = options.divide_by_std ? sample_std(all) + kStdEpsilon : 1.0;
  return each_group(rewards, [&](const auto& g) {
    auto out = minus(g, baseline);
    divide(out, divisor);
    return out;
  });
}

GroupValues rest_rule(const GroupValues& rewards, const AdvantageOptions&) {
  return each_group(rewards, [](const auto& g) {
    const double best = g.empty() ? 0.0 : *std::max_element(g.begin(), g.end());
    std::vector<double> out(g.size());
    for (size_t j = 0; j < g.size(); ++j) {
      out[j] = g[j] > 0 && same_reward(g[j], best) ? 1.0 : 0.0;
    }
    return out;
  });
}

bool compares_as_grpo(Algorithm name) {
  return name == Algorithm::grpo || name == Algorithm::gspo || name == Algorithm::cispo;
}

std::string rule_name(const AlgorithmOptions& algorithm) {
  if (algorithm.name == Algorithm::kimi) return name_of(algorithm.baseline);
  return compares_as_grpo(algorithm.name) ? "mean" : name_of(algorithm.name);
}

}  // namespace

bool equal_rewards(const std::vector<double>& rewards) {
  if (rewards.empty()) return true;
  const auto [low, high] = std::minmax_element(rewards.begin(), rewards.end());
  return same_reward(*low, *high);
}

const std::vector<AdvantageRule>& advantage_rules() {
  static const std::vector<AdvantageRule> rules = {{"mean", mean_rule},
                                                   {"logz", logz_rule},
                                                   {"rloo", rloo_rule},
                                                   {"reinforce", reinforce_rule},
                                                   {"rest", rest_rule}};
  return rules;
}

const AdvantageRule* find_advantage_rule(const std::string& name) {
  for (const auto& rule : advantage_rules()) {
    if (name == rule.name) return &rule;
  }
  return nullptr;
}

double log_mean_exp(const std::vector<double>& rewards, double tau) {
  if (rewards.empty()) return 0.0;
  const double top = *std::max_element(rewards.begin(), rewards.end());
  double sum = 0;  // in [1, k]
  for (const double r : rewards) sum += std::exp((r - top) / tau);
  return top + tau * std::log(sum / static_cast<double>(rewards.size()));
}

Status check_advantage_options(const AlgorithmOptions& algorithm) {
  const bool logz = algorithm.name == Algorithm::kimi && algorithm.baseline == Baseline::logz;
  const bool divided =
      algorithm.normalize == Normalize::deviation || algorithm.normalize == Normalize::batch;
  if (!divided || !(logz || algorithm.name == Algorithm::rest)) return ok_status();
  return invalid_argument(
      fmt::format("algorithm.normalize = \"{}\" has no meaning with \"{}\"; set it to \"none\"",
                  name_of(algorithm.normalize), rule_name(algorithm)));
}

void divide_by_batch_deviation(GroupValues& advantages) {
  std::vector<double> all;
  for (const auto& group : advantages) all.insert(all.end(), group.begin(), group.end());
  const double divisor = sample_std(all) + kStdEpsilon;
  for (auto& group : advantages) divide(group, divisor);
}

GroupValues compute_advantages(const AlgorithmOptions& algorithm, const GroupValues& rewards) {
  const AdvantageRule* rule = find_advantage_rule(rule_name(algorithm));
  LS_CHECK(rule != nullptr, "every algorithm has a rule");
  const bool as_published =
      algorithm.normalize == Normalize::automatic && compares_as_grpo(algorithm.name);
  GroupValues out = rule->compute(
      rewards, {algorithm.tau, as_published || algorithm.normalize == Normalize::deviation});
  if (algorithm.normalize == Normalize::batch) divide_by_batch_deviation(out);
  return out;
}

}  // namespace longshot::train
