#include "loop/sft.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <numeric>

#include "base/fs.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/run_log.h"
#include "base/stop.h"
#include "loop/checkpoint.h"
#include "loop/iteration_metrics.h"
#include "loop/parts.h"
#include "loop/progress.h"
#include "policy/gemm_peak.h"

namespace longshot::loop {
namespace {

using Examples = std::vector<prompts::SupervisedExample>;
using Rows = std::vector<policy::Trainer::SupervisedRow>;

// Which rows each optimizer step sees: epoch after epoch in a fresh order, cut where the token
// budget is full. A function of (seed, lengths) alone, so a resumed run walks to its step again.
class BatchOrder {
 public:
  BatchOrder(const Examples& examples, int batch_tokens, uint64_t seed)
      : examples_(examples), batch_tokens_(static_cast<size_t>(batch_tokens)), seed_(seed) {}

  std::vector<size_t> next() {
    std::vector<size_t> rows;
    size_t tokens = 0;
    while (true) {
      if (position_ == order_.size()) start_epoch();
      const size_t row = order_[position_], length = examples_[row].tokens.size();
      if (!rows.empty() && tokens + length > batch_tokens_) return rows;
      rows.push_back(row);
      tokens += length;
      ++position_;
      if (position_ == order_.size()) return rows;  // no batch spans two epochs
    }
  }

 private:
  void start_epoch() {
    order_.resize(examples_.size());
    std::iota(order_.begin(), order_.end(), size_t{0});
    CounterRng(hash_combine(seed_, static_cast<uint64_t>(epoch_++))).shuffle(order_);
    position_ = 0;
  }

  const Examples& examples_;
  size_t batch_tokens_;
  uint64_t seed_;
  std::vector<size_t> order_;
  size_t position_ = 0;
  int64_t epoch_ = 0;
};

int64_t steps_of_epochs(const Examples& examples, int batch_tokens, uint64_t seed, double epochs) {
  BatchOrder order(examples, batch_tokens, seed);
  const double rows_wanted = epochs * static_cast<double>(examples.size());
  double rows = 0;
  int64_t steps = 0;
  while (rows + 0.5 < rows_wanted) rows += static_cast<double>(order.next().size()), ++steps;
  return std::max<int64_t>(1, steps);
}

// A new model whose tokens are the characters of the alphabet file.
Result<LoadedModel> new_model(const SftConfig& config) {
  const ModelOptions& m = config.model;
  LS_ASSIGN_OR_RETURN(std::string alphabet, read_file(m.alphabet_file));
  while (!alphabet.empty() && alphabet.back() == '\n') alphabet.pop_back();
  LS_ASSIGN_OR_RETURN(auto tokenizer, tokenizer::make_character_tokenizer(alphabet));
  model::ModelConfig c;
  c.vocab_size = tokenizer->vocab_size();
  c.hidden_size = m.hidden_size;
  c.num_layers = m.num_layers;
  c.num_heads = m.num_heads;
  c.num_kv_heads = m.num_kv_heads;
  c.intermediate_size = m.intermediate_size;
  c.head_dim = m.hidden_size / m.num_heads;
  c.max_position_embeddings = m.max_positions;
  if (m.hidden_size % m.num_heads != 0 || c.head_dim % 2 != 0 ||
      m.num_heads % m.num_kv_heads != 0) {
    return invalid_argument(
        "model.hidden_size must be an even multiple of model.num_heads, and num_heads a multiple "
        "of "
        "num_kv_heads");
  }
  const auto eos = tokenizer->token_to_id("<eos>");
  LS_CHECK(eos.has_value(), "the character tokenizer has <eos>");
  c.eos_token_ids = {*eos};
  LS_ASSIGN_OR_RETURN(auto plain, tokenizer::ChatTemplate::of_family("plain"));
  return LoadedModel{
      model::Weights::random(c, static_cast<uint64_t>(config.seed), config.machine.device),
      std::move(tokenizer), std::move(plain)};
}

// One supervised run. The members mirror its life: load, step, save.
class SftRun {
 public:
  SftRun(const SftConfig& config, std::string config_text)
      : config_(config), config_text_(std::move(config_text)), checkpoints_(config.output, 1) {}

