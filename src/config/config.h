#pragma once
// The configuration of a training run: plain option structs and the table that binds them to keys.
// docs/configuration.md is generated from this table.

#include <cstdint>
#include <string>
#include <vector>

#include "base/settings/settings.h"
#include "datasets/prompts.h"
#include "model/format/adapters/adapter.h"
#include "prompts/sampler.h"
#include "replay/replay_buffer.h"
#include "reward/reward.h"
#include "rollout/engine.h"
#include "train/options.h"

namespace longshot::config {

// Where weights come from, and the size of a model made from nothing.
struct ModelOptions {
  std::string path;  // Hugging Face directory or .gguf; empty: a new model (SFT only)
  // The whole model of the checkpoint to continue from, where `path` is not on this machine.
  std::string stand_in;
  const std::string& source() const { return stand_in.empty() ? path : stand_in; }
  std::string chat_template;  // as tokenizer::ChatTemplate::choose() takes it; empty: the model's
  Json chat_template_args = Json::array();  // arguments of every rendering, or a text of them
  std::string alphabet_file;                // a new model's character vocabulary
  model::LoraOptions lora;                  // rank 0: all weights learn
  std::vector<std::string> lora_targets = {"all-linear"};
  std::string lora_adapter_path;    // PEFT directory to go on from; its rank and scale count then
  std::vector<std::string> freeze;  // patterns of names of weights that do not learn
  int hidden_size = 128;
  int num_layers = 4;
  int num_heads = 4;
  int num_kv_heads = 4;
  int intermediate_size = 384;
  int max_positions = 1024;
};

// What every command that runs a model needs to know of the machine.
struct MachineOptions {
  std::string device = "cpu";
  int threads = 0;  // 0 = all usable cores
};

struct SftConfig {
  ModelOptions model;
  MachineOptions machine;
  std::vector<std::string> train_files, val_files;
  bool apply_chat_template = true;  // prompts that are texts are the user's message
  int max_length = 1024;
  train::SftOptions batch;
  train::OptimizerOptions optimizer;
  int64_t total_steps = 0;  // 0: by epochs
  double epochs = 1;
  int64_t test_freq = 50;
  int64_t save_freq = 500;
  int keep_checkpoints = 1;
  int64_t seed = 1;
  std::string output;  // run folder; the model is written to <output>/huggingface or adapter
};

// Of a reward model: the same choices; what the rows are and what is learned from them differs.
struct RmConfig : SftConfig {};

struct TrainConfig {
  ModelOptions model;
  MachineOptions machine;
  std::vector<std::string> train_files, val_files;
  int train_batch_size = 32;
  int max_prompt_length = 512;
  datasets::ColumnMapping columns;
  prompts::SamplerOptions sampler;
  int n = 8;
  int max_concurrent = 256;
  int rollout_workers = 1;
  std::string rollout_engine = "auto";
  std::string rollout_dtype = "float32", rollout_kv_dtype = "float32";
  int kv_blocks = 0;
  std::string speculation = "off";
  rollout::EngineOptions engine;
  train::AlgorithmOptions algorithm;
  train::OptimizerOptions optimizer;
  Json reward_functions = Json::array({"auto"});
  reward::RewardOptions reward;
  std::string replay_selector = "fifo";
  int max_groups = 0;  // in the replay buffer; 0: train_batch_size
  replay::Limits replay;
  int64_t total_iterations = 100;
  int64_t save_freq = 20;
  int keep_checkpoints = 3;
  int64_t test_freq = 10;
  int val_n = 1;
  double val_temperature = 0;
  int val_max_prompts = 0;  // 0 = all
  bool val_before_train = true;
  std::string resume_mode = "auto";
  std::string output;
  int64_t seed = 1;
  int log_samples = 32;  // samples written per iteration; 0 = none, -1 = all
};

void bind(Settings& settings, SftConfig& config);
void bind(Settings& settings, RmConfig& config);
void bind(Settings& settings, TrainConfig& config);

// Groups that the replay buffer holds at most, unfinished and complete ones together.
int replay_capacity(const TrainConfig& config);
// Whether the rollout's log-probabilities are the trainer's up to rounding: all numbers are f32 and
// no filter cuts the sampling distribution.
bool rollout_is_exact(const TrainConfig& config);

// What the table cannot see: required keys, combinations. Errors name the keys. Keys without an
// effect (unused_keys.h) are warned about.
Status validate(const SftConfig& config);
Status validate(const TrainConfig& config);

}  // namespace longshot::config
