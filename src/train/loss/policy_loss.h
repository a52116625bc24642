#pragma once
// Objectives: log-probabilities of one whole response -> its loss and d loss / d log-probability of
// each token. Apart from advantages, this is all the trainer knows about an algorithm. Double
// arithmetic, no state, thread-safe.
//
// Symbols: l_t is the current log-probability of token t and o_t that of the reference policy
// (algorithm.reference: the policy at the start of the iteration, or the one that produced the
// token). n is the number of tokens, L = sum l_t and rho = sum (l_t - o_t), both divided by n with
// length_normalize "mean". A is the advantage. q_t is the log-probability that the KL penalty
// compares with: that of a fixed model, else o_t.
//
//   name       loss of one response                                   d loss / d L
//   kimi       -A L + (tau / 2) rho^2                                 -A + tau rho
//   kimi_logz  (A - tau rho)^2 / (2 tau)                              -A + tau rho
//   pg         -A L                                                   -A
//   grpo       sum_t [ -min(w_t A, clip(w_t, 1 - clip_low, 1 + clip_high) A) + kl_coef k3_t ],
//              w_t = exp(l_t - o_t), k3_t = exp(q_t - l_t) - (q_t - l_t) - 1        (2402.03300,
//              eq. 3 and 4; k3: Schulman, "Approximating KL divergence", 2020; verl's low_var_kl).
//              Exponents are limited to 20, as in verl, so that a loss is always finite.
//
// kimi: Kimi k1.5 (2501.12599), section 2.3.2; the gradient is the negative of the report's
// (r - b) grad L - (tau / 2) grad rho^2. kimi_logz is the report's surrogate (r - tau log Z - tau
// rho)^2 divided by 2 tau: its gradient -2 tau [A grad L - (tau / 2) grad rho^2] / (2 tau) has the
// same form, so the two differ only in the baseline inside A, and agree as tau grows, where tau log
// Z -> mean(r). pg serves reinforce, rloo and (with A in {0, 1}) rest.
//
// With one advantage A_t for each token, A L becomes sum A_t l_t (with its mean for "mean"), A in
// the gradient at token t becomes A_t, and kimi_logz drops the constant A^2 / (2 tau).
//
// Batch loss = mean over problems of (1/k) sum over the problem's k responses. That weight depends
// on the whole mini-batch and is passed in, so the loss does not depend on how the mini-batch is
// cut into micro-batches.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "train/options.h"

namespace longshot::train {

// One advantage for all tokens of a response, or one for each token. Borrows the values.
class Advantages {
 public:
  Advantages(double all) : all_(all) {}                            // NOLINT: most rules give one
  Advantages(std::span<const double> tokens) : tokens_(tokens) {}  // NOLINT; [n], not empty
  double operator[](size_t t) const { return tokens_.empty() ? all_ : tokens_[t]; }
  bool differ() const { return !tokens_.empty(); }
  double all() const { return all_; }  // the one value, unless they differ

 private:
  double all_ = 0;
  std::span<const double> tokens_;
};

// One response: only the tokens that are trained on. Borrowed.
struct ResponseView {
  std::span<const double> logprobs;   // [n] under the current weights
  std::span<const double> reference;  // [n] under the reference policy
  Advantages advantages = 0;
  std::span<const double> kl_reference = {};  // [n] of the KL penalty; empty: `reference`
  // [n] under the distribution that the tokens were drawn from, for importance weights between the
  // rollout and the trainer; empty: not known
  std::span<const double> rollout = {};
};

struct ResponseLoss {
  double loss = 0;      // policy part + kl part
  double kl = 0;        // (tau / 2) rho^2, or kl_coef sum k3
  int64_t clipped = 0;  // tokens whose gradient the clip removed
};

struct ObjectiveOptions {
  double tau = 0.02;
  bool length_mean = false;
  double clip_low = 0.2, clip_high = 0.2;
  double kl_coef = 0.0;
};

struct Objective {
  const char* name;
  // Writes d loss / d logprobs[t] to grad[t] ([n]), unweighted.
  ResponseLoss (*compute)(const ResponseView& response, const ObjectiveOptions& options,
                          std::span<double> grad);
};

const std::vector<Objective>& objectives();
const Objective* find_objective(const std::string& name);  // null if there is none

// An objective with its options.
struct BoundObjective {
  const Objective* objective = nullptr;
  ObjectiveOptions options;
  bool reads_reference = true;  // false: the loss does not depend on ResponseView::reference

  ResponseLoss operator()(const ResponseView& response, std::span<double> grad) const {
    return objective->compute(response, options, grad);
  }
};
BoundObjective make_objective(const AlgorithmOptions& algorithm);

// Weight of each response in the batch loss: 1 / (problems in the mini-batch * responses of its
// problem). `group[i]` is the problem of response i.
std::vector<double> response_weights(const std::vector<int64_t>& group);

// Running estimates of KL(o || l) over the tokens of many responses, in nats per token: l are the
// current log-probabilities and o those passed as `recorded`, which the trainer sets to the
// reference.
struct KlEstimate {
  double k1_sum = 0;  // o - l: unbiased, may be negative (verl's ppo_kl)
  double k3_sum = 0;  // w - 1 - log w with w = exp(l - o): unbiased, never negative
  int64_t tokens = 0;

  void add(std::span<const double> logprobs, std::span<const double> recorded);
  void merge(const KlEstimate& other);
  double k1() const { return tokens == 0 ? 0.0 : k1_sum / static_cast<double>(tokens); }
  double k3() const { return tokens == 0 ? 0.0 : k3_sum / static_cast<double>(tokens); }
};

}  // namespace longshot::train
