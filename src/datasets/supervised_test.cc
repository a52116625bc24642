#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/os/fs.h"
#include "datasets/supervised.h"
#include "datasets/tokenize.h"
#include "datasets/tokenizer_testing.h"

namespace longshot::datasets {
namespace {

using data::TokenId;
using testing::HasSubstr;

class Supervised : public testing::Test {
 protected:
  Supervised()
      : path_(testing::TempDir() + "longshot_sft_" + std::to_string(getpid()) + ".jsonl") {}
  ~Supervised() override { std::filesystem::remove(path_); }

  Result<std::vector<SupervisedExample>> read(const std::string& rows,
                                              const std::string& family = "chatml",
                                              int max_length = 10000) {
    EXPECT_TRUE(write_file_atomic(path_, rows).ok());
    const auto chat = tokenizer::ChatTemplate::of_family(family);
    EXPECT_TRUE(chat.ok());
    return read_supervised({path_}, tokenizer_, *chat, ByteTokenizer::kEos, max_length, &dropped_);
  }
  std::string error_of(const std::string& rows, const std::string& family = "chatml") {
    const auto result = read(rows, family);
    return result.ok() ? "" : result.status().message();
  }
  std::string text_of(const std::vector<TokenId>& ids) { return tokenizer_.decode(ids, false); }
  // The text of the tokens trained on, each run in parentheses.
  std::string trained(const SupervisedExample& example) {
    std::string out;
    for (size_t i = 0; i < example.tokens.size(); ++i) {
      const bool on = example.loss_mask[i] != 0, before = i > 0 && example.loss_mask[i - 1] != 0;
      if (on && !before) out += '(';
      if (!on && before) out += ')';
      if (on) out += tokenizer_.token_bytes(example.tokens[i]);
    }
    return out + (example.loss_mask.back() != 0 ? ")" : "");
  }

  ByteTokenizer tokenizer_;
  std::string path_;
  int dropped_ = -1;
};

TEST_F(Supervised, PromptAndCompletionAreJoinedAsTokensAndClosed) {
  const auto rows = read(R"({"prompt":"1+1=\n","completion":"\n#2"})"
                         "\n",
                         "plain");
  ASSERT_TRUE(rows.ok()) << rows.status().to_string();
  const auto& example = rows->front();
  EXPECT_EQ(trained(example), "(\n#2<|im_end|>)");
  EXPECT_EQ(example.tokens.size(),
            9u);  // the two newlines are not merged across the border
  EXPECT_EQ(example.where, path_ + ":1");
  EXPECT_EQ(dropped_, 0);
}

TEST_F(Supervised, RawPromptsBeginWithTheTokenizersBos) {
  const ByteTokenizer with_bos(true);
  ASSERT_TRUE(write_file_atomic(path_, R"({"prompt":"a","completion":"b"})").ok());
  const auto chat = tokenizer::ChatTemplate::of_family("plain");
  const auto rows = read_supervised({path_}, with_bos, *chat, ByteTokenizer::kEos, 100, &dropped_);
  ASSERT_TRUE(rows.ok());
  EXPECT_EQ((*rows)[0].tokens,
            (std::vector<TokenId>{ByteTokenizer::kBos, 'a', 'b', ByteTokenizer::kEos}));
  EXPECT_EQ((*rows)[0].loss_mask, (std::vector<uint8_t>{0, 0, 1, 1}));
}

TEST_F(Supervised, EveryAssistantTurnIsTrainedOnWithItsEndOfTurn) {
  const auto rows = read(
      R"({"messages":[{"role":"system","content":"S"},{"role":"user","content":"a"},{"role":"assistant","content":"b"},)"
      R"({"role":"user","content":"c"},{"role":"assistant","content":"d"}]})");
  ASSERT_TRUE(rows.ok()) << rows.status().to_string();
  EXPECT_EQ(trained(rows->front()), "(b<|im_end|>)(d<|im_end|>)");
  const auto chat = tokenizer::ChatTemplate::of_family("chatml");
  const auto whole = chat->render(
      {{"system", "S"}, {"user", "a"}, {"assistant", "b"}, {"user", "c"}, {"assistant", "d"}},
      false);
  EXPECT_EQ(text_of(rows->front().tokens) + "\n", *whole);
  EXPECT_EQ(rows->front().tokens.size() + 1, tokenizer_.encode(*whole, true).size());
}

// A rollout sees the prompt's ids followed by the response's. Training must see the same, even if
// the whole text would be tokenized otherwise.
TEST_F(Supervised, TurnsBeginWhereTheTokenizedPromptEnds) {
  const auto rows =
      read(R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"\nb"}]})");
  ASSERT_TRUE(rows.ok()) << rows.status().to_string();
  EXPECT_EQ(trained(rows->front()), "(\nb<|im_end|>)");
  std::vector<data::Prompt> prompts(1);
  prompts[0].id = "p";
  prompts[0].messages = {{"user", "a"}};
  int dropped = 0;
  const auto chat = tokenizer::ChatTemplate::of_family("chatml");
  ASSERT_TRUE(tokenize_prompts(prompts, tokenizer_, *chat, 1000, &dropped).ok());
  const auto& tokens = rows->front().tokens;
  ASSERT_LT(prompts[0].tokens.size(), tokens.size());
  EXPECT_TRUE(std::equal(prompts[0].tokens.begin(), prompts[0].tokens.end(), tokens.begin()));
  EXPECT_EQ(rows->front().loss_mask[prompts[0].tokens.size()], 1);
  EXPECT_EQ(rows->front().loss_mask[prompts[0].tokens.size() - 1], 0);
}

