#include "loop/offline/sft.h"

#include "config/validate.h"
#include "datasets/supervised.h"
#include "loop/offline/learner.h"
#include "train/supervised/supervised_trainer.h"

namespace longshot::loop {
namespace {

using datasets::SupervisedExample;

class SftLearner final : public LearnerOf<SupervisedExample, train::SupervisedTrainer> {
 public:
  explicit SftLearner(const config::SftConfig& config)
      : LearnerOf(config.offline, Head::vocabulary), config_(config) {}

 private:
  std::unique_ptr<Encoder> make_encoder(data::TokenId eos) const override {
    return std::make_unique<datasets::SupervisedEncoder>(*model().tokenizer, model().chat_template,
                                                         eos, config_.apply_chat_template);
  }
  std::unique_ptr<train::SupervisedTrainer> make_trainer(model::Weights weights,
                                                         int64_t steps) const override {
    return std::make_unique<train::SupervisedTrainer>(std::move(weights), config_.offline.optimizer,
                                                      config_.offline.batch, steps);
  }
  std::vector<RowSequence> row_sequences(const SupervisedExample& first) const override {
    return {{"the first row", first.tokens, first.loss_mask}};
  }
  Result<Metrics> step_on(const Batch& batch) override { return trainer().step(rows_of(batch)); }
  Metrics evaluate(const Batch& batch) override {
    return {{"val/loss", trainer().loss(rows_of(batch))}};
  }

  static std::vector<train::SupervisedRow> rows_of(const Batch& batch) {
    std::vector<train::SupervisedRow> rows;
    for (const SupervisedExample* example : batch)
      rows.push_back({example->tokens, example->loss_mask});
    return rows;
  }

  const config::SftConfig& config_;
};

Result<OfflinePhases> phases_of(const config::SftConfig& config) {
  LS_ASSIGN_OR_RETURN(const auto all, config::all_phases(config));
  OfflinePhases run{{}, config.phase.phases};
  for (const config::SftConfig& phase : all) run.configs.push_back(phase.offline);
  return run;
}

}  // namespace

Result<StepResult> run_sft(const config::SftConfig& config, const std::string& config_text) {
  LS_RETURN_IF_ERROR(validate(config));
  LS_ASSIGN_OR_RETURN(const OfflinePhases run, phases_of(config));
  SftLearner learner(config);
  return run_steps(learner, run, config_text, "sft");
}

Status check_inputs(const config::SftConfig& config, bool show_tokens) {
  LS_ASSIGN_OR_RETURN(const OfflinePhases run, phases_of(config));
  SftLearner learner(config);
  return check_learner(learner, run, show_tokens);
}

}  // namespace longshot::loop
