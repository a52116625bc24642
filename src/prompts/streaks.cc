#include "prompts/streaks.h"

#include <algorithm>
#include <cmath>

namespace longshot::prompts {
namespace {

bool is_easy(double mean_reward) {
  return mean_reward > 0.5;
}

double share(int64_t part, int64_t all) {
  return all == 0 ? 0 : static_cast<double>(part) / static_cast<double>(all);
}

double moved(double p, double share, double target) {
  const double step = share >= target ? -Exploration::kStep : Exploration::kStep;
  return std::clamp(p + step, Exploration::kLowest, Exploration::kHighest);
}

}  // namespace

Streak next_streak(Streak streak, bool has_variance, double mean_reward) {
  if (has_variance) return 0;
  return is_easy(mean_reward) ? std::max<Streak>(streak, 0) + 1 : std::min<Streak>(streak, 0) - 1;
}

void Outcomes::add(bool has_variance, double mean_reward) {
  ++groups;
  if (has_variance) return;
  ++(is_easy(mean_reward) ? easy : hard);
}

double Outcomes::easy_share() const {
  return share(easy, groups);
}

double Outcomes::hard_share() const {
  return share(hard, groups);
}

double Exploration::probability(Streak streak) const {
  if (streak == 0) return 1;
  const bool easy = streak > 0;
  const double length = std::abs(static_cast<double>(streak));
  return std::max(std::pow(easy ? p_easy : p_hard, length), easy ? kEasyFloor : kHardFloor);
}

void Exploration::adjust(const Outcomes& outcomes) {
  if (outcomes.groups == 0) return;
  p_easy = moved(p_easy, outcomes.easy_share(), kEasyTarget);
  p_hard = moved(p_hard, outcomes.hard_share(), kHardTarget);
}

}  // namespace longshot::prompts
