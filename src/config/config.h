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

// Source of the weights, and the size of a newly created model.
struct ModelOptions {
  std::string path;  // Hugging Face directory or .gguf; empty: a new model (SFT only)
  // The whole model in the checkpoint to continue from, used if `path` is not on this machine.
  std::string stand_in;
  const std::string& source() const { return stand_in.empty() ? path : stand_in; }
  std::string chat_template;  // argument of tokenizer::ChatTemplate::choose(); empty: the model's
  Json chat_template_args = Json::array();  // arguments of every rendering, or their JSON text
  std::string alphabet_file;                // a new model's character vocabulary
  model::LoraOptions lora;                  // of a new adapter; rank 0: none
  std::vector<std::string> lora_targets = {"all-linear"};
  // PEFT directory to continue from; rank and scale are then those of the adapter.
  std::string lora_adapter_path;
  std::vector<std::string> freeze;  // name patterns of weights that are not trained
  int hidden_size = 128;
  int num_layers = 4;
  int num_heads = 4;
  int num_kv_heads = 4;
  int intermediate_size = 384;
  int max_positions = 1024;
};

// Machine options, shared by all commands that run a model.
struct MachineOptions {
  std::string device = "cpu";
  int threads = 0;  // 0 = all usable cores
};

struct SftConfig {
  ModelOptions model;
  MachineOptions machine;
  std::vector<std::string> train_files, val_files;
  bool apply_chat_template = true;  // treat a prompt given as text as the user's message
  int max_length = 1024;
  bool streaming = false;      // rows are read during the run; not all are in memory
  int shuffle_buffer = 10000;  // rows in memory with streaming
  train::BatchOptions batch;
  train::OptimizerOptions optimizer;
  int64_t total_steps = 0;  // 0: by epochs
  double epochs = 1;
  int64_t test_freq = 50;
  int64_t save_freq = 500;
  int keep_checkpoints = 1;
  int64_t seed = 1;
  std::string output;  // run folder; the model is written to <output>/huggingface or adapter
};

// Reward-model training uses the same options as SFT; only the rows and the loss differ.
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

// The largest number of groups in the replay buffer, unfinished and complete ones together.
int replay_capacity(const TrainConfig& config);
// True if the rollout's log-probabilities equal the trainer's up to rounding: all numbers are f32
// and no filter cuts the sampling distribution.
bool rollout_is_exact(const TrainConfig& config);

// Checks what the table cannot: required keys and combinations. Errors name the keys. Logs a
// warning for keys without an effect (unused_keys.h).
Status validate(const SftConfig& config);
Status validate(const TrainConfig& config);

}  // namespace longshot::config
