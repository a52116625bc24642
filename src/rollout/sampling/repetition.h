#pragma once
// Detects, one token at a time, that a response has run into a loop.

#include <span>
#include <vector>

#include "data/types.h"

namespace longshot::rollout {

// Ends a looping sample early (report 3.2). A loop: the last `min_tokens` or more tokens are a
// block of at most `max_period` tokens repeated at least `min_repeats` times.
struct RepetitionOptions {
  bool enabled = true;
  int max_period = 64;
  int min_repeats = 8;
  int min_tokens = 128;
};

// For every period p, keeps the length of the response's end that equals the text p tokens before:
// one comparison per period and token, independent of the response's length.
class RepetitionDetector {
 public:
  explicit RepetitionDetector(const RepetitionOptions& options)
      : options_(options), run_(options.enabled ? options.max_period + 1 : 0, 0) {}

  // To be called after each token was appended; `tokens` is the whole response. Returns true if it
  // ends in a loop.
  bool update(std::span<const data::TokenId> tokens);

 private:
  RepetitionOptions options_;
  std::vector<int> run_;  // run_[p]: length of the longest suffix with tokens[i] == tokens[i - p]
};

}  // namespace longshot::rollout
