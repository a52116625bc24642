#include "loop/offline/reward_model.h"

#include <algorithm>

#include "base/log.h"
#include "config/validate.h"
#include "datasets/preference.h"
#include "loop/offline/learner.h"
#include "train/preference/score_trainer.h"

namespace longshot::loop {
namespace {

class RmLearner final : public LearnerOf<datasets::JudgedExample, train::ScoreTrainer> {
 public:
  explicit RmLearner(const config::RmConfig& config)
      : LearnerOf(config.offline, Head::score), config_(config.offline) {}

  Result<Metrics> step(const std::vector<size_t>& rows) override {
    return trainer().step(rows_of(train(), rows));
  }
  Metrics validate() override { return trainer().evaluate(rows_of(held_out(), all_held_out())); }

  // The number of training rows that are pairs; the others carry a label.
  int64_t pairs() const {
    return std::ranges::count_if(train(), [](const auto& e) { return !e.rejected.empty(); });
  }

 private:
  Result<Examples> read(const std::vector<std::string>& files, data::TokenId eos, int max_length,
                        int* dropped) const override {
    LS_ASSIGN_OR_RETURN(const auto rows, datasets::read_judged(files));
    return datasets::encode_judged(rows, *model().tokenizer, model().chat_template, eos, max_length,
                                   dropped);
  }
  int64_t tokens_of(const datasets::JudgedExample& example) const override {
    return static_cast<int64_t>(example.tokens.size() + example.rejected.size());
  }
  std::unique_ptr<train::ScoreTrainer> make_trainer(model::Weights weights,
                                                    int64_t steps) const override {
    return std::make_unique<train::ScoreTrainer>(std::move(weights), config_.optimizer,
                                                 config_.batch, steps);
  }

  static std::vector<train::ScoreRow> rows_of(const Examples& examples,
                                              const std::vector<size_t>& index) {
    std::vector<train::ScoreRow> rows;
    for (size_t i : index)
      rows.push_back({examples[i].tokens, examples[i].rejected, examples[i].label});
    return rows;
  }

  const config::OfflineConfig& config_;
};

}  // namespace

Result<StepResult> run_rm(const config::RmConfig& config, const std::string& config_text) {
  LS_RETURN_IF_ERROR(validate(config.offline));
  RmLearner learner(config);
  return run_steps(learner, config.offline, config_text, "rm");
}

Status check_inputs(const config::RmConfig& config) {
  RmLearner learner(config);
  LS_RETURN_IF_ERROR(check_learner(learner, config.offline));
  log::info("{} of the {} training rows are pairs", learner.pairs(), learner.lengths().size());
  return ok_status();
}

}  // namespace longshot::loop