  Result<SftResult> run() {
    LS_RETURN_IF_ERROR(validate(config_));
    LS_RETURN_IF_ERROR(make_directories(config_.output));
    set_threads(config_.machine.threads);
    LS_RETURN_IF_ERROR(load());
    LS_RETURN_IF_ERROR(write_file_atomic(config_.output + "/config.toml", config_text_));
    const Status trained = train();
    if (!trained.ok() && trained.code() != StatusCode::cancelled) return trained;
    LS_RETURN_IF_ERROR(trained.ok() ? write_final_model() : save_checkpoint());
    if (!trained.ok()) return trained;
    result_.seconds = watch_.seconds();
    return result_;
  }

 private:
  Status load() {
    std::string resume_directory;
    for (int64_t step : checkpoints_.iterations()) {
      const auto checkpoint = checkpoints_.open(checkpoints_.directory_of(step));
      if (!checkpoint.ok()) {
        log::warn("{}; trying the one before", checkpoint.status().message());
        continue;
      }
      resume_directory = checkpoint->directory;
      first_step_ = checkpoint->iteration;
      break;
    }
    const bool fresh = config_.model.path.empty() && resume_directory.empty();
    auto loaded =
        fresh ? new_model(config_)
              : load_policy(config_.model, config_.machine.device, resume_directory, config_.seed);
    if (!loaded.ok()) return loaded.status();
    if (fresh)
      LS_RETURN_IF_ERROR(choose_what_learns(config_.model, "", config_.seed, loaded->weights));
    tokenizer_ = std::move(loaded->tokenizer);
    chat_template_ = std::move(loaded->chat_template);
    LS_RETURN_IF_ERROR(load_examples(loaded->weights.config()));
    steps_ = config_.total_steps > 0
                 ? config_.total_steps
                 : steps_of_epochs(train_, config_.batch.batch_tokens, seed(), config_.epochs);
    policy::AlgorithmOptions algorithm;
    algorithm.compute = config_.batch.compute;
    algorithm.micro_batch_tokens = config_.batch.micro_batch_tokens;
    trainer_ = std::make_unique<policy::Trainer>(std::move(loaded->weights), config_.optimizer,
                                                 algorithm, steps_);
    trainer_->set_peak_flops(policy::measure_gemm_flops(config_.machine.device));
    if (resume_directory.empty()) return open_log(-1);
    log::info("resuming {} after step {}", config_.output, first_step_);
    LS_RETURN_IF_ERROR(trainer_->load_state(resume_directory));
    return open_log(first_step_);
  }

  Status open_log(int64_t last_step) {
    LS_ASSIGN_OR_RETURN(RunLog log, RunLog::open(config_.output, last_step));
    log_ = std::make_unique<RunLog>(std::move(log));
    return ok_status();
  }

  Status load_examples(const model::ModelConfig& model_config) {
    if (model_config.eos_token_ids.empty())
      return invalid_argument("the model names no end-of-sequence token");
    const int length = std::min(config_.max_length, model_config.max_position_embeddings);
    const auto read = [&](const std::vector<std::string>& files) -> Result<Examples> {
      int dropped = 0;
      LS_ASSIGN_OR_RETURN(Examples examples, prompts::read_supervised(
                                                 files, *tokenizer_, chat_template_,
                                                 model_config.eos_token_ids[0], length, &dropped));
      if (dropped > 0)
        log::warn("{} rows are longer than {} tokens and are left out", dropped, length);
      if (examples.empty())
        return invalid_argument(fmt::format("{}: no usable row", fmt::join(files, ", ")));
      return examples;
    };
    LS_ASSIGN_OR_RETURN(train_, read(config_.train_files));
    if (config_.val_files.empty()) return ok_status();
    LS_ASSIGN_OR_RETURN(val_, read(config_.val_files));
    return ok_status();
  }

  uint64_t seed() const { return static_cast<uint64_t>(config_.seed); }

  static Rows rows_of(const Examples& examples, const std::vector<size_t>& index) {
    Rows rows;
    for (size_t i : index) rows.push_back({&examples[i].tokens, &examples[i].loss_mask});
    return rows;
  }

