// The sampler with data.filter = "greso".
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "prompts/sampler.h"

namespace longshot::prompts {
namespace {

std::vector<data::Prompt> make_prompts(int count) {
  std::vector<data::Prompt> prompts(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    auto& p = prompts[static_cast<size_t>(i)];
    p.id = "p" + std::to_string(i);
    p.text = "problem " + std::to_string(i);
    p.difficulty = i % 4;
  }
  return prompts;
}

SamplerOptions filtered(Order order) {
  SamplerOptions options;
  options.order = order;
  options.filter = Filter::greso;
  if (order != Order::curriculum) return options;
  options.curriculum_iterations = {0};
  options.curriculum_min_difficulty = {0};
  options.curriculum_max_difficulty = {9};
  return options;
}

std::vector<std::string> ids_of(const std::vector<data::Draw>& draws) {
  std::vector<std::string> ids;
  for (const auto& draw : draws) ids.push_back(draw.prompt.id);
  return ids;
}

// Every prompt has had `groups` groups without variance.
PromptSampler with_streaks(Order order, int prompts, int groups, double reward) {
  PromptSampler sampler(make_prompts(prompts), filtered(order), 7);
  for (int g = 0; g < groups; ++g)
    for (int i = 0; i < prompts; ++i)
      sampler.record_rewards("p" + std::to_string(i), false, reward);
  return sampler;
}

TEST(FilteredSampler, UsesEveryPromptWithoutAStreak) {
  for (const Order order : all_of<Order>()) {
    SamplerOptions plain = filtered(order);
    plain.filter = Filter::none;
    PromptSampler with(make_prompts(20), filtered(order), 7), without(make_prompts(20), plain, 7);
    for (int i = 0; i < 9; ++i) EXPECT_EQ(ids_of(with.next(6, i)), ids_of(without.next(6, i)));
    EXPECT_EQ(with.take_metrics().at("prompts/skipped"), 0);
    EXPECT_TRUE(without.take_metrics().empty());
  }
}

TEST(FilteredSampler, UsesPromptsAsOftenAsTheirProbabilitySays) {
  const struct {
    int groups;
    double reward, probability;
  } table[] = {{1, 1, 0.5}, {2, 1, 0.25}, {9, 1, 0.1}, {1, 0, 0.5}, {9, 0, 0.4}};
  for (const auto& row : table) {
    auto sampler = with_streaks(Order::uniform, 1000, row.groups, row.reward);
    double used = 0, skipped = 0;
    for (int i = 0; i < 100; ++i) {
      used += static_cast<double>(sampler.next(10, i).size());
      skipped += sampler.take_metrics().at("prompts/skipped");
    }
    EXPECT_NEAR(used / (used + skipped), row.probability, 0.04) << row.groups << " " << row.reward;
  }
}

TEST(FilteredSampler, ReturnsDifferentPromptsEvenIfNearlyAllAreSkipped) {
  for (const Order order : all_of<Order>()) {
    for (const int count : {1, 5, 10, 30}) {
      auto sampler = with_streaks(order, 10, 50, 1);
      for (int i = 0; i < 40; ++i) {
        const auto ids = ids_of(sampler.next(count, i));
        const auto wanted = static_cast<size_t>(std::min(count, 10));
        EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), wanted);
        EXPECT_LE(sampler.take_metrics().at("prompts/skipped"), 10);
      }
    }
  }
}

TEST(FilteredSampler, ACallThatSkipsNothingButWhatItHasEndsTheEpoch) {
  // Some of these calls reach an end of an epoch where only prompts that they hold are left.
  auto sampler = with_streaks(Order::uniform, 3, 50, 1);
  for (int i = 0; i < 500; ++i) EXPECT_EQ(sampler.next(2, i).size(), 2u);
}

TEST(FilteredSampler, DrawsDependOnIterationAndPromptAlone) {
  for (const Order order : all_of<Order>()) {
    auto a = with_streaks(order, 40, 2, 1), b = with_streaks(order, 40, 2, 1);
    EXPECT_EQ(ids_of(a.next(8, 3)), ids_of(b.next(8, 3)));
  }
  auto a = with_streaks(Order::uniform, 40, 2, 1), b = with_streaks(Order::uniform, 40, 2, 1);
  EXPECT_NE(ids_of(a.next(8, 3)), ids_of(b.next(8, 4)));
}

