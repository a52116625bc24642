#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/os/fs.h"
#include "datasets/preference.h"

namespace longshot::datasets {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

auto with_file(const std::string& lines, const auto& use) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("longshot_judged_" + std::to_string(::getpid()) + ".jsonl");
  EXPECT_TRUE(write_file_atomic(path, lines).ok());
  auto result = use(path.string());
  std::filesystem::remove(path);
  return result;
}

Result<std::vector<JudgedRow>> read(const std::string& lines) {
  return with_file(lines, [](const std::string& path) { return read_judged({path}); });
}

// A row may be written over several lines here.
std::string on_one_line(std::string text) {
  std::erase(text, '\n');
  return text;
}

JudgedRow one(const std::string& line) {
  auto rows = read(on_one_line(line));
  EXPECT_TRUE(rows.ok()) << rows.status().message();
  EXPECT_EQ(rows->size(), 1u);
  return (*rows)[0];
}

std::string error_of(const std::string& line) {
  return read(on_one_line(line)).status().message();
}

std::vector<std::string> texts(const JudgedRow& row) {
  std::vector<std::string> out;
  for (const auto& m : row.question) out.push_back(m.role + ":" + m.content.text());
  return out;
}

TEST(ReadJudged, LabelledRows) {
  const JudgedRow row = one(R"({"prompt":"1+1=","completion":"2","label":true})");
  EXPECT_THAT(texts(row), ElementsAre("user:1+1="));
  EXPECT_EQ(row.response, "2");
  EXPECT_FALSE(row.pair);
  EXPECT_EQ(row.label, 1);
  EXPECT_EQ(row.reference, "");
  EXPECT_EQ(one(R"({"prompt":"q","completion":"2","label":false})").label, 0);
  EXPECT_EQ(one(R"({"prompt":"q","completion":"2","label":0.25})").label, 0.25);
  const JudgedRow verl = one(
      R"({"prompt":[{"role":"system","content":"s"},{"role":"user","content":"q"}],"response":"r",
          "reward_model":{"ground_truth":"4"},"label":1})");
  EXPECT_THAT(texts(verl), ElementsAre("system:s", "user:q"));
  EXPECT_EQ(verl.response, "r");
  EXPECT_EQ(verl.reference, "4");
  EXPECT_EQ(one(R"({"prompt":"q","response":"r","answer":7,"label":1})").reference, "7");
}

TEST(ReadJudged, Pairs) {
  const JudgedRow row = one(R"({"prompt":"q","chosen":"a","rejected":"b"})");
  EXPECT_TRUE(row.pair);
  EXPECT_EQ(row.response, "a");
  EXPECT_EQ(row.rejected, "b");
  EXPECT_THAT(texts(row), ElementsAre("user:q"));
  const JudgedRow chat = one(
      R"({"prompt":[{"role":"user","content":"q"}],"chosen":[{"role":"assistant","content":"a"}],
          "rejected":[{"role":"assistant","content":"b"}]})");
  EXPECT_EQ(chat.response + chat.rejected, "ab");
}

TEST(ReadJudged, ThePromptMayStandInsideAPair) {
  const JudgedRow row = one(
      R"({"chosen":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],
          "rejected":[{"role":"user","content":"q"},{"role":"assistant","content":"b"}]})");
  EXPECT_THAT(texts(row), ElementsAre("user:q"));
  EXPECT_EQ(row.response + row.rejected, "ab");
  EXPECT_THAT(
      error_of(R"({"chosen":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],
          "rejected":[{"role":"user","content":"p"},{"role":"assistant","content":"b"}]})"),
      HasSubstr("differ before"));
  EXPECT_TRUE(one(R"({"chosen":"a","rejected":"b"})").question.empty());
  // And be repeated in a column of its own.
  const auto both = [](const std::string& prompt) {
    return R"({"prompt":")" + prompt +
           R"(","chosen":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],
               "rejected":[{"role":"user","content":"q"},{"role":"assistant","content":"b"}]})";
  };
  EXPECT_THAT(texts(one(both("q"))), ElementsAre("user:q"));
  EXPECT_THAT(error_of(both("other")), HasSubstr("begin with another prompt than 'prompt'"));
}

