#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "base/rng.h"
#include "prompts/sampler.h"

namespace longshot::prompts {
namespace {

using testing::HasSubstr;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Difficulties 0, 1, .. levels - 1 in turn.
std::vector<data::Prompt> make_prompts(int count, int levels = 1) {
  std::vector<data::Prompt> prompts(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    auto& p = prompts[static_cast<size_t>(i)];
    p.id = "p" + std::to_string(i);
    p.text = "problem " + std::to_string(i);
    p.ground_truth = std::to_string(i);
    p.difficulty = i % levels;
  }
  return prompts;
}

std::vector<std::string> ids_of(const std::vector<data::Draw>& draws) {
  std::vector<std::string> ids;
  for (const auto& draw : draws) ids.push_back(draw.prompt.id);
  return ids;
}

SamplerOptions curriculum() {
  SamplerOptions options;
  options.order = Order::curriculum;
  options.curriculum_iterations = {24};
  options.curriculum_min_difficulty = {2};
  options.curriculum_max_difficulty = {kInfinity};
  return options;
}

SamplerOptions of_order(Order order) {
  if (order == Order::curriculum) return curriculum();
  SamplerOptions options;
  options.order = order;
  return options;
}

TEST(UniformSampler, SeesEveryPromptOncePerEpoch) {
  for (const int batch : {1, 3, 7, 10}) {
    PromptSampler sampler(make_prompts(30), {}, 5);
    std::vector<std::string> stream;
    while (stream.size() < 30 * 7) {
      for (const auto& id : ids_of(sampler.next(batch, 0))) stream.push_back(id);
    }
    for (size_t epoch = 0; epoch < 7; ++epoch) {
      const std::set<std::string> seen(stream.begin() + static_cast<long>(epoch * 30),
                                       stream.begin() + static_cast<long>(epoch * 30 + 30));
      EXPECT_EQ(seen.size(), 30u) << "batch " << batch << " epoch " << epoch;
    }
  }
}

TEST(UniformSampler, EpochsDifferAndSeedsDiffer) {
  PromptSampler a(make_prompts(50), {}, 1), b(make_prompts(50), {}, 1), c(make_prompts(50), {}, 2);
  const auto first = ids_of(a.next(50, 0));
  EXPECT_NE(first, ids_of(a.next(50, 1)));
  EXPECT_EQ(first, ids_of(b.next(50, 0)));
  EXPECT_NE(first, ids_of(c.next(50, 0)));
}

TEST(AnySampler, NeverRepeatsAPromptWithinACall) {
  for (const Order order : all_of<Order>()) {
    PromptSampler sampler(make_prompts(10, 4), of_order(order), 3);
    CounterRng rng(9);
    for (int64_t i = 0; i < 200; ++i) {
      const int count = static_cast<int>(rng.next_int(0, 12));
      const auto ids = ids_of(sampler.next(count, i / 4));
      EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), ids.size());
      const bool hard_only = order == Order::curriculum && i / 4 >= 24;
      EXPECT_EQ(ids.size(), static_cast<size_t>(std::min(count, hard_only ? 4 : 10)));
    }
  }
}

TEST(AnySampler, SecondVisitHasAnotherSeed) {
  for (const Order order : all_of<Order>()) {
    PromptSampler sampler(make_prompts(5, 4), of_order(order), 77);
    std::map<std::string, std::vector<uint64_t>> seeds;
    for (int i = 0; i < 20; ++i) {
      for (const auto& draw : sampler.next(2, i)) seeds[draw.prompt.id].push_back(draw.seed);
    }
    for (const auto& [id, list] : seeds) {
      for (size_t visit = 0; visit < list.size(); ++visit)
        EXPECT_EQ(list[visit], hash_combine(77, visit)) << id;
    }
  }
}

TEST(AnySampler, RestoredGoesOnAsUninterrupted) {
  for (const Order order : all_of<Order>()) {
    for (const int stop : {0, 1, 7, 23, 24, 25, 60}) {
      PromptSampler whole(make_prompts(40, 4), of_order(order), 11),
          resumed(make_prompts(40, 4), of_order(order), 11);
      const auto step = [](PromptSampler& sampler, int i) {
        const auto ids = ids_of(sampler.next(7, i));
        for (const auto& id : ids)
          sampler.record(id, static_cast<double>((hash64(id) + static_cast<uint64_t>(i)) % 5) / 4);
        return ids;
      };
      for (int i = 0; i < stop; ++i) step(whole, i);
      const Json saved = Json::parse(whole.state().dump());
      ASSERT_TRUE(resumed.restore(saved).ok()) << resumed.restore(saved).to_string();
      EXPECT_EQ(resumed.state(), whole.state());
      for (int i = stop; i < stop + 40; ++i)
        ASSERT_EQ(step(resumed, i), step(whole, i)) << name_of(order) << " " << i;
      EXPECT_EQ(resumed.state(), whole.state());
    }
  }
}