TEST_F(Supervised, OnlyTheCompletionsTurnsAreTrainedOn) {
  const auto rows = read(
      R"({"prompt":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}],)"
      R"("completion":[{"role":"assistant","content":"d"}]})");
  ASSERT_TRUE(rows.ok()) << rows.status().to_string();
  EXPECT_EQ(trained(rows->front()), "(d<|im_end|>)");
}

TEST_F(Supervised, VerlRowsTrainOnTheResponse) {
  const auto rows = read(
      R"({"data_source":"d","prompt":[{"role":"user","content":"a"}],"extra_info":{"answer":"long"}})"
      "\n"
      R"({"data_source":"d","prompt":[{"role":"user","content":"a"}],"response":"short","extra_info":{"answer":"long"}})"
      "\n"
      R"({"data_source":"d","prompt":"a","response":"raw"})");
  ASSERT_TRUE(rows.ok()) << rows.status().to_string();
  EXPECT_EQ(trained((*rows)[0]), "(long<|im_end|>)");
  EXPECT_EQ(trained((*rows)[1]), "(short<|im_end|>)");
  EXPECT_EQ(text_of((*rows)[2].tokens),
            "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nraw<|im_end|>");
}

TEST_F(Supervised, APromptMayRepeatTheFirstTurnOfAChat) {
  const auto rows =
      read(R"({"prompt":"a","prompt_id":"1","messages":[{"role":"user","content":"a"},)"
           R"({"role":"assistant","content":"b"},{"role":"user","content":"c"},)"
           R"({"role":"assistant","content":"d"}]})");
  ASSERT_TRUE(rows.ok()) << rows.status().to_string();
  EXPECT_EQ(trained(rows->front()), "(b<|im_end|>)(d<|im_end|>)");
}

TEST_F(Supervised, PlainTextTrainsOnAllThatHasAPredecessor) {
  const auto rows = read(R"({"text":"abc"})");
  ASSERT_TRUE(rows.ok());
  EXPECT_EQ(trained(rows->front()), "(bc<|im_end|>)");
}

TEST_F(Supervised, FamiliesWithoutAnEndOfTurnGetTheEndOfSequence) {
  const auto rows =
      read(R"({"messages":[{"role":"user","content":"1+1="},{"role":"assistant","content":"#2"}]})",
           "plain");
  ASSERT_TRUE(rows.ok()) << rows.status().to_string();
  EXPECT_EQ(trained(rows->front()), "(#2<|im_end|>)");
  EXPECT_EQ(text_of(rows->front().tokens), "1+1=#2<|im_end|>");
}

// Qwen3's template drops the thinking of earlier turns.
TEST_F(Supervised, TemplatesThatRewriteEarlierTurnsAreAnError) {
  const std::string chat =
      R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"<think>\nt\n</think>\n\nb"},)"
      R"({"role":"user","content":"c"},{"role":"assistant","content":"d"}]})";
  EXPECT_THAT(error_of(chat, "qwen3"),
              HasSubstr("renders message 2 differently once later messages follow"));
  EXPECT_EQ(error_of(chat, "chatml"), "");
}

