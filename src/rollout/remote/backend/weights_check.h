#pragma once
// Whether a server generates with the weights that it was told to load. Servers have reported
// success and changed nothing (vLLM issue 32718), so their word is not enough: a short fixed sample
// is generated after each load and scored with the same files. Pure.

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "data/types.h"

namespace longshot::rollout {

// A sample at temperature 1 without filters.
struct ProbeAnswer {
  std::vector<data::TokenId> tokens;
  std::vector<float> logprobs;  // the server's
  std::vector<float> own;       // of the same tokens, by longshot; empty: not computed
};

// The first prompt_tokens of every probe: fixed ids below `vocab_size`.
std::vector<data::TokenId> probe_prompt(int vocab_size);
constexpr int kProbeTokens = 24;
constexpr uint64_t kProbeSeed = 20250122;

double mean_gap(const std::vector<float>& a, const std::vector<float>& b);

// One for each server.
class WeightsCheck {
 public:
  // `most_gap`: the largest mean difference of log-probabilities, in nats, between the server and
  // longshot that number formats may explain.
  explicit WeightsCheck(double most_gap) : most_gap_(most_gap) {}

  // To be called after each load. Error, invalid_argument: the server's log-probabilities are not
  // those of the weights; are the same as before to the last bit although the weights have changed;
  // or are much farther from those of the weights than after the first load, because a part of the
  // weights did not arrive.
  Status loaded(ProbeAnswer answer);
  // True if the server still answers as after the last load, apart from rounding.
  bool unchanged(const ProbeAnswer& answer) const;

 private:
  Status check_gap(double gap);

  const double most_gap_;
  std::optional<double> first_gap_;
  std::optional<ProbeAnswer> last_;   // after the last load
  std::optional<ProbeAnswer> moved_;  // after the last load that changed the server's answer
};

}  // namespace longshot::rollout
