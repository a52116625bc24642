#include "config/config.h"

#include "base/settings/checks.h"
#include "config/foreign_keys.h"
#include "config/sections/compute.h"
#include "config/sections/optim.h"

namespace longshot::config {
namespace {

const std::set<std::string> kTrainPhaseKeys = {"algorithm.baseline",
                                               "algorithm.clip_high",
                                               "algorithm.clip_low",
                                               "algorithm.entropy_coef",
                                               "algorithm.epochs",
                                               "algorithm.length_normalize",
                                               "algorithm.mask_truncated",
                                               "algorithm.mini_batches",
                                               "algorithm.normalize",
                                               "algorithm.reset_optimizer",
                                               "algorithm.tau",
                                               "data.curriculum_iterations",
                                               "data.curriculum_max_difficulty",
                                               "data.curriculum_min_difficulty",
                                               "data.max_response_length",
                                               "data.order",
                                               "data.prioritized_floor",
                                               "data.train_batch_size",
                                               "data.train_files",
                                               "optim.beta1",
                                               "optim.beta2",
                                               "optim.clip_grad",
                                               "optim.lr",
                                               "optim.min_lr_ratio",
                                               "optim.schedule",
                                               "optim.warmup_steps",
                                               "optim.weight_decay",
                                               "reward.functions",
                                               "reward.length_warmup_iterations",
                                               "reward.length_weight",
                                               "reward.overlong_buffer",
                                               "reward.overlong_penalty",
                                               "reward.repetition_penalty",
                                               "rollout.n",
                                               "rollout.segment_tokens",
                                               "rollout.temperature",
                                               "rollout.token_budget",
                                               "rollout.top_k",
                                               "rollout.top_p"};

const std::set<std::string> kSftPhaseKeys = {
    "data.max_length",    "data.train_files",     "optim.clip_grad",    "optim.lr",
    "optim.min_lr_ratio", "optim.schedule",       "optim.warmup_steps", "optim.weight_decay",
    "sft.batch_tokens",   "trainer.total_epochs", "trainer.total_steps"};

// Binds the key `phase`. The values of a phase are checked as those of the keys of `Config`.
template <typename Config, typename... Kinds>
void bind_phases(Settings& s, Config& c, PhaseStart start, const std::set<std::string>& keys,
                 const std::string& help, const Kinds&... kinds) {
  for (const char* name : {"phase.name", "phase.after", "phase.when", "phase.times"})
    s.explain(name, "phases are written with two brackets, [[phase]]");
  s.add_parsed("phase", &c.phase.list, help,
               [&c, start, &keys, kinds...](const Json& list) -> Status {
                 LS_ASSIGN_OR_RETURN(auto phases, parse_phases(list, start, keys));
                 Config any;
                 Settings settings;
                 bind(settings, any, kinds...);
                 LS_RETURN_IF_ERROR(apply_phases(phases, phases.size(), settings));
                 c.phase.phases = std::move(phases);
                 return ok_status();
               });
}

}  // namespace

void bind(Settings& s, TrainConfig& c, std::span<const reward::RewardType> more) {
  bind_phases(s, c, PhaseStart::triggered, kTrainPhaseKeys,
              "tables [[phase]]: settings that change during the run; docs/phases.md", more);
  bind(s, c.model, "model, run, checkpoint or adapter folder, or a .gguf file, to start from");
  bind(s, c.data, c.rollout.engine.sampling.max_response_length);
  bind(s, c.rollout);
  bind(s, c.algorithm);
  bind(s, c.filter_groups);
  bind(s, c.reward, more);
  bind(s, c.optimizer);
  bind(s, c.replay);
  bind(s, c.trainer);
  bind(s, c.algorithm.compute);
  bind_machine(s, c.machine.device, c.machine.threads);
  bind(s, c.hybrid);
  bind(s, c.cluster);
  explain_foreign_keys(s);
}

void bind(Settings& s, SftConfig& c) {
  const OfflineHelp help = {
      .model_path =
          "model, run, checkpoint or adapter folder, or a .gguf file, to start from; empty = a new "
          "model",
      .train_files = "JSONL or parquet files of supervised rows or text",
      .val_files = "held-out rows; only their loss is computed",
      .output =
          "run folder; the model goes to <folder>/huggingface, an adapter to <folder>/adapter"};
  bind_phases(s, c, PhaseStart::one_by_one, kSftPhaseKeys,
              "tables [[phase]]: training that follows, with other settings; docs/phases.md");
  bind_sources(s, c.offline, help);
  s.add("data.apply_chat_template", &c.apply_chat_template,
        "a prompt that is a text is the user's message where the model has a chat template, its "
        "completion the answer; false: both are trained on as they are");
  bind_rows(s, c.offline);
  bind_steps(s, c.offline, "sft", help);
  explain_foreign_keys(s);
}

void bind(Settings& s, RmConfig& c) {
  const OfflineHelp help = {
      .model_path =
          "reward model to train further, or language model to start from; empty = a new model",
      .train_files =
          "JSONL or parquet files: responses with labels, or pairs; docs/reward-models.md",
      .val_files = "held-out rows: loss, accuracy, margin",
      .output =
          "run folder; the reward model goes to <folder>/huggingface, an adapter to "
          "<folder>/adapter"};
  bind_sources(s, c.offline, help);
  bind_rows(s, c.offline);
  bind_steps(s, c.offline, "rm", help);
  explain_foreign_keys(s);
}

void bind(Settings& s, DpoConfig& c) {
  const OfflineHelp help = {
      .model_path = "model, run, checkpoint or adapter folder, or a .gguf file, to start from",
      .train_files = "JSONL or parquet files of preference pairs; docs/preference-training.md",
      .val_files = "held-out pairs: loss, rewards, accuracy",
      .output =
          "run folder; the model goes to <folder>/huggingface, an adapter to <folder>/adapter",
      .new_model = false};
  bind_sources(s, c.offline, help);
  s.add("data.apply_chat_template", &c.apply_chat_template,
        "a prompt that is a text is the user's message where the model has a chat template, its "
        "responses the answers; false: all are trained on as they are");
  bind_rows(s, c.offline);
  s.add("dpo.loss", &c.dpo.loss, "loss of a pair; docs/preference-training.md has the formulas");
  s.add("dpo.beta", &c.dpo.beta,
        "weight of the pull towards the reference model; ipo: its tau, the target is 1 / (2 beta)",
        above(0));
  s.add("dpo.label_smoothing", &c.dpo.label_smoothing,
        "share of pairs that are assumed to have their responses swapped; not with ipo",
        within_but_not_at(0, 0.5));
  s.add("dpo.reference_model", &c.reference_model,
        "fixed model that the policy is compared with, as a path; with an adapter its base needs "
        "no second copy; empty = the model before training");
  bind_steps(s, c.offline, "dpo", help);
  explain_foreign_keys(s);
}

Result<TrainConfig> config_in_phase(const TrainConfig& config, size_t count) {
  TrainConfig changed = config;
  Settings settings;
  bind(settings, changed, config.reward.more);
  LS_RETURN_IF_ERROR(apply_phases(config.phase.phases, count, settings));
  return changed;
}

// trainer.total_epochs of a phase replaces the trainer.total_steps of those before.
Result<SftConfig> config_in_phase(const SftConfig& config, size_t count) {
  SftConfig changed = config;
  Settings settings;
  bind(settings, changed);
  for (size_t i = 0; i < count; ++i) {
    const Phase& phase = config.phase.phases[i];
    if (phase.settings.contains("trainer.total_epochs")) changed.offline.trainer.total_steps = 0;
    LS_RETURN_IF_ERROR(apply_phases({phase}, 1, settings));
  }
  return changed;
}

int replay_capacity(const TrainConfig& c) {
  if (c.replay.max_groups > 0) return c.replay.max_groups;
  if (c.cluster.runs_ahead()) return most_groups_ahead(c);
  // After an iteration that spent its budget, most groups continue. Others must be able to begin,
  // or the next iteration could not spend it (docs/long-tail.md).
  return c.rollout.engine.token_budget > 0 ? 2 * c.data.train_batch_size : c.data.train_batch_size;
}

int most_groups_ahead(const TrainConfig& c) {
  const int reused = reused_groups(c), fresh = c.data.train_batch_size - reused;
  const int batches = c.cluster.staleness + (reused > 0 ? 0 : 1);
  return batches * fresh + reused;
}

int reused_groups(const TrainConfig& c) {
  return static_cast<int>(c.replay.ratio * c.data.train_batch_size);
}

int64_t staleness_limit(const TrainConfig& c) {
  return c.cluster.runs_ahead() ? c.cluster.staleness : c.replay.staleness;
}

bool rollout_is_exact(const TrainConfig& c) {
  return !rollout::cuts_distribution(c.rollout.engine.sampling) &&
         c.rollout.dtype == NumberFormat::f32 && c.rollout.kv_dtype == NumberFormat::f32 &&
         c.algorithm.compute.dtype == NumberFormat::f32;
}

bool has_kl_model(const train::AlgorithmOptions& a) {
  return a.kl_coef != 0 && !a.kl_reference.empty();
}

}  // namespace longshot::config
