#include "config/unused_keys.h"

#include <set>

#include "train/loss/policy_loss.h"

namespace longshot::config {
namespace {

using model::CheckpointingChoice;
using train::Algorithm;
using train::Baseline;
using train::Reference;
using train::Schedule;

template <typename Config>
struct Rule {
  std::vector<const char*> keys;
  bool (*applies)(const Config& config);  // the keys have no effect
  const char* reason;
};

bool is(const TrainConfig& c, Algorithm algorithm) {
  return c.algorithm.name == algorithm;
}

// True for the algorithms whose advantages are GRPO's and whose ratios are clipped.
bool clips(const TrainConfig& c) {
  return is(c, Algorithm::grpo) || is(c, Algorithm::gspo) || is(c, Algorithm::cispo);
}

// The objective, or the KL penalty of the rewards, whose policy is that of the reference.
bool reads_reference(const TrainConfig& c) {
  const bool in_reward =
      has_kl_model(c.algorithm) && c.algorithm.kl_place == train::KlPlace::reward;
  return in_reward || train::make_objective(c.algorithm).reads_reference;
}

bool takes_one_step(const TrainConfig& c) {
  return c.algorithm.mini_batches * c.algorithm.epochs == 1;
}

// True if a response may take several iterations.
bool has_partial_rollouts(const TrainConfig& c) {
  return c.rollout.engine.token_budget > 0 || c.rollout.engine.segment_tokens > 0;
}

// True if a group may be trained on in a later iteration than one that generated some of it.
bool groups_outlive_an_iteration(const TrainConfig& c) {
  return has_partial_rollouts(c) || replay_capacity(c) > c.data.train_batch_size ||
         c.replay.ratio > 0;
}

// True if samples of older versions are trained on.
bool samples_are_older(const TrainConfig& c) {
  return groups_outlive_an_iteration(c) || (c.cluster.on() && c.cluster.staleness > 0);
}

// True if the only optimizer step of an iteration sees the log-probabilities of the iteration's
// start, and the reference log-probabilities are the same.
bool policy_is_its_reference(const TrainConfig& c) {
  const bool recorded_elsewhere = c.algorithm.reference == Reference::recorded &&
                                  (!rollout_is_exact(c) || samples_are_older(c));
  return takes_one_step(c) && !recorded_elsewhere;
}

const model::ComputeOptions& compute_of(const TrainConfig& c) {
  return c.algorithm.compute;
}

const model::ComputeOptions& compute_of(const OfflineConfig& c) {
  return c.batch.compute;
}

template <typename Config>
bool own_kernels(const Config& c) {
  return uses_own_kernels(compute_of(c), c.machine.device);
}

// Options that the algorithm does not read.
std::vector<Rule<TrainConfig>> reader_rules() {
  using C = const TrainConfig&;
  return {
      {{"algorithm.baseline", "algorithm.tau"},
       [](C c) { return !is(c, Algorithm::kimi); },
       "only algorithm.name=kimi reads it"},
      {{"algorithm.clip_low", "algorithm.clip_high"},
       [](C c) { return !clips(c); },
       "only grpo, gspo and cispo clip ratios"},
      {{"algorithm.normalize"},
       [](C c) { return clips(c) && c.algorithm.normalize == train::Normalize::deviation; },
       "grpo, gspo and cispo divide by the group's deviation anyway"},
      {{"algorithm.reference"},
       [](C c) { return !reads_reference(c); },
       "this algorithm compares with no reference policy"},
      {{"algorithm.reference"},
       [](C c) {
         return reads_reference(c) && c.algorithm.reference == Reference::recorded &&
                rollout_is_exact(c) && !samples_are_older(c);
       },
       "what the rollout records is what the trainer computes, as with auto"},
      {{"algorithm.filter_groups.max_num_gen_batches"},
       [](C c) { return !c.filter_groups.enable; },
       "algorithm.filter_groups.enable is false"},
      {{"algorithm.kl_reference", "algorithm.kl_estimator", "algorithm.kl_in"},
       [](C c) { return c.algorithm.kl_coef == 0; },
       "algorithm.kl_coef is 0"},
      {{"algorithm.rollout_weights"},
       [](C c) { return rollout_is_exact(c) && !groups_outlive_an_iteration(c); },
       "the rollout's numbers are those of the trainer, so all weights are 1"},
      {{"algorithm.rollout_weights_low", "algorithm.rollout_weights_high"},
       [](C c) { return c.algorithm.rollout_weights == train::RolloutWeights::none; },
       "algorithm.rollout_weights is none"},
      {{"algorithm.rollout_weights_low"},
       [](C c) { return c.algorithm.rollout_weights == train::RolloutWeights::truncate; },
       "only algorithm.rollout_weights=mask reads it"},
  };
}

// Options that differ only after the first optimizer step of an iteration.
std::vector<Rule<TrainConfig>> one_step_rules() {
  using C = const TrainConfig&;
  return {
      {{"optim.beta1", "optim.beta2"},
       [](C c) { return c.algorithm.reset_optimizer && takes_one_step(c); },
       "the moments are reset each iteration and used for one optimizer step"},
      {{"algorithm.tau"},
       [](C c) {
         return is(c, Algorithm::kimi) && c.algorithm.baseline == Baseline::mean &&
                policy_is_its_reference(c);
       },
       "with one optimizer step per iteration the policy is still its reference"},
      {{"algorithm.clip_low", "algorithm.clip_high"},
       [](C c) { return clips(c) && policy_is_its_reference(c); },
       "with one optimizer step per iteration the policy is still its reference"},
      {{"algorithm.kl_coef"},
       [](C c) {
         return c.algorithm.kl_estimator != train::KlEstimator::k1 &&
                c.algorithm.kl_reference.empty() && policy_is_its_reference(c);
       },
       "with one optimizer step per iteration the policy is still its reference; "
       "algorithm.kl_reference names a fixed one"},
  };
}

// Options for groups that take several iterations.
std::vector<Rule<TrainConfig>> waiting_rules() {
  using C = const TrainConfig&;
  return {
      {{"algorithm.train_earlier_segments"},
       [](C c) { return !has_partial_rollouts(c); },
       "without rollout.segment_tokens or rollout.token_budget no response spans two policy "
       "versions"},
      {{"replay.selector"},
       [](C c) { return replay_capacity(c) <= c.data.train_batch_size; },
       "no complete group waits unless replay.max_groups is above data.train_batch_size, as it is "
       "with rollout.token_budget"},
      {{"replay.staleness"},
       [](C c) { return !groups_outlive_an_iteration(c); },
       "every group is trained on by the iteration that generates it; rollout.segment_tokens, "
       "rollout.token_budget, replay.max_groups and replay.ratio change that"},
      {{"replay.max_reuse"},
       [](C c) { return c.replay.ratio == 0; },
       "replay.ratio is 0, so no group is trained on again"},
      {{"rollout.speculation"},
       [](C c) { return c.rollout.engine.token_budget > 0; },
       "in training, only in evaluations: with rollout.token_budget samples advance in step"},
  };
}

std::vector<Rule<TrainConfig>> cluster_rules() {
  using C = const TrainConfig&;
  return {
      {{"cluster.listen", "cluster.weights_listen", "cluster.advertise", "cluster.token_file",
        "cluster.tls_dir", "cluster.etcd_tls_dir", "cluster.etcd_login_file", "cluster.weights_dir",
        "cluster.exact", "cluster.gang_in_clear", "cluster.silence_seconds", "cluster.staleness"},
       [](C c) { return !c.cluster.on(); },
       "without cluster.url there are no other processes"},
      {{"cluster.gang_in_clear"},
       [](C c) { return c.cluster.on() && c.cluster.tls_dir.empty(); },
       "without cluster.tls_dir nothing is encrypted"},
      {{"hybrid.offload_dir"},
       [](C c) { return !c.hybrid.offloads(); },
       "only hybrid.optimizer_offload and hybrid.param_offload write there"}};
}

std::vector<Rule<TrainConfig>> data_and_reward_rules() {
  using C = const TrainConfig&;
  return {
      {{"data.prioritized_floor"},
       [](C c) { return c.data.sampler.order != prompts::Order::prioritized; },
       "only data.order=prioritized reads it"},
      {{"data.difficulty_key"},
       [](C c) { return c.data.sampler.curriculum_iterations.empty(); },
       "difficulties are read by data.curriculum_iterations alone"},
      {{"rollout.repetition.max_period", "rollout.repetition.min_repeats",
        "rollout.repetition.min_tokens", "reward.repetition_penalty"},
       [](C c) { return !c.rollout.engine.repetition.enabled; },
       "rollout.repetition.enabled is false"},
      {{"reward.length_warmup_iterations"},
       [](C c) { return c.reward.stage.length_weight == 0; },
       "reward.length_weight is 0"},
      {{"reward.overlong_penalty"},
       [](C c) { return c.reward.stage.overlong_buffer == 0; },
       "reward.overlong_buffer is 0"},
      {{"reward.length_weight"},
       [](C c) {
         return !c.trainer.counts_epochs() &&
                c.reward.stage.length_warmup_iterations >= c.trainer.total_iterations;
       },
       "reward.length_warmup_iterations is not below trainer.total_iterations"},
  };
}

std::vector<Rule<TrainConfig>> evaluation_rules() {
  using C = const TrainConfig&;
  return {
      {{"data.val_files", "trainer.val_n", "trainer.val_temperature", "trainer.val_max_prompts",
        "trainer.val_before_train", "trainer.keep_best", "trainer.best_margin"},
       [](C c) { return c.trainer.test_freq == 0 && !c.trainer.val_only; },
       "trainer.test_freq is 0"},
      {{"trainer.best_margin"},
       [](C c) { return c.trainer.test_freq > 0 && !c.trainer.keep_best; },
       "only trainer.keep_best reads it"},
      {{"trainer.val_n"},
       [](C c) { return c.trainer.test_freq > 0 && c.trainer.val_temperature == 0; },
       "greedy samples of one prompt are all the same; set trainer.val_temperature"},
  };
}

// Options of the optimizer and of passes, which every kind of training has.
template <typename Config>
std::vector<Rule<Config>> training_rules() {
  using C = const Config&;
  return {
      {{"optim.min_lr_ratio"},
       [](C c) { return c.optimizer.schedule == Schedule::constant; },
       "optim.schedule is constant"},
      {{"trainer.checkpointing", "trainer.activation_gib"},
       [](C c) { return !own_kernels(c); },
       "libtorch keeps all activations"},
      {{"trainer.activation_gib"},
       [](C c) {
         return own_kernels(c) && compute_of(c).checkpointing != CheckpointingChoice::automatic;
       },
       "only trainer.checkpointing=auto reads it"},
      {{"trainer.kernels"},
       [](C c) { return !c.machine.is_cpu(); },
       "devices other than cpu always compute with libtorch"},
  };
}

std::vector<Rule<OfflineConfig>> offline_rules() {
  using C = const OfflineConfig&;
  return {
      {{"model.hidden_size", "model.num_layers", "model.num_heads", "model.num_kv_heads",
        "model.intermediate_size", "model.max_positions"},
       [](C c) { return !c.model.path.empty(); },
       "model.path names a model that has its own"},
      {{"data.shuffle_buffer"},
       [](C c) { return !c.data.streaming; },
       "without data.streaming all rows are shuffled together"},
      {{"trainer.total_epochs"},
       [](C c) { return c.trainer.total_steps > 0; },
       "trainer.total_steps is set"},
      {{"trainer.test_freq"},
       [](C c) { return c.trainer.test_freq > 0 && c.data.val_files.empty(); },
       "data.val_files is empty"},
      {{"data.val_files"}, [](C c) { return c.trainer.test_freq == 0; }, "trainer.test_freq is 0"},
  };
}

template <typename Config>
std::vector<Rule<Config>> joined(const std::vector<std::vector<Rule<Config>>>& lists) {
  std::vector<Rule<Config>> all;
  for (const auto& rules : lists) all.insert(all.end(), rules.begin(), rules.end());
  return all;
}

// The keys of rules that apply to `config` and whose values differ from the defaults.
template <typename Config>
std::vector<UnusedKey> find(const std::vector<Rule<Config>>& rules, const Config& config,
                            const Settings& current, const Settings& defaults) {
  std::vector<UnusedKey> unused;
  for (const auto& rule : rules) {
    if (!rule.applies(config)) continue;
    for (const char* key : rule.keys) {
      if (current.value_text(key) != defaults.value_text(key)) unused.push_back({key, rule.reason});
    }
  }
  return unused;
}

}  // namespace

namespace {

// The keys of one phase that differ from the defaults: those that nothing reads, and the others.
struct PhaseKeys {
  std::vector<UnusedKey> unused;
  std::set<std::string> read;
};

PhaseKeys keys_of_phase(const TrainConfig& config) {
  static const auto rules = joined<TrainConfig>(
      {reader_rules(), one_step_rules(), waiting_rules(), cluster_rules(), data_and_reward_rules(),
       evaluation_rules(), training_rules<TrainConfig>()});
  TrainConfig copy = config, plain;
  Settings current, defaults;
  bind(current, copy);
  bind(defaults, plain);
  PhaseKeys keys{find(rules, config, current, defaults), {}};
  for (const std::string& key : current.keys())
    if (current.value_text(key) != defaults.value_text(key)) keys.read.insert(key);
  for (const UnusedKey& key : keys.unused) keys.read.erase(key.key);
  return keys;
}

}  // namespace

std::vector<UnusedKey> unused_keys(const TrainConfig& config) {
  std::vector<UnusedKey> unused;
  std::set<std::string> read, named;
  const auto phases = all_phases(config);
  if (!phases.ok()) return {};  // validate() reports it
  for (const TrainConfig& phase : *phases) {
    PhaseKeys keys = keys_of_phase(phase);
    read.merge(keys.read);
    unused.insert(unused.end(), keys.unused.begin(), keys.unused.end());
  }
  std::erase_if(unused, [&](const UnusedKey& key) {
    return read.contains(key.key) || (phases->size() > 1 && !named.insert(key.key).second);
  });
  return unused;
}

std::vector<UnusedKey> unused_keys(const OfflineConfig& config) {
  static const auto rules =
      joined<OfflineConfig>({offline_rules(), training_rules<OfflineConfig>()});
  SftConfig copy = {config}, plain;  // every kind of offline run has the keys of the rules
  Settings current, defaults;
  bind(current, copy);
  bind(defaults, plain);
  return find(rules, config, current, defaults);
}

}  // namespace longshot::config
