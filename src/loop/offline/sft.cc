#include "loop/offline/sft.h"

#include "datasets/supervised.h"
#include "loop/offline/learner.h"
#include "train/policy/policy_trainer.h"

namespace longshot::loop {
namespace {

using datasets::SupervisedExample;

class SftLearner final : public LearnerOf<SupervisedExample, train::Trainer> {
 public:
  explicit SftLearner(const config::SftConfig& config)
      : LearnerOf(config, Head::vocabulary), config_(config) {}

 private:
  std::unique_ptr<Encoder> make_encoder(data::TokenId eos) const override {
    return std::make_unique<datasets::SupervisedEncoder>(*model().tokenizer, model().chat_template,
                                                         eos, config_.apply_chat_template);
  }
  std::unique_ptr<train::Trainer> make_trainer(model::Weights weights,
                                               int64_t steps) const override {
    train::AlgorithmOptions algorithm;
    algorithm.compute = config_.batch.compute;
    algorithm.micro_batch_tokens = config_.batch.micro_batch_tokens;
    return std::make_unique<train::Trainer>(std::move(weights), config_.optimizer, algorithm,
                                            steps);
  }
  Result<Metrics> step_on(const Batch& batch) override {
    return trainer().supervised_step(rows_of(batch), config_.batch);
  }
  Metrics evaluate(const Batch& batch) override {
    return {{"val/loss", trainer().supervised_loss(rows_of(batch), config_.batch)}};
  }

  static std::vector<train::Trainer::SupervisedRow> rows_of(const Batch& batch) {
    std::vector<train::Trainer::SupervisedRow> rows;
    for (const SupervisedExample* example : batch)
      rows.push_back({&example->tokens, &example->loss_mask});
    return rows;
  }

  const config::SftConfig& config_;
};

}  // namespace

Result<StepResult> run_sft(const config::SftConfig& config, const std::string& config_text) {
  LS_RETURN_IF_ERROR(validate(config));
  SftLearner learner(config);
  return run_steps(learner, config, config_text, "sft");
}

Status check_inputs(const config::SftConfig& config) {
  SftLearner learner(config);
  return check_learner(learner, config);
}

}  // namespace longshot::loop
