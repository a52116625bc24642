#include "loop/config.h"

#include <gtest/gtest.h>
#include <hwy/highway.h>

#include "kernels/gemm.h"

namespace longshot::loop {
namespace {

TEST(TrainConfig, TheTableCoversItsOwnOutput) {
  TrainConfig a, b;
  Settings s, t;
  bind(s, a);
  bind(t, b);
  ASSERT_TRUE(s.override_with("optim.lr=0.25").ok());
  ASSERT_TRUE(s.override_with("rollout.token_budget=77").ok());
  ASSERT_TRUE(t.load_toml(s.to_toml(), "dump").ok());
  EXPECT_EQ(t.to_toml(), s.to_toml());
  EXPECT_EQ(b.engine.token_budget, 77);
}

TEST(TrainConfig, SpeculationIsOneOfItsKinds) {
  TrainConfig c;
  Settings s;
  bind(s, c);
  EXPECT_EQ(c.speculation, "off");
  EXPECT_TRUE(s.override_with("rollout.speculation=ngram").ok());
  EXPECT_EQ(c.speculation, "ngram");
  EXPECT_NE(s.override_with("rollout.speculation=yes").message().find("ngram"), std::string::npos);
}

TEST(TrainConfig, ValidationNamesTheMissingKey) {
  TrainConfig c;
  EXPECT_NE(validate(c).message().find("model.path"), std::string::npos);
  c.model.path = "m";
  EXPECT_NE(validate(c).message().find("data.train_files"), std::string::npos);
  c.train_files = {"t.jsonl"};
  EXPECT_NE(validate(c).message().find("default_local_dir"), std::string::npos);
  c.output = "runs/x";
  EXPECT_NE(validate(c).message().find("data.val_files"), std::string::npos);
  c.val_files = {"v.jsonl"};
  EXPECT_TRUE(validate(c).ok());
  c.algorithm.mini_batches = c.train_batch_size + 1;
  EXPECT_NE(validate(c).message().find("mini_batches"), std::string::npos);
}

// Lets the kernels see a processor with AVX2 at most.
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
  c.model.path = "m", c.train_files = {"t"}, c.val_files = {"v"}, c.output = "o";
  c.algorithm.compute.dtype = "bfloat16";
  EXPECT_EQ(validate(c).ok(), kernels::has_bf16_products());
  const OlderProcessor older;
  const std::string message = validate(c).message();
  EXPECT_NE(message.find("trainer.dtype"), std::string::npos) << message;
  EXPECT_NE(message.find("avx512_bf16"), std::string::npos) << message;
  c.algorithm.compute.dtype = "float32";
  EXPECT_TRUE(validate(c).ok());
}

TEST(TrainConfig, CurriculumTablesMustMatch) {
  TrainConfig c;
  c.model.path = "m", c.train_files = {"t"}, c.val_files = {"v"}, c.output = "o";
  c.sampler.order = "curriculum";
  EXPECT_FALSE(validate(c).ok());
  c.sampler.curriculum_iterations = {0, 24};
  c.sampler.curriculum_min_difficulty = {0, 3};
  c.sampler.curriculum_max_difficulty = {9};
  EXPECT_FALSE(validate(c).ok());
  c.sampler.curriculum_max_difficulty = {9, 9};
  EXPECT_TRUE(validate(c).ok());
}

TEST(SftConfig, ANewModelAndAnOldOneExcludeEachOther) {
  SftConfig c;
  c.train_files = {"t"}, c.output = "o";
  EXPECT_FALSE(validate(c).ok());
  c.model.alphabet_file = "a.txt";
  EXPECT_TRUE(validate(c).ok());
  c.model.path = "m";
  EXPECT_FALSE(validate(c).ok());
}

}  // namespace
}  // namespace longshot::loop
