#pragma once
// From logits to a token and its log-probability. The draw is an inverse-CDF lookup of one uniform
// number, in double and in a fixed order, so it depends only on the logits and that number.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "data/types.h"

namespace longshot::rollout {

struct SamplingOptions {
  // 0 = greedy (recorded log-probabilities are then those at temperature 1).
  double temperature = 1.0;
  double top_p = 1.0;                      // (0, 1]
  int top_k = 0;                           // 0 = off
  double min_p = 0.0;                      // keep tokens with p >= min_p * max p; 0 = off
  int max_response_length = 512;           // tokens; reaching it ends with `length`
  std::vector<data::TokenId> stop_tokens;  // each ends the sample with `stop`; kept in the response
  std::vector<std::string> stop_strings;   // end with `stop` once the decoded text contains one
  int top_logprobs = 0;  // size of Choice::top; costs a pass over the vocabulary per token
};

// True if a filter may leave out tokens, so that log-probabilities are those of the renormalised
// rest.
bool cuts_distribution(const SamplingOptions& options);
// Error: a value is outside its range; the message names it.
Status check_sampling(const SamplingOptions& options);

struct TokenLogprob {
  data::TokenId token = -1;
  float logprob = 0;
};

struct Choice {
  data::TokenId token = -1;  // -1: the logits are not finite
  // Under the distribution that was drawn from: after temperature and filters, renormalised.
  float logprob = 0;
  // The most probable tokens of that distribution (greedy: at temperature 1, without filters), the
  // most probable first, equal ones by ascending id. Fewer than requested if the filters leave
  // fewer.
  std::vector<TokenLogprob> top;
};

// Temperature, then top-k, then top-p of what top-k left, then min-p: the order of transformers.
// Among equally probable tokens at an edge the lower ids are kept (transformers keeps all ties of
// top-k). Greedy sampling ignores the filters and picks the lowest id among equals. Has only
// scratch memory and is not thread-safe: use one sampler per thread.
class Sampler {
 public:
  // `uniform` in (0, 1), from sampling_uniform(). Without filters the CDF runs over ids, with
  // filters over the kept tokens from the most to the least probable.
  Choice pick(std::span<const float> logits, double uniform, const SamplingOptions& options);
  // The given token with its log-probability at temperature 1 and without filters, and the `top`
  // most probable tokens of that distribution.
  Choice score(std::span<const float> logits, data::TokenId token, int top);

 private:
  struct Candidate {
    float weight;
    int id;
  };
  double weigh(std::span<const float> logits, float max, double temperature);
  Choice pick_unfiltered(std::span<const float> logits, float max, double total, double uniform,
                         double temperature) const;
  Choice pick_filtered(double total, double uniform, const SamplingOptions& options);
  std::vector<TokenLogprob> top(std::span<const float> logits, float max, double scale, int count);
  // Tokens with weights in one narrow range.
  struct Bin {
    double mass = 0;
    int count = 0;
  };
  // The tokens of all bins before `bin`, and the `count` most probable tokens of `bin`; count > 0.
  struct Cut {
    int bin = 0;
    int count = 0;
  };
  void rank();
  std::span<const Candidate> members(int bin);  // valid until the next call
  double bin_mass(int bin, const Cut& cut);
  double mass(const Cut& cut);
  Cut cut_top_k(int k) const;
  Cut cut_top_p(const Cut& all, double wanted);
  Cut cut_min_p(const Cut& all, double threshold);

  std::vector<float> weights_;      // exp((logit - max) / temperature)
  std::vector<double> block_sums_;  // of 256 weights each
  std::vector<Bin> bins_;           // from the largest weights to the smallest
  int last_bin_ = 0;                // the last one that is not empty
  double kept_mass_ = 0;            // of the last distribution drawn from
  int kept_count_ = 0;              // number of its tokens
  std::vector<int> ids_;            // for top()
  std::vector<Candidate> members_;
  int members_of_ = -1;  // bin
};

}  // namespace longshot::rollout
