#include "loop/rl/parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <initializer_list>

#include "base/log.h"
#include "datasets/tokenize.h"
#include "inference/open_model.h"
#include "loop/cluster/cluster_rollout.h"
#include "loop/gang/policy.h"
#include "model/torch/runtime.h"
#include "rollout/engine_group.h"

namespace longshot::loop {

namespace {

reward::RewardOptions reward_options(const config::TrainConfig& config) {
  reward::RewardOptions options = config.reward.stage;
  options.max_response_length = config.rollout.engine.sampling.max_response_length;
  return options;
}

// Rejects a batch size that an iteration could silently not reach.
Status check_batch_size(const config::TrainConfig& config, const prompts::PromptSampler& sampler) {
  const auto batch = static_cast<size_t>(config.data.train_batch_size);
  const std::vector<size_t> sizes = sampler.stage_sizes();
  for (size_t stage = 0; stage < sizes.size(); ++stage) {
    if (batch <= sizes[stage]) continue;
    const bool curriculum = !config.data.sampler.curriculum_iterations.empty();
    return invalid_argument(fmt::format(
        "data.train_batch_size = {} is more than the {} prompts of {}", batch, sizes[stage],
        curriculum ? fmt::format("the curriculum's stage from iteration {} on",
                                 config.data.sampler.curriculum_iterations[stage])
                   : "data.train_files"));
  }
  return ok_status();
}

Result<std::vector<data::Prompt>> load_prompts(const config::TrainConfig& config,
                                               const std::vector<std::string>& files,
                                               const Parts& parts) {
  return datasets::load_prompts(files, config.data.columns, config.data.max_prompt_length,
                                *parts.tokenizer, parts.chat_template);
}

Result<std::unique_ptr<prompts::PromptSampler>> make_sampler(const config::TrainConfig& config,
                                                             const Parts& parts) {
  LS_ASSIGN_OR_RETURN(auto train, load_prompts(config, config.data.train_files, parts));
  LS_ASSIGN_OR_RETURN(auto sampler,
                      prompts::PromptSampler::create(std::move(train), config.data.sampler,
                                                     static_cast<uint64_t>(config.trainer.seed)));
  LS_RETURN_IF_ERROR(check_batch_size(config, sampler));
  return std::make_unique<prompts::PromptSampler>(std::move(sampler));
}

Status make_prompts(const config::TrainConfig& config, Parts& parts) {
  LS_ASSIGN_OR_RETURN(parts.prompts, make_sampler(config, parts));
  if (config.data.val_files.empty()) return ok_status();
  LS_ASSIGN_OR_RETURN(parts.val_prompts, load_prompts(config, config.data.val_files, parts));
  const auto limit = static_cast<size_t>(config.trainer.val_max_prompts);
  if (limit > 0 && parts.val_prompts.size() > limit) parts.val_prompts.resize(limit);
  return ok_status();
}

Status set_kv_blocks(const config::TrainConfig& config, rollout::RunnerLimits& limits) {
  limits.kv_blocks = config.rollout.kv_blocks;
  const int least = rollout::blocks_for(limits.max_sequence);
  if (limits.blocks() >= least) return ok_status();
  return invalid_argument(
      fmt::format("rollout.kv_blocks={} holds no sample of {} tokens: at least {} are needed",
                  config.rollout.kv_blocks, limits.max_sequence, least));
}

// Makes config.rollout.workers engines, which share the `limits` and `threads` of the rollout.
Result<std::unique_ptr<rollout::Generator>> make_rollout(const config::TrainConfig& config,
                                                         rollout::RunnerLimits limits, int threads,
                                                         const tokenizer::Tokenizer* tokenizer) {
  const int workers = config.rollout.workers, own_threads = std::max(1, threads / workers);
  const auto share = [&](int whole) { return (whole + workers - 1) / workers; };
  limits.max_running = share(limits.max_running);
  if (limits.kv_blocks > 0) {
    limits.kv_blocks = std::max(share(limits.kv_blocks), rollout::blocks_for(limits.max_sequence));
  }
  const inference::EngineChoice choice{.runner = config.rollout.runner,
                                       .device = config.machine.device,
                                       .dtype = config.rollout.dtype,
                                       .kv_dtype = config.rollout.kv_dtype};
  std::vector<std::unique_ptr<rollout::Engine>> engines;
  for (int w = 0; w < workers; ++w) {
    LS_ASSIGN_OR_RETURN(auto runner, inference::make_runner(choice, limits, own_threads));
    engines.push_back(std::make_unique<rollout::Engine>(std::move(runner), tokenizer, own_threads));
  }
  if (workers == 1) return std::unique_ptr<rollout::Generator>(std::move(engines.front()));
  return std::unique_ptr<rollout::Generator>(
      std::make_unique<rollout::EngineGroup>(std::move(engines)));
}

// Adds the end-of-sequence tokens that the model's configuration names.
void add_stop_tokens(const model::ModelConfig& config, rollout::SamplingOptions& sampling) {
  for (int id : config.eos_token_ids) sampling.stop_tokens.push_back(id);
}

// The options of the engine for the current phase, with the model's own end-of-sequence tokens.
rollout::EngineOptions engine_options(const config::TrainConfig& config,
                                      const model::ModelConfig& model) {
  rollout::EngineOptions options = config.rollout.engine;
  add_stop_tokens(model, options.sampling);
  return options;
}

replay::Limits replay_limits(const config::TrainConfig& config) {
  return {.staleness = config::staleness_limit(config),
          .train_earlier_segments = config.algorithm.train_earlier_segments,
          .reuse = config.replay.ratio > 0 ? config.replay.max_reuse : 0,
          .trained = static_cast<size_t>(config::replay_capacity(config))};
}

// True if the phase sets a key that begins with one of `beginnings`.
bool sets(const config::Phase& phase, std::initializer_list<const char*> beginnings) {
  for (const auto& [key, value] : phase.settings.items()) {
    for (const char* beginning : beginnings)
      if (key.starts_with(beginning)) return true;
  }
  return false;
}

bool changes_prompts(const config::Phase& phase) {
  return sets(phase, {"data.train_files", "data.order", "data.curriculum_", "data.prioritized_"});
}

bool changes_rewards(const config::Phase& phase) {
  return sets(phase, {"reward.", "data.max_response_length"});
}

// Finds mistakes in the prompts and rewards of later phases before the run begins.
Status check_later_phases(const config::TrainConfig& config, int64_t begun, const Parts& parts) {
  LS_ASSIGN_OR_RETURN(const auto all, config::all_phases(config));
  for (size_t i = static_cast<size_t>(begun); i < config.phase.phases.size(); ++i) {
    const config::Phase& phase = config.phase.phases[i];
    if (changes_prompts(phase) || sets(phase, {"data.train_batch_size"}))
      LS_RETURN_IF_ERROR(make_sampler(all[i + 1], parts).status().with_context(phase.name));
    if (changes_rewards(phase))
      LS_RETURN_IF_ERROR(reward::RewardStage::create(reward_options(all[i + 1]))
                             .status()
                             .with_context(phase.name));
  }
  return ok_status();
}

// The largest data.max_response_length of the current phase and those that follow.
Result<int> longest_response(const config::TrainConfig& config, int64_t begun) {
  LS_ASSIGN_OR_RETURN(const auto all, config::all_phases(config));
  int longest = config.rollout.engine.sampling.max_response_length;
  for (size_t i = static_cast<size_t>(begun) + 1; i < all.size(); ++i)
    longest = std::max(longest, all[i].rollout.engine.sampling.max_response_length);
  return longest;
}

}  // namespace

Result<Parts> make_parts(config::TrainConfig config, const PhaseState& phase,
                         const std::string& checkpoint, const std::string& config_text,
                         std::shared_ptr<train::Gang> gang) {
  Parts parts;
  const int threads = model::configure_compute(config.machine.threads);
  LS_ASSIGN_OR_RETURN(LoadedModel loaded, load_policy(config.model, config.machine.device,
                                                      checkpoint, config.trainer.seed));
  parts.tokenizer = std::move(loaded.tokenizer);
  parts.chat_template = std::move(loaded.chat_template);
  LS_RETURN_IF_ERROR(make_prompts(config, parts));
  parts.total_iterations = total_iterations(config, static_cast<int64_t>(parts.prompts->size()));
  config.trainer.total_iterations = parts.total_iterations;
  LS_RETURN_IF_ERROR(check_later_phases(config, phase.begun, parts));

  const model::ModelConfig& model_config = loaded.weights.config();
  parts.engine_options = engine_options(config, model_config);
  LS_ASSIGN_OR_RETURN(const int response, longest_response(config, phase.begun));
  LS_ASSIGN_OR_RETURN(rollout::RunnerLimits limits,
                      inference::limits_for(model_config, config.rollout.max_concurrent,
                                            config.data.max_prompt_length, response));
  LS_RETURN_IF_ERROR(set_kv_blocks(config, limits));
  if (config.cluster.on()) {
    LS_ASSIGN_OR_RETURN(parts.rollout,
                        make_cluster_rollout(config, limits, model_config, *parts.tokenizer));
  } else {
    LS_ASSIGN_OR_RETURN(parts.rollout,
                        make_rollout(config, limits, threads, parts.tokenizer.get()));
  }

  LS_ASSIGN_OR_RETURN(parts.rewards, reward::RewardStage::create(reward_options(config)));
  parts.replay = std::make_unique<replay::ReplayBuffer>(
      replay::make_selector(config.replay.selector), replay_limits(config));

  LS_ASSIGN_OR_RETURN(auto trainer, make_trainer(config, phase, std::move(loaded.weights), gang));
  LS_ASSIGN_OR_RETURN(parts.trainer,
                      GangTrainer::begin(std::move(trainer), std::move(gang), config_text,
                                         checkpoint, phase, parts.total_iterations));
  parts.publisher = std::make_unique<publish::Publisher>();
  rollout::Generator* rollout = parts.rollout.get();
  parts.publisher->add_sink("rollout", [rollout](const model::WeightsView& weights) {
    return rollout->load_weights(weights);
  });
  return parts;
}

Status begin_phase(const config::TrainConfig& config, const PhaseState& phase, Parts& parts) {
  const config::Phase& begins = config.phase.phases[static_cast<size_t>(phase.begun) - 1];
  std::unique_ptr<prompts::PromptSampler> sampler;
  if (changes_prompts(begins)) {
    LS_ASSIGN_OR_RETURN(sampler, make_sampler(config, parts));
    sampler->adopt(*parts.prompts);
  }
  std::unique_ptr<reward::RewardStage> rewards;
  if (changes_rewards(begins)) {
    LS_ASSIGN_OR_RETURN(rewards, reward::RewardStage::create(reward_options(config)));
  }
  LS_RETURN_IF_ERROR(parts.trainer->begin_phase(config, phase));
  if (sampler) parts.prompts = std::move(sampler);
  if (rewards) parts.rewards = std::move(rewards);
  parts.engine_options = engine_options(config, parts.trainer->model().weights().config());
  return ok_status();
}

}  // namespace longshot::loop
