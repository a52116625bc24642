#include "curate/tests/request.h"

#include <gtest/gtest.h>

namespace longshot::curate {
namespace {

std::string code(const std::string& answer) {
  return python_code(answer).value_or("none");
}

TEST(PythonCode, ThePythonBlockCountsWhateverComesAfterIt) {
  EXPECT_EQ(code("```python\nx\n```"), "x\n");
  EXPECT_EQ(code("```python\nx\n```\nprints\n```\n3 4\n```\nand\n```text\n5\n```\n"), "x\n");
  EXPECT_EQ(code("```python\ndraft\n```\nbetter:\n```py\nx\n```"), "x\n");
  EXPECT_EQ(code("```\nx\n```"), "x\n");
  EXPECT_EQ(code("```\na\n```\n```\nb\n```\n```cpp\nc\n```"), "b\n");
  EXPECT_EQ(code("```python3\nx\n```\n```\n```\n"), "x\n");
}

TEST(PythonCode, AnAnswerWithoutOneHasNone) {
  EXPECT_EQ(code(""), "none");
  EXPECT_EQ(code("x = 1"), "none");
  EXPECT_EQ(code("```cpp\nx\n```"), "none");
  EXPECT_EQ(code("```python\nnever closed"), "none");
  EXPECT_EQ(code("<think>\n```python\nx\n```\n</think>\nsorry"), "none");
}

TEST(Request, SaysHowTheProgramIsRun) {
  const auto request =
      generator_request("Add {two} numbers.", {.cases = 20, .seconds = 2.5, .max_kb = 64});
  ASSERT_EQ(request.size(), 1u);
  EXPECT_EQ(request[0].role, "user");
  for (const char* words : {"Add {two} numbers.", "each of 20 cases", "from 1 to 20", "2.5 seconds",
                            "64 KB", "elif case > 16:", "from cyaron import *"})
    EXPECT_NE(request[0].content.text().find(words), std::string::npos) << words;
}

// The example in the request must be extracted from it as an answer would be.
TEST(Request, ItsExampleIsAProgram) {
  const auto shown = python_code(generator_request("", {})[0].content.text().substr(0, 4000));
  ASSERT_TRUE(shown.has_value());
  EXPECT_TRUE(shown->starts_with("import sys\nfrom cyaron import *\n")) << *shown;
}

}  // namespace
}  // namespace longshot::curate
