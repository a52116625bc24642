#pragma once
// A classic reward model ready to score: what `longshot rm` has written, or transformers.

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/cpu_compute.h"
#include "model/weights.h"
#include "tokenizer/chat/chat_template.h"
#include "tokenizer/judged_text.h"
#include "tokenizer/tokenizer.h"

namespace longshot::reward {

class ScoreModel {
 public:
  // `path`: whatever model::read_reward_model() reads, with a tokenizer. chat_template_family: empty = the model's own.
  // threads: of the CPU's kernels.
  static Result<std::unique_ptr<ScoreModel>> load(const std::string& path,
                                                  const std::string& chat_template_family,
                                                  const std::string& device, int threads);

  // The ids that are scored. Error: more of them than the model has positions. Thread-safe.
  Result<std::vector<data::TokenId>> encode(tokenizer::JudgedText text) const;
  // On a CPU each score is the same bits whatever stands beside it. Not thread-safe.
  Result<std::vector<float>> scores(const std::vector<std::vector<data::TokenId>>& sequences);

 private:
  ScoreModel(model::Weights weights, std::unique_ptr<tokenizer::Tokenizer> tokenizer,
             tokenizer::ChatTemplate chat_template, int threads);

  model::Weights weights_;
  std::unique_ptr<tokenizer::Tokenizer> tokenizer_;
  tokenizer::ChatTemplate chat_template_;
  std::unique_ptr<model::CpuCompute> compute_;  // null: libtorch
};

}  // namespace longshot::reward
