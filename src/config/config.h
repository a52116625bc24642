#pragma once
// The configuration of each kind of training run: sections of options (sections/), and the table
// that binds them to keys. docs/configuration.md is generated from this table.

#include <span>
#include <string>

#include "base/settings/settings.h"
#include "config/phases.h"
#include "config/sections/algorithm.h"
#include "config/sections/cluster.h"
#include "config/sections/data.h"
#include "config/sections/hybrid.h"
#include "config/sections/machine.h"
#include "config/sections/model.h"
#include "config/sections/offline.h"
#include "config/sections/replay.h"
#include "config/sections/reward.h"
#include "config/sections/rollout.h"
#include "config/sections/trainer.h"
#include "train/options.h"

namespace longshot::config {

struct TrainConfig {
  ModelOptions model;
  DataOptions data;
  RolloutOptions rollout;
  train::AlgorithmOptions algorithm;
  FilterGroups filter_groups;
  RewardOptions reward;
  train::OptimizerOptions optimizer;
  ReplayOptions replay;
  TrainerOptions trainer;
  MachineOptions machine;
  HybridOptions hybrid;
  ClusterOptions cluster;
  Phases phase;
};

struct SftConfig {
  OfflineConfig offline;
  bool apply_chat_template = true;
  Phases phase;
};

struct RmConfig {
  OfflineConfig offline;
};

struct DpoConfig {
  OfflineConfig offline;
  bool apply_chat_template = true;
  train::DpoOptions dpo;
  std::string reference_model;  // empty: the model before training
};

// `more`: the kinds of rewards beyond the built-in ones; they must outlive the configuration.
void bind(Settings& settings, TrainConfig& config, std::span<const reward::RewardType> more = {});
void bind(Settings& settings, SftConfig& config);
void bind(Settings& settings, RmConfig& config);
void bind(Settings& settings, DpoConfig& config);

// The configuration that holds after the first `count` of its phases have begun. Errors name the
// phase and the key.
Result<TrainConfig> config_in_phase(const TrainConfig& config, size_t count);
Result<SftConfig> config_in_phase(const SftConfig& config, size_t count);
// The same for every phase, beginning with phase 0, the configuration itself. Errors name the
// phase.
template <typename Config>
Result<std::vector<Config>> all_phases(const Config& config) {
  std::vector<Config> all;
  for (size_t count = 0; count <= config.phase.phases.size(); ++count) {
    LS_ASSIGN_OR_RETURN(Config next, config_in_phase(config, count));
    all.push_back(std::move(next));
  }
  return all;
}

// The sections of a configuration, for code that serves every kind of run.
inline TrainConfig& sections_of(TrainConfig& config) {
  return config;
}
inline OfflineConfig& sections_of(SftConfig& config) {
  return config.offline;
}
inline OfflineConfig& sections_of(RmConfig& config) {
  return config.offline;
}
inline OfflineConfig& sections_of(DpoConfig& config) {
  return config.offline;
}

// The same run with its rollouts in this process.
inline TrainConfig in_one_process(TrainConfig config) {
  config.cluster.url.clear();
  return config;
}

// The largest number of groups in the replay buffer, unfinished and complete ones together.
int replay_capacity(const TrainConfig& config);
// With cluster.staleness above 1: the largest number of groups that are still young enough when it
// is their turn, and once more if they are reused.
int most_groups_ahead(const TrainConfig& config);
// The number of groups of a batch that may have been trained on before.
int reused_groups(const TrainConfig& config);
// The largest age of a token that is trained on, in versions; -1 = no limit.
int64_t staleness_limit(const TrainConfig& config);
// True if the rollout's log-probabilities equal the trainer's up to rounding: all numbers are f32
// and no filter cuts the sampling distribution.
bool rollout_is_exact(const TrainConfig& config);
// True if the objective compares with a fixed model, that of algorithm.kl_reference.
bool has_kl_model(const train::AlgorithmOptions& algorithm);

}  // namespace longshot::config
