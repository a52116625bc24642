#include "loop/run_folder/best_checkpoint.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <random>

namespace longshot::loop {
namespace {

TEST(BestCheckpoint, IsTheShortestWithinTheMargin) {
  std::vector<Evaluated> candidates;
  const auto add = [&](Evaluated e) { return add_evaluation(e, 0.02, candidates); };
  const auto best = [&] { return best_of(candidates, 0.02)->iteration; };
  EXPECT_FALSE(best_of(candidates, 0.02).has_value());
  EXPECT_TRUE(add({10, 0.80, 100}));
  EXPECT_EQ(best(), 10);
  EXPECT_TRUE(add({20, 0.81, 200}));  // not the best yet
  EXPECT_EQ(best(), 10);
  EXPECT_TRUE(add({30, 0.83, 300}));  // now 10 is below the margin, and 20 the shortest within it
  EXPECT_EQ(best(), 20);
  EXPECT_FALSE(add({40, 0.82, 300}));  // less accurate and no shorter than 30
  EXPECT_FALSE(add({50, 0.83, 300}));  // equal: the earlier one stays
  EXPECT_TRUE(add({60, 0.85, 150}));
  EXPECT_EQ(best(), 60);
  EXPECT_EQ(candidates.size(), 1u);
}

TEST(BestCheckpoint, WithoutAMarginAccuracyDecides) {
  std::vector<Evaluated> candidates;
  for (const Evaluated& e : {Evaluated{1, 0.5, 10}, {2, 0.6, 90}, {3, 0.6, 80}, {4, 0.59, 1}})
    add_evaluation(e, 0, candidates);
  EXPECT_EQ(best_of(candidates, 0)->iteration, 3);
}

// The slow reference keeps every evaluation.
TEST(BestCheckpoint, NothingThatBecomesTheBestIsRemovedBefore) {
  std::mt19937 random(1);
  for (int run = 0; run < 300; ++run) {
    const double margin = run % 3 * 0.1;
    std::vector<Evaluated> all, candidates;
    for (int64_t i = 1; i <= 12; ++i) {
      const Evaluated e{i, static_cast<double>(random() % 10) / 10,
                        static_cast<double>(random() % 6)};
      all.push_back(e);
      add_evaluation(e, margin, candidates);
      ASSERT_EQ(best_of(candidates, margin)->iteration, best_of(all, margin)->iteration);
    }
  }
}

TEST(BestCheckpoint, ALinkToACheckpointThatIsGoneIsRemoved) {
  const std::filesystem::path folder = testing::TempDir() + "best_link";
  std::filesystem::create_directories(folder / "global_step_4");
  ASSERT_TRUE(link_best(folder, 4).ok());
  ASSERT_TRUE(remove_broken_best(folder).ok());
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "best"));
  std::filesystem::remove_all(folder / "global_step_4");
  ASSERT_TRUE(remove_broken_best(folder).ok());
  EXPECT_FALSE(std::filesystem::is_symlink(folder / "best"));
  ASSERT_TRUE(remove_broken_best(folder).ok());
}

TEST(BestCheckpoint, SurvivesACheckpoint) {
  const std::vector<Evaluated> candidates = {{10, 0.5, 12.5}, {20, 0.75, 40}};
  const auto read = evaluations_from_json(to_json(candidates), "state.json");
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(to_json(*read), to_json(candidates));
}

}  // namespace
}  // namespace longshot::loop
