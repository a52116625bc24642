#pragma once
// Losses of direct preference optimization: the loss of a pair of responses as a function of their
// log-probabilities, and its derivatives, in double. Pure functions, without torch.

#include <cstdint>

#include "train/options.h"

namespace longshot::train {

// The log-probability of a whole response, given its prompt: the sum over the response's tokens.
struct ResponseLogprob {
  double policy = 0, reference = 0;
  int64_t tokens = 1;  // of the response, at least 1
};

struct PairLoss {
  double loss = 0;
  double chosen_gradient = 0, rejected_gradient = 0;  // d loss / d policy log-probability of each
  double chosen_reward = 0, rejected_reward = 0;      // beta * (policy - reference)
};

// With delta = (policy - reference) of the chosen response - (policy - reference) of the rejected
// one, s = label_smoothing and sigma the logistic function:
//   sigmoid  -(1 - s) log sigma(beta delta) - s log sigma(-beta delta): Rafailov et al. 2023 (arXiv
//            2305.18290), equation 7; with s > 0 "conservative DPO" (Mitchell 2023), which assumes
//            that a share s of the pairs has its responses swapped.
//   robust   (-(1 - s) log sigma(beta delta) + s log sigma(-beta delta)) / (1 - 2 s): Chowdhury et
//            al. 2024 (arXiv 2403.00409), the unbiased estimate of the sigmoid loss under such
//            swaps.
//   ipo      (mean delta - 1 / (2 beta))^2: Azar et al. 2023 (arXiv 2310.12036), equation 17. As in
//            TRL, each response's (policy - reference) is divided by its number of tokens first.
PairLoss dpo_loss(const ResponseLogprob& chosen, const ResponseLogprob& rejected,
                  const DpoOptions& options);

}  // namespace longshot::train
