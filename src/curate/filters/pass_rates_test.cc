#include "curate/filters/pass_rates.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/os/fs.h"
#include "base/rng.h"

namespace longshot::curate {
namespace {

JudgedPrompt judged(const std::string& id, const std::vector<int>& verdicts) {
  JudgedPrompt prompt;
  prompt.id = id;
  prompt.text = "q";
  for (size_t i = 0; i < verdicts.size(); ++i) {
    JudgedSample& sample = prompt.samples.emplace_back();
    sample.index = static_cast<uint32_t>(i);
    sample.finish = "stop";
    if (verdicts[i] < 0) {
      sample.error = "the judge failed";
    } else {
      sample.score = verdicts[i];
      sample.correct = verdicts[i] == 1;
    }
  }
  return prompt;
}

TEST(PassRates, LeaveOutFailuresOfTheJudge) {
  const PassRate rate = pass_rate(judged("a", {1, 0, -1, 1}), 0);
  EXPECT_EQ(rate.judged, 3U);
  EXPECT_DOUBLE_EQ(rate.rate(), 2.0 / 3);
  EXPECT_EQ(pass_rate(judged("a", {0, 0, 1}), 2).correct, 0U) << "only the first samples";
  EXPECT_EQ(pass_rate(judged("a", {}), 0).rate(), 0);
}

TEST(PassRates, AreReadFromFiles) {
  const auto path =
      std::filesystem::temp_directory_path() / fmt::format("pass_rates.{}.jsonl", ::getpid());
  const std::string text =
      dump_json(to_json(judged("a", {1, 1}))) + "\n" + dump_json(to_json(judged("b", {0}))) + "\n";
  ASSERT_TRUE(write_file_atomic(path, text).ok());
  const auto rates = read_pass_rates({path.string()}, 0);
  ASSERT_TRUE(rates.ok()) << rates.status().to_string();
  EXPECT_EQ(rates->at(hash64("a")).correct, 2U);
  EXPECT_EQ(rates->at(hash64("b")).judged, 1U);
  ASSERT_TRUE(write_file_atomic(path, text + "{\"id\": 3}\n").ok());
  EXPECT_NE(read_pass_rates({path.string()}, 0).status().message().find(":3"), std::string::npos);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace longshot::curate
