#pragma once
// What the kinds of offline training share: one model, its rows, its trainer, and how they are
// loaded, saved and written.

#include <algorithm>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "loop/offline/offline_run.h"
#include "loop/run_folder/new_model.h"
#include "loop/run_folder/trained_model.h"
#include "train/pass/gemm_peak.h"

namespace longshot::loop {

enum class Head { vocabulary, score };

// Example: one row as it is trained on. Trainer: has weights(), optimizer_step(), save_state(),
// load_state() and set_peak_flops().
template <typename Example, typename Trainer>
class LearnerOf : public Learner {
 public:
  // `config` must outlive the learner.
  LearnerOf(const config::OfflineConfig& config, Head head) : config_(config), head_(head) {}

  Status load(const std::string& checkpoint) final {
    const bool fresh = config_.model.path.empty() && checkpoint.empty();
    const auto open = head_ == Head::score ? load_reward_model : load_policy;
    auto loaded =
        fresh ? new_model(config_, head_ == Head::score)
              : open(config_.model, config_.machine.device, checkpoint, config_.trainer.seed);
    if (!loaded.ok()) return loaded.status();
    model_ = std::make_unique<LoadedModel>(std::move(*loaded));
    LS_ASSIGN_OR_RETURN(train_, read_checked(config_.data.train_files));
    if (config_.data.val_files.empty()) return ok_status();
    LS_ASSIGN_OR_RETURN(val_, read_checked(config_.data.val_files));
    return ok_status();
  }

  std::vector<int64_t> lengths() const final {
    std::vector<int64_t> lengths;
    for (const Example& example : train_) lengths.push_back(tokens_of(example));
    return lengths;
  }

  void start(int64_t total_steps) final {
    trainer_ = make_trainer(std::move(model_->weights), total_steps);
    trainer_->set_peak_flops(
        train::measure_gemm_flops(config_.machine.device, config_.batch.compute.dtype));
  }

  Status load_state(const std::string& directory) final { return trainer_->load_state(directory); }
  int64_t updates() const final { return trainer_->optimizer_step(); }
  Status save_state(const std::string& directory) const final {
    return trainer_->save_state(directory);
  }
  Result<std::string> write_model(const std::string& directory, int64_t step) final {
    return write_policy(directory, trainer_->weights(), step, config_.model,
                        model_->tokenizer.get(), &model_->chat_template);
  }

 protected:
  using Examples = std::vector<Example>;

  // Reads and encodes rows; those longer than `max_length` are left out and counted in `dropped`.
  virtual Result<Examples> read(const std::vector<std::string>& files, data::TokenId eos,
                                int max_length, int* dropped) const = 0;
  virtual int64_t tokens_of(const Example& example) const = 0;
  virtual std::unique_ptr<Trainer> make_trainer(model::Weights weights, int64_t steps) const = 0;

  const LoadedModel& model() const { return *model_; }
  const Examples& train() const { return train_; }
  const Examples& held_out() const { return val_; }
  std::vector<size_t> all_held_out() const {
    std::vector<size_t> all(val_.size());
    std::iota(all.begin(), all.end(), size_t{0});
    return all;
  }
  Trainer& trainer() { return *trainer_; }

 private:
  Result<Examples> read_checked(const std::vector<std::string>& files) const {
    const model::ModelConfig& model_config = model_->weights.config();
    if (model_config.eos_token_ids.empty())
      return invalid_argument("the model names no end-of-sequence token");
    const int length = std::min(config_.data.max_length, model::context_length(model_config));
    int dropped = 0;
    LS_ASSIGN_OR_RETURN(Examples examples,
                        read(files, model_config.eos_token_ids[0], length, &dropped));
    LS_RETURN_IF_ERROR(check_rows(files, examples.size(), dropped, length));
    return examples;
  }

  const config::OfflineConfig& config_;
  const Head head_;
  std::unique_ptr<LoadedModel> model_;  // its weights go to the trainer
  Examples train_, val_;
  std::unique_ptr<Trainer> trainer_;
};

}  // namespace longshot::loop
