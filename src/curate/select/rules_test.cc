#include "curate/select/rules.h"

#include <gtest/gtest.h>

#include <set>

#include "curate/select/testing.h"

namespace longshot::curate {
namespace {

using Places = std::vector<size_t>;
using Pairs = std::vector<std::pair<size_t, size_t>>;

std::string reasons(const Selection& selection) {
  std::string text;
  for (const Drop& drop : selection.drops)
    text += std::to_string(drop.sample) + ":" + name_of(drop.reason) + " ";
  return text;
}

RuleOptions with(SelectRule rule, int cap = 0) {
  RuleOptions options;
  options.rule = rule;
  options.per_problem = cap;
  return options;
}

TEST(Rules, CorrectTakesEveryDifferentCorrectSample) {
  const auto selection = select(prompt_of({judged(true, 9, "a b"), judged(false, 3, "x"),
                                           judged(true, 4, " a  b\n"), judged(true, 5, "c")}),
                                with(SelectRule::correct));
  EXPECT_EQ(selection.responses, (Places{0, 3}));
  EXPECT_EQ(reasons(selection), "1:wrong 2:duplicate ");
}

TEST(Rules, ACapIsRandomBySeedOrByLength) {
  std::vector<JudgedSample> samples;
  for (int i = 0; i < 8; ++i) samples.push_back(judged(true, 20 - i, std::to_string(i)));
  const JudgedPrompt prompt = prompt_of(samples);
  RuleOptions options = with(SelectRule::correct, 2);
  std::set<Places> choices;
  for (options.seed = 0; options.seed < 30; ++options.seed) {
    const auto chosen = select(prompt, options).responses;
    EXPECT_EQ(chosen.size(), 2u);
    EXPECT_EQ(chosen, select(prompt, options).responses);
    choices.insert(chosen);
  }
  EXPECT_GT(choices.size(), 10u);
  options.prefer = Preference::shortest;
  EXPECT_EQ(select(prompt, options).responses, (Places{6, 7}));
  options.prefer = Preference::longest;
  EXPECT_EQ(select(prompt, options).responses, (Places{0, 1}));
}

TEST(Rules, ShortestIsTheFirstOfTheShortestCorrectOnes) {
  const auto prompt = prompt_of(
      {judged(true, 9, "a"), judged(false, 1, "b"), judged(true, 4, "c"), judged(true, 4, "d")});
  const auto selection = select(prompt, with(SelectRule::shortest));
  EXPECT_EQ(selection.responses, (Places{2}));
  EXPECT_EQ(reasons(selection), "0:not_best 1:wrong 3:not_best ");
  EXPECT_EQ(select(prompt, with(SelectRule::shortest, 2)).responses, (Places{2, 3}));
}

TEST(Rules, CharactersAreTheLengthIfTokensAreUnknown) {
  const auto prompt = prompt_of({judged(true, 3, "long answer"), judged(true, 0, "short")});
  EXPECT_EQ(select(prompt, with(SelectRule::shortest)).responses, (Places{1}));
}

TEST(Rules, FirstLimitsTheSamples) {
  RuleOptions options = with(SelectRule::shortest);
  options.filter.first = 2;
  const auto selection = select(
      prompt_of({judged(true, 9, "a"), judged(true, 8, "b"), judged(true, 1, "c")}), options);
  EXPECT_EQ(selection.responses, (Places{1}));
  EXPECT_EQ(reasons(selection), "0:not_best 2:beyond ");
}

TEST(Rules, BestOfTakesTheHighestScoreThenTheShortest) {
  auto samples = std::vector<JudgedSample>{judged(false, 9, "a"), judged(false, 7, "b"),
                                           judged(false, 8, "c")};
  samples[0].score = 0.5;
  samples[1].score = samples[2].score = 0.9;
  EXPECT_EQ(select(prompt_of(samples), with(SelectRule::best_of)).responses, (Places{1}));
  RuleOptions options = with(SelectRule::best_of);
  options.filter.min_score = 0.95;
  EXPECT_EQ(reasons(select(prompt_of(samples), options)), "0:low_score 1:low_score 2:low_score ");
}

// The recipe: chosen = shortest correct; rejected = longer wrong ones, and correct ones at least
// 1.5 times as long.
TEST(Rules, PairsFollowTheRecipe) {
  const auto prompt = prompt_of({
      judged(true, 20, "chosen"),         // 0
      judged(false, 21, "longer wrong"),  // 1: rejected
      judged(false, 20, "as long"),       // 2: not longer
      judged(false, 5, "shorter"),        // 3
      judged(true, 29, "below ratio"),    // 4
      judged(true, 30, "at ratio"),       // 5: rejected
      judged(true, 60, "far above"),      // 6: rejected
      judged(false, 90, "longest"),       // 7: rejected
  });
  const auto selection = select(prompt, with(SelectRule::pairs));
  EXPECT_EQ(selection.pairs, (Pairs{{0, 1}, {0, 5}, {0, 6}, {0, 7}}));
  EXPECT_EQ(reasons(selection), "2:unpaired 3:unpaired 4:unpaired ");
  EXPECT_EQ(select(prompt, with(SelectRule::pairs, 2)).pairs, (Pairs{{0, 6}, {0, 7}}));
  EXPECT_EQ(select(prompt, with(SelectRule::pairs, 3)).pairs, (Pairs{{0, 1}, {0, 6}, {0, 7}}));
  RuleOptions options = with(SelectRule::pairs);
  options.ratio = 3;
  EXPECT_EQ(select(prompt, options).pairs, (Pairs{{0, 1}, {0, 6}, {0, 7}}));
}

TEST(Rules, WithoutACorrectSampleThereIsNoPair) {
  const auto selection =
      select(prompt_of({judged(false, 4, "a"), judged(false, 9, "b")}), with(SelectRule::pairs));
  EXPECT_TRUE(selection.pairs.empty());
  EXPECT_EQ(reasons(selection), "0:unpaired 1:unpaired ");
}

TEST(Rules, AChosenResponseWithoutARejectedOneIsNotUsed) {
  const auto selection =
      select(prompt_of({judged(true, 4, "a"), judged(true, 5, "b")}), with(SelectRule::pairs));
  EXPECT_TRUE(selection.pairs.empty());
  EXPECT_EQ(reasons(selection), "0:unpaired 1:unpaired ");
}

TEST(Rules, FailedSamplesAreNeitherRightNorWrong) {
  JudgedSample failed = judged(false, 50, "x");
  failed.score.reset();
  failed.error = "timeout";
  JudgedSample unjudged = judged(false, 60, "y");
  unjudged.score.reset();
  const auto prompt = prompt_of({judged(true, 4, "a"), failed, unjudged});
  EXPECT_EQ(reasons(select(prompt, with(SelectRule::pairs))), "0:unpaired 1:failed 2:not_judged ");
  EXPECT_EQ(reasons(select(prompt, with(SelectRule::correct))), "1:failed 2:not_judged ");
}

TEST(Rules, FiltersOfLengthAndMarksDoNotApplyToRejectedResponses) {
  RuleOptions options = with(SelectRule::pairs);
  options.filter.min_mark_kinds = 1;
  options.filter.min_tokens = 3;
  const auto selection = select(
      prompt_of({judged(true, 4, "Let me check."), judged(false, 9, "no"), judged(true, 2, "b")}),
      options);
  EXPECT_EQ(selection.pairs, (Pairs{{0, 1}}));
}

}  // namespace
}  // namespace longshot::curate