TEST(ReadJudged, AQuestionOfPartsKeepsItsFormAndAResponseIsItsText) {
  const std::string parts = R"([{"type":"text","text":"q"},{"type":"text","text":"!"}])";
  const auto chat = [&](const std::string& question, const std::string& answer) {
    return R"([{"role":"user","content":)" + question + R"(},{"role":"assistant","content":)" +
           answer + "}]";
  };
  const auto pair = [](const std::string& chosen, const std::string& rejected) {
    return R"({"chosen":)" + chosen + R"(,"rejected":)" + rejected + "}";
  };
  const JudgedRow row = one(pair(chat(parts, R"("a")"), chat(parts, parts)));
  EXPECT_EQ(dump_json(row.question[0].content.to_json()), parts);
  EXPECT_EQ(row.response, "a");
  EXPECT_EQ(row.rejected, "q!");
  EXPECT_THAT(error_of(pair(chat(parts, R"("a")"), chat(R"("q!")", R"("b")"))),
              HasSubstr("differ before"));
  EXPECT_THAT(error_of(pair(chat(R"([{"type":"image"}])", R"("a")"), R"("b")")),
              HasSubstr(".jsonl:1: 'chosen': message 1: part 1 of 'content' is of type 'image'"));
}

TEST(ReadJudged, ABadRowIsNamed) {
  EXPECT_THAT(error_of(R"({"prompt":"q","completion":"2"})"),
              testing::AllOf(HasSubstr(".jsonl:1"), HasSubstr("'label'")));
  EXPECT_THAT(error_of(R"({"prompt":"q","label":1})"), HasSubstr("completion"));
  EXPECT_THAT(error_of(R"({"prompt":"q","completion":"2","label":2})"), HasSubstr("from 0 to 1"));
  EXPECT_THAT(error_of(R"({"prompt":"q","completion":"2","label":"yes"})"), HasSubstr("yes"));
  EXPECT_THAT(error_of(R"({"prompt":"q","completion":[{"role":"user","content":"x"}],"label":1})"),
              HasSubstr("assistant"));
  EXPECT_THAT(
      error_of(R"({"prompt":[{"role":"assistant","content":"x"}],"completion":"c","label":1})"),
      HasSubstr("belongs to the response"));
  EXPECT_THAT(error_of(" "), HasSubstr("no rows"));
}

TEST(EncodeJudged, TooLongRowsAreCountedAndBothHalvesOfAPairAreRead) {
  const auto tokenizer = *tokenizer::make_character_tokenizer("abcdq");
  const auto plain = *tokenizer::ChatTemplate::of_family("plain");
  JudgedEncoder encoder(*tokenizer, plain, 1);
  int dropped = 0;
  const auto encode = [&](const std::string& lines, int max_length) {
    return with_file(lines, [&](const std::string& path) {
      return read_examples<JudgedExample>({path}, encoder, max_length, &dropped);
    });
  };
  const auto examples = encode(R"({"prompt":"q","chosen":"a","rejected":"bb"}
{"prompt":"q","completion":"abcd","label":1}
{"prompt":"q","completion":"d","label":0})",
                               4);
  ASSERT_TRUE(examples.ok());
  EXPECT_EQ(dropped, 1);
  ASSERT_EQ(examples->size(), 2u);
  EXPECT_EQ(tokenizer->decode((*examples)[0].tokens, false), "qa<eos>");
  EXPECT_EQ(tokenizer->decode((*examples)[0].rejected, false), "qbb<eos>");
  EXPECT_EQ(encoder.tokens((*examples)[0]), 7);
  EXPECT_TRUE((*examples)[1].rejected.empty());
  EXPECT_EQ((*examples)[1].label, 0);
  EXPECT_THAT(encode(R"({"prompt":"q","completion":"xyz","label":1})", 9).status().message(),
              testing::AllOf(HasSubstr(".jsonl:1"), HasSubstr("no token")));
}

}  // namespace
}  // namespace longshot::datasets