TEST(AnySampler, RefusesStateOfAnotherDataSet) {
  const PromptSampler saved(make_prompts(8), {}, 1);
  for (int change = 0; change < 5; ++change) {
    auto prompts = make_prompts(change == 0 ? 9 : 8);
    if (change == 1) prompts[3].text += "!";
    if (change == 2) prompts[3].ground_truth = "other";
    if (change == 3) prompts[3].difficulty = 1;
    if (change == 4) std::swap(prompts[0], prompts[1]);
    PromptSampler other(prompts, {}, 1);
    const Json before = other.state();
    EXPECT_THAT(other.restore(saved.state()).message(), HasSubstr("the data set has changed"));
    EXPECT_EQ(other.state(), before);
  }
  PromptSampler reseeded(make_prompts(8), {}, 2);
  EXPECT_THAT(reseeded.restore(saved.state()).message(), HasSubstr("the seed has changed"));
  PromptSampler same(make_prompts(8), {}, 1);
  Json damaged = saved.state();
  damaged.erase("draws");
  EXPECT_THAT(same.restore(damaged).message(), HasSubstr("'draws' is missing"));
  for (const char* member : {"visited", "draws", "moved"}) {
    damaged = saved.state();
    damaged[member].push_back(99);
    EXPECT_FALSE(same.restore(damaged).ok()) << member;
  }
  damaged = saved.state();
  damaged["position"] = 9;
  EXPECT_FALSE(same.restore(damaged).ok());
}

// The state file of a run that has seen little of a large data set is small.
TEST(AnySampler, SavesOnlyThePromptsThatWereSeen) {
  PromptSampler sampler(make_prompts(5000), {}, 1);
  for (int i = 0; i < 3; ++i) sampler.next(4, i);
  sampler.record("p4999", 0.5);
  EXPECT_LE(sampler.state()["visited"].size(), 13u);
  EXPECT_LT(sampler.state().dump().size(), 1000u);
  PromptSampler restored(make_prompts(5000), {}, 1);
  ASSERT_TRUE(restored.restore(sampler.state()).ok());
  EXPECT_EQ(ids_of(restored.next(2000, 3)), ids_of(sampler.next(2000, 3)));
}

TEST(AnySampler, StageSizesCountTheEligiblePrompts) {
  EXPECT_EQ(PromptSampler(make_prompts(8), {}, 1).stage_sizes(), std::vector<size_t>{8});
  EXPECT_EQ(PromptSampler(make_prompts(40, 4), curriculum(), 1).stage_sizes(),
            std::vector<size_t>{20});
}

TEST(AnySampler, KeepsRatesWhenTheOrderChanges) {
  PromptSampler uniform(make_prompts(8, 4), {}, 1);
  uniform.next(3, 0);
  uniform.record("p2", 0.5);
  PromptSampler other(make_prompts(8, 4), curriculum(), 1);
  ASSERT_TRUE(other.restore(uniform.state()).ok());
  EXPECT_EQ(other.success_rate("p2"), 0.5);
  EXPECT_EQ(other.next(8, 30).size(), 4u);
}

// p2 has another content in the second set, and p9 is new.
TEST(AnySampler, TakesOverWhatAnotherOneKnows) {
  PromptSampler before(make_prompts(8), {}, 1);
  const auto first = before.next(8, 0);
  before.record("p1", 0.5);
  before.record("p2", 0.25);
  std::vector<data::Prompt> prompts = make_prompts(10);
  prompts[2].ground_truth = "another";
  PromptSampler after(prompts, {}, 1);
  after.adopt(before);
  EXPECT_EQ(after.success_rate("p1"), 0.5);
  EXPECT_EQ(after.success_rate("p2"), -1);
  EXPECT_EQ(after.success_rate("p9"), -1);
  std::set<std::pair<std::string, uint64_t>> seen;
  for (const auto& draws : {first, after.next(10, 1)})
    for (const auto& draw : draws) seen.insert({draw.prompt.id, draw.seed});
  EXPECT_EQ(seen.size(), 18u);  // no seed of a prompt is given twice
  PromptSampler restored(prompts, {}, 1);
  ASSERT_TRUE(restored.restore(after.state()).ok());
  EXPECT_EQ(ids_of(restored.next(5, 2)), ids_of(after.next(5, 2)));
}

TEST(CurriculumSampler, FollowsTheTable) {
  PromptSampler sampler(make_prompts(40, 4), curriculum(), 3);
  std::set<double> early, late;
  for (int i = 0; i < 60; ++i) {
    for (const auto& draw : sampler.next(10, i))
      (i < 24 ? early : late).insert(draw.prompt.difficulty);
  }
  EXPECT_EQ(early, (std::set<double>{0, 1, 2, 3}));
  EXPECT_EQ(late, (std::set<double>{2, 3}));
}

