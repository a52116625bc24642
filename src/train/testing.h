#pragma once
// Small models and made-up groups for the tests of this folder.

#include <ATen/core/Tensor.h>

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "base/rng.h"
#include "data/types.h"
#include "model/format/testing.h"
#include "model/sequence_logprobs.h"
#include "model/weights.h"
#include "train/policy/policy_trainer.h"

namespace longshot::train {

// Returns a path that only this process uses; creates nothing.
inline std::filesystem::path scratch_directory(const std::string& name) {
  return std::filesystem::temp_directory_path() / (name + std::to_string(::getpid()));
}

// A learning rate with which a few steps of a tiny model show.
inline OptimizerOptions optimizer(double lr = 1e-2) {
  return {.lr = lr};
}

inline model::ModelConfig tiny_llama(bool tied = true) {
  model::ModelConfig c = model::tiny_config("llama", {.vocab = 32,
                                                      .hidden = 16,
                                                      .intermediate = 32,
                                                      .heads = 2,
                                                      .kv_heads = 1,
                                                      .head_dim = 8,
                                                      .positions = 128});
  c.tie_word_embeddings = tied;
  return c;
}

inline model::Weights tiny_weights(bool tied = true, uint64_t seed = 1) {
  return model::Weights::random(tiny_llama(tied), seed, "cpu");
}

inline data::Sample response(std::vector<data::TokenId> tokens, std::vector<float> logprobs,
                             int64_t version = 0) {
  data::Sample s;
  s.prompt_id = "p";
  s.prompt_tokens = {1, 2, 3};
  s.segments = {{0, static_cast<int>(tokens.size()), version}};
  s.tokens = std::move(tokens);
  s.logprobs = std::move(logprobs);
  s.finish = data::FinishReason::stop;
  return s;
}

inline data::Verdict score(double value) {
  data::Verdict v;
  v.scored = true;
  v.score = value;
  return v;
}

// Log-probabilities of tokens[1..] under the model's current weights.
inline std::vector<float> logprobs_of(TrainableModel& model,
                                      const std::vector<data::TokenId>& tokens) {
  return model::sequence_logprobs(model.compute(), {tokens}, 1.0)[0];
}

// Groups of random responses of 3 to 12 tokens, rewarded if the first token is even.
// Log-probabilities are those of the trainer's current weights.
inline std::vector<data::Group> make_groups(PolicyTrainer& trainer, int problems, int k,
                                            uint64_t seed) {
  CounterRng rng(seed);
  std::vector<data::Group> groups;
  for (int g = 0; g < problems; ++g) {
    data::Group group;
    group.prompt.id = "p" + std::to_string(g);
    for (int j = 0; j < k; ++j) {
      std::vector<data::TokenId> tokens;
      for (int64_t t = rng.next_int(3, 12); t > 0; --t) {
        tokens.push_back(static_cast<data::TokenId>(rng.next_below(32)));
      }
      auto sample = response(tokens, {});
      std::vector<data::TokenId> all = sample.prompt_tokens;
      all.insert(all.end(), tokens.begin(), tokens.end());
      const auto logprobs = logprobs_of(trainer.model(), all);
      sample.logprobs.assign(logprobs.end() - static_cast<long>(tokens.size()), logprobs.end());
      group.verdicts.push_back(score(tokens[0] % 2 == 0 ? 1 : 0));
      group.samples.push_back(std::move(sample));
    }
    groups.push_back(std::move(group));
  }
  return groups;
}

// The largest |a - b| over all weights; equal(a, b) compares bits.
inline double largest_difference(const model::Weights& a, const model::Weights& b) {
  double worst = 0;
  for (size_t i = 0; i < a.tensors().size(); ++i) {
    const at::Tensor x = a.tensors()[i].tensor.detach(), y = b.tensors()[i].tensor.detach();
    worst = std::max(worst, x.sub(y).abs().max().item<double>());
  }
  return worst;
}

inline bool equal(const model::Weights& a, const model::Weights& b) {
  for (size_t i = 0; i < a.tensors().size(); ++i) {
    if (!a.tensors()[i].tensor.detach().equal(b.tensors()[i].tensor.detach())) return false;
  }
  return true;
}

}  // namespace longshot::train