TEST(FilteredSampler, AdjustsAfterAsManyTurnsAsThereArePrompts) {
  PromptSampler sampler(make_prompts(12), filtered(Order::uniform), 7);
  for (int i = 0; i < 3; ++i) {
    for (const auto& id : ids_of(sampler.next(4, i))) sampler.record_rewards(id, false, 1);
    sampler.record_rewards("of another set", false, 0);
    sampler.end_iteration();
    const Metrics metrics = sampler.take_metrics();
    EXPECT_EQ(metrics.at("prompts/easy_share"), 1);
    EXPECT_EQ(metrics.at("prompts/hard_share"), 0);
    EXPECT_NEAR(metrics.at("prompts/p_easy"), i < 2 ? 0.5 : 0.49, 1e-12);
    EXPECT_NEAR(metrics.at("prompts/p_hard"), i < 2 ? 0.5 : 0.51, 1e-12);
  }
  sampler.end_iteration();
  EXPECT_FALSE(sampler.take_metrics().contains("prompts/easy_share"));
}

// A sampler after `iterations`, in which problems of difficulty 0 were all right, those of
// difficulty 3 all wrong.
PromptSampler after(Order order, int iterations) {
  PromptSampler sampler(make_prompts(24), filtered(order), 7);
  for (int i = 0; i < iterations; ++i) {
    for (const auto& draw : sampler.next(8, i)) {
      const double level = draw.prompt.difficulty;
      sampler.record(draw.prompt.id, 1 - level / 3);
      sampler.record_rewards(draw.prompt.id, level == 1 || level == 2, 1 - level / 3);
    }
    sampler.end_iteration();
    sampler.take_metrics();
  }
  return sampler;
}

TEST(FilteredSampler, ARestoredOneContinues) {
  for (const Order order : all_of<Order>()) {
    auto sampler = after(order, 9);
    PromptSampler restored(make_prompts(24), filtered(order), 7);
    ASSERT_TRUE(restored.restore(sampler.state()).ok());
    for (int i = 9; i < 20; ++i) {
      const auto ids = ids_of(sampler.next(8, i));
      EXPECT_EQ(ids, ids_of(restored.next(8, i)));
      for (PromptSampler* s : {&sampler, &restored}) {
        for (const auto& id : ids) s->record_rewards(id, i % 3 == 0, i % 2);
        s->end_iteration();
      }
      EXPECT_EQ(sampler.take_metrics(), restored.take_metrics());
    }
    EXPECT_EQ(sampler.state(), restored.state());
  }
}

TEST(FilteredSampler, AStateWithoutAFilterBeginsANewOne) {
  SamplerOptions plain;
  PromptSampler old(make_prompts(24), plain, 7);
  old.next(8, 0);
  EXPECT_FALSE(old.state().contains("filter"));
  PromptSampler sampler = after(Order::uniform, 9);
  ASSERT_TRUE(sampler.restore(old.state()).ok());
  EXPECT_EQ(sampler.take_metrics().at("prompts/p_easy"), 0.5);
  EXPECT_EQ(ids_of(sampler.next(8, 1)), ids_of(old.next(8, 1)));
}

TEST(FilteredSampler, RefusesAStateThatContradictsItself) {
  auto sampler = after(Order::uniform, 9);
  for (const auto& [key, value] : std::vector<std::pair<std::string, Json>>{
           {"streaks", Json::array({1})}, {"p_easy", 0.0}, {"p_hard", 1.0}, {"turns", -1}}) {
    Json state = sampler.state();
    state["filter"][key] = value;
    EXPECT_EQ(sampler.restore(state).code(), StatusCode::corrupt) << key;
  }
}

TEST(FilteredSampler, APhaseWithOtherPromptsKeepsWhatIsKnown) {
  const PromptSampler sampler = after(Order::uniform, 9);
  PromptSampler next(make_prompts(30), filtered(Order::prioritized), 7);
  next.adopt(sampler);
  for (size_t i = 0; i < 24; ++i)
    EXPECT_EQ(next.snapshot().visits[i].streak, sampler.snapshot().visits[i].streak);
  EXPECT_EQ(next.snapshot().exploration.p_easy, sampler.snapshot().exploration.p_easy);
}

}  // namespace
}  // namespace longshot::prompts
