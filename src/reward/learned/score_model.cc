#include "reward/learned/score_model.h"

#include <utility>

#include "model/format/model_files.h"
#include "model/reward_head.h"
#include "model/torch/exceptions.h"

namespace longshot::reward {
namespace {

constexpr int64_t kBatchTokens = 4096;

}  // namespace

ScoreModel::ScoreModel(model::Weights weights, std::unique_ptr<tokenizer::Tokenizer> tokenizer,
                       tokenizer::ChatTemplate chat_template, int threads)
    : weights_(std::move(weights)),
      tokenizer_(std::move(tokenizer)),
      chat_template_(std::move(chat_template)),
      compute_(model::make_compute(weights_, {}, threads)) {}

Result<std::unique_ptr<ScoreModel>> ScoreModel::load(const std::string& path,
                                                     const std::string& chat_template_family,
                                                     const std::string& device, int threads) {
  LS_ASSIGN_OR_RETURN(model::ModelFiles files, model::read_reward_model(path));
  if (files.tokenizer == nullptr)
    return invalid_argument(path + " has no tokenizer (tokenizer.json or tokenizer.model)");
  if (files.config.eos_token_ids.empty())
    return invalid_argument(path + " names no end-of-sequence token");
  if (!chat_template_family.empty()) {
    LS_RETURN_IF_ERROR(files.chat_template.choose(chat_template_family));
  }
  LS_ASSIGN_OR_RETURN(model::Weights weights,
                      model::Weights::from_host(files.config, files.weights, device));
  return std::unique_ptr<ScoreModel>(new ScoreModel(std::move(weights), std::move(files.tokenizer),
                                                    std::move(files.chat_template), threads));
}

Result<std::vector<data::TokenId>> ScoreModel::encode(tokenizer::JudgedText text) const {
  const model::ModelConfig& config = weights_.config();
  LS_ASSIGN_OR_RETURN(auto ids, tokenizer::encode_judged(*tokenizer_, chat_template_,
                                                         std::move(text), config.eos_token_ids[0]));
  if (static_cast<int>(ids.size()) <= model::context_length(config)) return ids;
  return invalid_argument("question and response have " + std::to_string(ids.size()) +
                          " tokens, the reward model has " +
                          std::to_string(model::context_length(config)) + " positions");
}

Result<std::vector<float>> ScoreModel::scores(
    const std::vector<std::vector<data::TokenId>>& sequences) {
  return model::caught("reward model", [&]() -> Result<std::vector<float>> {
    return model::sequence_scores(*compute_, sequences, kBatchTokens);
  });
}

}  // namespace longshot::reward
