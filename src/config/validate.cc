#include "config/validate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/log.h"
#include "config/sections/compute.h"
#include "config/sections/optim.h"
#include "config/unused_keys.h"
#include "train/advantage/advantage.h"

namespace longshot::config {
namespace {

constexpr double kMaxEpochs = 1e9;

// A group of one sample has no other sample to compare with. reinforce compares with the whole
// batch, and rest only needs a reward > 0.
bool learns_from_single_samples(train::Algorithm algorithm) {
  return algorithm == train::Algorithm::reinforce || algorithm == train::Algorithm::rest;
}

// reinforce and rest train on groups whose scores are all equal too: the former compares them with
// other groups, the latter fits all samples of a solved problem.
Status validate_filters(const TrainConfig& c) {
  const bool greso = c.data.sampler.filter == prompts::Filter::greso;
  if (!greso && !c.filter_groups.enable) return ok_status();
  if (!learns_from_single_samples(c.algorithm.name)) return ok_status();
  return invalid_argument(fmt::format(
      "{} leaves out groups whose scores are all equal, but algorithm.name = \"{}\" trains on "
      "them; choose kimi, rloo or grpo, or no filter",
      greso ? "data.filter = \"greso\"" : "algorithm.filter_groups.enable",
      name_of(c.algorithm.name)));
}

Status validate_algorithm(const TrainConfig& c) {
  const train::AlgorithmOptions& a = c.algorithm;
  if (a.name == train::Algorithm::gspo && a.length_normalize != train::LengthNormalize::none) {
    return invalid_argument(
        fmt::format("algorithm.length_normalize = \"{}\" has no meaning with gspo, whose loss is a "
                    "mean over the "
                    "tokens of a response; set it to \"none\"",
                    name_of(a.length_normalize)));
  }
  if (a.kl_place == train::KlPlace::reward && a.kl_coef != 0 && a.kl_reference.empty()) {
    return invalid_argument(
        "algorithm.kl_in = \"reward\" needs a fixed model: set algorithm.kl_reference, for example "
        "to the model that the run starts from");
  }
  if (a.rollout_weights == train::RolloutWeights::none) return ok_status();
  if (a.reference == train::Reference::recorded) {
    return invalid_argument(
        "algorithm.rollout_weights has no meaning with algorithm.reference = \"recorded\", which "
        "compares with the policy that drew each token already; set one of the two to its default");
  }
  if (a.rollout_weights == train::RolloutWeights::mask &&
      a.rollout_weights_low > a.rollout_weights_high) {
    return invalid_argument(
        "algorithm.rollout_weights_low is above algorithm.rollout_weights_high: no token would be "
        "trained on");
  }
  return ok_status();
}

Status validate_overlong(const TrainConfig& c) {
  const int most = c.rollout.engine.sampling.max_response_length;
  if (c.reward.stage.overlong_buffer <= most) return ok_status();
  return invalid_argument(
      fmt::format("reward.overlong_buffer = {} is above data.max_response_length = {}",
                  c.reward.stage.overlong_buffer, most));
}

Status validate_batch(const TrainConfig& c) {
  if (c.rollout.n == 1 && !learns_from_single_samples(c.algorithm.name)) {
    return invalid_argument(fmt::format(
        "rollout.n = 1: algorithm.name = \"{}\" compares the samples of a prompt with one another, "
        "so a single one has no effect; set rollout.n to 2 or more",
        name_of(c.algorithm.name)));
  }
  if (c.algorithm.mini_batches > c.data.train_batch_size) {
    return invalid_argument("algorithm.mini_batches is larger than data.train_batch_size");
  }
  if (c.replay.max_groups > 0 && c.replay.max_groups < c.data.train_batch_size) {
    return invalid_argument(fmt::format(
        "replay.max_groups = {} is below data.train_batch_size = {}: no batch would ever be full",
        c.replay.max_groups, c.data.train_batch_size));
  }
  return ok_status();
}

// Groups leave the buffer of a run ahead in the order in which they came, one batch an iteration,
// so the buffer's size is their age.
Status validate_groups_ahead(const TrainConfig& c) {
  if (!c.cluster.runs_ahead()) return ok_status();
  const int batch = c.data.train_batch_size, capacity = replay_capacity(c);
  const int least = 2 * batch - reused_groups(c), most = most_groups_ahead(c);
  if (capacity < least) {
    return invalid_argument(fmt::format(
        "replay.max_groups = {} is less than two batches of data.train_batch_size = {}: nothing "
        "would be generated ahead with cluster.staleness = {}; leave it out or set it to {} or "
        "more",
        capacity, batch, c.cluster.staleness, least));
  }
  if (capacity <= most || c.filter_groups.enable) return ok_status();
  return invalid_argument(fmt::format(
      "replay.max_groups = {}: with cluster.staleness = {} groups that wait behind {} others "
      "become too old; leave it out or set it to {} or less",
      capacity, c.cluster.staleness, most, most));
}

Status validate_reuse(const TrainConfig& c) {
  if (c.replay.ratio == 0) return ok_status();
  if (reused_groups(c) == 0) {
    return invalid_argument(fmt::format(
        "replay.ratio = {} of data.train_batch_size = {} is less than a group; raise one of them",
        c.replay.ratio, c.data.train_batch_size));
  }
  const int64_t age = c.cluster.on() ? c.cluster.staleness : 0;  // of new groups
  if (c.cluster.runs_ahead() || c.replay.staleness < 0 || c.replay.staleness > age)
    return ok_status();
  return invalid_argument(fmt::format(
      "replay.staleness = {} would drop every group before replay.ratio = {} could use it again; "
      "set it to {} or more, or to -1",
      c.replay.staleness, c.replay.ratio, age + 1));
}

void warn_of_cut_distribution(const std::vector<TrainConfig>& phases) {
  const auto cuts = [](const TrainConfig& c) {
    return rollout::cuts_distribution(c.rollout.engine.sampling) &&
           c.algorithm.reference == train::Reference::recorded;
  };
  if (std::ranges::none_of(phases, cuts)) return;
  log::warn(
      "rollout.top_p, top_k or min_p cut the sampling distribution: the log-probabilities that "
      "algorithm.reference=recorded compares with are those of the cut one, not the trainer's");
}

// Refuses a condition on a metric that nothing reports. A phase after the end of the run is only
// warned of, because a run may be extended.
Status validate_phases(const TrainConfig& c) {
  for (const Phase& phase : c.phase.phases) {
    if (phase.when && phase.when->metric.starts_with("val/") && c.trainer.test_freq == 0) {
      return invalid_argument(fmt::format("{} waits for {}, but trainer.test_freq is 0", phase.name,
                                          phase.when->metric));
    }
    if (!c.trainer.counts_epochs() && phase.after > 0 &&
        phase.after >= c.trainer.total_iterations) {
      log::warn("{} would begin after iteration {}, but trainer.total_iterations is {}", phase.name,
                phase.after, c.trainer.total_iterations);
    }
  }
  return ok_status();
}

// An epoch is a pass over one set of prompts with one batch size.
Status validate_epochs(const TrainConfig& c) {
  if (!c.trainer.counts_epochs()) return ok_status();
  if (c.trainer.total_iterations != TrainerOptions{}.total_iterations) {
    return invalid_argument(fmt::format(
        "trainer.total_epochs = {} and trainer.total_iterations = {} both say how long the run is: "
        "set one of them",
        c.trainer.total_epochs, c.trainer.total_iterations));
  }
  for (const Phase& phase : c.phase.phases) {
    for (const char* key : {"data.train_files", "data.train_batch_size"}) {
      if (!phase.settings.contains(key)) continue;
      return invalid_argument(
          fmt::format("trainer.total_epochs needs the same number of iterations in every pass, but "
                      "{} changes {}: set trainer.total_iterations",
                      phase.name, key));
    }
  }
  return ok_status();
}

Status validate_val_only(const TrainConfig& c) {
  if (!c.trainer.val_only) return ok_status();
  if (c.data.val_files.empty())
    return invalid_argument("trainer.val_only evaluates data.val_files, which is empty");
  if (c.trainer.val_before_train) return ok_status();
  return invalid_argument(
      "trainer.val_only makes the evaluation that trainer.val_before_train = false leaves out: "
      "leave out one of the two keys");
}

template <typename Config>
void warn_of_unused_keys(const Config& config) {
  for (const auto& [key, reason] : unused_keys(config))
    log::warn("{} has no effect: {}", key, reason);
}

// With streaming, the number of steps is not known before the rows have been read.
Status validate_streaming(const OfflineConfig& c) {
  if (!c.data.streaming || c.trainer.total_steps > 0) return ok_status();
  if (c.optimizer.schedule != train::Schedule::constant) {
    return invalid_argument(
        fmt::format("optim.schedule = \"{}\" needs the number of steps, which is not known with "
                    "data.streaming: set trainer.total_steps, or optim.schedule=constant",
                    name_of(c.optimizer.schedule)));
  }
  const double epochs = c.trainer.epochs;
  if (epochs == std::floor(epochs) && epochs < kMaxEpochs) return ok_status();
  return invalid_argument(fmt::format(
      "trainer.total_epochs = {}: with data.streaming it must be a whole number below {:g}; "
      "trainer.total_steps ends a run anywhere",
      epochs, kMaxEpochs));
}

Status validate_without_warnings(const OfflineConfig& c) {
  LS_RETURN_IF_ERROR(validate(c.model));
  LS_RETURN_IF_ERROR(validate(c.optimizer, c.machine));
  LS_RETURN_IF_ERROR(validate(c.batch.compute, c.machine));
  LS_RETURN_IF_ERROR(validate_streaming(c));
  if (c.data.train_files.empty()) return invalid_argument("data.train_files is empty");
  if (c.trainer.output.empty()) return invalid_argument("trainer.default_local_dir is empty");
  if (c.model.path.empty() && c.model.alphabet_file.empty()) {
    return invalid_argument("set model.path, or model.alphabet_file for a new model");
  }
  if (!c.model.path.empty() && !c.model.alphabet_file.empty()) {
    return invalid_argument("model.alphabet_file is for a new model; model.path is set too");
  }
  return ok_status();
}

}  // namespace

Status validate(const OfflineConfig& c) {
  LS_RETURN_IF_ERROR(validate_without_warnings(c));
  warn_of_unused_keys(c);
  return ok_status();
}

Status validate(const SftConfig& c) {
  LS_RETURN_IF_ERROR(validate(c.offline));
  LS_ASSIGN_OR_RETURN(const std::vector<SftConfig> all, all_phases(c));
  for (size_t i = 1; i < all.size(); ++i) {
    LS_RETURN_IF_ERROR(
        validate_without_warnings(all[i].offline).with_context(c.phase.phases[i - 1].name));
  }
  return ok_status();
}

Status validate(const DpoConfig& c) {
  if (c.offline.model.path.empty()) return invalid_argument("model.path is empty");
  if (c.dpo.loss == train::DpoLoss::ipo && c.dpo.label_smoothing != 0) {
    return invalid_argument(
        "dpo.label_smoothing is a part of dpo.loss = \"sigmoid\" and \"robust\"; with \"ipo\" it "
        "must be 0");
  }
  return validate(c.offline);
}

namespace {

Status validate_one_phase(const TrainConfig& c) {
  LS_RETURN_IF_ERROR(validate(c.model));
  LS_RETURN_IF_ERROR(validate(c.optimizer, c.machine));
  LS_RETURN_IF_ERROR(validate(c.algorithm.compute, c.machine));
  if (c.model.path.empty()) return invalid_argument("model.path is empty");
  if (c.data.train_files.empty()) return invalid_argument("data.train_files is empty");
  if (c.trainer.output.empty()) return invalid_argument("trainer.default_local_dir is empty");
  if (c.trainer.test_freq > 0 && c.data.val_files.empty()) {
    return invalid_argument("data.val_files is empty; set it, or trainer.test_freq=0");
  }
  LS_RETURN_IF_ERROR(train::check_advantage_options(c.algorithm));
  LS_RETURN_IF_ERROR(validate_algorithm(c));
  LS_RETURN_IF_ERROR(validate_overlong(c));
  LS_RETURN_IF_ERROR(validate_batch(c));
  LS_RETURN_IF_ERROR(validate_groups_ahead(c));
  LS_RETURN_IF_ERROR(validate_reuse(c));
  LS_RETURN_IF_ERROR(validate_filters(c));
  LS_RETURN_IF_ERROR(validate(c.rollout, c.machine));
  LS_RETURN_IF_ERROR(validate(c.cluster, c.rollout, c.replay));
  LS_RETURN_IF_ERROR(validate(c.hybrid, c.machine, c.cluster));
  LS_RETURN_IF_ERROR(datasets::check_system_prompt(c.data.columns.system_prompt,
                                                   c.data.columns.apply_chat_template));
  LS_RETURN_IF_ERROR(prompts::check_curriculum(c.data.sampler));
  return ok_status();
}

}  // namespace

Status validate(const TrainConfig& c) {
  LS_RETURN_IF_ERROR(validate_one_phase(c));
  LS_RETURN_IF_ERROR(validate_phases(c));
  LS_RETURN_IF_ERROR(validate_epochs(c));
  LS_RETURN_IF_ERROR(validate_val_only(c));
  LS_ASSIGN_OR_RETURN(const std::vector<TrainConfig> all, all_phases(c));
  for (size_t i = 1; i < all.size(); ++i)
    LS_RETURN_IF_ERROR(validate_one_phase(all[i]).with_context(c.phase.phases[i - 1].name));
  warn_of_cut_distribution(all);
  warn_of_unused_keys(c);
  return ok_status();
}

}  // namespace longshot::config
