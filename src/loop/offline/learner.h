#pragma once
// What the kinds of offline training share: one model, its rows, its trainer, and how they are
// loaded, saved and written.

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/rng.h"
#include "datasets/examples.h"
#include "loop/offline/first_row.h"
#include "loop/offline/memory_source.h"
#include "loop/offline/offline_run.h"
#include "loop/offline/streamed_source.h"
#include "loop/run_folder/new_model.h"
#include "loop/run_folder/trained_model.h"

namespace longshot::loop {

enum class Head { vocabulary, score };

// Example: one row as it is trained on. `data.streaming` decides whether all of them are in memory;
// held-out rows always are. Trainer: has model(), a train::TrainableModel.
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
    LS_RETURN_IF_ERROR(check_eos());
    if (config_.data.val_files.empty()) return ok_status();
    LS_ASSIGN_OR_RETURN(held_out_,
                        read(config_.data.val_files, max_length(config_), *make_encoder(eos())));
    return ok_status();
  }

  Status open_rows(const config::OfflineConfig& config, size_t phase) final {
    source_.reset();  // its memory is needed for the new rows
    const auto seed = static_cast<uint64_t>(config.trainer.seed);
    const uint64_t own = phase == 0 ? seed : hash_combine(seed, phase);
    LS_ASSIGN_OR_RETURN(source_,
                        config.data.streaming ? stream_rows(config, own) : load_rows(config, own));
    return ok_status();
  }

  Status prepare(const std::string& run_folder, bool continued) override { return ok_status(); }

  int64_t steps() const final { return source_->steps(); }
  bool finished() final { return source_->finished(); }
  Json position() const final { return source_->position(); }
  Status seek(const Json& position, const std::string& where) final {
    return source_->seek(position, where);
  }

  Result<std::string> describe() final {
    LS_ASSIGN_OR_RETURN(const std::span<const Example> examples, source_->sample());
    const auto encoder = make_encoder(eos());
    int64_t tokens = 0;
    for (const Example& example : examples) tokens += encoder->tokens(example);
    return fmt::format("{}{} training rows, {} tokens",
                       source_->sample_is_all() ? "" : "the first ", examples.size(), tokens) +
           details(examples);
  }

  Result<std::vector<std::string>> first_row(bool show_tokens) final {
    LS_ASSIGN_OR_RETURN(const std::span<const Example> examples, source_->sample());
    std::vector<std::string> texts;
    if (examples.empty()) return texts;
    for (const RowSequence& sequence : row_sequences(examples.front()))
      texts.push_back(sequence_text(sequence, *model_->tokenizer, show_tokens));
    return texts;
  }

  Result<Metrics> step() final {
    LS_ASSIGN_OR_RETURN(const Batch batch, source_->next());
    LS_ASSIGN_OR_RETURN(Metrics metrics, step_on(batch));
    source_->add_metrics(metrics);
    return metrics;
  }
  Metrics validate() final {
    if (held_out_.empty()) return {};
    Batch batch;
    for (const Example& example : held_out_) batch.push_back(&example);
    return evaluate(batch);
  }

  void start(int64_t total_steps) final {
    trainer_ = make_trainer(std::move(model_->weights), total_steps);
    trainer_->model().measure_peak();
  }

  void begin_schedule(const train::OptimizerOptions& options, int64_t first_step,
                      int64_t total_steps) final {
    trainer_->model().optimizer().begin_schedule(options, first_step, total_steps);
  }

  Result<std::vector<std::string>> plan() override { return std::vector<std::string>(); }

  Status load_state(const std::string& directory) final {
    return trainer_->model().load_state(directory);
  }
  int64_t updates() const final { return trainer_->model().steps(); }
  Status save_state(const std::string& directory) const final {
    return trainer_->model().save_state(directory);
  }
  Result<std::string> write_model(const std::string& directory, int64_t step) final {
    return write_policy(directory, trainer_->model().weights(), step, config_.model,
                        model_->tokenizer.get(), &model_->chat_template);
  }

 protected:
  using Batch = std::vector<const Example*>;
  using Encoder = datasets::ExampleEncoder<Example>;

  virtual std::unique_ptr<Encoder> make_encoder(data::TokenId eos) const = 0;
  virtual std::unique_ptr<Trainer> make_trainer(model::Weights weights, int64_t steps) const = 0;
  virtual Result<Metrics> step_on(const Batch& batch) = 0;
  virtual Metrics evaluate(const Batch& batch) = 0;
  // What is computed for the first row; it points into the example.
  virtual std::vector<RowSequence> row_sequences(const Example& first) const = 0;
  // More about the rows for describe(), with a separator in front.
  virtual std::string details(std::span<const Example> examples) const { return ""; }

  const LoadedModel& model() const { return *model_; }
  Trainer& trainer() { return *trainer_; }
  // The training rows, in their order, without data.streaming. The batches point to them.
  Result<std::span<const Example>> examples() { return source_->sample(); }
  const std::vector<Example>& held_out() const { return held_out_; }

 private:
  // start() gives the weights to the trainer.
  const model::ModelConfig& model_config() const {
    return trainer_ ? trainer_->model().weights().config() : model_->weights.config();
  }
  data::TokenId eos() const { return model_config().eos_token_ids[0]; }
  Status check_eos() const {
    if (!model_config().eos_token_ids.empty()) return ok_status();
    return invalid_argument("the model names no end-of-sequence token");
  }
  int max_length(const config::OfflineConfig& config) const {
    return std::min(config.data.max_length, model::context_length(model_config()));
  }

  Result<std::vector<Example>> read(const std::vector<std::string>& files, int max_length,
                                    Encoder& encoder) const {
    int dropped = 0;
    LS_ASSIGN_OR_RETURN(auto examples,
                        datasets::read_examples(files, encoder, max_length, &dropped));
    if (dropped > 0)
      log::warn("{} rows are longer than {} tokens and are left out", dropped, max_length);
    return examples;
  }

  using Source = std::unique_ptr<ExampleSource<Example>>;

  Result<Source> load_rows(const config::OfflineConfig& config, uint64_t seed) const {
    const auto encoder = make_encoder(eos());
    LS_ASSIGN_OR_RETURN(auto examples, read(config.data.train_files, max_length(config), *encoder));
    std::vector<int64_t> lengths;
    for (const Example& example : examples) lengths.push_back(encoder->tokens(example));
    return Source(std::make_unique<MemorySource<Example>>(
        std::move(examples), lengths, config.batch.batch_tokens, seed, config.trainer.epochs));
  }

  Result<Source> stream_rows(const config::OfflineConfig& config, uint64_t seed) const {
    LS_ASSIGN_OR_RETURN(auto rows, datasets::RowStream::open(config.data.train_files));
    const typename StreamedSource<Example>::Options options = {
        .shuffle_buffer = static_cast<size_t>(config.data.shuffle_buffer),
        .seed = seed,
        .max_length = max_length(config),
        .batch_tokens = config.batch.batch_tokens,
        .epochs = static_cast<int64_t>(std::clamp(config.trainer.epochs, 1.0, 1e9))};
    return Source(
        std::make_unique<StreamedSource<Example>>(std::move(rows), make_encoder(eos()), options));
  }

  const config::OfflineConfig& config_;
  const Head head_;
  std::unique_ptr<LoadedModel> model_;  // its weights go to the trainer
  Source source_;
  std::vector<Example> held_out_;
  std::unique_ptr<Trainer> trainer_;
};

}  // namespace longshot::loop
