#include "loop/offline/sft.h"

#include "datasets/supervised.h"
#include "loop/offline/learner.h"
#include "train/supervised/supervised_trainer.h"

namespace longshot::loop {
namespace {

using Rows = std::vector<train::SupervisedRow>;

class SftLearner final : public LearnerOf<datasets::SupervisedExample, train::SupervisedTrainer> {
 public:
  explicit SftLearner(const config::SftConfig& config)
      : LearnerOf(config, Head::vocabulary), config_(config) {}

  Result<Metrics> step(const std::vector<size_t>& rows) override {
    return trainer().step(rows_of(train(), rows));
  }
  Metrics validate() override {
    if (held_out().empty()) return {};
    return {{"val/loss", trainer().loss(rows_of(held_out(), all_held_out()))}};
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
  std::unique_ptr<train::SupervisedTrainer> make_trainer(model::Weights weights,
                                                         int64_t steps) const override {
    return std::make_unique<train::SupervisedTrainer>(std::move(weights), config_.optimizer,
                                                      config_.batch, steps);
  }

  static Rows rows_of(const Examples& examples, const std::vector<size_t>& index) {
    Rows rows;
    for (size_t i : index) rows.push_back({examples[i].tokens, examples[i].loss_mask});
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
