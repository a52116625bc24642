#include "config/foreign_keys.h"

#include <algorithm>
#include <string>
#include <vector>

namespace longshot::config {
namespace {

struct Foreign {
  const char* name;    // the last parts of the key: "optim.lr_warmup_steps" or "learning_rate"
  const char* key;     // the key here; null: none
  const char* remark;  // what differs; null: nothing
};

constexpr char kValues[] = "docs/coming-from-verl-and-trl.md has the values";
constexpr char kPython[] = "[{type=\"python\", path=\"...\"}]";
constexpr char kContinues[] = "a run continues from the newest checkpoint of its folder";
constexpr char kShuffled[] = "rows are always shuffled";
constexpr char kPacked[] = "rows are always packed";
constexpr char kNoValues[] = "there is no value network";
constexpr char kTrackers[] =
    "metrics.jsonl and TensorBoard events are always written; longshot track copies them to "
    "MLflow, python -m longshot.wandb to Weights & Biases";
constexpr char kProject[] =
    "longshot track --experiment names it in MLflow, python -m longshot.wandb --project at Weights "
    "& Biases";
constexpr char kRunName[] =
    "a run has the name of its folder; --name of longshot track or of python -m longshot.wandb "
    "gives another";
constexpr char kServers[] =
    "longshot itself generates; servers of vLLM or SGLang can be its rollout workers: "
    "docs/cluster.md";
constexpr char kInCluster[] = "a process uses one device; docs/cluster.md has runs of several";

// Of the rows with the same name, the first one applies whose key the command has.
// Sources: verl's ppo_trainer.yaml, sft_trainer_engine.yaml and documentation of the configuration;
// TRL's GRPOConfig, SFTConfig, DPOConfig and ModelConfig with transformers' TrainingArguments.
constexpr Foreign kForeign[] = {
    // model and data
    {"model_name_or_path", "model.path", nullptr},
    {"partial_pretrain", "model.path", nullptr},
    {"lora_r", "model.lora_rank", nullptr},
    {"use_peft", "model.lora_rank", "above 0 it is on"},
    {"peft_config", "model.lora_rank", "with model.lora_alpha and model.lora_targets"},
    {"target_modules", "model.lora_targets", nullptr},
    {"lora_target_modules", "model.lora_targets", nullptr},
    {"lora_dropout", nullptr, "adapters have no dropout"},
    {"custom_chat_template", "model.chat_template", nullptr},
    {"chat_template_path", "model.chat_template", nullptr},
    {"chat_template_kwargs", "model.chat_template_args", nullptr},
    {"apply_chat_template_kwargs", "model.chat_template_args", nullptr},
    {"dataset_name", "data.train_files", "it takes paths"},
    {"train_dataset", "data.train_files", "it takes paths"},
    {"eval_dataset", "data.val_files", "it takes paths"},
    {"reward_fn_key", "data.data_source_key", nullptr},
    {"max_completion_length", "data.max_response_length", nullptr},
    {"rollout.response_length", "data.max_response_length", nullptr},
    {"rollout.prompt_length", "data.max_prompt_length", nullptr},
    {"max_seq_length", "data.max_length", nullptr},
    {"per_device_train_batch_size", "data.train_batch_size", "it counts prompts, not samples"},
    {"per_device_train_batch_size", "sft.batch_tokens", "it counts tokens"},
    {"per_device_train_batch_size", "dpo.batch_tokens", "it counts tokens"},
    {"per_device_train_batch_size", "rm.batch_tokens", "it counts tokens"},
    {"train_batch_size", "sft.batch_tokens", "it counts tokens"},
    {"max_token_len_per_gpu", "sft.micro_batch_tokens", nullptr},
    {"micro_batch_size_per_gpu", "sft.micro_batch_tokens", "it counts tokens"},
    {"data.shuffle", nullptr, kShuffled},
    {"shuffle_dataset", nullptr, kShuffled},
    {"filter_overlong_prompts", nullptr,
     "prompts above data.max_prompt_length are left out anyway"},
    {"gen_batch_size", nullptr,
     "a round of algorithm.filter_groups generates as many prompts as the batch misses"},
    {"filter_groups.metric", nullptr,
     "groups are compared by the score that trains, verl's seq_reward"},
    // rollout
    {"num_generations", "rollout.n", nullptr},
    {"rollout.name", nullptr, kServers},
    {"val_kwargs.n", "trainer.val_n", nullptr},
    {"num_generations_eval", "trainer.val_n", nullptr},
    {"val_kwargs.temperature", "trainer.val_temperature", nullptr},
    {"val_kwargs.do_sample", "trainer.val_temperature", "0 is greedy"},
    {"max_num_seqs", "rollout.max_concurrent", nullptr},
    {"gpu_memory_utilization", "rollout.kv_blocks", "it counts blocks of 16 tokens"},
    {"vllm_gpu_memory_utilization", "rollout.kv_blocks", "it counts blocks of 16 tokens"},
    {"use_vllm", nullptr, kServers},
    {"vllm_mode", nullptr, kServers},
    {"free_cache_engine", "hybrid.free_cache_engine", nullptr},
    {"optimizer_offload", "hybrid.optimizer_offload", nullptr},
    {"param_offload", "hybrid.param_offload", nullptr},
    {"vllm_enable_sleep_mode", "hybrid.free_cache_engine", nullptr},
    // algorithm
    {"adv_estimator", "algorithm.name", kValues},
    {"loss_agg_mode", "algorithm.length_normalize", kValues},
    {"loss_type", "algorithm.length_normalize", kValues},
    {"loss_type", "dpo.loss", nullptr},
    {"loss_type", nullptr, "this training has one loss"},
    {"norm_adv_by_std_in_grpo", "algorithm.normalize", kValues},
    {"scale_rewards", "algorithm.normalize", kValues},
    {"clip_ratio", "algorithm.clip_low", "algorithm.clip_high is the other side"},
    {"clip_ratio_low", "algorithm.clip_low", nullptr},
    {"clip_ratio_high", "algorithm.clip_high", nullptr},
    {"epsilon", "algorithm.clip_low", "algorithm.clip_high is the other side"},
    {"epsilon_high", "algorithm.clip_high", nullptr},
    {"clip_ratio_c", nullptr, "ratios of negative advantages have no limit of their own"},
    {"kl_loss_coef", "algorithm.kl_coef", "algorithm.kl_reference names the fixed model"},
    {"kl_ctrl.kl_coef", "algorithm.kl_coef", "with algorithm.kl_in=reward"},
    {"kl_ctrl.type", nullptr, "algorithm.kl_coef does not adapt"},
    {"use_kl_loss", "algorithm.kl_coef", "above 0 it is on"},
    {"use_kl_in_reward", "algorithm.kl_in", kValues},
    {"beta", "algorithm.kl_coef", "algorithm.kl_reference names the fixed model"},
    {"beta", "dpo.beta", nullptr},
    {"kl_loss_type", "algorithm.kl_estimator", "kl is k1, mse is k2, low_var_kl is k3"},
    {"kl_penalty", "algorithm.kl_estimator", "kl is k1, mse is k2, low_var_kl is k3"},
    {"ref_model", "algorithm.kl_reference", nullptr},
    {"ref_model", "dpo.reference_model", nullptr},
    {"sync_ref_model", nullptr, "a fixed model never changes"},
    {"precompute_ref_log_probs", nullptr,
     "the reference's log-probabilities are computed once, unless data.streaming is set"},
    {"truncation_mode", nullptr, "rows longer than data.max_length are left out, not cut"},
    {"data.truncation", nullptr, "what is too long is left out, not cut"},
    {"entropy_coeff", "algorithm.entropy_coef", nullptr},
    {"mask_truncated_completions", "algorithm.mask_truncated", nullptr},
    {"overlong_buffer.len", "reward.overlong_buffer", nullptr},
    {"overlong_buffer.penalty_factor", "reward.overlong_penalty", nullptr},
    {"overlong_buffer.enable", "reward.overlong_buffer", "above 0 it is on"},
    {"overlong_buffer_cfg.len", "reward.overlong_buffer", nullptr},
    {"overlong_buffer_cfg.penalty_factor", "reward.overlong_penalty", nullptr},
    {"overlong_buffer_cfg.enable", "reward.overlong_buffer", "above 0 it is on"},
    {"rollout_is", "algorithm.rollout_weights", kValues},
    {"rollout_is_threshold", "algorithm.rollout_weights_high", nullptr},
    {"vllm_importance_sampling_correction", "algorithm.rollout_weights", nullptr},
    {"vllm_importance_sampling_mode", "algorithm.rollout_weights", kValues},
    {"vllm_importance_sampling_cap", "algorithm.rollout_weights_high", nullptr},
    {"vllm_importance_sampling_clip_max", "algorithm.rollout_weights_high", nullptr},
    {"vllm_importance_sampling_clip_min", "algorithm.rollout_weights_low", nullptr},
    {"importance_sampling_level", "algorithm.name", "gspo has one ratio for a sequence"},
    {"policy_loss.loss_mode", "algorithm.name", kValues},
    {"gamma", nullptr, "rewards are not discounted"},
    {"lam", nullptr, kNoValues},
    {"critic.optim.lr", nullptr, kNoValues},
    {"critic.model.path", nullptr, kNoValues},
    {"ppo_epochs", "algorithm.epochs", nullptr},
    {"num_iterations", "algorithm.epochs", nullptr},
    {"ppo_mini_batch_size", "algorithm.mini_batches", "it is their number, not their size"},
    {"gradient_accumulation_steps", "algorithm.mini_batches",
     "the optimizer steps of an epoch: steps_per_generation / gradient_accumulation_steps"},
    {"steps_per_generation", "algorithm.mini_batches",
     "the optimizer steps of an epoch: steps_per_generation / gradient_accumulation_steps"},
    {"gradient_accumulation_steps", "sft.batch_tokens", "it counts all tokens of a step"},
    {"gradient_accumulation_steps", "dpo.batch_tokens", "it counts all tokens of a step"},
    {"gradient_accumulation_steps", "rm.batch_tokens", "it counts all tokens of a step"},
    {"ppo_micro_batch_size", "algorithm.micro_batch_tokens", "it counts tokens"},
    {"ppo_micro_batch_size_per_gpu", "algorithm.micro_batch_tokens", "it counts tokens"},
    {"ppo_max_token_len_per_gpu", "algorithm.micro_batch_tokens", nullptr},
    {"use_dynamic_bsz", nullptr, "rows are always packed by their tokens"},
    {"packing", nullptr, kPacked},
    {"padding_free", nullptr, kPacked},
    {"completion_only_loss", nullptr, "of rows with a prompt only the completion is trained on"},
    {"assistant_only_loss", nullptr, "of chats only the assistant's turns are trained on"},
    // optimizer
    {"learning_rate", "optim.lr", nullptr},
    {"lr_warmup_steps", "optim.warmup_steps", "it counts optimizer steps"},
    {"lr_warmup_steps_ratio", "optim.warmup_steps", "it counts optimizer steps"},
    {"warmup_ratio", "optim.warmup_steps", "it counts optimizer steps"},
    {"warmup_style", "optim.schedule", nullptr},
    {"lr_scheduler_type", "optim.schedule", nullptr},
    {"grad_clip", "optim.clip_grad", nullptr},
    {"max_grad_norm", "optim.clip_grad", nullptr},
    {"betas", "optim.beta1", "optim.beta2 is the other one"},
    {"adam_beta1", "optim.beta1", nullptr},
    {"adam_beta2", "optim.beta2", nullptr},
    {"adam_epsilon", "optim.eps", nullptr},
    {"bf16", "trainer.dtype", nullptr},
    {"gradient_checkpointing", "trainer.checkpointing", nullptr},
    {"enable_gradient_checkpointing", "trainer.checkpointing", nullptr},
    // rewards
    {"custom_reward_function.path", "reward.functions", kPython},
    {"custom_reward_function.name", "reward.functions",
     "[{type=\"python\", path=\"...\", function=\"...\"}]"},
    {"reward.path", "reward.functions", kPython},
    {"reward_funcs", "reward.functions", nullptr},
    {"reward_weights", "reward.functions", "NAME:WEIGHT, or weight= in a table"},
    {"sandbox_fusion.url", "reward.functions", "[{type=\"code\", url=\"...\"}]"},
    {"reward_model.path", "reward.functions", "[{type=\"rm\", ...}]; docs/reward-models.md"},
    {"reward_model.model_path", "reward.functions", "[{type=\"rm\", ...}]; docs/reward-models.md"},
    {"reward_model.enable", "reward.functions", nullptr},
    // the run
    {"total_training_steps", "trainer.total_iterations", nullptr},
    {"total_training_steps", "trainer.total_steps", nullptr},
    {"max_steps", "trainer.total_iterations", nullptr},
    {"max_steps", "trainer.total_steps", nullptr},
    {"num_train_epochs", "trainer.total_epochs", nullptr},
    {"save_steps", "trainer.save_freq", nullptr},
    {"save_strategy", "trainer.save_freq", "0 is only at the end"},
    {"eval_steps", "trainer.test_freq", nullptr},
    {"eval_strategy", "trainer.test_freq", "0 is never"},
    {"eval_on_start", "trainer.val_before_train", nullptr},
    {"load_best_model_at_end", "trainer.keep_best", nullptr},
    {"save_total_limit", "trainer.keep_checkpoints", nullptr},
    {"max_actor_ckpt_to_keep", "trainer.keep_checkpoints", nullptr},
    {"max_ckpt_to_keep", "trainer.keep_checkpoints", nullptr},
    {"resume_from_path", "trainer.resume_mode", "it takes the path"},
    {"resume_from_path", nullptr, kContinues},
    {"resume_from_checkpoint", "trainer.resume_mode", "it takes the path"},
    {"resume_from_checkpoint", nullptr, kContinues},
    {"resume_mode", "trainer.resume_mode", nullptr},
    {"resume_mode", nullptr, kContinues},
    {"output_dir", "trainer.default_local_dir", nullptr},
    {"rollout_data_dir", "trainer.log_samples", "samples go to samples/ in the run folder"},
    {"log_completions", "trainer.log_samples", "samples go to samples/ in the run folder"},
    {"logger", nullptr, kTrackers},
    {"report_to", nullptr, kTrackers},
    {"logging_steps", nullptr, "every step is logged"},
    {"project_name", nullptr, kProject},
    {"project", nullptr, kProject},
    {"experiment_name", nullptr, kRunName},
    {"run_name", nullptr, kRunName},
    {"n_gpus_per_node", "cluster.url", kInCluster},
    {"n_gpus_per_node", "trainer.device", "a run uses one device"},
    {"nnodes", "cluster.url", kInCluster},
    {"nnodes", "trainer.device", "a run uses one device"},
};

}  // namespace

void explain_foreign_keys(Settings& settings) {
  const std::vector<std::string> known = settings.keys();
  for (const Foreign& f : kForeign) {
    std::string text = f.remark == nullptr ? "" : f.remark;
    if (f.key != nullptr) {
      if (std::find(known.begin(), known.end(), f.key) == known.end()) continue;
      text = "did you mean '" + std::string(f.key) + "'?" + (text.empty() ? "" : " (" + text + ")");
    }
    settings.explain(f.name, text);
  }
}

}  // namespace longshot::config
