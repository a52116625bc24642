#include "config/unused_keys.h"

namespace longshot::config {
namespace {

template <typename Config>
struct Rule {
  std::vector<const char*> keys;
  bool (*applies)(const Config& config);  // the keys have no effect
  const char* reason;
};

bool is(const TrainConfig& c, const char* algorithm) {
  return c.algorithm.name == algorithm;
}

bool reads_reference(const TrainConfig& c) {
  return is(c, "kimi") || is(c, "grpo");
}

// True if a group may be trained on in a later iteration than one that generated some of it.
bool groups_outlive_an_iteration(const TrainConfig& c) {
  return c.engine.token_budget > 0 || replay_capacity(c) > c.train_batch_size;
}

// True if the only optimizer step of an iteration sees the log-probabilities of the iteration's
// start, and the reference log-probabilities are the same.
bool policy_is_its_reference(const TrainConfig& c) {
  const bool recorded_elsewhere = c.algorithm.reference == "recorded" &&
                                  (!rollout_is_exact(c) || groups_outlive_an_iteration(c));
  return c.algorithm.mini_batches * c.algorithm.epochs == 1 && !recorded_elsewhere;
}

bool own_kernels(const train::ComputeOptions& c, const MachineOptions& m) {
  return m.device == "cpu" && c.kernels != "libtorch";
}

const std::vector<Rule<TrainConfig>>& train_rules() {
  using C = const TrainConfig&;
  static const std::vector<Rule<TrainConfig>> rules = {
      {{"algorithm.baseline", "algorithm.tau"},
       [](C c) { return !is(c, "kimi"); },
       "only algorithm.name=kimi reads it"},
      {{"algorithm.clip_low", "algorithm.clip_high", "algorithm.kl_coef", "algorithm.kl_reference"},
       [](C c) { return !is(c, "grpo"); },
       "only algorithm.name=grpo reads it"},
      {{"algorithm.normalize"},
       [](C c) { return is(c, "grpo"); },
       "grpo always divides by the deviation"},
      {{"algorithm.reference"},
       [](C c) { return !reads_reference(c); },
       "only kimi and grpo compare with a reference policy"},
      {{"algorithm.reference"},
       [](C c) {
         return reads_reference(c) && c.algorithm.reference == "recorded" && rollout_is_exact(c) &&
                !groups_outlive_an_iteration(c);
       },
       "what the rollout records is what the trainer computes, as with auto"},
      {{"optim.beta1", "optim.beta2"},
       [](C c) {
         return c.algorithm.reset_optimizer && c.algorithm.mini_batches * c.algorithm.epochs == 1;
       },
       "the moments are reset each iteration and used for one optimizer step"},
      {{"algorithm.kl_reference"},
       [](C c) { return is(c, "grpo") && c.algorithm.kl_coef == 0; },
       "algorithm.kl_coef is 0"},
      {{"algorithm.tau"},
       [](C c) {
         return is(c, "kimi") && c.algorithm.baseline == "mean" && policy_is_its_reference(c);
       },
       "with one optimizer step per iteration the policy is still its reference"},
      {{"algorithm.clip_low", "algorithm.clip_high"},
       [](C c) { return is(c, "grpo") && policy_is_its_reference(c); },
       "with one optimizer step per iteration the policy is still its reference"},
      {{"algorithm.kl_coef"},
       [](C c) {
         return is(c, "grpo") && c.algorithm.kl_reference.empty() && policy_is_its_reference(c);
       },
       "with one optimizer step per iteration the policy is still its reference; "
       "algorithm.kl_reference names a fixed one"},
      {{"algorithm.train_earlier_segments"},
       [](C c) { return c.engine.token_budget == 0; },
       "without rollout.token_budget no response spans two policy versions"},
      {{"replay.selector"},
       [](C c) { return replay_capacity(c) <= c.train_batch_size; },
       "no complete group waits unless replay.max_groups is above data.train_batch_size"},
      {{"replay.staleness"},
       [](C c) { return !groups_outlive_an_iteration(c); },
       "every group is trained on by the iteration that generates it; rollout.token_budget and "
       "replay.max_groups change that"},
      {{"data.prioritized_floor"},
       [](C c) { return c.sampler.order != "prioritized"; },
       "only data.order=prioritized reads it"},
      {{"data.difficulty_key"},
       [](C c) { return c.sampler.curriculum_iterations.empty(); },
       "difficulties are read by data.curriculum_iterations alone"},
      {{"rollout.repetition.max_period", "rollout.repetition.min_repeats",
        "rollout.repetition.min_tokens", "reward.repetition_penalty"},
       [](C c) { return !c.engine.repetition.enabled; },
       "rollout.repetition.enabled is false"},
      {{"rollout.speculation"},
       [](C c) { return c.engine.token_budget > 0; },
       "in training, only in evaluations: with rollout.token_budget samples advance in step"},
      {{"reward.length_warmup_iterations"},
       [](C c) { return c.reward.length_weight == 0; },
       "reward.length_weight is 0"},
      {{"reward.length_weight"},
       [](C c) { return c.reward.length_warmup_iterations >= c.total_iterations; },
       "reward.length_warmup_iterations is not below trainer.total_iterations"},
      {{"optim.min_lr_ratio"},
       [](C c) { return c.optimizer.schedule == "constant"; },
       "optim.schedule is constant"},
      {{"data.val_files", "trainer.val_n", "trainer.val_temperature", "trainer.val_max_prompts",
        "trainer.val_before_train"},
       [](C c) { return c.test_freq == 0; },
       "trainer.test_freq is 0"},
      {{"trainer.val_n"},
       [](C c) { return c.test_freq > 0 && c.val_temperature == 0; },
       "greedy samples of one prompt are all the same; set trainer.val_temperature"},
      {{"trainer.checkpointing", "trainer.activation_gib"},
       [](C c) { return !own_kernels(c.algorithm.compute, c.machine); },
       "libtorch keeps all activations"},
      {{"trainer.activation_gib"},
       [](C c) {
         return own_kernels(c.algorithm.compute, c.machine) &&
                c.algorithm.compute.checkpointing != "auto";
       },
       "only trainer.checkpointing=auto reads it"},
      {{"trainer.kernels"},
       [](C c) { return c.machine.device != "cpu"; },
       "devices other than cpu always compute with libtorch"},
  };
  return rules;
}

const std::vector<Rule<SftConfig>>& sft_rules() {
  using C = const SftConfig&;
  static const std::vector<Rule<SftConfig>> rules = {
      {{"model.hidden_size", "model.num_layers", "model.num_heads", "model.num_kv_heads",
        "model.intermediate_size", "model.max_positions"},
       [](C c) { return !c.model.path.empty(); },
       "model.path names a model that has its own"},
      {{"data.shuffle_buffer"},
       [](C c) { return !c.streaming; },
       "without data.streaming all rows are shuffled together"},
      {{"trainer.total_epochs"},
       [](C c) { return c.total_steps > 0; },
       "trainer.total_steps is set"},
      {{"trainer.test_freq"},
       [](C c) { return c.test_freq > 0 && c.val_files.empty(); },
       "data.val_files is empty"},
      {{"data.val_files"}, [](C c) { return c.test_freq == 0; }, "trainer.test_freq is 0"},
      {{"optim.min_lr_ratio"},
       [](C c) { return c.optimizer.schedule == "constant"; },
       "optim.schedule is constant"},
      {{"trainer.checkpointing", "trainer.activation_gib"},
       [](C c) { return !own_kernels(c.batch.compute, c.machine); },
       "libtorch keeps all activations"},
      {{"trainer.activation_gib"},
       [](C c) {
         return own_kernels(c.batch.compute, c.machine) && c.batch.compute.checkpointing != "auto";
       },
       "only trainer.checkpointing=auto reads it"},
      {{"trainer.kernels"},
       [](C c) { return c.machine.device != "cpu"; },
       "devices other than cpu always compute with libtorch"},
  };
  return rules;
}

template <typename Config>
std::vector<UnusedKey> find(const std::vector<Rule<Config>>& rules, Config config) {
  Config plain;
  Settings defaults, present;
  bind(defaults, plain);
  bind(present, config);
  std::vector<UnusedKey> unused;
  for (const auto& rule : rules) {
    if (!rule.applies(config)) continue;
    for (const char* key : rule.keys) {
      if (present.value_text(key) != defaults.value_text(key)) unused.push_back({key, rule.reason});
    }
  }
  return unused;
}

}  // namespace

std::vector<UnusedKey> unused_keys(const TrainConfig& config) {
  return find(train_rules(), config);
}

std::vector<UnusedKey> unused_keys(const SftConfig& config) {
  return find(sft_rules(), config);
}

}  // namespace longshot::config
