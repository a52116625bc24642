#pragma once
// An author that is a model in this process.

#include <memory>
#include <string>

#include "curate/tests/author.h"
#include "rollout/engine_thread.h"
#include "tokenizer/chat/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace longshot::curate {

struct ModelAuthorOptions {
  std::string system;  // first message; empty: none
  rollout::SamplingOptions sampling;
  // The same seed gives the same answers, regardless of other requests at the same time.
  uint64_t seed = 0;
  double timeout_seconds = 600;
};

// Tokenizer and template are borrowed. The engine of `worker` must have room for the requests.
std::unique_ptr<Author> make_model_author(std::unique_ptr<rollout::EngineThread> worker,
                                          const tokenizer::Tokenizer& tokenizer,
                                          const tokenizer::ChatTemplate& chat_template,
                                          const ModelAuthorOptions& options);

// The tokens of the request, from which the caller finds how much room the engine needs.
Result<std::vector<data::TokenId>> encode_request(const tokenizer::Tokenizer& tokenizer,
                                                  const tokenizer::ChatTemplate& chat_template,
                                                  const std::string& system,
                                                  std::vector<data::Message> request);

}  // namespace longshot::curate
