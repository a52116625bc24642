#include "rollout/engine_group.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <set>

#include "rollout/fake_runner.h"
#include "rollout/testing.h"

namespace longshot::rollout {
namespace {

using data::FinishReason;
using data::Sample;

constexpr int kVocab = 50;

std::unique_ptr<Engine> make_engine() {
  return std::make_unique<Engine>(std::make_unique<FakeRunner>(kVocab, RunnerLimits{4, 256}),
                                  nullptr);
}

EngineGroup make_workers(int count) {
  std::vector<std::unique_ptr<Engine>> engines;
  for (int i = 0; i < count; ++i) engines.push_back(make_engine());
  return EngineGroup(std::move(engines));
}

EngineOptions options_of(int response, int64_t budget = 0) {
  EngineOptions options = short_responses(response);
  options.token_budget = budget;
  return options;
}

size_t tokens_of(const std::vector<Sample>& samples) {
  size_t tokens = 0;
  for (const Sample& s : samples) tokens += s.tokens.size();
  return tokens;
}

TEST(EngineGroup, TheNumberOfWorkersDoesNotChangeASample) {
  const auto expected = *make_engine()->generate(jobs_of(7, 3), options_of(40));
  for (const int count : {1, 2, 3, 9}) {
    auto workers = make_workers(count);
    const auto samples = *workers.generate(jobs_of(7, 3), options_of(40), nullptr);
    ASSERT_EQ(samples.size(), expected.size());
    for (size_t i = 0; i < samples.size(); ++i) {
      EXPECT_EQ(samples[i].prompt_id, expected[i].prompt_id);
      EXPECT_EQ(samples[i].tokens, expected[i].tokens);
      EXPECT_EQ(samples[i].logprobs, expected[i].logprobs);
      EXPECT_EQ(samples[i].finish, expected[i].finish);
    }
    EXPECT_EQ(workers.metrics().at("rollout/generated_tokens"),
              static_cast<double>(tokens_of(expected)));
    EXPECT_EQ(workers.metrics().at("rollout/workers"), count);
  }
}

TEST(EngineGroup, ABudgetIsSpentExactlyAndCutsTheSameWayEveryTime) {
  for (const int64_t budget : {1, 7, 50, 101}) {
    auto workers = make_workers(3);
    const auto once = *workers.generate(jobs_of(6, 2), options_of(200, budget), nullptr);
    const auto again = *workers.generate(jobs_of(6, 2), options_of(200, budget), nullptr);
    EXPECT_EQ(tokens_of(once), static_cast<size_t>(budget));
    for (size_t i = 0; i < once.size(); ++i) EXPECT_EQ(once[i].tokens, again[i].tokens);
  }
}

// Where a sample is cut depends on it alone, so the samples of each call are those of one engine.
TEST(EngineGroup, ACapOfEachSampleCutsTheSameWayForAnyNumberOfWorkers) {
  const auto whole = *make_engine()->generate(jobs_of(7, 3), options_of(40));
  EngineOptions options = options_of(40);
  options.segment_tokens = 9;
  for (const int count : {1, 2, 3}) {
    auto workers = make_workers(count);
    std::vector<Sample> samples = jobs_of(7, 3);
    for (size_t begin = 0; begin < 40; begin += 9) {
      int finished = 0;
      options.on_finished = [&](const Sample& s) {
        EXPECT_NE(s.finish, FinishReason::partial);
        ++finished;
      };
      std::vector<Sample> open;
      std::vector<size_t> place;
      for (size_t i = 0; i < samples.size(); ++i) {
        if (samples[i].finish != FinishReason::partial) continue;
        open.push_back(samples[i]);
        place.push_back(i);
      }
      const auto cut = *workers.generate(open, options, nullptr);
      int ended = 0;
      for (size_t j = 0; j < cut.size(); ++j) {
        const size_t length = whole[place[j]].tokens.size();
        EXPECT_EQ(cut[j].tokens.size(), std::min(length, begin + 9));
        EXPECT_EQ(cut[j].finish == FinishReason::partial, length > begin + 9);
        ended += cut[j].finish != FinishReason::partial;
        samples[place[j]] = cut[j];
      }
      EXPECT_EQ(finished, ended);
    }
    for (size_t i = 0; i < samples.size(); ++i) {
      EXPECT_EQ(samples[i].tokens, whole[i].tokens);
      EXPECT_EQ(samples[i].logprobs, whole[i].logprobs);
      EXPECT_EQ(samples[i].finish, whole[i].finish);
    }
  }
}

TEST(EngineGroup, FiguresAreThoseOfAllPasses) {
  auto workers = make_workers(2);
  EngineOptions options = options_of(12);
  options.sampling.stop_tokens = {};
  // Two prompts for one engine, one for the other.
  (void)*workers.generate(jobs_of(3, 1), options, nullptr);
  const Metrics& m = workers.metrics();
  EXPECT_EQ(m.at("rollout/generated_tokens"), 36);
  EXPECT_EQ(m.at("rollout/mean_batch"), 36.0 / m.at("rollout/decode_steps"));
  EXPECT_EQ(m.at("rollout/tokens_per_forward"), 1);
  EXPECT_GE(m.at("perf/rollout_idle_share"), 0);
  EXPECT_LE(m.at("perf/rollout_idle_share"), 1);
  EXPECT_FALSE(m.contains("rollout/acceptance_rate")) << "nothing was guessed";
}

TEST(EngineGroup, WithoutJobsThereIsNoMean) {
  auto workers = make_workers(2);
  (void)*workers.generate({}, options_of(12), nullptr);
  EXPECT_EQ(workers.metrics().at("rollout/generated_tokens"), 0);
  for (const char* name : {"rollout/mean_batch", "rollout/tokens_per_forward"})
    EXPECT_FALSE(workers.metrics().contains(name)) << name;
}

TEST(EngineGroup, PartialSamplesGoOnToTheSameEnd) {
  const auto expected = *make_engine()->generate(jobs_of(5, 2), options_of(60));
  auto workers = make_workers(2);
  std::map<std::pair<std::string, uint32_t>, std::vector<data::TokenId>> ended;
  std::vector<Sample> open = jobs_of(5, 2);
  for (int round = 0; !open.empty(); ++round) {
    ASSERT_LT(round, 50);
    const auto samples = *workers.generate(std::move(open), options_of(60, 40), nullptr);
    open.clear();
    for (const Sample& s : samples) {
      if (s.finish == FinishReason::partial) {
        open.push_back(s);
      } else {
        ended[{s.prompt_id, s.index}] = s.tokens;
      }
    }
  }
  ASSERT_EQ(ended.size(), expected.size());
  for (const Sample& s : expected) EXPECT_EQ(ended.at({s.prompt_id, s.index}), s.tokens);
}

TEST(EngineGroup, FinishedSamplesAreSeenOnceEachAndOneAtATime) {
  auto workers = make_workers(3);
  std::set<std::pair<std::string, uint32_t>> seen;
  std::atomic<int> inside{0};
  EngineOptions options = options_of(30);
  options.on_finished = [&](const Sample& sample) {
    EXPECT_EQ(inside.fetch_add(1), 0);
    EXPECT_NE(sample.finish, FinishReason::partial);
    EXPECT_TRUE(seen.insert({sample.prompt_id, sample.index}).second);
    inside.fetch_sub(1);
  };
  int64_t last = 0;
  (void)*workers.generate(jobs_of(6, 3), options, [&](const Progress& p) {
    EXPECT_EQ(p.total, 18);
    last = std::max(last, p.finished);
  });
  EXPECT_EQ(seen.size(), 18u);
  EXPECT_GE(last, 15);  // no report need follow the last step of an engine
}

TEST(EngineGroup, AnUnsoundJobIsAnErrorOfTheWhole) {
  auto workers = make_workers(2);
  auto jobs = jobs_of(4, 1);
  jobs[3].prompt_tokens = {kVocab};
  EXPECT_EQ(workers.generate(jobs, options_of(30), nullptr).status().code(),
            StatusCode::invalid_argument);
  EXPECT_EQ(workers.generate(jobs_of(4, 1), options_of(30), nullptr)->size(), 4u);
}

TEST(EngineGroup, NothingIsGeneratedIfCancelIsSetBefore) {
  auto workers = make_workers(2);
  const std::atomic<bool> cancel{true};
  EngineOptions options = options_of(200);
  options.cancel = &cancel;
  EXPECT_EQ(tokens_of(*workers.generate(jobs_of(4, 1), options, nullptr)), 0u);
}

TEST(EngineGroup, CancelLeavesPartialSamples) {
  auto workers = make_workers(2);
  std::atomic<bool> cancel{false};
  EngineOptions options = options_of(200);
  options.sampling.stop_tokens = {};
  options.cancel = &cancel;
  const auto samples = *workers.generate(jobs_of(4, 1), options, [&](const Progress& p) {
    if (p.generated_tokens >= 20) cancel = true;
  });
  EXPECT_LT(tokens_of(samples), 4u * 200u);
  for (const Sample& s : samples) EXPECT_EQ(s.finish, FinishReason::partial);
}

}  // namespace
}  // namespace longshot::rollout
