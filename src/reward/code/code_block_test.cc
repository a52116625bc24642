#include "reward/code/code_block.h"

#include <gtest/gtest.h>

namespace longshot::reward {
namespace {

std::string program(const char* text, const char* preferred = "") {
  const auto block = program_of(text, preferred);
  return block ? block->language + "|" + block->code : "none";
}

TEST(CodeBlock, TheLastCompleteOneOfTheAnswerCounts) {
  EXPECT_EQ(program("a\n```python\nx = 1\n```\nb\n```cpp\ny\n```"), "cpp|y\n");
  EXPECT_EQ(program("```\nx\n```"), "|x\n");
  EXPECT_EQ(program("```py\nprint('```')\n```"), "py|print('```')\n");
  EXPECT_EQ(program("<think>\n```py\ndraft\n```\n</think>\nno code"), "none");
  EXPECT_EQ(program("x = 1"), "none");
  EXPECT_EQ(program("```"), "none");
}

TEST(CodeBlock, FencesAsModelsWriteThem) {
  EXPECT_EQ(program("```Python  \r\nx\r\n```\r\n"), "python|x\n");
  EXPECT_EQ(program("  ```py\n  x\n  ```"), "py|x\n");
  EXPECT_EQ(program("1. First:\n   ```py\n   if x:\n       y\n   ```"), "py|if x:\n    y\n");
  EXPECT_EQ(program("> ```py\n> x\n> ```"), "py|x\n");
  EXPECT_EQ(program("\t```py\n\tx\n\n\ty\n\t```"), "py|x\n\ny\n");
  EXPECT_EQ(program("The code: ```python\nx\n```\n"), "python|x\n");
  EXPECT_EQ(program("The code: ```\nx\n```\n"), "|x\n");
  EXPECT_EQ(program("Here: ```python print(1)```."), "python|print(1)\n");
  EXPECT_EQ(program("~~~python\nx\n~~~"), "python|x\n");
  EXPECT_EQ(program("~~~~\n~~~\nx\n~~~~~"), "|~~~\nx\n");
  EXPECT_EQ(program("````python\ns = '''\n```\n'''\n````"), "python|s = '''\n```\n'''\n");
  EXPECT_EQ(program("````markdown\n```python\nx\n```\n````"), "python|x\n");
  EXPECT_EQ(program("```python {.line-numbers}\nx\n```"), "python|x\n");
  EXPECT_EQ(program("```{.python .numberLines}\nx\n```"), "python|x\n");
  EXPECT_EQ(program("```python:main.py\nx\n```"), "python|x\n");
  EXPECT_EQ(program("``` python\nx\n``` \nDone."), "python|x\n");
  EXPECT_EQ(program("```python\nprint(1)```\n"), "python|print(1)\n");
}

TEST(CodeBlock, TextBehindAFence) {
  EXPECT_EQ(program("<answer>```python\nx\n```</answer>"), "python|x\n");
  EXPECT_EQ(program("<answer>\n```python\nx\n```\n</answer>\n```python\nprint(f(2))\n```"),
            "python|x\n");
  EXPECT_EQ(program("```python\nx\n```\n<answer>see above</answer>"), "python|x\n");
  EXPECT_EQ(program("```python\nx\n```<|im_end|>"), "python|x\n");
  EXPECT_EQ(program("```python\nx\n``` This prints:\n```\n2\n```"), "python|x\n");
  EXPECT_EQ(program("```python\nx\n```This program works.\n\nIt reads `n`."), "python|x\n");
  EXPECT_EQ(program("```python\nx\n```output\n2\n```"), "python|x\n");
  EXPECT_EQ(program("<thinking>\n```py\ndraft\n```\n</thinking>\n```py\nx\n```"), "py|x\n");
}

TEST(CodeBlock, ABlockThatIsCutIsNone) {
  EXPECT_EQ(program("```python\nx"), "none");
  EXPECT_EQ(program("```py\nfirst\n```\nBetter:\n```py\nnever closed"), "none")
      << "it was to be replaced";
  EXPECT_EQ(program("```py\nx\n```\nDone.\n```"), "py|x\n") << "a stray fence";
  EXPECT_EQ(program("```py\nx\n```\n```py\n"), "py|x\n");
  EXPECT_EQ(program("<think>\n```py\nx\n```\nWait,"), "none") << "the thoughts do not end";
  EXPECT_EQ(program("```py\ndraft\n\n```py\nx\n```"), "py|x\n") << "the first is never closed";
}

TEST(CodeBlock, OutputAndCommandsAfterTheProgramAreNotThePrograms) {
  EXPECT_EQ(program("```python\nx\n```\nIt prints:\n```\n2\n```\n"), "python|x\n");
  EXPECT_EQ(program("```python\nx\n```\nRun:\n```bash\npython main.py\n```"), "python|x\n");
  EXPECT_EQ(program("```\nx\n```\nRun:\n```sh\n./a.out\n```"), "|x\n");
  EXPECT_EQ(program("```\nx\n```\n```text\n2\n```\n```json\n{}\n```"), "|x\n");
  EXPECT_EQ(program("```bash\necho 2\n```\nIt prints:\n```\n2\n```"), "bash|echo 2\n");
  EXPECT_EQ(program("```bash\necho 1\n```\n```bash\necho 2\n```"), "bash|echo 2\n");
  EXPECT_EQ(program("```text\n2\n```"), "none");
  EXPECT_EQ(program("```cppp\nx\n```"), "cppp|x\n") << "a misspelled word says nothing";
}

TEST(CodeBlock, ThePreferredLanguageGoesFirst) {
  EXPECT_EQ(program("```python\nx\n```\nIn C++:\n```cpp\ny\n```", "python"), "python|x\n");
  EXPECT_EQ(program("```cpp\ny\n```", "python"), "cpp|y\n");
}

}  // namespace
}  // namespace longshot::reward
