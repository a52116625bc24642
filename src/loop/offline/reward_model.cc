#include "loop/offline/reward_model.h"

#include <algorithm>
#include <memory>
#include <numeric>

#include "base/log.h"
#include "datasets/preference.h"
#include "loop/run_folder/new_model.h"
#include "loop/run_folder/trained_model.h"
#include "train/pass/gemm_peak.h"
#include "train/preference/score_trainer.h"

namespace longshot::loop {
namespace {

using Examples = std::vector<datasets::JudgedExample>;

class RmLearner : public Learner {
 public:
  explicit RmLearner(const config::RmConfig& config) : config_(config) {}

  Status load(const std::string& checkpoint) override {
    const bool fresh = config_.model.path.empty() && checkpoint.empty();
    auto loaded =
        fresh ? new_model(config_, /*score_head=*/true)
              : load_reward_model(config_.model, config_.machine.device, checkpoint, config_.seed);
    if (!loaded.ok()) return loaded.status();
    model_ = std::make_unique<LoadedModel>(std::move(*loaded));
    LS_ASSIGN_OR_RETURN(train_, read(config_.train_files));
    if (config_.val_files.empty()) return ok_status();
    LS_ASSIGN_OR_RETURN(val_, read(config_.val_files));
    return ok_status();
  }

  std::vector<int64_t> lengths() const override {
    std::vector<int64_t> lengths;
    for (const auto& e : train_)
      lengths.push_back(static_cast<int64_t>(e.tokens.size() + e.rejected.size()));
    return lengths;
  }

  // The number of training rows that are pairs; the others carry a label.
  int64_t pairs() const {
    return std::ranges::count_if(train_, [](const auto& e) { return !e.rejected.empty(); });
  }

  void start(int64_t total_steps) override {
    trainer_ = std::make_unique<train::ScoreTrainer>(std::move(model_->weights), config_.optimizer,
                                                     config_.batch, total_steps);
    trainer_->set_peak_flops(
        train::measure_gemm_flops(config_.machine.device, config_.batch.compute.dtype));
  }

  Status load_state(const std::string& directory) override {
    return trainer_->load_state(directory);
  }
  Result<Metrics> step(const std::vector<size_t>& rows) override {
    return trainer_->step(rows_of(train_, rows));
  }
  int64_t updates() const override { return trainer_->optimizer_step(); }
  Metrics validate() override {
    std::vector<size_t> all(val_.size());
    std::iota(all.begin(), all.end(), size_t{0});
    return trainer_->evaluate(rows_of(val_, all));
  }
  Status save_state(const std::string& directory) const override {
    return trainer_->save_state(directory);
  }
  Result<std::string> write_model(const std::string& directory, int64_t step) override {
    return write_policy(directory, trainer_->weights(), step, config_.model,
                        model_->tokenizer.get(), &model_->chat_template);
  }

 private:
  Result<Examples> read(const std::vector<std::string>& files) const {
    const model::ModelConfig& model_config = model_->weights.config();
    if (model_config.eos_token_ids.empty())
      return invalid_argument("the model names no end-of-sequence token");
    const int length = std::min(config_.max_length, model::context_length(model_config));
    LS_ASSIGN_OR_RETURN(const auto rows, datasets::read_judged(files));
    int dropped = 0;
    LS_ASSIGN_OR_RETURN(Examples examples,
                        datasets::encode_judged(rows, *model_->tokenizer, model_->chat_template,
                                                model_config.eos_token_ids[0], length, &dropped));
    LS_RETURN_IF_ERROR(check_rows(files, examples.size(), dropped, length));
    return examples;
  }

  static std::vector<train::ScoreRow> rows_of(const Examples& examples,
                                              const std::vector<size_t>& index) {
    std::vector<train::ScoreRow> rows;
    for (size_t i : index)
      rows.push_back({examples[i].tokens, examples[i].rejected, examples[i].label});
    return rows;
  }

  const config::RmConfig& config_;
  std::unique_ptr<LoadedModel> model_;  // its weights go to the trainer
  Examples train_, val_;
  std::unique_ptr<train::ScoreTrainer> trainer_;
};

}  // namespace

Result<StepResult> run_rm(const config::RmConfig& config, const std::string& config_text) {
  LS_RETURN_IF_ERROR(validate(config));
  RmLearner learner(config);
  return run_steps(learner, config, config_text, "rm");
}

Status check_inputs(const config::RmConfig& config) {
  RmLearner learner(config);
  LS_RETURN_IF_ERROR(check_learner(learner, config));
  log::info("{} of the {} training rows are pairs", learner.pairs(), learner.lengths().size());
  return ok_status();
}

}  // namespace longshot::loop
