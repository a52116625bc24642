// Checks what the table of keys cannot: required keys and combinations.
#include <fmt/format.h>

#include <cmath>

#include "base/log.h"
#include "base/os/machine.h"
#include "config/config.h"
#include "config/unused_keys.h"
#include "kernels/products/gemm.h"
#include "train/advantage/advantage.h"
#include "train/loss/policy_loss.h"
#include "train/optimizer/schedule.h"

namespace longshot::config {
namespace {

constexpr double kMostEpochs = 1e9;

// A group of one sample has no other sample to compare with. reinforce compares with the whole
// batch, and rest only needs a reward > 0.
bool learns_from_single_samples(const std::string& algorithm) {
  return algorithm == "reinforce" || algorithm == "rest";
}

Status validate_algorithm(const TrainConfig& c) {
  LS_RETURN_IF_ERROR(train::check_advantage_options(c.algorithm));
  LS_RETURN_IF_ERROR(train::make_objective(c.algorithm).status());
  if (c.n == 1 && !learns_from_single_samples(c.algorithm.name)) {
    return invalid_argument(fmt::format(
        "rollout.n = 1: algorithm.name = \"{}\" compares the samples of a prompt with one another, "
        "so nothing is learned from a single one; set rollout.n to 2 or more",
        c.algorithm.name));
  }
  if (c.algorithm.mini_batches > c.train_batch_size) {
    return invalid_argument("algorithm.mini_batches is larger than data.train_batch_size");
  }
  if (c.max_groups > 0 && c.max_groups < c.train_batch_size) {
    return invalid_argument(fmt::format(
        "replay.max_groups = {} is below data.train_batch_size = {}: no batch would ever be full",
        c.max_groups, c.train_batch_size));
  }
  return ok_status();
}

Status validate_sampling(const TrainConfig& c) {
  LS_RETURN_IF_ERROR(rollout::check_sampling(c.engine.sampling).with_context("the keys rollout.*"));
  if (rollout::cuts_distribution(c.engine.sampling) && c.algorithm.reference == "recorded") {
    log::warn(
        "rollout.top_p, top_k or min_p cut the sampling distribution: the log-probabilities that "
        "algorithm.reference=recorded compares with are those of the cut one, not the trainer's");
  }
  return ok_status();
}

Status validate_rollout(const TrainConfig& c) {
  if (c.rollout_engine == "cpu" && c.machine.device != "cpu") {
    return invalid_argument("rollout.engine=cpu needs trainer.device=cpu");
  }
  const bool cpu_kernels = c.rollout_engine != "torch" && c.machine.device == "cpu";
  if (!cpu_kernels && (c.rollout_dtype != "float32" || c.rollout_kv_dtype != "float32")) {
    return invalid_argument(
        "rollout.dtype and rollout.kv_dtype other than float32 need the CPU kernels: "
        "rollout.engine=cpu and trainer.device=cpu");
  }
  if (!cpu_kernels && c.rollout_workers > 1) {
    return invalid_argument(
        "rollout.workers above 1 needs the CPU kernels: rollout.engine=cpu and trainer.device=cpu");
  }
  return validate_sampling(c);
}

Status validate_curriculum(const prompts::SamplerOptions& s) {
  if (s.order != "curriculum") return ok_status();
  const size_t stages = s.curriculum_iterations.size();
  if (stages > 0 && stages == s.curriculum_min_difficulty.size() &&
      stages == s.curriculum_max_difficulty.size()) {
    return ok_status();
  }
  return invalid_argument(
      "data.order=curriculum needs data.curriculum_iterations, _min_difficulty and "
      "_max_difficulty of the same length");
}

template <typename Config>
void warn_of_unused_keys(const Config& config) {
  for (const auto& [key, reason] : unused_keys(config))
    log::warn("{} has no effect: {}", key, reason);
}

Status validate(const ModelOptions& m) {
  const bool adapter = m.lora.rank > 0 || !m.lora_adapter_path.empty();
  if (m.lora.rank > 0 && !m.lora_adapter_path.empty()) {
    return invalid_argument(
        "model.lora_rank is for a new adapter; that of model.lora_adapter_path has a rank of its "
        "own");
  }
  const ModelOptions plain;
  if (m.lora.rank == 0 && m.lora_targets != plain.lora_targets)
    return invalid_argument("model.lora_targets is for a new adapter: set model.lora_rank");
  if (m.lora.rank == 0 && m.lora.alpha != plain.lora.alpha)
    return invalid_argument("model.lora_alpha is for a new adapter: set model.lora_rank");
  if (adapter && m.path.empty()) return invalid_argument("an adapter needs model.path, its base");
  if (adapter && model::is_adapter_directory(m.path)) {
    return invalid_argument(m.path +
                            " is an adapter: give its base as model.path and the adapter as "
                            "model.lora_adapter_path, or merge it with longshot convert");
  }
  return ok_status();
}

Status validate(const train::ComputeOptions& c, const MachineOptions& m) {
  if (c.dtype == "float32" || m.device != "cpu") return ok_status();
  const bool amx = c.kernels == "libtorch" && inspect_machine().cpu_flags.count("amx_bf16") > 0;
  if (amx || kernels::has_bf16_products()) return ok_status();
  return invalid_argument(
      "trainer.dtype=bfloat16 needs a processor with avx512_bf16, with trainer.kernels=libtorch "
      "also amx_bf16, or a GPU; on this one float32 is faster");
}

Status validate(const train::OptimizerOptions& o, const MachineOptions& m) {
  LS_RETURN_IF_ERROR(train::check_optimizer_options(o));
  if (o.moments == "float32" || m.device == "cpu") return ok_status();
  return invalid_argument("optim.moments=" + o.moments + " needs trainer.device=cpu");
}

// With streaming, the number of steps is not known before the rows have been read.
Status validate_streaming(const SftConfig& c) {
  if (!c.streaming || c.total_steps > 0) return ok_status();
  if (c.optimizer.schedule != "constant") {
    return invalid_argument(
        fmt::format("optim.schedule = \"{}\" needs the number of steps, which is not known with "
                    "data.streaming: set trainer.total_steps, or optim.schedule=constant",
                    c.optimizer.schedule));
  }
  if (c.epochs == std::floor(c.epochs) && c.epochs < kMostEpochs) return ok_status();
  return invalid_argument(fmt::format(
      "trainer.total_epochs = {}: with data.streaming it must be a whole number below {:g}; "
      "trainer.total_steps ends a run anywhere",
      c.epochs, kMostEpochs));
}

}  // namespace

Status validate(const SftConfig& c) {
  LS_RETURN_IF_ERROR(validate(c.model));
  LS_RETURN_IF_ERROR(validate(c.optimizer, c.machine));
  LS_RETURN_IF_ERROR(validate(c.batch.compute, c.machine));
  LS_RETURN_IF_ERROR(validate_streaming(c));
  if (c.train_files.empty()) return invalid_argument("data.train_files is empty");
  if (c.output.empty()) return invalid_argument("trainer.default_local_dir is empty");
  if (c.model.path.empty() && c.model.alphabet_file.empty()) {
    return invalid_argument("set model.path, or model.alphabet_file for a new model");
  }
  if (!c.model.path.empty() && !c.model.alphabet_file.empty()) {
    return invalid_argument("model.alphabet_file is for a new model; model.path is set too");
  }
  warn_of_unused_keys(c);
  return ok_status();
}

Status validate(const TrainConfig& c) {
  LS_RETURN_IF_ERROR(validate(c.model));
  LS_RETURN_IF_ERROR(validate(c.optimizer, c.machine));
  LS_RETURN_IF_ERROR(validate(c.algorithm.compute, c.machine));
  if (c.model.path.empty()) return invalid_argument("model.path is empty");
  if (c.train_files.empty()) return invalid_argument("data.train_files is empty");
  if (c.output.empty()) return invalid_argument("trainer.default_local_dir is empty");
  if (c.test_freq > 0 && c.val_files.empty()) {
    return invalid_argument("data.val_files is empty; set it, or trainer.test_freq=0");
  }
  LS_RETURN_IF_ERROR(validate_algorithm(c));
  LS_RETURN_IF_ERROR(validate_rollout(c));
  LS_RETURN_IF_ERROR(validate_curriculum(c.sampler));
  warn_of_unused_keys(c);
  return ok_status();
}

int replay_capacity(const TrainConfig& c) {
  return c.max_groups > 0 ? c.max_groups : c.train_batch_size;
}

bool rollout_is_exact(const TrainConfig& c) {
  return !rollout::cuts_distribution(c.engine.sampling) && c.rollout_dtype == "float32" &&
         c.rollout_kv_dtype == "float32" && c.algorithm.compute.dtype == "float32";
}

}  // namespace longshot::config
