#include "curate/samples/judged_prompt.h"

#include <gtest/gtest.h>

namespace longshot::curate {
namespace {

constexpr const char* kRow =
    R"({"id":"gsm8k/7","data_source":"gsm8k","prompt":[{"role":"user","content":"2 + 3?"}],)"
    R"("ground_truth":"5","extra_info":{"level":2},"samples":[)"
    R"({"index":0,"response":"It is 5.","tokens":4,"finish":"stop","score":1.0,"correct":true,)"
    R"("answer":"5","components":{"math":1.0},"token_ids":[7,8,9,2],)"
    R"("logprobs":[-0.5,-0.25,0.0,-1.0]},)"
    R"({"index":1,"response":"It","tokens":1,"finish":"length","score":0.0,"correct":false,)"
    R"("answer":"","components":{"math":0.0}},)"
    R"({"index":2,"response":"5","tokens":1,"finish":"stop","error":"math: timeout"},)"
    R"({"index":4,"response":"","error":"status 500"},)"
    R"({"index":5,"response":"5","tokens":0,"finish":"stop"}]})";

Result<JudgedPrompt> read(const std::string& text) {
  return judged_prompt_from_json(parse_ordered_json(text, "row").value(), "s.jsonl:1");
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(JudgedPrompt, IsWrittenAsItWasRead) {
  const auto prompt = read(kRow);
  ASSERT_TRUE(prompt.ok()) << prompt.status().message();
  EXPECT_EQ(dump_json(to_json(*prompt)), kRow);
}

TEST(JudgedPrompt, EveryFieldIsRead) {
  const auto prompt = read(kRow);
  ASSERT_TRUE(prompt.ok()) << prompt.status().message();
  EXPECT_EQ(prompt->id, "gsm8k/7");
  EXPECT_EQ(prompt->data_source, "gsm8k");
  EXPECT_EQ(prompt->messages, (std::vector<data::Message>{{"user", "2 + 3?"}}));
  EXPECT_EQ(prompt->ground_truth, "5");
  EXPECT_TRUE(prompt->ground_truth_json.is_null());
  EXPECT_EQ(prompt->extra_info["level"], 2);
  ASSERT_EQ(prompt->samples.size(), 5u);
  const JudgedSample& first = prompt->samples[0];
  EXPECT_EQ(first.score, 1.0);
  EXPECT_TRUE(first.correct);
  EXPECT_EQ(first.token_ids, (std::vector<data::TokenId>{7, 8, 9, 2}));
  EXPECT_EQ(first.logprobs, (std::vector<float>{-0.5f, -0.25f, 0, -1}));
  EXPECT_EQ(prompt->samples[1].finish, "length");
  EXPECT_FALSE(prompt->samples[2].score);
  EXPECT_EQ(prompt->samples[2].error, "math: timeout");
  EXPECT_EQ(prompt->samples[3].finish, "");
  EXPECT_FALSE(prompt->samples[4].score);
}

TEST(JudgedPrompt, TextsAndStructuredTruthsKeepTheirForm) {
  const std::string row =
      R"({"id":"a","data_source":"","prompt":"2 + 3 =","ground_truth":{"target":5},)"
      R"("extra_info":{},"samples":[]})";
  const auto prompt = read(row);
  ASSERT_TRUE(prompt.ok()) << prompt.status().message();
  EXPECT_EQ(prompt->text, "2 + 3 =");
  EXPECT_EQ(prompt->ground_truth, R"({"target":5})");
  EXPECT_EQ(prompt->ground_truth_json, Json({{"target", 5}}));
  EXPECT_EQ(dump_json(to_json(*prompt)), row);
}

TEST(JudgedPrompt, AnErrorNamesPlaceAndKey) {
  const auto message = [](const std::string& from, const std::string& to) {
    return read(replaced(kRow, from, to)).status().message();
  };
  EXPECT_EQ(message(R"("id":"gsm8k/7",)", ""), "s.jsonl:1: key 'id' is missing");
  EXPECT_EQ(message(R"("prompt":[)", R"("Prompt":[)"), "s.jsonl:1: key 'prompt' is missing");
  EXPECT_EQ(message(R"([{"role":"user","content":"2 + 3?"}])", "3"),
            "s.jsonl:1: key 'prompt' is neither a text nor a list of messages");
  EXPECT_EQ(message(R"("tokens":4)", R"("tokens":"4")"),
            "s.jsonl:1: samples[0]: key 'tokens' has the wrong type (string)");
  EXPECT_EQ(message(R"("finish":"length")", R"("finish":"long")"),
            "s.jsonl:1: samples[1]: key 'finish': unknown 'long'");
  EXPECT_EQ(message(R"("index":1)", R"("index":0)"),
            "s.jsonl:1: samples[1]: key 'index' does not ascend");
  EXPECT_EQ(message(R"([7,8,9,2])", "[7,8]"),
            "s.jsonl:1: samples[0]: keys 'logprobs' and 'token_ids' differ in length");
  EXPECT_EQ(message(R"(,"error":"status 500")", ""),
            "s.jsonl:1: samples[3]: needs key 'finish', or 'error' if there is no response");
  EXPECT_EQ(message(R"({"level":2})", "[]"), "s.jsonl:1: key 'extra_info' is not an object");
}

}  // namespace
}  // namespace longshot::curate
