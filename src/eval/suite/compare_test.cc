#include "eval/suite/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/os/fs.h"
#include "eval/suite/plot.h"

namespace longshot::eval {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// The bootstrap's distribution of the mean of 0/1 values is binomial.
TEST(PairedBootstrap, IntervalIsThatOfTheBinomial) {
  std::vector<double> differences(100, 0.0);
  for (int i = 0; i < 30; ++i) differences[static_cast<size_t>(i)] = 1;
  const Difference d = paired_bootstrap(differences, 20000, 3);
  EXPECT_DOUBLE_EQ(d.mean, 0.3);
  const double deviation = std::sqrt(0.3 * 0.7 / 100);
  EXPECT_NEAR(d.low, 0.3 - 1.96 * deviation, 0.01);
  EXPECT_NEAR(d.high, 0.3 + 1.96 * deviation, 0.01);
  EXPECT_EQ(d.worse_share, 0);
  EXPECT_EQ(paired_bootstrap(differences, 20000, 3).low, d.low);
}

TEST(PairedBootstrap, EqualModelsHaveNoDifference) {
  const Difference d = paired_bootstrap({0, 0, 0}, 100, 1);
  EXPECT_EQ(d.low, 0);
  EXPECT_EQ(d.high, 0);
  EXPECT_EQ(d.worse_share, 1);
}

std::string row(const std::string& id, bool correct, int tokens) {
  OrderedJson sample = {{"tokens", tokens},
                        {"finish", "stop"},
                        {"score", correct ? 1 : 0},
                        {"correct", correct},
                        {"answer", ""}};
  OrderedJson json = {{"id", id}, {"samples", {sample}}};
  return dump_json(json) + "\n";
}

fs::path folder(const std::string& name, const std::string& rows) {
  const fs::path path = fs::path(testing::TempDir()) / name;
  EXPECT_TRUE(make_directories(path).ok());
  EXPECT_TRUE(write_file_atomic(path / "sums.jsonl", rows).ok());
  return path;
}

TEST(Compare, PairsProblemsById) {
  const fs::path a =
      folder("compare_a", row("1", true, 10) + row("2", false, 20) + row("x", true, 9));
  const fs::path b = folder("compare_b", row("2", true, 40) + row("1", true, 10));
  const auto tasks = compare(a, b, 500, 1);
  ASSERT_TRUE(tasks.ok()) << tasks.status().message();
  ASSERT_EQ(tasks->size(), 1u);
  EXPECT_EQ((*tasks)[0].problems, 2);
  EXPECT_EQ((*tasks)[0].only_a, 1);
  EXPECT_EQ((*tasks)[0].only_b, 0);
  EXPECT_DOUBLE_EQ((*tasks)[0].accuracy_a, 0.5);
  EXPECT_DOUBLE_EQ((*tasks)[0].accuracy.mean, 0.5);
  EXPECT_DOUBLE_EQ((*tasks)[0].tokens.mean, 10);
  const auto page = efficiency_page({a.string(), b.string()});
  ASSERT_TRUE(page.ok());
  EXPECT_THAT(*page, testing::AllOf(testing::HasSubstr("compare_b"), testing::HasSubstr("<svg")));
}

TEST(Compare, ARepeatedIdIsRefused) {
  const fs::path twice = folder("compare_twice", row("1", true, 10) + row("1", false, 20));
  EXPECT_THAT(compare(twice, twice, 10, 1).status().message(),
              testing::AllOf(HasSubstr("sums.jsonl"), HasSubstr("the id '1'")));
}

TEST(EfficiencyPage, ATaskWithoutAVerdictHasNoPoint) {
  const std::string failed =
      R"({"id": "1", "samples": [{"tokens": 3, "finish": "stop", "error": "down"}]})";
  const fs::path path = folder("compare_failed", failed + "\n");
  EXPECT_THAT(*efficiency_page({path.string()}), HasSubstr("share no task"));
}

TEST(Compare, ErrorsNameTheFolder) {
  EXPECT_THAT(compare("/nowhere", "/else", 10, 1).status().message(),
              testing::HasSubstr("/nowhere"));
}

}  // namespace
}  // namespace longshot::eval
