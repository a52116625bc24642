#include "config/config.h"

#include <gtest/gtest.h>
#include <hwy/highway.h>

#include "config/validate.h"
#include "kernels/products/gemm.h"

namespace longshot::config {
namespace {

// Sets what every run needs.
void complete(TrainConfig& c) {
  c.model.path = "m", c.data.train_files = {"t"}, c.trainer.output = "o", c.trainer.test_freq = 0;
}

TEST(TrainConfig, TheTableCoversItsOwnOutput) {
  TrainConfig a, b;
  Settings s, t;
  bind(s, a);
  bind(t, b);
  ASSERT_TRUE(s.override_with("optim.lr=0.25").ok());
  ASSERT_TRUE(s.override_with("rollout.token_budget=77").ok());
  ASSERT_TRUE(t.load_toml(s.to_toml(), "dump").ok());
  EXPECT_EQ(t.to_toml(), s.to_toml());
  EXPECT_EQ(b.rollout.engine.token_budget, 77);
}

TEST(TrainConfig, SpeculationIsOneOfItsKinds) {
  TrainConfig c;
  Settings s;
  bind(s, c);
  EXPECT_EQ(c.rollout.engine.speculation, rollout::Speculation::off);
  EXPECT_TRUE(s.override_with("rollout.speculation=ngram").ok());
  EXPECT_EQ(c.rollout.engine.speculation, rollout::Speculation::ngram);
  EXPECT_NE(s.override_with("rollout.speculation=yes").message().find("ngram"), std::string::npos);
}

TEST(TrainConfig, ValidationNamesTheMissingKey) {
  TrainConfig c;
  EXPECT_NE(validate(c).message().find("model.path"), std::string::npos);
  c.model.path = "m";
  EXPECT_NE(validate(c).message().find("data.train_files"), std::string::npos);
  c.data.train_files = {"t.jsonl"};
  EXPECT_NE(validate(c).message().find("default_local_dir"), std::string::npos);
  c.trainer.output = "runs/x";
  EXPECT_NE(validate(c).message().find("data.val_files"), std::string::npos);
  c.data.val_files = {"v.jsonl"};
  EXPECT_TRUE(validate(c).ok());
  c.algorithm.mini_batches = c.data.train_batch_size + 1;
  EXPECT_NE(validate(c).message().find("mini_batches"), std::string::npos);
}

TEST(TrainConfig, TextsThatStayAsTheyAreGetNoSystemMessage) {
  TrainConfig c;
  complete(c);
  c.data.columns.system_prompt = "Be brief.";
  EXPECT_TRUE(validate(c).ok());
  c.data.columns.apply_chat_template = false;
  const std::string message = validate(c).message();
  EXPECT_NE(message.find("data.system_prompt"), std::string::npos) << message;
  EXPECT_NE(message.find("data.apply_chat_template=false"), std::string::npos) << message;
  EXPECT_NE(message.find("leave out one of the two"), std::string::npos) << message;
  c.data.columns.system_prompt.clear();
  EXPECT_TRUE(validate(c).ok());
}

// Makes the kernels see a processor with at most AVX2.
struct OlderProcessor {
  OlderProcessor() { choose(HWY_AVX2); }
  ~OlderProcessor() { choose(0); }
  static void choose(int64_t target) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
};

TEST(TrainConfig, Bf16ProductsNeedAProcessorThatHasThem) {
  TrainConfig c;
  complete(c);
  c.algorithm.compute.dtype = NumberFormat::bf16;
  EXPECT_EQ(validate(c).ok(), kernels::has_bf16_products());
  const OlderProcessor older;
  const std::string message = validate(c).message();
  EXPECT_NE(message.find("trainer.dtype"), std::string::npos) << message;
  EXPECT_NE(message.find("avx512_bf16"), std::string::npos) << message;
  c.algorithm.compute.dtype = NumberFormat::f32;
  EXPECT_TRUE(validate(c).ok());
}

TEST(TrainConfig, CurriculumTablesMustMatch) {
  TrainConfig c;
  complete(c);
  c.data.sampler.order = prompts::Order::curriculum;
  EXPECT_FALSE(validate(c).ok());
  c.data.sampler.curriculum_iterations = {0, 24};
  c.data.sampler.curriculum_min_difficulty = {0, 3};
  c.data.sampler.curriculum_max_difficulty = {9};
  EXPECT_FALSE(validate(c).ok());
  c.data.sampler.curriculum_max_difficulty = {9, 9};
  EXPECT_TRUE(validate(c).ok());
}

// first: a key of verl or TRL; second: the text that the message must contain.
TEST(TrainConfig, KeysOfOtherToolsAreExplained) {
  const std::pair<const char*, const char*> rows[] = {
      {"optim.learning_rate", "'optim.lr'"},
      {"learning_rate", "'optim.lr'"},
      {"actor_rollout_ref.actor.optim.lr", "'optim.lr'"},
      {"actor_rollout_ref.model.path", "'model.path'"},
      {"actor_rollout_ref.rollout.n", "'rollout.n'"},
      {"actor_rollout_ref.rollout.temperature", "'rollout.temperature'"},
      {"actor_rollout_ref.actor.ppo_mini_batch_size", "'algorithm.mini_batches'"},
      {"actor_rollout_ref.actor.ppo_epochs", "'algorithm.epochs'"},
      {"actor_rollout_ref.actor.kl_loss_coef", "'algorithm.kl_coef'"},
      {"actor_rollout_ref.actor.clip_ratio_high", "'algorithm.clip_high'"},
      {"actor_rollout_ref.actor.grad_clip", "'optim.clip_grad'"},
      {"algorithm.adv_estimator", "'algorithm.name'"},
      {"algorithm.entropy_coeff", "'algorithm.entropy_coef'"},
      {"actor_rollout_ref.actor.kl_loss_type", "'algorithm.kl_estimator'"},
      {"algorithm.use_kl_in_reward", "'algorithm.kl_in'"},
      {"algorithm.filter_groups.metric", "seq_reward"},
      {"data.gen_batch_size", "as many prompts as the batch misses"},
      {"algorithm.kl_ctrl.kl_coef", "'algorithm.kl_coef'"},
      {"trainer.logger", "metrics.jsonl"},
      {"trainer.logger", "longshot track"},
      {"report_to", "longshot.wandb"},
      {"trainer.project_name", "longshot track --experiment"},
      {"trainer.experiment_name", "--name of longshot track"},
      {"run_name", "the name of its folder"},
      {"trainer.n_gpus_per_node", "'cluster.url'"},
      {"trainer.nnodes", "docs/cluster.md"},
      {"actor_rollout_ref.rollout.name", "vLLM"},
      {"use_vllm", "docs/cluster.md"},
      {"critic.optim.lr", "no value network"},
      {"top_p", "'rollout.top_p'"},
      {"lora_alpha", "'model.lora_alpha'"},
      {"num_train_epochs", "'trainer.total_epochs'"},
      {"trainer.total_training_steps", "'trainer.total_iterations'"},
      {"trainer.resume_from_path", "'trainer.resume_mode'"},
      {"reward.path", "'reward.functions'"},
      {"custom_reward_function.path", "'reward.functions'"},
      {"num_generations", "'rollout.n'"},
      {"max_completion_length", "'data.max_response_length'"},
      {"beta", "'algorithm.kl_coef'"},
      {"max_steps", "'trainer.total_iterations'"},
      {"output_dir", "'trainer.default_local_dir'"},
  };
  TrainConfig c;
  Settings s;
  bind(s, c);
  for (const auto& [key, wanted] : rows) {
    const std::string message = s.override_with(std::string(key) + "=1").message();
    EXPECT_NE(message.find(wanted), std::string::npos) << message;
  }
  SftConfig sft;
  Settings t;
  bind(t, sft);
  EXPECT_NE(t.override_with("max_steps=1").message().find("'trainer.total_steps'"),
            std::string::npos);
  EXPECT_NE(t.override_with("num_train_epochs=1").message().find("'trainer.total_epochs'"),
            std::string::npos);
}

TEST(OfflineConfig, KeysOfOtherToolsAreExplained) {
  const std::pair<const char*, const char*> rows[] = {
      {"per_device_train_batch_size", "'sft.batch_tokens'"},
      {"gradient_accumulation_steps", "'sft.batch_tokens'"},
      {"resume_from_checkpoint", "the newest checkpoint"},
      {"trainer.resume_mode", "the newest checkpoint"},
      {"trainer.nnodes", "'trainer.device'"},
      {"loss_type", "one loss"},
      {"max_length", "'data.max_length'"},
  };
  SftConfig c;
  Settings s;
  bind(s, c);
  for (const auto& [key, wanted] : rows) {
    const std::string message = s.override_with(std::string(key) + "=1").message();
    EXPECT_NE(message.find(wanted), std::string::npos) << message;
  }
  DpoConfig dpo;
  Settings t;
  bind(t, dpo);
  EXPECT_NE(t.override_with("loss_type=1").message().find("'dpo.loss'"), std::string::npos);
  EXPECT_NE(t.override_with("beta=1").message().find("'dpo.beta'"), std::string::npos);
}

// Each line is a configuration that would fail, or train nothing, once the run has begun.
TEST(TrainConfig, WhatWouldFailLaterIsFoundBefore) {
  const std::pair<std::vector<const char*>, const char*> rows[] = {
      {{"algorithm.baseline=logz", "algorithm.normalize=std"}, "algorithm.normalize"},
      {{"algorithm.name=rest", "algorithm.normalize=std"}, "algorithm.normalize"},
      {{"rollout.n=1"}, "rollout.n"},
      {{"rollout.n=1", "algorithm.name=grpo"}, "rollout.n"},
      {{"rollout.n=1", "algorithm.name=rloo"}, "rollout.n"},
      {{"data.curriculum_iterations=[3]"}, "data.order=uniform"},
      {{"data.order=curriculum"}, "data.curriculum_iterations"},
      {{"replay.max_groups=8"}, "replay.max_groups"},
      {{"algorithm.mini_batches=33"}, "algorithm.mini_batches"},
      {{"data.filter=greso", "algorithm.name=rest"}, "data.filter"},
      {{"algorithm.filter_groups.enable=true", "algorithm.name=reinforce"},
       "algorithm.filter_groups.enable"},
  };
  for (const auto& [assignments, wanted] : rows) {
    TrainConfig c;
    Settings s;
    bind(s, c);
    complete(c);
    for (const char* assignment : assignments) ASSERT_TRUE(s.override_with(assignment).ok());
    const std::string message = validate(c).message();
    EXPECT_NE(message.find(wanted), std::string::npos) << message;
  }
  for (const train::Algorithm name : {train::Algorithm::reinforce, train::Algorithm::rest}) {
    TrainConfig c;
    complete(c);
    c.rollout.n = 1, c.algorithm.name = name;
    EXPECT_TRUE(validate(c).ok()) << name_of(name);
  }
}

TEST(TrainConfig, NumbersThatNoKeyTakesAreRefusedByName) {
  TrainConfig c;
  Settings s;
  bind(s, c);
  for (const char* assignment : {"optim.beta1=1",
                                 "optim.beta2=1.0",
                                 "optim.beta2=-1",
                                 "optim.lr=nan",
                                 "optim.lr=inf",
                                 "optim.eps=0",
                                 "optim.weight_decay=-1",
                                 "optim.clip_grad=-1",
                                 "optim.warmup_steps=-1",
                                 "optim.min_lr_ratio=2",
                                 "optim.schedule=step",
                                 "optim.moments=int4",
                                 "trainer.dtype=int8",
                                 "algorithm.name=ppo",
                                 "algorithm.baseline=median",
                                 "algorithm.length_normalize=sum",
                                 "algorithm.normalize=mean",
                                 "algorithm.tau=0",
                                 "algorithm.tau=-1",
                                 "algorithm.clip_low=2",
                                 "algorithm.clip_high=-1",
                                 "algorithm.kl_coef=-1",
                                 "data.order=random",
                                 "algorithm.mini_batches=0",
                                 "algorithm.epochs=0",
                                 "algorithm.micro_batch_tokens=-1",
                                 "rollout.temperature=0",
                                 "rollout.stop=['']",
                                 "rollout.kv_dtype=int4",
                                 "algorithm.tau=inf",
                                 "algorithm.tau=nan",
                                 "algorithm.clip_high=inf",
                                 "optim.clip_grad=nan",
                                 "rollout.temperature=inf",
                                 "rollout.temperature=nan",
                                 "rollout.top_p=nan",
                                 "reward.length_weight=nan",
                                 "reward.timeout=inf",
                                 "reward.timeout=0",
                                 "reward.retries=-1",
                                 "reward.threads=0",
                                 "replay.staleness=-2",
                                 "replay.selector=newest",
                                 "data.prioritized_floor=0",
                                 "data.prioritized_floor=nan"}) {
    const std::string key = std::string(assignment).substr(0, std::string(assignment).find('='));
    const Status status = s.override_with(assignment);
    EXPECT_NE(status.message().find(key), std::string::npos) << assignment << status.message();
  }
}

TEST(TrainConfig, ARolloutIsExactInFloat32WithoutFilters) {
  TrainConfig c;
  EXPECT_TRUE(rollout_is_exact(c));
  c.rollout.engine.sampling.temperature = 0.6;  // the trainer's logits are divided by it too
  EXPECT_TRUE(rollout_is_exact(c));
  const auto with = [](const char* assignment) {
    TrainConfig other;
    Settings s;
    bind(s, other);
    EXPECT_TRUE(s.override_with(assignment).ok());
    return rollout_is_exact(other);
  };
  for (const char* assignment : {"rollout.top_p=0.9", "rollout.top_k=20", "rollout.min_p=0.05",
                                 "rollout.dtype=bfloat16", "rollout.kv_dtype=int8"}) {
    EXPECT_FALSE(with(assignment)) << assignment;
  }
}

TEST(TrainConfig, RewardsAreReadWhereTheyAreSet) {
  TrainConfig c;
  Settings s;
  bind(s, c);
  ASSERT_TRUE(s.override_with("reward.functions=['math', 'format:0.5']").ok());
  ASSERT_EQ(c.reward.stage.rewards.size(), 2u);
  EXPECT_EQ(c.reward.stage.rewards[1].weight, 0.5);
  const std::string message =
      s.load_toml("[reward]\nfunctions = ['math', 'guess']\n", "c.toml").message();
  EXPECT_NE(message.find("c.toml:2: reward.functions[1]"), std::string::npos) << message;
  EXPECT_EQ(s.value_text("reward.functions"), "['math', 'format:0.5']");
}

TEST(TrainConfig, RewardsOfOtherKindsComeFromTheCaller) {
  const reward::RewardType more[] = {{"guess", nullptr, true}};
  TrainConfig c;
  Settings s;
  bind(s, c, more);
  ASSERT_TRUE(s.override_with("reward.functions=guess").ok());
  EXPECT_EQ(c.reward.stage.rewards.at(0).kind, &more[0]);
}

TEST(OfflineConfig, ANewModelAndAnOldOneExcludeEachOther) {
  OfflineConfig c;
  c.data.train_files = {"t"}, c.trainer.output = "o";
  EXPECT_FALSE(validate(c).ok());
  c.model.alphabet_file = "a.txt";
  EXPECT_TRUE(validate(c).ok());
  c.model.path = "m";
  EXPECT_FALSE(validate(c).ok());
}

TEST(OfflineConfig, IsTheSameInEveryKindOfRun) {
  SftConfig sft;
  RmConfig rm;
  DpoConfig dpo;
  Settings s, t, u;
  bind(s, sft);
  bind(t, rm);
  bind(u, dpo);
  for (Settings* settings : {&s, &t, &u}) {
    ASSERT_TRUE(settings->override_with("data.max_length=77").ok());
    ASSERT_TRUE(settings->override_with("optim.schedule=linear").ok());
  }
  EXPECT_EQ(sections_of(sft).data.max_length, 77);
  EXPECT_EQ(sections_of(rm).data.max_length, 77);
  EXPECT_EQ(sections_of(dpo).data.max_length, 77);
  EXPECT_EQ(rm.offline.optimizer.schedule, train::Schedule::linear);
}

template <typename Config>
void expect_to_read_its_own_output() {
  Config a, b;
  Settings s, t;
  bind(s, a);
  bind(t, b);
  ASSERT_TRUE(s.override_with("optim.lr=0.25").ok());
  const Status read = t.load_toml(s.to_toml(), "dump");
  ASSERT_TRUE(read.ok()) << read.message();
  EXPECT_EQ(t.to_toml(), s.to_toml());
}

// A checkpoint has the configuration as a text.
TEST(OfflineConfig, TheTablesCoverTheirOwnOutput) {
  expect_to_read_its_own_output<SftConfig>();
  expect_to_read_its_own_output<RmConfig>();
  expect_to_read_its_own_output<DpoConfig>();
}

TEST(DpoConfig, WhatContradictsIsRefused) {
  DpoConfig c;
  c.offline.data.train_files = {"t"}, c.offline.trainer.output = "o";
  EXPECT_NE(validate(c).message().find("model.path"), std::string::npos);
  c.offline.model.path = "m";
  EXPECT_TRUE(validate(c).ok());
  c.dpo.label_smoothing = 0.1;
  EXPECT_TRUE(validate(c).ok());
  c.dpo.loss = train::DpoLoss::ipo;
  EXPECT_NE(validate(c).message().find("dpo.label_smoothing"), std::string::npos);
}

}  // namespace
}  // namespace longshot::config