TEST_F(Supervised, RowsThatCannotBeTrainedOnAreErrors) {
  EXPECT_THAT(error_of(R"({"prompt":"a","chosen":"b","rejected":"c"})"), HasSubstr("longshot rm"));
  EXPECT_THAT(error_of(R"({"messages":[{"role":"user","content":"a"}]})"),
              HasSubstr("no assistant turn"));
  EXPECT_THAT(error_of(R"({"prompt":"a"})"), HasSubstr("no text to train on"));
  EXPECT_THAT(
      error_of(R"({"prompt":"a","completion":[{"role":"assistant","content":"b"}]})", "plain"),
      HasSubstr("completion must be one too"));
  EXPECT_THAT(error_of(R"({"text":5})"), HasSubstr(":1: key 'text' has the wrong type"));
  EXPECT_THAT(error_of("\n{\"text\":\"a\"}\n{\"txt\":\"a\"}"),
              HasSubstr(".jsonl:3: no known row form"));
  EXPECT_THAT(error_of("\n"), HasSubstr("no rows"));
}

TEST_F(Supervised, RowsOverTheLimitAreDroppedAndCounted) {
  const std::string rows = "{\"text\":\"abc\"}\n{\"text\":\"abcdefgh\"}\n";
  const auto kept = read(rows, "plain", 4);
  ASSERT_TRUE(kept.ok());
  EXPECT_EQ(kept->size(), 1u);
  EXPECT_EQ(dropped_, 1);
  EXPECT_THAT(read(rows, "plain", 2).status().message(),
              HasSubstr("all 2 rows are longer than 2 tokens"));
}

class TokenizePrompts : public testing::Test {
 protected:
  TokenizePrompts() : chars_(tokenizer::make_character_tokenizer("0123456789+=#;").value()) {}

  Status tokenize(std::vector<std::string> texts, int limit) {
    prompts_.clear();
    for (const std::string& text : texts) {
      data::Prompt prompt;
      prompt.id = "id of " + text;
      prompt.text = text;
      prompts_.push_back(prompt);
    }
    return tokenize_prompts(prompts_, *chars_, tokenizer::ChatTemplate::of_family("plain").value(),
                            limit, &dropped_);
  }

  std::unique_ptr<tokenizer::Tokenizer> chars_;
  std::vector<data::Prompt> prompts_;
  int dropped_ = -1;
};

TEST_F(TokenizePrompts, DropsAndCountsLongOnesInOrder) {
  ASSERT_TRUE(tokenize({"1+1=", "10+10=", "2+2="}, 5).ok());
  EXPECT_EQ(dropped_, 1);
  ASSERT_EQ(prompts_.size(), 2u);
  EXPECT_EQ(prompts_[1].text, "2+2=");
  EXPECT_EQ(chars_->decode(prompts_[1].tokens), "2+2=");
  EXPECT_THAT(tokenize({"1+1="}, 3).message(), HasSubstr("max_prompt_length = 3"));
}

TEST_F(TokenizePrompts, CharactersWithoutATokenAreAnErrorThatShowsThem) {
  EXPECT_THAT(tokenize({"1+1=",
                        "1\xc3\x97"
                        "1="},
                       9)
                  .message(),
              HasSubstr("has no token for '\xc3\x97'"));
  EXPECT_THAT(tokenize({"1+1=", "1*1="}, 9).message(), HasSubstr("prompt 'id of 1*1='"));
}

TEST_F(TokenizePrompts, PlainChatsAndRawTextsHaveTheSameTokens) {
  ASSERT_TRUE(tokenize({"12+3="}, 9).ok());
  std::vector<data::Prompt> chat(1);
  chat[0].messages = {{"user", "12+3="}};
  ASSERT_TRUE(tokenize_prompts(chat, *chars_, tokenizer::ChatTemplate::of_family("plain").value(),
                               9, &dropped_)
                  .ok());
  EXPECT_EQ(chat[0].tokens, prompts_[0].tokens);
}

}  // namespace
}  // namespace longshot::datasets
