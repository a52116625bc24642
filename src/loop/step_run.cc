#include "loop/step_run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <numeric>

#include "base/folder_lock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/run_log.h"
#include "base/stop.h"
#include "loop/checkpoint.h"
#include "loop/iteration_metrics.h"
#include "loop/parts.h"
#include "loop/progress.h"
#include "model/runtime.h"

namespace longshot::loop {
namespace {

// Which rows each optimizer step sees: epoch after epoch in a fresh order, cut where the token
// budget is full. A function of (seed, lengths) alone, so a resumed run walks to its step again.
class BatchOrder {
 public:
  BatchOrder(const std::vector<int64_t>& lengths, int64_t batch_tokens, uint64_t seed)
      : lengths_(lengths), batch_tokens_(batch_tokens), seed_(seed) {}

  std::vector<size_t> next() {
    std::vector<size_t> rows;
    int64_t tokens = 0;
    while (true) {
      if (position_ == order_.size()) start_epoch();
      const size_t row = order_[position_];
      if (!rows.empty() && tokens + lengths_[row] > batch_tokens_) return rows;
      rows.push_back(row);
      tokens += lengths_[row];
      ++position_;
      if (position_ == order_.size()) return rows;  // no batch spans two epochs
    }
  }

 private:
  void start_epoch() {
    order_.resize(lengths_.size());
    std::iota(order_.begin(), order_.end(), size_t{0});
    CounterRng(hash_combine(seed_, static_cast<uint64_t>(epoch_++))).shuffle(order_);
    position_ = 0;
  }

  const std::vector<int64_t>& lengths_;
  int64_t batch_tokens_;
  uint64_t seed_;
  std::vector<size_t> order_;
  size_t position_ = 0;
  int64_t epoch_ = 0;
};

int64_t steps_of_epochs(const std::vector<int64_t>& lengths, int64_t batch_tokens, uint64_t seed,
                        double epochs) {
  BatchOrder order(lengths, batch_tokens, seed);
  const double rows_wanted = epochs * static_cast<double>(lengths.size());
  double rows = 0;
  int64_t steps = 0;
  while (rows + 0.5 < rows_wanted) rows += static_cast<double>(order.next().size()), ++steps;
  return std::max<int64_t>(1, steps);
}

// " accuracy 0.9821" if the figure is there.
std::string accuracy_text(const Metrics& metrics, const char* name) {
  const auto found = metrics.find(name);
  return found == metrics.end() ? "" : fmt::format(" accuracy {:.4f}", found->second);
}

// One run. The members mirror its life: load, step, save.
class StepRun {
 public:
  StepRun(Learner& learner, const SftConfig& config, std::string config_text)
      : learner_(learner),
        config_(config),
        config_text_(std::move(config_text)),
        checkpoints_(config.output, 1) {}

  Result<StepResult> run() {
    LS_ASSIGN_OR_RETURN(const FolderLock lock, FolderLock::take(config_.output));
    model::configure_compute(config_.machine.threads);
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
    LS_RETURN_IF_ERROR(learner_.load(resume_directory));
    lengths_ = learner_.lengths();
    steps_ = config_.total_steps > 0
                 ? config_.total_steps
                 : steps_of_epochs(lengths_, config_.batch.batch_tokens, seed(), config_.epochs);
    learner_.start(steps_);
    if (resume_directory.empty()) return open_log(-1);
    log::info("resuming {} after step {}", config_.output, first_step_);
    LS_RETURN_IF_ERROR(learner_.load_state(resume_directory));
    return open_log(first_step_);
  }

  Status open_log(int64_t last_step) {
    LS_ASSIGN_OR_RETURN(RunLog log, RunLog::open(config_.output, last_step));
    log_ = std::make_unique<RunLog>(std::move(log));
    return ok_status();
  }

  uint64_t seed() const { return static_cast<uint64_t>(config_.seed); }

  Status train() {
    BatchOrder order(lengths_, config_.batch.batch_tokens, seed());
    for (int64_t step = 0; step < first_step_; ++step) order.next();
    progress_.start(first_step_, steps_);
    for (step_ = first_step_; step_ < steps_;) {
      Stopwatch step_watch;
      LS_ASSIGN_OR_RETURN(Metrics metrics, learner_.step(order.next()));
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
    const Metrics held_out = test ? learner_.validate() : Metrics();
    metrics.insert(held_out.begin(), held_out.end());
    if (!held_out.empty()) result_.val_loss = held_out.at("val/loss");
    metrics["perf/max_memory_gb"] = peak_memory_gb();
    show(metrics, test || last);
    LS_RETURN_IF_ERROR(log_->log(step_, metrics));
    if (config_.save_freq > 0 && step_ % config_.save_freq == 0 && !last) return save_checkpoint();
    return ok_status();
  }

  void show(Metrics& metrics, bool whole_line) {
    std::string text = fmt::format(
        "loss {:.4f}{} lr {:.2e} {} tok/s", result_.train_loss,
        accuracy_text(metrics, "train/accuracy"), metrics["train/lr"],
        with_commas(static_cast<int64_t>(static_cast<double>(result_.tokens) / watch_.seconds())));
    if (metrics.count("val/loss") > 0)
      text += fmt::format(" | held-out loss {:.4f}{}", result_.val_loss,
                          accuracy_text(metrics, "val/accuracy"));
    whole_line ? progress_.finish(step_, text) : progress_.update(step_, text);
  }

  Status save_checkpoint() {
    return checkpoints_.save(step_, {{"iteration", step_}, {"config", config_text_}},
                             [&](const std::string& directory) {
                               LS_RETURN_IF_ERROR(learner_.write_model(directory, step_).status());
                               return learner_.save_state(directory);
                             });
  }

  Status write_final_model() {
    const std::string temporary = config_.output + "/final.tmp";
    LS_RETURN_IF_ERROR(remove_tree(temporary));
    LS_ASSIGN_OR_RETURN(const std::string written, learner_.write_model(temporary, step_));
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

  Learner& learner_;
  const SftConfig& config_;
  std::string config_text_;
  CheckpointStore checkpoints_;
  std::vector<int64_t> lengths_;
  std::unique_ptr<RunLog> log_;
  ProgressLine progress_;
  Stopwatch watch_;
  int64_t first_step_ = 0, step_ = 0, steps_ = 0;
  StepResult result_;
};

}  // namespace

Status check_rows(const std::vector<std::string>& files, size_t rows, int dropped, int length) {
  if (dropped > 0) log::warn("{} rows are longer than {} tokens and are left out", dropped, length);
  if (rows > 0) return ok_status();
  return invalid_argument(fmt::format("{}: no usable row", fmt::join(files, ", ")));
}

Status check_learner(Learner& learner, const SftConfig& config) {
  model::configure_compute(config.machine.threads);
  LS_RETURN_IF_ERROR(learner.load(""));
  const std::vector<int64_t> lengths = learner.lengths();
  const int64_t tokens = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
  learner.start(std::max<int64_t>(1, config.total_steps));
  log::info("{} training rows, {} tokens", lengths.size(), tokens);
  return ok_status();
}

Result<StepResult> run_steps(Learner& learner, const SftConfig& config,
                             const std::string& config_text) {
  return StepRun(learner, config, config_text).run();
}

}  // namespace longshot::loop
