#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <thread>

#include "base/os/stop.h"
#include "reward/reward.h"

namespace longshot::reward {
namespace {

struct Batch {
  std::vector<data::Prompt> prompts;
  std::vector<data::Sample> samples;

  void add(const std::string& truth, const std::string& text,
           data::FinishReason finish = data::FinishReason::stop) {
    prompts.emplace_back();
    prompts.back().ground_truth = truth;
    prompts.back().messages = {{"user", "What?"}};
    samples.emplace_back();
    samples.back().text = text;
    samples.back().finish = finish;
  }

  std::vector<data::Verdict> judge(RewardStage& stage) const {
    std::vector<const data::Prompt*> p;
    std::vector<const data::Sample*> s;
    for (size_t i = 0; i < prompts.size(); ++i) {
      p.push_back(&prompts[i]);
      s.push_back(&samples[i]);
    }
    return stage.judge(p, s);
  }
};

std::unique_ptr<RewardStage> make_stage(const RewardOptions& options) {
  auto stage = RewardStage::create(options);
  EXPECT_TRUE(stage.ok()) << stage.status().to_string();
  return std::move(stage).value();
}

RewardOptions with(const Json& list) {
  RewardOptions options;
  auto specs = parse_reward_list(list);
  EXPECT_TRUE(specs.ok()) << specs.status().to_string();
  options.rewards = std::move(specs).value();
  return options;
}

TEST(RewardStage, KeepsOrderWithManyThreads) {
  RewardOptions options;
  options.threads = 4;
  const auto stage = make_stage(options);
  Batch batch;
  for (int i = 0; i < 500; ++i)
    batch.add(std::to_string(i), "\\boxed{" + std::to_string(i % 3 == 0 ? i : -1) + "}");
  const auto verdicts = batch.judge(*stage);
  ASSERT_EQ(verdicts.size(), 500u);
  for (size_t i = 0; i < 500; ++i) {
    EXPECT_TRUE(verdicts[i].scored);
    EXPECT_EQ(verdicts[i].score, i % 3 == 0 ? 1 : 0) << i;
    EXPECT_EQ(verdicts[i].correct, i % 3 == 0) << i;
    EXPECT_EQ(verdicts[i].answer, std::to_string(i % 3 == 0 ? static_cast<int>(i) : -1));
  }
}

TEST(RewardStage, ValuesOfStepsAreKeptByRewardAndDoNotChangeTheScore) {
  const auto command = [](const std::string& reply) {
    return Json{{"type", "command"},
                {"argv", {"sh", "-c", "while read line; do echo '" + reply + "'; done"}},
                {"weight", 0.5}};
  };
  const auto stage =
      make_stage(with({command(R"({"score": 1, "step_values": [{"end": 1, "value": 8}]})"),
                       command(R"({"score": 1, "step_values": []})"),
                       command(R"({"score": 1, "step_values": [{"end": 2, "value": -8}]})")}));
  Batch batch;
  batch.add("7", "78");
  batch.add("7", "7");  // too short for the last reward's step
  const auto verdicts = batch.judge(*stage);
  ASSERT_TRUE(verdicts[0].scored) << verdicts[0].error;
  EXPECT_EQ(verdicts[0].score, 1.5);
  EXPECT_EQ(verdicts[0].step_values, (std::map<std::string, std::vector<data::StepValue>>{
                                         {"command", {{1, 8}}}, {"command_3", {{2, -8}}}}));
  EXPECT_FALSE(verdicts[1].scored);
  EXPECT_NE(verdicts[1].error.find("command_3"), std::string::npos) << verdicts[1].error;
  EXPECT_TRUE(verdicts[1].step_values.empty());
}

TEST(RewardStage, WhatWasJudgedAheadIsTakenOverOnce) {
  for (const int threads : {1, 3}) {
    RewardOptions options;
    options.threads = threads;
    const auto stage = make_stage(options);
    Batch batch;
    for (int i = 0; i < 40; ++i) {
      batch.add(std::to_string(i), "\\boxed{" + std::to_string(i % 2 == 0 ? i : -1) + "}");
      batch.samples.back().prompt_id = "p" + std::to_string(i / 4);
      batch.samples.back().index = static_cast<uint32_t>(i % 4);
    }
    // A ground truth that differs from the batch's shows that the verdict is the one made ahead.
    data::Prompt other = batch.prompts[6];
    other.ground_truth = "-1";
    for (const int i : {3, 6, 7, 39}) {
      stage->judge_ahead(i == 6 ? other : batch.prompts[i], batch.samples[i]);
    }
    const auto verdicts = batch.judge(*stage);
    for (int i = 0; i < 40; ++i) EXPECT_EQ(verdicts[i].correct, i % 2 == 0 && i != 6) << i;
    EXPECT_TRUE(batch.judge(*stage)[6].correct);
    stage->judge_ahead(other, batch.samples[6]);
    stage->drop_ahead();
    EXPECT_TRUE(batch.judge(*stage)[6].correct);
  }
}

TEST(RewardStage, JudgementsAheadThatAStopCancelsAreNoErrors) {
  RewardOptions options = with({{{"type", "command"}, {"argv", {"sleep", "60"}}}});
  options.threads = 2;
  const auto stage = make_stage(options);
  Batch batch;
  for (int i = 0; i < 9; ++i) {
    batch.add("7", "7");
    batch.samples.back().index = static_cast<uint32_t>(i);
    stage->judge_ahead(batch.prompts.back(), batch.samples.back());
  }
  request_stop();
  stage->drop_ahead();
  Metrics metrics = stage->take_metrics();
  EXPECT_EQ(metrics.at("reward/errors"), 0);
  EXPECT_EQ(metrics.at("reward/command/errors"), 0);
  batch.judge(*stage);
  clear_stop_request();
  EXPECT_EQ(stage->take_metrics().at("reward/errors"), 9);
}

TEST(RewardStage, JudgesAheadWhileTheCallerGoesOn) {
  // A reward that waits for something the caller does after judge_ahead().
  const std::string sign = testing::TempDir() + "/go_on." + std::to_string(getpid());
  std::remove(sign.c_str());
  const std::string script = "while read line; do while [ ! -e " + sign +
                             " ]; do sleep 0.01; done; echo '{\"score\": 1}'; done";
  const auto stage = make_stage(with({{{"type", "command"}, {"argv", {"sh", "-c", script}}}}));
  Batch batch;
  batch.add("7", "7");
  stage->judge_ahead(batch.prompts[0], batch.samples[0]);
  std::ofstream(sign) << "now";
  const auto verdict = batch.judge(*stage)[0];
  EXPECT_TRUE(verdict.scored) << verdict.error;
  EXPECT_EQ(verdict.score, 1);
  std::remove(sign.c_str());
}

TEST(RewardStage, HundredsOfPendingJudgementsHoldNobodyUp) {
  const std::string sign = testing::TempDir() + "/hundreds." + std::to_string(getpid());
  std::remove(sign.c_str());
  const std::string script = "while read line; do while [ ! -e " + sign +
                             " ]; do sleep 0.01; done; echo '{\"score\": 1}'; done";
  auto options = with({{{"type", "command"}, {"argv", {"sh", "-c", script}}}});
  options.threads = 2;
  const auto stage = make_stage(options);
  Batch batch;
  for (uint32_t i = 0; i < 400; ++i) {
    batch.add("7", "7");
    batch.samples.back().index = i;
    stage->judge_ahead(batch.prompts[i], batch.samples[i]);  // none can be judged yet
  }
  std::ofstream(sign) << "now";
  for (const auto& verdict : batch.judge(*stage)) EXPECT_EQ(verdict.score, 1) << verdict.error;
  const Metrics metrics = stage->take_metrics();
  EXPECT_EQ(metrics.at("perf/judgements_waiting_max"), 400);
  EXPECT_EQ(metrics.at("reward/errors"), 0);
  EXPECT_GT(metrics.at("reward/seconds/command"), 0);
  EXPECT_GE(metrics.at("reward/seconds/max"), metrics.at("reward/seconds/mean"));
  const Metrics without_judgements = stage->take_metrics();
  EXPECT_FALSE(without_judgements.contains("reward/seconds/command"));
  EXPECT_FALSE(without_judgements.contains("reward/seconds/mean"));
  std::remove(sign.c_str());
}

TEST(RewardStage, WeighsRewardsAndOnlyDecidingOnesDecide) {
  const auto stage =
      make_stage(with({"math", {{"type", "format"}, {"weight", 0.1}, {"pattern", "boxed"}}}));
  Batch batch;
  batch.add("7", "\\boxed{7}");
  batch.add("7", "the answer is 7");
  batch.add("7", "\\boxed{8}");
  const auto verdicts = batch.judge(*stage);
  EXPECT_DOUBLE_EQ(verdicts[0].score, 1.1);
  EXPECT_DOUBLE_EQ(verdicts[1].score, 1.0);
  EXPECT_TRUE(verdicts[1].correct);
  EXPECT_DOUBLE_EQ(verdicts[2].score, 0.1);
  EXPECT_FALSE(verdicts[2].correct);
  EXPECT_EQ(verdicts[0].components.at("math"), 1);
  EXPECT_EQ(verdicts[0].components.at("format"), 1);
}

TEST(RewardStage, TwoRewardsOfOneTypeHaveTheirOwnComponents) {
  const auto stage = make_stage(
      with({{{"type", "format"}, {"pattern", "a"}}, {{"type", "format"}, {"pattern", "b"}}}));
  Batch batch;
  batch.add("7", "b");
  const auto verdicts = batch.judge(*stage);
  EXPECT_EQ(verdicts[0].components.at("format"), 0);
  EXPECT_EQ(verdicts[0].components.at("format_2"), 1);
}

TEST(RewardStage, SubtractsTheRepetitionPenalty) {
  RewardOptions options;
  options.repetition_penalty = 0.5;
  const auto stage = make_stage(options);
  Batch batch;
  batch.add("7", "\\boxed{7}", data::FinishReason::repetition);
  batch.add("7", "so so so so", data::FinishReason::repetition);
  batch.add("7", "\\boxed{7}", data::FinishReason::length);
  const auto verdicts = batch.judge(*stage);
  EXPECT_EQ(verdicts[0].score, 0.5);
  EXPECT_TRUE(verdicts[0].correct);
  EXPECT_EQ(verdicts[1].score, -0.5);
  EXPECT_EQ(verdicts[1].components.at("repetition_penalty"), -0.5);
  EXPECT_EQ(verdicts[2].score, 1);
}

TEST(RewardStage, ErrorsAndUnfinishedSamplesAreNeverScores) {
  const auto stage = make_stage({});
  Batch batch;
  batch.add("", "\\boxed{7}");
  batch.add("7", "\\boxed{7}", data::FinishReason::partial);
  batch.add("7", "\\boxed{7}", data::FinishReason::aborted);
  const auto verdicts = batch.judge(*stage);
  for (const auto& verdict : verdicts) {
    EXPECT_FALSE(verdict.scored);
    EXPECT_FALSE(verdict.error.empty());
  }
  EXPECT_NE(verdicts[0].error.find("empty ground truth"), std::string::npos) << verdicts[0].error;
  EXPECT_EQ(stage->take_metrics().at("reward/errors"), 3);
  EXPECT_EQ(stage->take_metrics().at("reward/errors"), 0);
}

TEST(RewardStage, StopRequestCancelsWhatWaits) {
  auto options = with({{{"type", "command"}, {"argv", {"sleep", "100"}}}});
  options.timeout_seconds = 60;
  const auto stage = make_stage(options);
  Batch batch;
  for (int i = 0; i < 20; ++i) batch.add("7", "7");
  std::thread stopper([] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    request_stop();
  });
  Stopwatch watch;
  const auto verdicts = batch.judge(*stage);
  stopper.join();
  clear_stop_request();
  EXPECT_LT(watch.seconds(), 30.0);
  for (const auto& verdict : verdicts) {
    EXPECT_FALSE(verdict.scored);
    EXPECT_EQ(verdict.error, "cancelled");
  }
}

TEST(RewardStage, RetriesOnlyWhatCanPass) {
  auto options = with({{{"type", "command"}, {"argv", {"false"}}}});
  options.retries = 2;
  const auto crashing = make_stage(options);
  Batch batch;
  batch.add("7", "7");
  auto verdict = batch.judge(*crashing)[0];
  EXPECT_FALSE(verdict.scored);
  // Retried while the failure may be accidental. After three processes without an answer no other
  // is started.
  EXPECT_NE(verdict.error.find("exit code 1"), std::string::npos) << verdict.error;
  EXPECT_NE(verdict.error.find("not started again"), std::string::npos) << verdict.error;
  const Metrics crashes = crashing->take_metrics();
  EXPECT_EQ(crashes.at("reward/retries"), 2);
  EXPECT_EQ(crashes.at("reward/command/errors"), 3);
  EXPECT_EQ(crashes.at("reward/errors"), 1);

  options = with({{{"type", "command"},
                   {"argv", {"sh", "-c", "read x; echo '{\"error\": \"no\"}'; sleep 9"}}}});
  const auto refusing = make_stage(options);
  verdict = batch.judge(*refusing)[0];
  EXPECT_NE(verdict.error.find("no"), std::string::npos) << verdict.error;
  EXPECT_EQ(refusing->take_metrics().at("reward/retries"), 0);
}

TEST(RewardStage, ShapesByLengthAfterTheWarmUp) {
  RewardOptions options;
  options.length_weight = 2;
  options.length_warmup_iterations = 3;
  const auto stage = make_stage(options);
  data::Group group;
  for (const int length : {10, 20, 30, 1000}) {
    group.samples.emplace_back();
    group.samples.back().tokens.resize(static_cast<size_t>(length));
    group.verdicts.emplace_back();
    group.verdicts.back().scored = length != 1000;  // an error does not set the maximum
    group.verdicts.back().score = 1;
    group.verdicts.back().correct = true;
  }
  std::vector<data::Group> groups = {group};
  stage->shape(groups, 2);
  EXPECT_EQ(groups[0].verdicts[0].score, 1);
  stage->shape(groups, 3);
  EXPECT_DOUBLE_EQ(groups[0].verdicts[0].score, 2);
  EXPECT_DOUBLE_EQ(groups[0].verdicts[1].score, 1);
  EXPECT_DOUBLE_EQ(groups[0].verdicts[2].score, 0);
  EXPECT_EQ(groups[0].verdicts[0].components.at("length"), 0.5);
  EXPECT_EQ(groups[0].verdicts[3].components.count("length"), 0u);
}

TEST(RewardStage, TakesThePenaltyOfLongResponsesOff) {
  RewardOptions options;
  options.overlong_buffer = 20;
  options.max_response_length = 100;
  options.overlong_penalty = 0.5;
  const auto stage = make_stage(options);
  data::Group group;
  for (const int length : {10, 90, 100, 100}) {
    group.samples.emplace_back();
    group.samples.back().tokens.resize(static_cast<size_t>(length));
    group.verdicts.emplace_back();
    group.verdicts.back().scored = group.verdicts.size() < 4;
    group.verdicts.back().score = 1;
  }
  std::vector<data::Group> groups = {group};
  stage->shape(groups, 0);
  EXPECT_EQ(groups[0].verdicts[0].score, 1);
  EXPECT_EQ(groups[0].verdicts[1].score, 0.75);
  EXPECT_EQ(groups[0].verdicts[2].score, 0.5);
  EXPECT_EQ(groups[0].verdicts[2].components.at("overlong"), -1);
  EXPECT_EQ(groups[0].verdicts[3].components.count("overlong"), 0u);
}

TEST(ParseRewardList, ReadsAllThreeForms) {
  const auto specs = parse_reward_list(
      {"math", "repetition:0.2", {{"type", "exact"}, {"weight", 3}, {"ignore_case", true}}});
  ASSERT_TRUE(specs.ok()) << specs.status().to_string();
  EXPECT_EQ((*specs)[0].type, "math");
  EXPECT_EQ((*specs)[0].weight, 1);
  EXPECT_TRUE((*specs)[0].decides_correct);
  EXPECT_EQ((*specs)[1].weight, 0.2);
  EXPECT_FALSE((*specs)[1].decides_correct);
  EXPECT_EQ((*specs)[2].options, Json({{"ignore_case", true}}));
}

TEST(ParseRewardList, NamesMistakes) {
  const auto message = [](const Json& json) { return parse_reward_list(json).status().message(); };
  EXPECT_NE(message("math").find("must be a list"), std::string::npos);
  EXPECT_NE(message({"maths"}).find("maths"), std::string::npos);
  EXPECT_NE(message({"math", "exact:x"}).find("weight"), std::string::npos);
  EXPECT_NE(message({3}).find("reward.functions[0]"), std::string::npos);
  EXPECT_NE(message({{{"weight", 3}}}).find("'type'"), std::string::npos);
}

RewardOptions with_type(const std::string& type) {
  RewardOptions options;
  options.rewards.emplace_back();
  options.rewards.back().type = type;
  return options;
}

TEST(RewardStage, RefusesUnknownAndIncompleteRewards) {
  EXPECT_FALSE(RewardStage::create(with_type("nothing")).ok());
  EXPECT_FALSE(RewardStage::create(with_type("format")).ok());
}

}  // namespace
}  // namespace longshot::reward
