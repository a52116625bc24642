#include "net/choices.h"

#include <gtest/gtest.h>

namespace longshot::net {
namespace {

// Reads the tokens of a chat's only choice with these members.
ChatChoice tokens_of(const std::string& members, const std::string& rest = "") {
  const auto choices = read_choices(
      R"({"choices": [{"message": {"content": "4"}, )" + members + "}]" + rest + "}", "chat");
  EXPECT_TRUE(choices.ok()) << choices.status().message();
  return choices.ok() ? choices->front() : ChatChoice();
}

TEST(Choices, TokensAreReadFromEveryForm) {
  const std::string content = R"("logprobs": {"content": [{"logprob": -1}, {"logprob": -2}]})";
  const ChatChoice vllm = tokens_of(R"("token_ids": [7, 8], )" + content);
  const ChatChoice sglang = tokens_of(
      R"("meta_info": {"output_token_logprobs": [[-1, 7, null], [-2, 8, "b"]]}, )" + content);
  for (const ChatChoice& choice : {vllm, sglang}) {
    EXPECT_EQ(choice.token_ids, (std::vector<data::TokenId>{7, 8}));
    EXPECT_EQ(choice.logprobs, (std::vector<float>{-1, -2}));
    EXPECT_EQ(choice.tokens, 2);
  }
  const ChatChoice openai = tokens_of(content);  // no ids: log-probabilities belong to none
  EXPECT_TRUE(openai.token_ids.empty());
  EXPECT_TRUE(openai.logprobs.empty());
  EXPECT_EQ(openai.tokens, 2);
  EXPECT_EQ(tokens_of(R"("x": 0)", R"(, "usage": {"completion_tokens": 9})").tokens, 9);
  EXPECT_EQ(tokens_of(R"("x": 0)").tokens, 0);
}

TEST(Choices, DamagedTokensCountAsNone) {
  for (const char* members :
       {R"("token_ids": ["7"])", R"("token_ids": 7)", R"("meta_info": 3)",
        R"("meta_info": {"output_token_logprobs": [[null, 7]]})",
        R"("meta_info": {"output_token_logprobs": [[-1]]})", R"("logprobs": {"content": [{}]})"}) {
    const ChatChoice choice = tokens_of(members);
    EXPECT_TRUE(choice.token_ids.empty()) << members;
    EXPECT_TRUE(choice.logprobs.empty()) << members;
    EXPECT_EQ(choice.tokens, 0) << members;
  }
}

}  // namespace
}  // namespace longshot::net
