#include "config/config.h"

#include <fmt/format.h>

#include <cmath>

#include "config/foreign_keys.h"

namespace longshot::config {
namespace {

// No key accepts an infinite number; 0 switches a limit off.
std::string finite_or(bool good, double value, const std::string& rule) {
  if (good) return std::isfinite(value) ? "" : "must be finite";
  return rule;
}

template <typename T>
std::function<std::string(const T&)> at_least(T low) {
  return [low](const T& v) {
    return finite_or(v >= low, static_cast<double>(v), fmt::format("must be >= {}", low));
  };
}

std::function<std::string(const double&)> above(double low) {
  return [low](const double& v) { return finite_or(v > low, v, fmt::format("must be > {}", low)); };
}

std::function<std::string(const double&)> within(double low, double high) {
  return [=](const double& v) {
    return v >= low && v <= high ? std::string() : fmt::format("must be in [{}, {}]", low, high);
  };
}

std::function<std::string(const double&)> within_but_not_at(double low, double high) {
  return [=](const double& v) {
    return v >= low && v < high ? std::string() : fmt::format("must be in [{}, {})", low, high);
  };
}

void bind_machine(Settings& s, MachineOptions& m) {
  s.add("trainer.device", &m.device, "libtorch device of the trainer: cpu, cuda, cuda:1");
  s.add("trainer.threads", &m.threads, "CPU threads; 0 = all usable cores", at_least(0));
}

void bind_model(Settings& s, ModelOptions& m) {
  s.add("model.chat_template", &m.chat_template,
        "used instead of the model's own: a file NAME.jinja, a named template of the model, or a "
        "built-in family; docs/formats.md");
  s.add(
      "model.chat_template_args", &m.chat_template_args,
      "arguments of the chat template: {enable_thinking=false}; strftime_now=\"2024-07-26\" fixes "
      "its date; a JSON text keeps the order of keys");
  s.add("model.lora_rank", &m.lora.rank,
        "LoRA rank; only the adapters are trained; 0 = off; docs/lora.md", at_least(0));
  s.add("model.lora_alpha", &m.lora.alpha, "an adapter counts alpha / rank times", above(0));
  s.add("model.lora_targets", &m.lora_targets,
        "linear layers with an adapter: all-linear, or q_proj, k_proj, v_proj, o_proj, gate_proj, "
        "up_proj, down_proj");
  s.add("model.lora_adapter_path", &m.lora_adapter_path,
        "peft directory whose adapter is trained further; its rank, alpha and layers apply");
  s.add("model.freeze", &m.freeze,
        "weights that are not trained, as patterns of names: model.embed_tokens.*, "
        "model.layers.[0-9].*");
}

// Keys of a newly created model.
void bind_new_model(Settings& s, ModelOptions& m) {
  s.add("model.alphabet_file", &m.alphabet_file, "new model: its character vocabulary");
  s.add("model.hidden_size", &m.hidden_size, "new model: width", at_least(1));
  s.add("model.num_layers", &m.num_layers, "new model: layers", at_least(1));
  s.add("model.num_heads", &m.num_heads, "new model: attention heads", at_least(1));
  s.add("model.num_kv_heads", &m.num_kv_heads, "new model: key-value heads", at_least(1));
  s.add("model.intermediate_size", &m.intermediate_size, "new model: MLP width", at_least(1));
  s.add("model.max_positions", &m.max_positions, "new model: longest sequence", at_least(1));
}

void bind_optimizer(Settings& s, train::OptimizerOptions& o) {
  s.add("optim.lr", &o.lr, "peak learning rate", above(0));
  s.add("optim.beta1", &o.beta1, "AdamW decay of the first moment", within_but_not_at(0, 1));
  s.add("optim.beta2", &o.beta2, "AdamW decay of the second moment", within_but_not_at(0, 1));
  s.add("optim.eps", &o.eps, "AdamW epsilon", above(0));
  s.add("optim.weight_decay", &o.weight_decay, "decoupled weight decay; not on norms and biases",
        at_least(0.0));
  s.add("optim.clip_grad", &o.clip_grad, "global gradient norm; 0 = no clipping", at_least(0.0));
  s.add_choice("optim.schedule", &o.schedule, "learning rate after the warm-up",
               {"constant", "linear", "cosine"});
  s.add("optim.warmup_steps", &o.warmup_steps, "optimizer steps of linear warm-up",
        at_least(int64_t{0}));
  s.add_choice(
      "optim.moments", &o.moments,
      "number format of AdamW's moments: 8, 4 or 2 bytes a parameter for both; fewer than 32 bits "
      "need trainer.device=cpu",
      {"float32", "bfloat16", "int8"});
  s.add("optim.min_lr_ratio", &o.min_lr_ratio, "last learning rate / peak, for linear and cosine",
        within(0, 1));
}

void bind_columns(Settings& s, datasets::ColumnMapping& c) {
  s.add("data.prompt_key", &c.prompt, "column of the prompt (messages or text)");
  s.add("data.ground_truth_key", &c.ground_truth,
        "column of the answer; empty: reward_model.ground_truth, ground_truth, answer, solution");
  s.add("data.data_source_key", &c.data_source, "column that names the task");
  s.add("data.difficulty_key", &c.difficulty,
        "column of the difficulty; empty: extra_info.difficulty, difficulty, else 0");
  s.add("data.apply_chat_template", &c.apply_chat_template,
        "a prompt that is a text is the user's message where the model has a chat template; false: "
        "the model sees the text as it is");
  s.add("data.system_prompt", &c.system_prompt,
        "system message put before every chat; empty = none");
}

void bind_sampler(Settings& s, prompts::SamplerOptions& o) {
  s.add_choice("data.order", &o.order, "how prompts are chosen",
               {"uniform", "curriculum", "prioritized"});
  s.add("data.curriculum_iterations", &o.curriculum_iterations,
        "curriculum: first iterations of its stages, ascending");
  s.add("data.curriculum_min_difficulty", &o.curriculum_min_difficulty,
        "curriculum: lowest difficulty of each stage");
  s.add("data.curriculum_max_difficulty", &o.curriculum_max_difficulty,
        "curriculum: highest difficulty of each stage");
  s.add("data.prioritized_floor", &o.prioritized_floor,
        "prioritized: lowest weight, so that a solved problem is still seen", within(1e-6, 1));
}

void bind_data(Settings& s, TrainConfig& c) {
  s.add("data.train_files", &c.train_files, "JSONL or parquet files of verl or TRL rows");
  s.add("data.val_files", &c.val_files, "held-out problems");
  s.add("data.train_batch_size", &c.train_batch_size, "prompts (groups) per iteration",
        at_least(1));
  s.add("data.max_prompt_length", &c.max_prompt_length, "tokens; longer prompts are left out",
        at_least(1));
  s.add("data.max_response_length", &c.engine.sampling.max_response_length,
        "tokens; a longer response is cut (finish reason length)", at_least(1));
  bind_columns(s, c.columns);
  bind_sampler(s, c.sampler);
}

void bind_rollout(Settings& s, TrainConfig& c) {
  auto& o = c.engine;
  s.add("rollout.n", &c.n, "samples per prompt (the group)", at_least(1));
  s.add("rollout.temperature", &o.sampling.temperature, "sampling temperature", above(0));
  s.add("rollout.top_p", &o.sampling.top_p, "nucleus; 1 = off", within(1e-6, 1));
  s.add("rollout.top_k", &o.sampling.top_k, "0 = off", at_least(0));
  s.add("rollout.min_p", &o.sampling.min_p, "0 = off", within(0, 1));
  s.add("rollout.stop", &o.sampling.stop_strings, "texts that end a response");
  s.add("rollout.token_budget", &o.token_budget,
        "output tokens per iteration; unfinished samples continue in the next one; 0 = no budget",
        at_least(int64_t{0}));
  s.add_choice("rollout.engine", &c.rollout_engine,
               "cpu = own kernels, torch = generic; auto = cpu on a CPU", {"auto", "cpu", "torch"});
  s.add_choice("rollout.dtype", &c.rollout_dtype,
               "number format of the rollout's weights; docs/number-formats.md",
               {"float32", "bfloat16", "int8", "int4"});
  s.add_choice("rollout.kv_dtype", &c.rollout_kv_dtype, "number format of the KV cache",
               {"float32", "bfloat16", "int8"});
  s.add("rollout.kv_blocks", &c.kv_blocks,
        "KV memory in blocks of 16 tokens; 0 = enough for max_concurrent of the longest samples",
        at_least(0));
  s.add_choice(
      "rollout.speculation", &c.speculation,
      "ngram: feed guesses of the next tokens where that is faster, with the same samples; "
      "docs/speculation.md",
      {"off", "ngram"});
  s.add("rollout.max_concurrent", &c.max_concurrent, "samples in flight", at_least(1));
  s.add("rollout.workers", &c.rollout_workers,
        "engines that generate independently, each with its share of threads, samples in flight, "
        "KV memory and "
        "token budget and with weights of its own; 1 unless the machine has several sockets",
        at_least(1));
  s.add("rollout.repetition.enabled", &o.repetition.enabled, "end looping samples early");
  s.add("rollout.repetition.max_period", &o.repetition.max_period, "tokens of the repeated block",
        at_least(1));
  s.add("rollout.repetition.min_repeats", &o.repetition.min_repeats, "repeats that make a loop",
        at_least(2));
  s.add("rollout.repetition.min_tokens", &o.repetition.min_tokens,
        "tokens the repeats must cover together", at_least(2));
}

void bind_algorithm(Settings& s, train::AlgorithmOptions& a) {
  s.add_choice("algorithm.name", &a.name, "objective; docs/algorithms.md has the formulas",
               {"kimi", "rest", "reinforce", "rloo", "grpo"});
  s.add_choice("algorithm.baseline", &a.baseline, "kimi: group mean, or tau log mean exp(r / tau)",
               {"mean", "logz"});
  s.add("algorithm.tau", &a.tau, "kimi: weight of the pull towards the reference policy", above(0));
  s.add_choice("algorithm.normalize", &a.normalize,
               "divide a group's advantages by their deviation", {"none", "std"});
  s.add_choice("algorithm.length_normalize", &a.length_normalize,
               "sequence log-probability: sum or mean over its tokens", {"none", "mean"});
  s.add("algorithm.clip_low", &a.clip_low, "grpo: ratio clip below 1", within(0, 1));
  s.add("algorithm.clip_high", &a.clip_high, "grpo: ratio clip above 1", at_least(0.0));
  s.add("algorithm.kl_coef", &a.kl_coef, "grpo: weight of the KL penalty (k3, low_var_kl)",
        at_least(0.0));
  s.add("algorithm.kl_reference", &a.kl_reference,
        "grpo: fixed model that the KL penalty is measured against, as a path; with an adapter its "
        "base needs no second copy; empty = the policy at the start of the iteration");
  s.add("algorithm.mini_batches", &a.mini_batches, "optimizer steps per epoch", at_least(1));
  s.add("algorithm.epochs", &a.epochs, "passes over an iteration's groups", at_least(1));
  s.add("algorithm.reset_optimizer", &a.reset_optimizer,
        "new AdamW moments each iteration, because the reference policy changed");
  s.add("algorithm.train_earlier_segments", &a.train_earlier_segments,
        "partial rollouts: tokens of older policy versions in the loss");
  s.add_choice(
      "algorithm.reference", &a.reference,
      "policy that the objective compares with: the one that produced each token, as recorded by "
      "the rollout (recorded); that at the start of the iteration, computed by the trainer "
      "(trainer); or auto: the latter, with recorded numbers where they are its own",
      {"auto", "recorded", "trainer"});
  s.add("algorithm.micro_batch_tokens", &a.micro_batch_tokens,
        "packed tokens per forward pass; 0 = what is fastest", at_least(0));
}

void bind_compute(Settings& s, train::ComputeOptions& c) {
  s.add_choice(
      "trainer.kernels", &c.kernels,
      "what computes a pass on a CPU: auto (longshot's own) or libtorch; other devices have "
      "libtorch",
      {"auto", "libtorch"});
  s.add_choice(
      "trainer.dtype", &c.dtype,
      "of the products of the layers, and of the head with longshot's own kernels: bfloat16 "
      "rounds their factors and sums in f32, where the CPU (avx512_bf16, with libtorch also "
      "amx_bf16) or GPU has that; weights and all else stay f32",
      {"float32", "bfloat16"});
  s.add_choice(
      "trainer.checkpointing", &c.checkpointing,
      "activations that are computed again for the gradient instead of kept: none, selective "
      "(the MLP's), full (all but each layer's input), or auto",
      {"auto", "none", "selective", "full"});
  s.add("trainer.activation_gib", &c.activation_gib,
        "what auto checkpointing may keep, GiB; 0 = half of the free memory", at_least(0.0));
}

void bind_reward(Settings& s, TrainConfig& c) {
  auto& r = c.reward;
  s.add("reward.functions", &c.reward_functions,
        "list of NAME, NAME:WEIGHT or tables with options; docs/rewards.md");
  s.add("reward.timeout", &r.timeout_seconds, "seconds per judgement", above(0));
  s.add("reward.retries", &r.retries, "after a failure of the reward itself", at_least(0));
  s.add("reward.threads", &r.threads, "judgements at a time", at_least(1));
  s.add("reward.repetition_penalty", &r.repetition_penalty,
        "taken off when a sample ended by repeat detection", at_least(0.0));
  s.add("reward.length_weight", &r.length_weight, "weight of the length reward; 0 = off",
        at_least(0.0));
  s.add("reward.length_warmup_iterations", &r.length_warmup_iterations,
        "iterations before the length reward is switched on", at_least(0));
}

void bind_trainer(Settings& s, TrainConfig& c) {
  s.add("replay.max_groups", &c.max_groups,
        "groups in the buffer, unfinished and complete ones; prompts are drawn until it is full. "
        "Above data.train_batch_size complete groups can wait; 0 = data.train_batch_size",
        at_least(0));
  s.add_choice("replay.selector", &c.replay_selector,
               "which complete groups are trained on first, where some must wait: the oldest, "
               "those of the newest policy version, or any",
               {"fifo", "freshest", "uniform"});
  s.add("replay.staleness", &c.replay.staleness,
        "drop groups with a trained token that is older than this many policy versions; -1 = never",
        at_least(int64_t{-1}));
  s.add("trainer.total_iterations", &c.total_iterations, "RL iterations", at_least(int64_t{0}));
  s.add("trainer.save_freq", &c.save_freq, "iterations between checkpoints; 0 = only at the end",
        at_least(int64_t{0}));
  s.add("trainer.keep_checkpoints", &c.keep_checkpoints, "newest checkpoints kept", at_least(1));
  s.add("trainer.test_freq", &c.test_freq, "iterations between held-out evaluations; 0 = never",
        at_least(int64_t{0}));
  s.add("trainer.val_n", &c.val_n, "samples per held-out problem", at_least(1));
  s.add("trainer.val_temperature", &c.val_temperature, "0 = greedy", at_least(0.0));
  s.add("trainer.val_max_prompts", &c.val_max_prompts, "first held-out problems used; 0 = all",
        at_least(0));
  s.add("trainer.val_before_train", &c.val_before_train, "evaluate before the first iteration");
  s.add("trainer.resume_mode", &c.resume_mode,
        "auto = newest good checkpoint of the run folder, disable, or a global_step_N path");
  s.add("trainer.default_local_dir", &c.output, "run folder");
  s.add("trainer.seed", &c.seed, "of everything random", at_least(int64_t{0}));
  s.add("trainer.log_samples", &c.log_samples, "samples written per iteration; -1 = all");
}

}  // namespace

namespace {

// `section` is the section of the batch-size keys. `results` is the help of
// trainer.default_local_dir, which says where the model is written.
void bind_steps(Settings& s, SftConfig& c, const std::string& section, const char* results) {
  s.add("data.max_length", &c.max_length, "tokens; longer rows are left out and counted",
        at_least(2));
  s.add("data.streaming", &c.streaming,
        "read the training rows during the run, for data larger than memory; docs/formats.md");
  s.add("data.shuffle_buffer", &c.shuffle_buffer,
        "with data.streaming: rows in memory, which are shuffled together", at_least(1));
  s.add(section + ".batch_tokens", &c.batch.batch_tokens, "packed tokens per optimizer step",
        at_least(1));
  s.add(section + ".micro_batch_tokens", &c.batch.micro_batch_tokens,
        "packed tokens per forward pass; 0 = what is fastest", at_least(0));
  bind_optimizer(s, c.optimizer);
  s.add("trainer.total_steps", &c.total_steps, "optimizer steps; 0 = by total_epochs",
        at_least(int64_t{0}));
  s.add("trainer.total_epochs", &c.epochs, "passes over the data when total_steps is 0", above(0));
  s.add("trainer.save_freq", &c.save_freq,
        "steps between checkpoints, which a finished run needs no longer; 0 = only when the run is "
        "stopped",
        at_least(int64_t{0}));
  s.add("trainer.keep_checkpoints", &c.keep_checkpoints, "newest checkpoints kept", at_least(1));
  s.add("trainer.test_freq", &c.test_freq, "steps between held-out losses; 0 = never",
        at_least(int64_t{0}));
  s.add("trainer.default_local_dir", &c.output, results);
  s.add("trainer.seed", &c.seed, "of initial weights and row order");
  bind_compute(s, c.batch.compute);
  bind_machine(s, c.machine);
  explain_foreign_keys(s);
}

}  // namespace

void bind(Settings& s, SftConfig& c) {
  s.add("model.path", &c.model.path,
        "Hugging Face directory or .gguf to start from; empty = a new model");
  bind_model(s, c.model);
  bind_new_model(s, c.model);
  s.add("data.train_files", &c.train_files, "JSONL or parquet files of supervised rows or text");
  s.add("data.val_files", &c.val_files, "held-out rows; only their loss is computed");
  s.add("data.apply_chat_template", &c.apply_chat_template,
        "a prompt that is a text is the user's message where the model has a chat template, its "
        "completion the answer; false: both are trained on as they are");
  bind_steps(s, c, "sft",
             "run folder; the model goes to <folder>/huggingface, an adapter to <folder>/adapter");
}

void bind(Settings& s, RmConfig& c) {
  s.add("model.path", &c.model.path,
        "reward model to train further, or language model to start from; empty = a new model");
  bind_model(s, c.model);
  bind_new_model(s, c.model);
  s.add("data.train_files", &c.train_files,
        "JSONL or parquet files: responses with labels, or pairs; docs/reward-models.md");
  s.add("data.val_files", &c.val_files, "held-out rows: loss, accuracy, margin");
  bind_steps(s, c, "rm",
             "run folder; the reward model goes to <folder>/huggingface, an adapter to "
             "<folder>/adapter");
}

void bind(Settings& s, TrainConfig& c) {
  s.add("model.path", &c.model.path, "Hugging Face directory or .gguf to start from");
  bind_model(s, c.model);
  bind_data(s, c);
  bind_rollout(s, c);
  bind_algorithm(s, c.algorithm);
  bind_reward(s, c);
  bind_optimizer(s, c.optimizer);
  bind_trainer(s, c);
  bind_compute(s, c.algorithm.compute);
  bind_machine(s, c.machine);
  explain_foreign_keys(s);
}

}  // namespace longshot::config
