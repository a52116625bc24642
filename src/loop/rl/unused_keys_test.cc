// Each key of the policy update, set to another value under each algorithm, either changes the
// update or is named by unused_keys().
#include "config/unused_keys.h"

#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "config/validate.h"
#include "train/policy/policy_trainer.h"
#include "train/testing.h"

namespace longshot::config {
namespace {

using testing::Contains;

std::vector<std::string> names(const std::vector<config::UnusedKey>& unused) {
  std::vector<std::string> out;
  for (const auto& [key, reason] : unused) out.push_back(key);
  return out;
}

// Another valid value of each key that reaches the trainer.
const std::map<std::string, std::string> kOtherValues = {
    {"algorithm.baseline", "logz"},
    {"algorithm.tau", "0.5"},
    {"algorithm.normalize", "std"},
    {"algorithm.length_normalize", "mean"},
    {"algorithm.clip_low", "0.0001"},
    {"algorithm.clip_high", "0.0001"},
    {"algorithm.kl_coef", "0.5"},
    {"algorithm.kl_estimator", "k1"},
    {"algorithm.entropy_coef", "0.1"},
    {"algorithm.rollout_weights", "truncate"},
    {"algorithm.rollout_weights_low", "1.36"},
    {"algorithm.rollout_weights_high", "1.2"},
    {"algorithm.mini_batches", "2"},
    {"algorithm.epochs", "2"},
    {"algorithm.reset_optimizer", "false"},
    {"algorithm.train_earlier_segments", "true"},
    {"algorithm.reference", "recorded"},
    {"optim.lr", "1e-3"},
    {"optim.beta1", "0.5"},
    {"optim.beta2", "0.5"},
    {"optim.eps", "1e-2"},
    {"optim.weight_decay", "0.1"},
    {"optim.clip_grad", "0.01"},
    {"optim.schedule", "linear"},
    {"optim.warmup_steps", "3"},
    {"optim.min_lr_ratio", "0.5"},
};

// Keys of [algorithm] and [optim] that the table leaves out, with the reason.
const std::map<std::string, std::string> kElsewhere = {
    {"algorithm.name", "every algorithm is tried"},
    {"algorithm.filter_groups.enable", "it chooses the groups that the trainer gets"},
    {"algorithm.filter_groups.max_num_gen_batches", "the same"},
    {"algorithm.kl_reference", "KlReferenceHasAnEffectOnlyWithAPenalty"},
    {"algorithm.kl_in", "the same; train/policy/update_test.cc has its effect"},
    {"algorithm.mask_truncated", "train/policy/update_test.cc"},
    {"algorithm.micro_batch_tokens", "how passes are cut changes rounding alone"},
    {"optim.moments", "it chooses how much memory they take"},
};

struct Case {
  config::TrainConfig config;
  Settings settings;
  explicit Case(const std::string& algorithm, const std::vector<std::string>& more) {
    bind(settings, config);
    config.model.path = "m", config.data.train_files = {"t"}, config.trainer.output = "o";
    config.trainer.test_freq = 0;
    set("algorithm.name=" + algorithm);
    set("optim.lr=1e-2");
    set("optim.eps=1e-3");  // smooth steps: rounding of tiny gradients is not amplified
    for (const std::string& assignment : more) set(assignment);
  }
  void set(const std::string& assignment) {
    const Status status = settings.override_with(assignment);
    EXPECT_TRUE(status.ok()) << status.message();
  }
};

// If `old`, half of the samples ended under an older version, and a quarter of all samples span two
// versions.
std::vector<data::Group> groups_of(train::PolicyTrainer& trainer, bool old) {
  auto groups = train::make_groups(trainer, 8, 4, 5);
  for (auto& group : groups) {
    for (size_t j = 0; j < group.samples.size(); ++j) {
      data::Sample& sample = group.samples[j];
      const int end = static_cast<int>(sample.tokens.size());
      sample.segments = {{0, end, 7}};
      if (!old || j % 2 == 0) continue;
      for (float& logprob : sample.logprobs) logprob -= 0.3f;
      if (j == 1) sample.segments = {{0, 1, 5}, {1, end, 6}};
      if (j == 3) sample.segments = {{0, end, 6}};
    }
  }
  return groups;
}

model::Weights trained(const config::TrainConfig& c) {
  train::PolicyTrainer trainer(train::tiny_weights(), c.optimizer, c.algorithm, 20);
  for (int64_t i = 0; i < 2; ++i) {
    // Fresh tokens have the log-probabilities of the weights before each update.
    const auto groups = groups_of(trainer, c.rollout.engine.token_budget > 0);
    const auto metrics = trainer.fit(groups, {7, 1, i});
    EXPECT_TRUE(metrics.ok()) << metrics.status().message();
  }
  return trainer.model().weights().clone();
}

void try_all_keys(const std::string& algorithm, const std::vector<std::string>& more) {
  const Case plain(algorithm, more);
  const model::Weights base = trained(plain.config);
  for (const auto& [key, value] : kOtherValues) {
    SCOPED_TRACE(testing::Message()
                 << algorithm << " " << testing::PrintToString(more) << " " << key);
    Case other(algorithm, more);
    other.set(key + "=" + value);
    if (other.settings.value_text(key) == plain.settings.value_text(key)) continue;
    const Status status = validate(other.config);
    if (!status.ok()) {
      EXPECT_NE(status.message().find(key), std::string::npos) << status.message();
      continue;
    }
    const bool named = testing::Value(names(config::unused_keys(other.config)), Contains(key));
    if (named && key.starts_with("optim.beta")) {
      // After one step from moments of 0 the betas cancel only up to rounding, which the second
      // iteration amplifies.
      EXPECT_EQ(other.config.algorithm.mini_batches * other.config.algorithm.epochs, 1);
      continue;
    }
    // Steps are about 1e-2, rounding about 1e-9.
    EXPECT_EQ(named, train::largest_difference(base, trained(other.config)) < 1e-7);
  }
}

TEST(UnusedKeys, EveryKeyOfTheUpdateHasAnEffectOrIsNamed) {
  at::set_num_threads(1);
  for (const char* algorithm : {"kimi", "rest", "reinforce", "rloo", "grpo", "gspo", "cispo"}) {
    try_all_keys(algorithm, {});
    try_all_keys(algorithm, {"rollout.token_budget=100"});
    try_all_keys(algorithm, {"algorithm.mini_batches=1"});
    try_all_keys(algorithm, {"algorithm.mini_batches=1", "rollout.token_budget=100"});
    try_all_keys(algorithm, {"optim.schedule=cosine"});
  }
  for (const char* algorithm : {"kimi", "rloo", "gspo", "cispo"}) {
    try_all_keys(algorithm, {"algorithm.kl_coef=0.5"});
    try_all_keys(algorithm, {"algorithm.kl_coef=0.5", "algorithm.mini_batches=1"});
    for (const char* kind : {"truncate", "mask"})
      try_all_keys(algorithm, {"rollout.token_budget=100", "algorithm.rollout_weights_low=1.05",
                               std::string("algorithm.rollout_weights=") + kind});
  }
  try_all_keys("kimi", {"algorithm.baseline=logz"});
  try_all_keys("kimi", {"algorithm.baseline=logz", "algorithm.mini_batches=1"});
}

TEST(UnusedKeys, NoKeyOfTheUpdateIsForgotten) {
  const Case plain("kimi", {});
  for (const std::string& key : plain.settings.keys()) {
    if (!key.starts_with("algorithm.") && !key.starts_with("optim.")) continue;
    EXPECT_EQ(kOtherValues.count(key) + kElsewhere.count(key), 1u) << key;
  }
}

TEST(UnusedKeys, KlReferenceHasAnEffectOnlyWithAPenalty) {
  const std::string key = "algorithm.kl_reference";
  for (const train::Algorithm algorithm : all_of<train::Algorithm>()) {
    Case c(name_of(algorithm), {key + "=m", "algorithm.kl_in=reward"});
    EXPECT_THAT(names(config::unused_keys(c.config)),
                testing::UnorderedElementsAre(key, "algorithm.kl_in"));
    Case penalty(name_of(algorithm), {key + "=m", "algorithm.kl_coef=0.1",
                                      "algorithm.mini_batches=1", "algorithm.kl_in=reward"});
    EXPECT_THAT(names(config::unused_keys(penalty.config)), testing::IsEmpty());
  }
}

TEST(UnusedKeys, SettingsOfTheUpdateThatContradictEachOtherAreRefused) {
  const std::vector<std::pair<std::vector<std::string>, const char*>> rows = {
      {{"algorithm.length_normalize=tokens"}, "algorithm.length_normalize"},
      {{"algorithm.kl_coef=0.1", "algorithm.kl_in=reward"}, "algorithm.kl_reference"},
      {{"algorithm.rollout_weights=mask", "algorithm.reference=recorded"}, "algorithm.reference"},
      {{"algorithm.rollout_weights=mask", "algorithm.rollout_weights_low=3"},
       "algorithm.rollout_weights_low"},
      {{"data.max_response_length=8", "reward.overlong_buffer=9"}, "reward.overlong_buffer"}};
  EXPECT_TRUE(validate(Case("gspo", {}).config).ok());
  for (const auto& [assignments, key] : rows) {
    const Status status = validate(Case("gspo", assignments).config);
    EXPECT_EQ(status.code(), StatusCode::invalid_argument);
    EXPECT_NE(status.message().find(key), std::string::npos) << status.message();
  }
}

// Keys outside the update: {assignments that leave it without an effect, ones that give it one}.
TEST(UnusedKeys, OtherKeysAreNamedWhereNothingReadsThem) {
  struct Row {
    const char* key;
    const char* value;
    std::vector<std::string> useless, useful;
  };
  const std::vector<Row> rows = {
      {"replay.selector", "uniform", {"rollout.segment_tokens=9"}, {"replay.max_groups=64"}},
      {"replay.selector", "uniform", {}, {"rollout.token_budget=9"}},
      {"replay.staleness", "2", {}, {"rollout.token_budget=9"}},
      {"replay.staleness", "2", {}, {"rollout.segment_tokens=9"}},
      {"replay.staleness", "2", {"replay.max_groups=32"}, {"replay.max_groups=33"}},
      {"data.prioritized_floor", "0.1", {}, {"data.order=prioritized"}},
      {"data.difficulty_key",
       "level",
       {},
       {"data.order=curriculum", "data.curriculum_iterations=[0]"}},
      {"rollout.repetition.max_period", "9", {"rollout.repetition.enabled=false"}, {}},
      {"rollout.repetition.min_repeats", "9", {"rollout.repetition.enabled=false"}, {}},
      {"rollout.repetition.min_tokens", "9", {"rollout.repetition.enabled=false"}, {}},
      {"reward.repetition_penalty", "1", {"rollout.repetition.enabled=false"}, {}},
      {"rollout.speculation", "ngram", {"rollout.token_budget=9"}, {}},
      {"reward.length_warmup_iterations", "3", {}, {"reward.length_weight=1"}},
      {"reward.overlong_penalty", "2", {}, {"reward.overlong_buffer=9"}},
      {"reward.length_weight", "1", {"reward.length_warmup_iterations=100"}, {}},
      {"data.val_files", "['v']", {}, {"trainer.test_freq=1"}},
      {"trainer.val_max_prompts", "3", {}, {"trainer.test_freq=1"}},
      {"trainer.val_before_train", "false", {}, {"trainer.test_freq=1"}},
      {"trainer.val_temperature", "1", {}, {"trainer.test_freq=1"}},
      {"trainer.val_n",
       "4",
       {"trainer.test_freq=1"},
       {"trainer.test_freq=1", "trainer.val_temperature=1"}},
      {"trainer.checkpointing", "full", {"trainer.kernels=libtorch"}, {}},
      {"trainer.activation_gib", "1", {"trainer.checkpointing=full"}, {}},
      {"trainer.kernels", "libtorch", {"trainer.device=cuda"}, {}},
      {"cluster.gang_in_clear",
       "true",
       {"cluster.url='etcd://h:1/r'"},
       {"cluster.url='etcd://h:1/r'", "cluster.tls_dir=tls"}},
      {"cluster.gang_in_clear",
       "true",
       {"cluster.tls_dir=tls"},
       {"cluster.url='etcd://h:1/r'", "cluster.tls_dir=tls"}},
  };
  for (const Row& row : rows) {
    const std::string assignment = std::string(row.key) + "=" + row.value;
    for (const bool useful : {false, true}) {
      Case c("kimi", useful ? row.useful : row.useless);
      c.set(assignment);
      const auto unused = names(config::unused_keys(c.config));
      const bool named = std::ranges::find(unused, row.key) != unused.end();
      EXPECT_NE(named, useful) << row.key;
    }
  }
}

TEST(UnusedKeys, DefaultsAreNeverNamed) {
  for (const train::Algorithm algorithm : all_of<train::Algorithm>()) {
    config::TrainConfig c;
    c.algorithm.name = algorithm;
    EXPECT_TRUE(config::unused_keys(c).empty()) << name_of(algorithm);
  }
  EXPECT_TRUE(config::unused_keys(config::OfflineConfig()).empty());
}

TEST(UnusedKeys, SupervisedTrainingNamesThemToo) {
  config::SftConfig c;
  Settings s;
  bind(s, c);
  for (const char* assignment :
       {"model.path=m", "model.hidden_size=64", "model.max_positions=9", "trainer.total_steps=3",
        "trainer.total_epochs=2", "trainer.test_freq=7", "optim.min_lr_ratio=0.5",
        "data.shuffle_buffer=9"}) {
    ASSERT_TRUE(s.override_with(assignment).ok());
  }
  EXPECT_THAT(names(config::unused_keys(c.offline)),
              testing::UnorderedElementsAre("model.hidden_size", "model.max_positions",
                                            "trainer.total_epochs", "trainer.test_freq",
                                            "optim.min_lr_ratio", "data.shuffle_buffer"));
}

}  // namespace
}  // namespace longshot::config