  Status train() {
    BatchOrder order(train_, config_.batch.batch_tokens, seed());
    for (int64_t step = 0; step < first_step_; ++step) order.next();
    progress_.start(first_step_, steps_);
    for (step_ = first_step_; step_ < steps_;) {
      Stopwatch step_watch;
      LS_ASSIGN_OR_RETURN(Metrics metrics,
                          trainer_->supervised_step(rows_of(train_, order.next()), config_.batch));
      ++step_;
      metrics["timing_s/step"] = step_watch.seconds();
      LS_RETURN_IF_ERROR(finish_step(metrics));
      if (stop_requested()) {
        progress_.clear();
        return cancelled(
            fmt::format("stopped after step {}; the same command goes on from there", step_));
      }
    }
    return ok_status();
  }

  Status finish_step(Metrics& metrics) {
    result_.steps = step_;
    result_.train_loss = metrics["train/loss"];
    result_.tokens += static_cast<int64_t>(metrics["train/tokens"]);
    const bool last = step_ == steps_;
    const bool test = config_.test_freq > 0 && (step_ % config_.test_freq == 0 || last);
    if (test && !val_.empty()) {
      std::vector<size_t> all(val_.size());
      std::iota(all.begin(), all.end(), size_t{0});
      result_.val_loss = metrics["val/loss"] =
          trainer_->supervised_loss(rows_of(val_, all), config_.batch);
    }
    metrics["perf/max_memory_gb"] = peak_memory_gb();
    const std::string text = fmt::format(
        "loss {:.4f} lr {:.2e} {} tok/s", result_.train_loss, metrics["train/lr"],
        with_commas(static_cast<int64_t>(static_cast<double>(result_.tokens) / watch_.seconds())));
    if (test || last) {
      progress_.finish(
          step_,
          val_.empty() ? text : text + fmt::format(" | held-out loss {:.4f}", result_.val_loss));
    } else {
      progress_.update(step_, text);
    }
    LS_RETURN_IF_ERROR(log_->log(step_, metrics));
    if (config_.save_freq > 0 && step_ % config_.save_freq == 0 && !last) return save_checkpoint();
    return ok_status();
  }

  Result<std::string> write_policy_to(const std::string& directory) {
    return write_policy(directory, trainer_->weights(), step_, config_.model, tokenizer_.get(),
                        &chat_template_);
  }

  Status save_checkpoint() {
    return checkpoints_.save(step_, {{"iteration", step_}, {"config", config_text_}},
                             [&](const std::string& directory) {
                               LS_RETURN_IF_ERROR(write_policy_to(directory).status());
                               return trainer_->save_state(directory);
                             });
  }

  Status write_final_model() {
    const std::string temporary = config_.output + "/final.tmp";
    LS_RETURN_IF_ERROR(remove_tree(temporary));
    LS_ASSIGN_OR_RETURN(const std::string written, write_policy_to(temporary));
    const std::string target =
        config_.output + "/" + std::filesystem::path(written).filename().string();
    LS_RETURN_IF_ERROR(remove_tree(target));
    LS_RETURN_IF_ERROR(rename_durable(written, target));
    LS_RETURN_IF_ERROR(remove_tree(temporary));
    result_.model_directory = target;
    for (int64_t step : checkpoints_.iterations()) {
      LS_RETURN_IF_ERROR(remove_tree(checkpoints_.directory_of(step)));
    }
    return ok_status();
  }

  const SftConfig& config_;
  std::string config_text_;
  CheckpointStore checkpoints_;
  std::unique_ptr<tokenizer::Tokenizer> tokenizer_;
  tokenizer::ChatTemplate chat_template_;
  Examples train_, val_;
  std::unique_ptr<policy::Trainer> trainer_;
  std::unique_ptr<RunLog> log_;
  ProgressLine progress_;
  Stopwatch watch_;
  int64_t first_step_ = 0, step_ = 0, steps_ = 0;
  SftResult result_;
};

}  // namespace

Result<SftResult> run_sft(const SftConfig& config, const std::string& config_text) {
  return SftRun(config, config_text).run();
}

}  // namespace longshot::loop
