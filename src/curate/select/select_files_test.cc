#include "curate/select/select_files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "curate/select/testing.h"

namespace longshot::curate {
namespace {

class Files : public ::testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }
  Result<SelectFunnel> run(const std::string& text) {
    std::ofstream(path_) << text;
    rows_.clear();
    return select_files({path_}, options_, [this](const OrderedJson& row) {
      rows_.push_back(dump_json(row));
      return ok_status();
    });
  }
  const std::string path_ =
      std::filesystem::temp_directory_path() / ("select" + std::to_string(::getpid()) + ".jsonl");
  RuleOptions options_;
  std::vector<std::string> rows_;
};

TEST_F(Files, EverySampleIsCountedOnce) {
  JudgedSample failed = judged(false, 0, "");
  failed.score.reset();
  failed.finish.clear();
  failed.error = "status 500";
  std::string text;
  for (int i = 0; i < 5; ++i) {
    JudgedPrompt prompt =
        prompt_of({judged(true, 3, "4"), judged(false, 7, "5"), judged(true, 3, " 4 "), failed});
    prompt.id = std::to_string(i);
    text += dump_json(to_json(prompt)) + "\n";
  }
  const auto funnel = run(text);
  ASSERT_TRUE(funnel.ok()) << funnel.status().message();
  EXPECT_EQ(rows_.size(), 5u);
  const OrderedJson json = funnel->to_json();
  EXPECT_EQ(json["prompts"], 5);
  EXPECT_EQ(json["samples"], 20);
  EXPECT_EQ(json["samples_used"], 5);
  EXPECT_EQ(json["rows"], 5);
  EXPECT_EQ(dump_json(json["dropped"]), R"({"failed":5,"wrong":5,"duplicate":5})");
  EXPECT_EQ(json["examples"]["wrong"].size(), 3u);
  EXPECT_EQ(json["examples"]["wrong"][0]["response"], "5");
  EXPECT_EQ(json["examples"]["failed"][0]["error"], "status 500");
}

TEST_F(Files, AnErrorNamesFileLineAndKey) {
  const std::string good = dump_json(to_json(prompt_of({judged(true, 3, "4")}))) + "\n";
  EXPECT_EQ(run(good + R"({"id": "a", "prompt": "x"})").status().message(),
            path_ + ":2: key 'samples' is missing");
  EXPECT_EQ(run("").status().message(), "no rows in " + path_);
}

}  // namespace
}  // namespace longshot::curate
