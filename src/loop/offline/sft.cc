#include "loop/offline/sft.h"

#include "config/validate.h"
#include "datasets/supervised.h"
#include "loop/offline/learner.h"
#include "train/policy/policy_trainer.h"

namespace longshot::loop {
namespace {

using Rows = std::vector<train::Trainer::SupervisedRow>;

class SftLearner final : public LearnerOf<datasets::SupervisedExample, train::Trainer> {
 public:
  explicit SftLearner(const config::SftConfig& config)
      : LearnerOf(config.offline, Head::vocabulary), config_(config) {}

  Result<Metrics> step(const std::vector<size_t>& rows) override {
    return trainer().supervised_step(rows_of(train(), rows), config_.offline.batch);
  }
  Metrics validate() override {
    if (held_out().empty()) return {};
    return {{"val/loss", trainer().supervised_loss(rows_of(held_out(), all_held_out()),
                                                   config_.offline.batch)}};
  }

 private:
  Result<Examples> read(const std::vector<std::string>& files, data::TokenId eos, int max_length,
                        int* dropped) const override {
    return datasets::read_supervised(files, *model().tokenizer, model().chat_template, eos,
                                     max_length, dropped, config_.apply_chat_template);
  }
  int64_t tokens_of(const datasets::SupervisedExample& example) const override {
    return static_cast<int64_t>(example.tokens.size());
  }
  std::unique_ptr<train::Trainer> make_trainer(model::Weights weights,
                                               int64_t steps) const override {
    train::AlgorithmOptions algorithm;
    algorithm.compute = config_.offline.batch.compute;
    algorithm.micro_batch_tokens = config_.offline.batch.micro_batch_tokens;
    return std::make_unique<train::Trainer>(std::move(weights), config_.offline.optimizer,
                                            algorithm, steps);
  }

  static Rows rows_of(const Examples& examples, const std::vector<size_t>& index) {
    Rows rows;
    for (size_t i : index) rows.push_back({&examples[i].tokens, &examples[i].loss_mask});
    return rows;
  }

  const config::SftConfig& config_;
};

}  // namespace

Result<StepResult> run_sft(const config::SftConfig& config, const std::string& config_text) {
  LS_RETURN_IF_ERROR(validate(config.offline));
  SftLearner learner(config);
  return run_steps(learner, config.offline, config_text, "sft");
}

Status check_inputs(const config::SftConfig& config) {
  SftLearner learner(config);
  return check_learner(learner, config.offline);
}

}  // namespace longshot::loop
