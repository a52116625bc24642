#include "reward/learned/types.h"

#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "model/reward_head.h"
#include "reward/learned/score_model.h"
#include "reward/learned/testing.h"

namespace longshot::reward {
namespace {

std::unique_ptr<Reward> reward_of(const std::string& path, int batch = 4, bool reference = true) {
  const auto specs = parse_reward_list(Json::array({Json{{"type", "rm"},
                                                         {"path", path},
                                                         {"batch", batch},
                                                         {"threads", 1},
                                                         {"reference", reference}}}),
                                       learned_types());
  auto reward = make_reward((*specs)[0]);
  EXPECT_TRUE(reward.ok()) << reward.status().message();
  return std::move(*reward);
}

Question question(const std::string& completion) {
  Question q;
  q.prompt = "1+2=";
  q.completion = completion;
  return q;
}

TEST(RmReward, TheValueIsTheLogisticFunctionOfTheScore) {
  const RewardModelDirectory directory;
  auto model = *ScoreModel::load(directory.path(), "", "cpu", 1);
  const float score = (*model->scores({*model->encode({{{"user", "1+2="}}, "", "3"})}))[0];
  const auto judged = reward_of(directory.path())->judge(question("3"), Deadline::never());
  ASSERT_TRUE(judged.ok()) << judged.status().message();
  EXPECT_DOUBLE_EQ(judged->value, model::score_probability(score));
  EXPECT_EQ(judged->correct, score > 0);
}

TEST(RmReward, TheWholeChatIsRead) {
  const RewardModelDirectory directory;
  const auto reward = reward_of(directory.path());
  Question chat = question("3");
  chat.messages = {{"system", "9"}, {"user", "1+2="}};
  EXPECT_NE(reward->judge(chat, Deadline::never())->value,
            reward->judge(question("3"), Deadline::never())->value);
}

// This model's alphabet has no letters, so it cannot encode the words before a reference answer.
TEST(RmReward, TheGroundTruthIsReadUnlessItIsNotWanted) {
  const RewardModelDirectory directory;
  Question known = question("3");
  known.ground_truth = "3";
  EXPECT_FALSE(reward_of(directory.path())->judge(known, Deadline::never()).ok());
  const auto blind = reward_of(directory.path(), 4, /*reference=*/false);
  EXPECT_EQ(blind->judge(known, Deadline::never())->value,
            blind->judge(question("3"), Deadline::never())->value);
}

TEST(RmReward, ManyThreadsGetTheScoresOfOne) {
  const RewardModelDirectory directory;
  const auto one = reward_of(directory.path(), 1), many = reward_of(directory.path(), 5);
  constexpr int kThreads = 12, kEach = 10;
  std::vector<double> expected, seen(kThreads * kEach);
  const auto completion = [](int i) { return std::to_string(i * i); };
  for (int i = 0; i < kThreads * kEach; ++i)
    expected.push_back(one->judge(question(completion(i)), Deadline::never())->value);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = t * kEach; i < (t + 1) * kEach; ++i)
        seen[static_cast<size_t>(i)] =
            many->judge(question(completion(i)), Deadline::never())->value;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(seen, expected);
}

TEST(RmReward, ItsOwnFaultIsAnErrorAndNeverAZero) {
  const RewardModelDirectory directory;
  const auto reward = reward_of(directory.path());
  EXPECT_EQ(reward->judge(question("3"), Deadline::after_seconds(-1)).status().code(),
            StatusCode::timeout);
  EXPECT_FALSE(reward->judge(question(std::string(80, '1')), Deadline::never()).ok());
  EXPECT_FALSE(reward->judge(question("x"), Deadline::never()).ok());
  EXPECT_TRUE(reward->judge(question("3"), Deadline::never()).ok());
}

TEST(RmReward, OptionsAreChecked) {
  const auto why = [](const Json& options) {
    RewardSpec spec;
    spec.kind = &learned_types()[0];
    spec.options = options;
    return make_reward(spec).status().message();
  };
  EXPECT_NE(why(Json::object()).find("'path'"), std::string::npos);
  EXPECT_NE(why({{"path", "nowhere"}}).find("nowhere"), std::string::npos);
  EXPECT_NE(why({{"path", "x"}, {"batch", 0}}).find("batch"), std::string::npos);
  EXPECT_NE(why({{"path", "x"}, {"size", 1}}).find("size"), std::string::npos);
  const auto unknown = parse_reward_list(Json::array({"colour"}), learned_types());
  EXPECT_NE(unknown.status().message().find(", rm"), std::string::npos);
}

}  // namespace
}  // namespace longshot::reward
