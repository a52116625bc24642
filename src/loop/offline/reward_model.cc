#include "loop/offline/reward_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/validate.h"
#include "datasets/preference.h"
#include "loop/offline/learner.h"
#include "train/preference/score_trainer.h"

namespace longshot::loop {
namespace {

using datasets::JudgedExample;

class RmLearner final : public LearnerOf<JudgedExample, train::ScoreTrainer> {
 public:
  explicit RmLearner(const config::RmConfig& config)
      : LearnerOf(config.offline, Head::score), config_(config.offline) {}

 private:
  std::unique_ptr<Encoder> make_encoder(data::TokenId eos) const override {
    return std::make_unique<datasets::JudgedEncoder>(*model().tokenizer, model().chat_template,
                                                     eos);
  }
  std::unique_ptr<train::ScoreTrainer> make_trainer(model::Weights weights,
                                                    int64_t steps) const override {
    return std::make_unique<train::ScoreTrainer>(std::move(weights), config_.optimizer,
                                                 config_.batch, steps);
  }
  std::vector<RowSequence> row_sequences(const JudgedExample& first) const override {
    if (first.rejected.empty())
      return {{fmt::format("the first row (label {:g})", first.label), first.tokens, {}}};
    return {{"the first row with its chosen response", first.tokens, {}},
            {"the first row with its rejected response", first.rejected, {}}};
  }
  Result<Metrics> step_on(const Batch& batch) override { return trainer().step(rows_of(batch)); }
  Metrics evaluate(const Batch& batch) override { return trainer().evaluate(rows_of(batch)); }

  std::string details(std::span<const JudgedExample> examples) const override {
    const auto pairs =
        std::ranges::count_if(examples, [](const auto& e) { return !e.rejected.empty(); });
    return fmt::format("; {} of the {} training rows are pairs", pairs, examples.size());
  }

  static std::vector<train::ScoreRow> rows_of(const Batch& batch) {
    std::vector<train::ScoreRow> rows;
    for (const JudgedExample* example : batch)
      rows.push_back({example->tokens, example->rejected, example->label});
    return rows;
  }

  const config::OfflineConfig& config_;
};

}  // namespace

Result<StepResult> run_rm(const config::RmConfig& config, const std::string& config_text) {
  LS_RETURN_IF_ERROR(validate(config.offline));
  RmLearner learner(config);
  return run_steps(learner, {{config.offline}, {}}, config_text, "rm");
}

Status check_inputs(const config::RmConfig& config, bool show_tokens) {
  RmLearner learner(config);
  return check_learner(learner, {{config.offline}, {}}, show_tokens);
}

}  // namespace longshot::loop
