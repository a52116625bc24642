#pragma once
// Decides when one sample ends: stop tokens, stop strings, loops, length. One object per running
// sample.

#include <optional>
#include <span>
#include <string>

#include "data/types.h"
#include "rollout/sampling/repetition.h"
#include "rollout/sampling/sampler.h"
#include "tokenizer/tokenizer.h"

namespace longshot::rollout {

class StopRules {
 public:
  // `sampling` and `tokenizer` are borrowed; `tokenizer` may be null if there are no stop strings.
  StopRules(const SamplingOptions& sampling, const RepetitionOptions& repetition,
            const tokenizer::Tokenizer* tokenizer);

  // To be called after each token was appended to the response `tokens`. When several rules apply
  // at once, the reason is the first of stop, repetition, length.
  std::optional<data::FinishReason> update(std::span<const data::TokenId> tokens);

 private:
  bool completes_stop_string(data::TokenId token);

  const SamplingOptions* sampling_;
  const tokenizer::Tokenizer* tokenizer_;
  RepetitionDetector repetition_;
  size_t longest_stop_ = 0;  // bytes
  std::string tail_;         // the last longest_stop_ - 1 bytes of the decoded response
};

// The response without special tokens, cut before the first stop string. The tokens themselves stay
// as sampled.
std::string response_text(const tokenizer::Tokenizer& tokenizer,
                          std::span<const data::TokenId> tokens,
                          const std::vector<std::string>& stop_strings);

}  // namespace longshot::rollout
