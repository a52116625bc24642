#pragma once
// The sampling parameters that the generating routes share.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/fields.h"
#include "rollout/sampling/sampler.h"
#include "server/context.h"

namespace longshot::server {

using TokenIds = std::vector<data::TokenId>;

// What is to be generated: `n` samples of each prompt.
struct GenerateParams {
  std::vector<TokenIds> prompts;
  rollout::SamplingOptions sampling;
  int n = 1;
  uint64_t seed = 0;  // given, or drawn for this request
  double timeout_seconds = 600;
};

// What OpenAI's two routes share beside the prompt.
struct OpenAiParams {
  GenerateParams generate;
  bool logprobs = false;
  bool stream = false;
  bool include_usage = false;     // of stream_options
  bool return_token_ids = false;  // vLLM's: ids beside the text
};

// temperature, top_p, top_k, min_p, stop, stop_token_ids, ignore_eos, seed, n, timeout.
GenerateParams read_sampling(net::Fields& fields, const Context& context);
// Those and stream, stream_options, return_token_ids, model; refuses what is not offered and ignores what has no effect.
OpenAiParams read_openai(net::Fields& fields, const Context& context);
// After the prompts are known: response length (nothing given: `fallback`, or all the room if that is 0) and whether
// prompt and response fit the context.
void set_lengths(net::Fields& fields, std::optional<int64_t> max_tokens, int fallback,
                 const Context& context, GenerateParams& params);
// Before a text is tokenized, which takes time: whether it can fit the context at all.
void check_text_size(net::Fields& fields, const std::string& param, size_t bytes,
                     const Context& context);
// Before a list of prompts is read: whether the server can have as many samples at once.
void check_prompt_count(net::Fields& fields, size_t prompts, const Context& context);
// The name the request must ask for.
void check_model(net::Fields& fields, const Context& context);

}  // namespace longshot::server
