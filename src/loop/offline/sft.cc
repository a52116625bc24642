#include "loop/offline/sft.h"

#include <algorithm>
#include <memory>
#include <numeric>

#include "datasets/supervised.h"
#include "loop/run_folder/new_model.h"
#include "loop/run_folder/trained_model.h"
#include "train/pass/gemm_peak.h"
#include "train/policy/policy_trainer.h"

namespace longshot::loop {
namespace {

using Examples = std::vector<datasets::SupervisedExample>;
using Rows = std::vector<train::Trainer::SupervisedRow>;

class SftLearner : public Learner {
 public:
  explicit SftLearner(const config::SftConfig& config) : config_(config) {}

  Status load(const std::string& checkpoint) override {
    const bool fresh = config_.model.path.empty() && checkpoint.empty();
    auto loaded =
        fresh ? new_model(config_, /*score_head=*/false)
              : load_policy(config_.model, config_.machine.device, checkpoint, config_.seed);
    if (!loaded.ok()) return loaded.status();
    model_ = std::make_unique<LoadedModel>(std::move(*loaded));
    return load_examples(model_->weights.config());
  }

  std::vector<int64_t> lengths() const override {
    std::vector<int64_t> lengths;
    for (const auto& e : train_) lengths.push_back(static_cast<int64_t>(e.tokens.size()));
    return lengths;
  }

  void start(int64_t total_steps) override {
    train::AlgorithmOptions algorithm;
    algorithm.compute = config_.batch.compute;
    algorithm.micro_batch_tokens = config_.batch.micro_batch_tokens;
    trainer_ = std::make_unique<train::Trainer>(std::move(model_->weights), config_.optimizer,
                                                algorithm, total_steps);
    trainer_->set_peak_flops(
        train::measure_gemm_flops(config_.machine.device, config_.batch.compute.dtype));
  }

  Status load_state(const std::string& directory) override {
    return trainer_->load_state(directory);
  }
  Result<Metrics> step(const std::vector<size_t>& rows) override {
    return trainer_->supervised_step(rows_of(train_, rows), config_.batch);
  }
  int64_t updates() const override { return trainer_->optimizer_step(); }
  Metrics validate() override {
    if (val_.empty()) return {};
    std::vector<size_t> all(val_.size());
    std::iota(all.begin(), all.end(), size_t{0});
    return {{"val/loss", trainer_->supervised_loss(rows_of(val_, all), config_.batch)}};
  }
  Status save_state(const std::string& directory) const override {
    return trainer_->save_state(directory);
  }
  Result<std::string> write_model(const std::string& directory, int64_t step) override {
    return write_policy(directory, trainer_->weights(), step, config_.model,
                        model_->tokenizer.get(), &model_->chat_template);
  }

 private:
  Status load_examples(const model::ModelConfig& model_config) {
    if (model_config.eos_token_ids.empty())
      return invalid_argument("the model names no end-of-sequence token");
    const int length = std::min(config_.max_length, model::context_length(model_config));
    const auto read = [&](const std::vector<std::string>& files) -> Result<Examples> {
      int dropped = 0;
      LS_ASSIGN_OR_RETURN(Examples examples, datasets::read_supervised(
                                                 files, *model_->tokenizer, model_->chat_template,
                                                 model_config.eos_token_ids[0], length, &dropped,
                                                 config_.apply_chat_template));
      LS_RETURN_IF_ERROR(check_rows(files, examples.size(), dropped, length));
      return examples;
    };
    LS_ASSIGN_OR_RETURN(train_, read(config_.train_files));
    if (config_.val_files.empty()) return ok_status();
    LS_ASSIGN_OR_RETURN(val_, read(config_.val_files));
    return ok_status();
  }

  static Rows rows_of(const Examples& examples, const std::vector<size_t>& index) {
    Rows rows;
    for (size_t i : index) rows.push_back({&examples[i].tokens, &examples[i].loss_mask});
    return rows;
  }

  const config::SftConfig& config_;
  std::unique_ptr<LoadedModel> model_;  // its weights go to the trainer
  Examples train_, val_;
  std::unique_ptr<train::Trainer> trainer_;
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
