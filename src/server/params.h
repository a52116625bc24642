#pragma once
// Sampling parameters that the generating routes share.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/fields.h"
#include "rollout/sampling/sampler.h"
#include "server/context.h"

namespace longshot::server {

using TokenIds = std::vector<data::TokenId>;

// A generation request: `n` samples of each prompt.
struct GenerateParams {
  std::vector<TokenIds> prompts;
  std::vector<ServedModels::Model> models;  // one for all prompts, or one for each
  const ServedModel& model(size_t prompt) const { return *models[models.size() == 1 ? 0 : prompt]; }
  rollout::SamplingOptions sampling;
  int n = 1;
  // The answer begins with the prompt, whose tokens get log-probabilities too. All tokens of a
  // prompt but the first are then forced (rollout/engine.h).
  bool echo = false;
  int forced(size_t prompt) const {
    return echo ? static_cast<int>(prompts[prompt].size()) - 1 : 0;
  }
  uint64_t seed = 0;  // from the request, or drawn for it
  double timeout_seconds = 600;
};

// The parameters that OpenAI's two routes share, in addition to the prompt.
struct OpenAiParams {
  GenerateParams generate;
  // Of the `generate.n` samples of a prompt, the answer has this many: those of the largest mean
  // log-probability (best_of).
  int shown = 1;
  bool logprobs = false;
  bool stream = false;
  bool include_usage = false;     // from stream_options
  bool return_token_ids = false;  // vLLM's option: ids in addition to the text
};

// Reads temperature, top_p, top_k, min_p, stop, stop_token_ids, ignore_eos, seed and n. The timeout
// comes from `context`.
GenerateParams read_sampling(net::Fields& fields, const Context& context);
// Reads those, model, stream, stream_options, return_token_ids. Rejects unsupported options
// and ignores options without effect.
OpenAiParams read_openai(net::Fields& fields, const Context& context);
// Sets the response length and checks that prompt and response fit the context. Called after the
// prompts are known. Without max_tokens the length is `fallback`, or what remains of the context if
// that is less or `fallback` is 0.
void set_lengths(net::Fields& fields, std::optional<int64_t> max_tokens, int fallback,
                 const Context& context, GenerateParams& params);
// Checks whether a text of `bytes` bytes can fit the context at all, before it is tokenized, which
// takes time.
void check_text_size(net::Fields& fields, const std::string& param, size_t bytes,
                     const Context& context);
// Checks that every id belongs to the vocabulary.
void check_ids(net::Fields& fields, const std::string& param, const TokenIds& ids,
               const Context& context);
// Checks whether the server can run one sample per prompt at once, before a list of prompts is
// read.
void check_prompt_count(net::Fields& fields, size_t prompts, const Context& context);
// Finds the model with this name. Null: there is none, which is an error of `param` in `fields`.
ServedModels::Model find_model(net::Fields& fields, const std::string& param,
                               const std::string& name, const Context& context);

}  // namespace longshot::server