// Chi-square of single draws against weights max(floor, 1 - s); 9 degrees of
// freedom, 99.9 % quantile 27.9.
TEST(PrioritizedSampler, DrawsInProportionToOneMinusSuccess) {
  SamplerOptions options;
  options.order = Order::prioritized;
  PromptSampler sampler(make_prompts(10), options, 42);
  std::vector<double> weights;
  for (int i = 0; i < 10; ++i) {
    const double rate = i / 9.0;
    // p0 stays unseen: weight 1.
    if (i > 0) sampler.record("p" + std::to_string(i), rate);
    weights.push_back(std::max(0.05, 1 - rate));
  }
  double total = 0;
  for (const double w : weights) total += w;
  std::map<std::string, int> counts;
  constexpr int kDraws = 20000;
  for (int i = 0; i < kDraws; ++i) ++counts[sampler.next(1, i)[0].prompt.id];
  double chi_square = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    const double expected = kDraws * weights[i] / total;
    chi_square += std::pow(counts["p" + std::to_string(i)] - expected, 2) / expected;
  }
  EXPECT_LT(chi_square, 27.9);
}

// Two draws without replacement from weights 1, 1/2, 1/4: P(i, j) = w_i / W *
// w_j / (W - w_i).
TEST(PrioritizedSampler, DrawsWithoutReplacementOneAfterTheOther) {
  SamplerOptions options;
  options.order = Order::prioritized;
  PromptSampler sampler(make_prompts(3), options, 8);
  const std::vector<double> weights = {1, 0.5, 0.25};
  for (size_t i = 0; i < 3; ++i) sampler.record("p" + std::to_string(i), 1 - weights[i]);
  std::map<std::pair<std::string, std::string>, int> counts;
  constexpr int kCalls = 20000;
  for (int i = 0; i < kCalls; ++i) {
    const auto ids = ids_of(sampler.next(2, i));
    ++counts[{ids[0], ids[1]}];
  }
  for (size_t i = 0; i < 3; ++i) {
    for (size_t j = 0; j < 3; ++j) {
      if (i == j) continue;
      const double p = weights[i] / 1.75 * weights[j] / (1.75 - weights[i]);
      const double n = counts[{"p" + std::to_string(i), "p" + std::to_string(j)}];
      EXPECT_NEAR(n / kCalls, p, 4 * std::sqrt(p * (1 - p) / kCalls)) << i << j;
    }
  }
}

TEST(SuccessRate, IsAMeanAtFirstAndThenForgets) {
  PromptSampler sampler(make_prompts(2), {}, 1);
  EXPECT_EQ(sampler.success_rate("p0"), -1);
  sampler.record("p0", 1);
  EXPECT_DOUBLE_EQ(sampler.success_rate("p0"), 1);
  sampler.record("p0", 0);
  sampler.record("p0", 0);
  EXPECT_NEAR(sampler.success_rate("p0"), 1.0 / 3, 1e-12);
  sampler.record("p0", 1);
  EXPECT_NEAR(sampler.success_rate("p0"), 1.0 / 3 + 0.3 * (2.0 / 3), 1e-12);
  sampler.record("of another set", 1);
  EXPECT_EQ(sampler.success_rate("p1"), -1);
  EXPECT_EQ(sampler.find("p1")->ground_truth, "1");
  EXPECT_EQ(sampler.find("of another set"), nullptr);
}

TEST(SamplerOptions, AreCheckedAgainstTheData) {
  const auto error = [](SamplerOptions options, int prompts = 8) {
    const auto made = PromptSampler::create(make_prompts(prompts, 4), options, 1);
    return made.ok() ? "" : made.status().message();
  };
  EXPECT_EQ(error(curriculum()), "");
  SamplerOptions o;
  EXPECT_THAT(error({}, 0), HasSubstr("at least one prompt"));
  o = curriculum();
  o.order = Order::uniform;
  EXPECT_THAT(error(o), HasSubstr("does not use it"));
  o = curriculum();
  o.curriculum_min_difficulty = {9};
  EXPECT_THAT(error(o), HasSubstr("no prompt from iteration 24"));
  o.curriculum_min_difficulty = {};
  EXPECT_THAT(error(o), HasSubstr("equally long"));
  o = curriculum();
  o.curriculum_iterations = {24, 24};
  o.curriculum_min_difficulty = o.curriculum_max_difficulty = {1, 1};
  EXPECT_THAT(error(o), HasSubstr("must ascend"));
  o = {};
  o.order = Order::curriculum;
  EXPECT_THAT(error(o), HasSubstr("needs data.curriculum_iterations"));
}

}  // namespace
}  // namespace longshot::prompts
