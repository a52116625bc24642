#include "loop/offline/dpo.h"

#include <algorithm>
#include <memory>
#include <span>
#include <utility>

#include "config/validate.h"
#include "datasets/pair.h"
#include "loop/offline/dpo_plan.h"
#include "loop/offline/dpo_reference.h"
#include "loop/offline/learner.h"
#include "loop/offline/stored_logprobs.h"
#include "train/preference/dpo_trainer.h"

namespace longshot::loop {
namespace {

using datasets::PairExample;
using train::PairLogprobs;
using train::PairSequences;

PairSequences sequences_of(const PairExample& example) {
  return {{example.chosen.tokens, example.chosen.loss_mask},
          {example.rejected.tokens, example.rejected.loss_mask},
          example.prompt};
}

std::vector<PairSequences> sequences_of(std::span<const PairExample> examples) {
  std::vector<PairSequences> out;
  for (const PairExample& example : examples) out.push_back(sequences_of(example));
  return out;
}

class DpoLearner final : public LearnerOf<PairExample, train::DpoTrainer> {
 public:
  explicit DpoLearner(const config::DpoConfig& config)
      : LearnerOf(config.offline, Head::vocabulary), config_(config) {}

  Status prepare(const std::string& run_folder, bool continued) override {
    reference_ = std::make_unique<ReferenceModel>(config_, trainer(), continued);
    LS_ASSIGN_OR_RETURN(held_out_logprobs_,
                        stored(held_out(), run_folder + "/reference_val.bin",
                               "reference log-probabilities of the held-out pairs",
                               /*must_match=*/false));
    if (config_.offline.data.streaming) return reference_->load();
    LS_ASSIGN_OR_RETURN(const std::span<const PairExample> rows, examples());
    LS_ASSIGN_OR_RETURN(logprobs_, stored(rows, run_folder + "/reference_train.bin",
                                          "reference log-probabilities of the training pairs",
                                          /*must_match=*/continued));
    reference_.reset();  // its memory is needed for the steps
    return ok_status();
  }

  Result<std::vector<std::string>> plan() override {
    LS_ASSIGN_OR_RETURN(const std::span<const PairExample> rows, examples());
    DpoWorkload work{.sample = sequences_of(rows), .device = config_.offline.machine.device};
    const auto encoder = make_encoder(0);
    const double batch = config_.offline.batch.batch_tokens;
    double tokens = 0;
    for (const PairExample& row : rows) tokens += static_cast<double>(encoder->tokens(row));
    for (const PairExample& row : held_out())
      work.reference_tokens += static_cast<double>(encoder->tokens(row));
    const auto steps = static_cast<double>(config_.offline.trainer.total_steps);
    const bool streaming = config_.offline.data.streaming;
    if (steps > 0) {
      work.tokens = steps * (streaming ? batch : std::min(batch, tokens));
    } else if (!streaming) {
      work.tokens = tokens * config_.offline.trainer.epochs;
    }
    work.reference_tokens += streaming ? work.tokens : tokens;
    work.second_model = streaming && ReferenceModel::needs_copy(config_);
    return plan_dpo(work, config_.offline.batch, trainer());
  }

 private:
  std::unique_ptr<Encoder> make_encoder(data::TokenId eos) const override {
    return std::make_unique<datasets::PairEncoder>(*model().tokenizer, model().chat_template, eos,
                                                   config_.apply_chat_template);
  }
  std::unique_ptr<train::DpoTrainer> make_trainer(model::Weights weights,
                                                  int64_t steps) const override {
    return std::make_unique<train::DpoTrainer>(std::move(weights), config_.offline.optimizer,
                                               config_.dpo, config_.offline.batch, steps);
  }

  std::vector<RowSequence> row_sequences(const PairExample& first) const override {
    return {{"the first row with its chosen response", first.chosen.tokens, first.chosen.loss_mask},
            {"the first row with its rejected response", first.rejected.tokens,
             first.rejected.loss_mask}};
  }

  Result<std::vector<PairLogprobs>> stored(std::span<const PairExample> rows,
                                           const std::string& path, const std::string& what,
                                           bool must_match) {
    const std::vector<PairSequences> pairs = sequences_of(rows);
    if (pairs.empty()) return std::vector<PairLogprobs>();
    const LogprobKey key{reference_->identity(), checksum_of(pairs)};
    return stored_logprobs(
        pairs, {.path = path, .key = key, .what = what, .continued = must_match},
        [&](const std::vector<PairSequences>& chunk) { return reference_->logprobs(chunk); });
  }

  Result<Metrics> step_on(const Batch& batch) override {
    if (reference_ == nullptr) {
      LS_ASSIGN_OR_RETURN(const std::span<const PairExample> rows, examples());
      return trainer().step(rows_of(batch, rows, logprobs_));
    }
    std::vector<train::DpoRow> rows;
    std::vector<PairSequences> pairs;
    for (const PairExample* example : batch) pairs.push_back(sequences_of(*example));
    LS_ASSIGN_OR_RETURN(const std::vector<PairLogprobs> reference, reference_->logprobs(pairs));
    for (size_t i = 0; i < pairs.size(); ++i) rows.push_back({pairs[i], reference[i]});
    return trainer().step(rows);
  }
  Metrics evaluate(const Batch& batch) override {
    return trainer().evaluate(rows_of(batch, held_out(), held_out_logprobs_));
  }

  // The batch points to `all`, whose log-probabilities are `reference`.
  static std::vector<train::DpoRow> rows_of(const Batch& batch, std::span<const PairExample> all,
                                            const std::vector<PairLogprobs>& reference) {
    std::vector<train::DpoRow> rows;
    for (const PairExample* example : batch)
      rows.push_back(
          {sequences_of(*example), reference[static_cast<size_t>(example - all.data())]});
    return rows;
  }

  const config::DpoConfig& config_;
  std::unique_ptr<ReferenceModel> reference_;  // during the steps: with data.streaming only
  std::vector<PairLogprobs> logprobs_, held_out_logprobs_;
};

}  // namespace

Result<StepResult> run_dpo(const config::DpoConfig& config, const std::string& config_text) {
  LS_RETURN_IF_ERROR(validate(config));
  DpoLearner learner(config);
  return run_steps(learner, {{config.offline}, {}}, config_text, "dpo");
}

Status check_inputs(const config::DpoConfig& config, bool show_tokens) {
  DpoLearner learner(config);
  return check_learner(learner, {{config.offline}, {}}, show_tokens);
}

}  // namespace longshot::loop
