#include "curate/tests/problem.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace longshot::curate {
namespace {

class Problems : public ::testing::Test {
 protected:
  Result<std::vector<Problem>> read(const std::string& text) {
    std::ofstream(path_) << text;
    return read_problems({path_.string()});
  }
  std::string why(const std::string& text) { return read(text).status().message(); }
  void TearDown() override { std::filesystem::remove(path_); }

  const std::filesystem::path path_ =
      std::filesystem::temp_directory_path() / ("problems" + std::to_string(::getpid()) + ".jsonl");
};

TEST_F(Problems, AllColumnsAreRead) {
  const auto problems = read(
      R"row({"id": 7, "statement": "s", "submissions": ["print(1)", {"language": "CPP", "code": "int main() {}"}]})row"
      "\n"
      R"({"id": "b", "statement": "t", "submissions": [], "special_judge": false, "generator": "g", "data_source": "d", "extra_info": {"difficulty": 3}, "other": 1})");
  ASSERT_TRUE(problems.ok()) << problems.status().message();
  const Problem &a = (*problems)[0], &b = (*problems)[1];
  EXPECT_EQ(a.id, "7");
  EXPECT_EQ(a.submissions[0].language + "|" + a.submissions[0].code, "python|print(1)");
  EXPECT_EQ(a.submissions[1].language, "cpp");
  EXPECT_FALSE(a.special_judge.has_value());
  EXPECT_EQ(a.data_source, "make_tests");
  EXPECT_EQ(b.special_judge, std::optional(false));
  EXPECT_EQ(b.generator + b.data_source, "gd");
  EXPECT_EQ(b.extra_info["difficulty"], 3);
}

TEST_F(Problems, AChangedRowHasAnotherHash) {
  const auto hash = [&](const std::string& statement) {
    return (*read(R"({"id": "a", "submissions": [], "statement": ")" + statement + "\"}"))[0]
        .content_hash;
  };
  EXPECT_EQ(hash("s"), hash("s"));
  EXPECT_NE(hash("s"), hash("t"));
}

TEST_F(Problems, ABadRowIsNamedWithItsLineAndKey) {
  const std::string good = R"({"id": "a", "statement": "s", "submissions": []})"
                           "\n";
  const auto expect = [&](const std::string& row, const std::string& words) {
    const std::string message = why(good + row);
    EXPECT_NE(message.find(":2"), std::string::npos) << message;
    EXPECT_NE(message.find(words), std::string::npos) << message;
  };
  expect(R"({"statement": "s", "submissions": []})", "'id'");
  expect(R"({"id": 1.5, "statement": "s", "submissions": []})", "'id'");
  expect(R"({"id": "b", "submissions": []})", "'statement'");
  expect(R"({"id": "b", "statement": " ", "submissions": []})", "'statement'");
  expect(R"({"id": "b", "statement": "s"})", "'submissions'");
  expect(R"({"id": "b", "statement": "s", "submissions": {}})", "'submissions'");
  expect(R"({"id": "b", "statement": "s", "submissions": ["x", {"code": "y"}]})", "submission 2");
  expect(R"({"id": "b", "statement": "s", "submissions": [""]})", "submission 1");
  expect(R"({"id": "b", "statement": "s", "submissions": [], "special_judge": "no"})",
         "special_judge");
  expect(R"({"id": "b", "statement": "s", "submissions": [], "extra_info": []})", "extra_info");
  expect(R"({"id": "a", "statement": "s", "submissions": []})", "twice");
  EXPECT_NE(why("\n").find("no problem"), std::string::npos);
}

}  // namespace
}  // namespace longshot::curate
