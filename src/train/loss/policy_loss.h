#pragma once
// Objectives: log-probabilities of one whole response -> its loss and d loss / d log-probability of
// each token. Apart from advantages, this is all the trainer knows about an algorithm. Double
// arithmetic, no state, thread-safe.
//
// Symbols: l_t is the current log-probability of token t and o_t that of the reference policy
// (algorithm.reference: the policy at the start of the iteration, or the one that produced the
// token). n is the number of tokens, L = sum l_t and rho = sum (l_t - o_t). A is the advantage,
// w_t = exp(l_t - o_t), clip(w) limits w to [1 - clip_low, 1 + clip_high].
//
//   name       loss of one response                   d loss / d l_t
//   kimi       -A L + (tau / 2) rho^2                 -A + tau rho
//   kimi_logz  (A - tau rho)^2 / (2 tau)              -A + tau rho
//   pg         -A L                                   -A
//   grpo       -sum_t min(w_t A, clip(w_t) A)         -w_t A, or 0 where clip(w_t) A is smaller
//   gspo       -min(s A, clip(s) A), s = exp(rho/n)   -s A / n, or 0 where clip(s) A is smaller
//   cispo      -sum_t c_t A l_t, c_t = clip(w_t)      -c_t A: c_t is a constant
//
// grpo: 2402.03300, equations 3 and 4. gspo: 2507.18071, equations 5 to 7. cispo: 2506.13585,
// equations 4 and 5. Exponents are limited to 20, as in verl, so that a loss is always finite.
//
// length_normalize multiplies the sums over t, also L and rho, by 1 (none, tokens), 1 / n (mean) or
// 1 / max_response_length (constant, Dr. GRPO, 2503.20783); the gspo column is a mean already.
// A KL penalty adds kl_coef times the sum of its terms (loss/kl_penalty.h), multiplied alike, to
// the loss of any objective; it compares with a fixed model, else with o_t.
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
// Batch loss = mean over problems of (1/k) sum over the problem's k responses; with
// length_normalize "tokens" the sum over all responses, divided by the number of their tokens
// (DAPO, 2503.14476, equation 12, over the mini-batch, as verl's token-mean). That weight depends
// on the whole mini-batch and is passed in, so the loss does not depend on how the mini-batch is
// cut into micro-batches.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "train/loss/rollout_weights.h"
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
  double kl = 0;        // (tau / 2) rho^2, and the KL penalty
  int64_t clipped = 0;  // tokens whose gradient the clip removed; cispo: limited
  // With weights for the rollout's distribution: their sum, and the number of those that were
  // limited or set to 0.
  double rollout_weights = 0;
  int64_t limited_weights = 0;
};

struct ObjectiveOptions {
  double tau = 0.02;
  bool length_mean = false;
  double divisor = 1;  // of a response's sums, beside their number with length_mean
  double clip_low = 0.2, clip_high = 0.2;
  double kl_coef = 0.0;  // of the penalty in the loss
  KlEstimator kl_estimator = KlEstimator::k3;
};

struct Objective {
  const char* name;
  // Writes d loss / d logprobs[t] to grad[t] ([n]), unweighted. Without the KL penalty.
  ResponseLoss (*compute)(const ResponseView& response, const ObjectiveOptions& options,
                          std::span<double> grad);
};

const std::vector<Objective>& objectives();
const Objective* find_objective(const std::string& name);  // null if there is none

// An objective with its options, its KL penalty and the weights of tokens.
struct BoundObjective {
  const Objective* objective = nullptr;
  ObjectiveOptions options;
  bool reads_reference = true;  // false: the loss does not depend on ResponseView::reference
  // With weights, the advantages are multiplied by those of (reference, rollout) of the response.
  RolloutWeightOptions rollout_weights;
  // The caller subtracts entropy_coef times the entropies of the tokens, whose gradient is not one
  // of log-probabilities. They are added up like the terms of the KL penalty.
  double entropy_coef = 0;

  bool weighs_tokens() const { return rollout_weights.kind != RolloutWeights::none; }
  ResponseLoss operator()(const ResponseView& response, std::span<double> grad) const;
  // The factor of a sum over `tokens` tokens of a response.
  double scale(size_t tokens) const;
};
BoundObjective make_objective(const AlgorithmOptions& algorithm);

// True if the algorithm compares with a reference policy, apart from a KL penalty.
bool has_reference(Algorithm algorithm);

// Weight of each response in the batch loss: 1 / (problems in the mini-batch * responses of its
// problem). `group[i]` is the problem of response i.
std::vector<double> response_weights(const std::vector<int64_t>& group);
// The same for length_normalize "tokens": 1 / (tokens of the mini-batch). tokens[i]: of response i.
std::vector<double> token_weights(const std::vector<int64_t>& tokens);

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
