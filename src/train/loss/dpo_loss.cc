#include "train/loss/dpo_loss.h"

#include "base/check.h"
#include "train/loss/preference_loss.h"

namespace longshot::train {
namespace {

double log_ratio(const ResponseLogprob& response) {
  return response.policy - response.reference;
}

// The loss as a function of `margin` = beta * delta. A swapped pair has the opposite margin.
ScoreLoss margin_loss(double margin, const DpoOptions& options) {
  const double s = options.label_smoothing;
  const ScoreLoss right = pair_loss(margin), swapped = pair_loss(-margin);
  const bool robust = options.loss == DpoLoss::robust;
  const double a = robust ? (1 - s) / (1 - 2 * s) : 1 - s, b = robust ? -s / (1 - 2 * s) : s;
  return {a * right.loss + b * swapped.loss, a * right.gradient - b * swapped.gradient};
}

void add_sigmoid(double delta, const DpoOptions& options, PairLoss& out) {
  const ScoreLoss loss = margin_loss(options.beta * delta, options);
  out.loss = loss.loss;
  out.chosen_gradient = options.beta * loss.gradient;
  out.rejected_gradient = -out.chosen_gradient;
}

void add_ipo(const ResponseLogprob& chosen, const ResponseLogprob& rejected,
             const DpoOptions& options, PairLoss& out) {
  const auto chosen_tokens = static_cast<double>(chosen.tokens),
             rejected_tokens = static_cast<double>(rejected.tokens);
  const double distance = log_ratio(chosen) / chosen_tokens -
                          log_ratio(rejected) / rejected_tokens - 1 / (2 * options.beta);
  out.loss = distance * distance;
  out.chosen_gradient = 2 * distance / chosen_tokens;
  out.rejected_gradient = -2 * distance / rejected_tokens;
}

}  // namespace

PairLoss dpo_loss(const ResponseLogprob& chosen, const ResponseLogprob& rejected,
                  const DpoOptions& options) {
  LS_CHECK(chosen.tokens > 0 && rejected.tokens > 0, "a response has at least one token");
  PairLoss out;
  out.chosen_reward = options.beta * log_ratio(chosen);
  out.rejected_reward = options.beta * log_ratio(rejected);
  if (options.loss == DpoLoss::ipo) {
    add_ipo(chosen, rejected, options, out);
  } else {
    add_sigmoid(log_ratio(chosen) - log_ratio(rejected), options, out);
  }
  return out;
}

}  // namespace longshot::train
