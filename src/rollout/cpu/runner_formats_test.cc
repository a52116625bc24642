#include <gtest/gtest.h>

#include <cmath>

#include "rollout/cpu/cpu_runner.h"
#include "rollout/engine.h"
#include "rollout/testing.h"

namespace longshot::rollout {
namespace {

struct Formats {
  NumberFormat weights, kv;
};

std::unique_ptr<Engine> engine_of(const RandomModel& model, const Formats& formats, int threads,
                                  int max_running = 64, int max_rows = 512) {
  RunnerLimits limits{max_running, 128};
  limits.max_rows = max_rows;
  limits.weights = formats.weights;
  limits.kv = formats.kv;
  auto runner = make_cpu_runner(limits, threads);
  EXPECT_TRUE(runner->load_weights(model.view).ok());
  return std::make_unique<Engine>(std::move(runner), nullptr, threads);
}

std::vector<data::Sample> group_of(int samples) {
  std::vector<data::Sample> jobs(samples);
  for (int i = 0; i < samples; ++i) {
    jobs[i].prompt_id = "p";
    jobs[i].index = static_cast<uint32_t>(i);
    for (int t = 0; t < 37; ++t) jobs[i].prompt_tokens.push_back(t * 5 % 67);
  }
  return jobs;
}

std::vector<data::Sample> generate(Engine& engine, std::vector<data::Sample> jobs) {
  EngineOptions options;
  options.sampling.max_response_length = 40;
  options.repetition.enabled = false;
  return *engine.generate(std::move(jobs), options);
}

class RunnerFormats : public ::testing::TestWithParam<Formats> {};
INSTANTIATE_TEST_SUITE_P(Each, RunnerFormats,
                         ::testing::Values(Formats{NumberFormat::bf16, NumberFormat::f32},
                                           Formats{NumberFormat::int8, NumberFormat::f32},
                                           Formats{NumberFormat::int4, NumberFormat::f32},
                                           Formats{NumberFormat::f32, NumberFormat::bf16},
                                           Formats{NumberFormat::f32, NumberFormat::int8},
                                           Formats{NumberFormat::int8, NumberFormat::int8}),
                         [](const auto& info) {
                           return std::string(name_of(info.param.weights)) + "_kv_" +
                                  name_of(info.param.kv);
                         });

TEST_P(RunnerFormats, SamplesDoNotDependOnBatchThreadsOrChunks) {
  const auto model = random_model(windowed_config(), 1);
  const auto expected = generate(*engine_of(*model, GetParam(), 1, 1), group_of(9));
  for (const int threads : {1, 2}) {
    for (const auto& [max_running, max_rows] : {std::pair{7, 512}, {64, 512}, {64, 10}}) {
      const auto got =
          generate(*engine_of(*model, GetParam(), threads, max_running, max_rows), group_of(9));
      for (size_t i = 0; i < got.size(); ++i) {
        EXPECT_EQ(got[i].tokens, expected[i].tokens);
        EXPECT_EQ(got[i].logprobs, expected[i].logprobs);
      }
    }
  }
}

// The relative difference between the logits of a format and those of f32 after the same tokens.
TEST_P(RunnerFormats, LogitsAreNearThoseOfF32) {
  const auto model = random_model(small_config(), 1);
  const int vocab = model->view.config.vocab_size;
  std::vector<int> blocks = {0, 1, 2, 3};
  std::vector<int32_t> tokens;
  for (int t = 0; t < 60; ++t) tokens.push_back(t * 5 % vocab);
  const auto logits = [&](const Formats& formats) {
    auto engine = engine_of(*model, formats, 1);
    std::vector<float> out(vocab);
    const SequenceStep step{blocks, 0, tokens};
    engine->runner().forward({&step, 1}, out);
    return out;
  };
  const auto exact = logits({NumberFormat::f32, NumberFormat::f32}), rounded = logits(GetParam());
  double difference = 0, size = 0;
  for (int i = 0; i < vocab; ++i) {
    difference += std::pow(exact[i] - rounded[i], 2);
    size += std::pow(exact[i], 2);
  }
  const double relative = std::sqrt(difference / size);
  printf("weights %s, KV %s: relative difference of the logits %.3g\n", name_of(GetParam().weights),
         name_of(GetParam().kv), relative);
  EXPECT_GT(relative, 0);
  EXPECT_LT(relative, GetParam().weights == NumberFormat::int4 ? 0.3 : 0.05);
}

TEST(RunnerFormatErrors, AnInt4CacheIsRefused) {
  const auto model = random_model(small_config(), 1);
  RunnerLimits limits{4, 64};
  limits.kv = NumberFormat::int4;
  const Status status = make_cpu_runner(limits, 1)->load_weights(model->view);
  EXPECT_EQ(status.code(), StatusCode::invalid_argument);
  EXPECT_NE(status.message().find("int8"), std::string::npos);
}

}  // namespace
}  // namespace longshot::rollout
