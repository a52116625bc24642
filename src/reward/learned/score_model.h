#pragma once
// A classic reward model ready to score, written by `longshot rm` or by transformers.

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/compute.h"
#include "model/weights.h"
#include "tokenizer/chat/chat_template.h"
#include "tokenizer/judged_text.h"
#include "tokenizer/tokenizer.h"

namespace longshot::reward {

class ScoreModel {
 public:
  // `path`: any model that model::read_reward_model() reads, with a tokenizer.
  // chat_template_family: empty = the model's own. threads: number of threads of the CPU kernels.
  static Result<std::unique_ptr<ScoreModel>> load(const std::string& path,
                                                  const std::string& chat_template_family,
                                                  const std::string& device, int threads);

  // Returns the token ids to score. Errors: more ids than the model has positions, and those of
  // tokenizer::encode_judged(). Thread-safe.
  Result<std::vector<data::TokenId>> encode(tokenizer::JudgedText text) const;
  // On a CPU, each score has the same bits regardless of the other sequences in the call. Not
  // thread-safe.
  Result<std::vector<float>> scores(const std::vector<std::vector<data::TokenId>>& sequences);

 private:
  ScoreModel(model::Weights weights, std::unique_ptr<tokenizer::Tokenizer> tokenizer,
             tokenizer::ChatTemplate chat_template, int threads);

  model::Weights weights_;
  std::unique_ptr<tokenizer::Tokenizer> tokenizer_;
  tokenizer::ChatTemplate chat_template_;
  std::unique_ptr<model::Compute> compute_;
};

}  // namespace longshot::reward
