#include "datasets/pair.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "datasets/tokenizer_testing.h"

namespace longshot::datasets {
namespace {

using testing::HasSubstr;

std::string on_one_line(std::string text) {
  std::erase(text, '\n');
  return text;
}

class Pairs : public testing::Test {
 protected:
  Result<PairExample> encode(const std::string& line, const std::string& family = "chatml",
                             bool apply = true, bool bos = false) {
    const ByteTokenizer tokenizer(bos);
    const auto chat = tokenizer::ChatTemplate::of_family(family);
    PairEncoder encoder(tokenizer, *chat, ByteTokenizer::kEos, apply);
    const std::string text = on_one_line(line);
    auto json = parse_json(text, "row");
    EXPECT_TRUE(json.ok()) << json.status().message();
    return encoder.encode({std::move(*json), "f:1", text});
  }
  std::string error_of(const std::string& line, const std::string& family = "chatml") {
    const auto result = encode(line, family);
    return result.ok() ? "" : result.status().message();
  }
  static std::string text_of(const MaskedTokens& side, bool response) {
    std::string out;
    for (size_t i = 0; i < side.tokens.size(); ++i)
      if ((side.loss_mask[i] != 0) == response) out += ByteTokenizer().token_bytes(side.tokens[i]);
    return out;
  }
  // "prompt|chosen|rejected", where both sides have the same prompt.
  std::string parts(const std::string& line, const std::string& family = "chatml",
                    bool apply = true, bool bos = false) {
    const auto pair = encode(line, family, apply, bos);
    if (!pair.ok()) return pair.status().message();
    EXPECT_EQ(text_of(pair->chosen, false), text_of(pair->rejected, false));
    EXPECT_EQ(pair->chosen.loss_mask[static_cast<size_t>(pair->prompt)], 1);
    return text_of(pair->chosen, false) + "|" + text_of(pair->chosen, true) + "|" +
           text_of(pair->rejected, true);
  }
};

constexpr char kAsked[] = "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n";

TEST_F(Pairs, TextsOfAModelWithoutATemplate) {
  const std::string line = R"({"prompt":"1+1=","chosen":"2","rejected":"3<|im_end|>"})";
  EXPECT_EQ(parts(line, "plain"), "1+1=|2<|im_end|>|3<|im_end|>");
  EXPECT_EQ(parts(line, "plain", true, /*bos=*/true), "<|begin|>1+1=|2<|im_end|>|3<|im_end|>");
  EXPECT_EQ(parts(line, "chatml", /*apply=*/false), "1+1=|2<|im_end|>|3<|im_end|>");
}

TEST_F(Pairs, TheFormsOfAQuestionGiveTheSameTokens) {
  const std::string expected = std::string(kAsked) + "|a<|im_end|>|b<|im_end|>";
  for (
      const char* line : {
          R"({"prompt":"q","chosen":"a","rejected":"b"})",
          R"({"prompt":[{"role":"user","content":"q"}],"chosen":"a","rejected":"b"})",
          R"({"prompt":[{"role":"user","content":"q"}],"chosen":[{"role":"assistant","content":"a"}],
               "rejected":[{"role":"assistant","content":"b"}]})",
          R"({"prompt":"q","chosen":[{"role":"assistant","content":"a"}],
               "rejected":[{"role":"assistant","content":"b"}],"score_chosen":3})",
          R"({"chosen":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],
               "rejected":[{"role":"user","content":"q"},{"role":"assistant","content":"b"}]})",
          R"({"prompt":"q","chosen":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],
               "rejected":[{"role":"user","content":"q"},{"role":"assistant","content":"b"}]})",
      })
    EXPECT_EQ(parts(line), expected) << line;
}

TEST_F(Pairs, ASystemMessageMayBeInsideTheResponsesOnly) {
  EXPECT_EQ(
      parts(
          R"({"prompt":"q","chosen":[{"role":"system","content":"S"},{"role":"user","content":"q"},
              {"role":"assistant","content":"a"}],"rejected":[{"role":"system","content":"S"},
              {"role":"user","content":"q"},{"role":"assistant","content":"b"}]})"),
      "<|im_start|>system\nS<|im_end|>\n" + std::string(kAsked) + "|a<|im_end|>|b<|im_end|>");
}

TEST_F(Pairs, AnEarlierTurnOfTheAssistantBelongsToThePrompt) {
  EXPECT_EQ(parts(R"({"chosen":[{"role":"user","content":"x"},{"role":"assistant","content":"y"},
              {"role":"user","content":"q"},{"role":"assistant","content":"a"}],
              "rejected":[{"role":"user","content":"x"},{"role":"assistant","content":"y"},
              {"role":"user","content":"q"},{"role":"assistant","content":"b"}]})"),
            "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\ny<|im_end|>\n" +
                std::string(kAsked) + "|a<|im_end|>|b<|im_end|>");
}

TEST_F(Pairs, OfResponsesWithSeveralTurnsTheAssistantsAreTrainedOn) {
  const auto pair = encode(R"({"prompt":"q","chosen":[{"role":"assistant","content":"a"},
      {"role":"user","content":"u"},{"role":"assistant","content":"c"}],
      "rejected":[{"role":"assistant","content":"b"}]})");
  ASSERT_TRUE(pair.ok()) << pair.status().message();
  EXPECT_EQ(text_of(pair->chosen, true), "a<|im_end|>c<|im_end|>");
  EXPECT_EQ(pair->prompt, static_cast<int>(ByteTokenizer().encode(kAsked, true).size()));
}

TEST_F(Pairs, TextsMayContainTheirPrompt) {
  EXPECT_EQ(parts(R"({"chosen":"H: hi A: no","rejected":"H: hi A: yes"})"),
            "H: hi A: |no<|im_end|>|yes<|im_end|>");
  // One is the beginning of the other: its response is the end of the sequence.
  EXPECT_EQ(parts(R"({"chosen":"ab","rejected":"abc"})"), "ab|<|im_end|>|c<|im_end|>");
  EXPECT_EQ(parts(R"({"chosen":"ab","rejected":"ab"})"), "ab|<|im_end|>|<|im_end|>");
}

// The rejected response is cut into tokens on its own: "\n\n" is one token, also after "\n".
TEST_F(Pairs, TokensAreNotMergedAcrossTheBorder) {
  const auto pair = encode(R"({"prompt":"a\n","chosen":"\nb","rejected":"c"})", "plain");
  ASSERT_TRUE(pair.ok());
  EXPECT_EQ(pair->chosen.tokens, (std::vector<TokenId>{'a', '\n', '\n', 'b', ByteTokenizer::kEos}));
  EXPECT_EQ(pair->prompt, 2);
}

TEST_F(Pairs, LengthsCountThePromptOnce) {
  const ByteTokenizer tokenizer;
  const auto chat = tokenizer::ChatTemplate::of_family("plain");
  PairEncoder encoder(tokenizer, *chat, ByteTokenizer::kEos, true);
  const auto pair =
      encoder.encode({Json{{"prompt", "pppp"}, {"chosen", "cc"}, {"rejected", "r"}}, "f:1"});
  ASSERT_TRUE(pair.ok());
  EXPECT_EQ(encoder.longest(*pair), 7);
  EXPECT_EQ(encoder.tokens(*pair), 4 + 3 + 2);
}

TEST_F(Pairs, ToolsReachTheTemplate) {
  const std::string line =
      R"({"prompt":"q","chosen":"a","rejected":"b","tools":[{"type":"function","function":{"name":"f"}}]})";
  const ByteTokenizer tokenizer;
  const auto chat = tokenizer::ChatTemplate::from_jinja(
      "{% if tools %}T:{{ tools[0].function.name }} {% endif %}{% for m in messages %}"
      "{{ m.role }}:{{ m.content }}<|im_end|>{% endfor %}{% if add_generation_prompt %}assistant:"
      "{% endif %}");
  PairEncoder encoder(tokenizer, chat, ByteTokenizer::kEos, true);
  const auto pair = encoder.encode({*parse_json(line, "row"), "f:1", line});
  ASSERT_TRUE(pair.ok()) << pair.status().message();
  EXPECT_EQ(text_of(pair->chosen, false), "T:f user:q<|im_end|>assistant:");
}

TEST_F(Pairs, ErrorsNameTheRowAndWhatIsWrong) {
  EXPECT_THAT(error_of(R"({"prompt":"q","completion":"a","label":true})"),
              HasSubstr("f:1: no preference pair"));
  EXPECT_THAT(
      error_of(R"({"prompt":"q","chosen":"a","rejected":[{"role":"assistant","content":"b"}]})"),
      HasSubstr("both be texts or both be messages"));
  EXPECT_THAT(error_of(R"({"prompt":"q","chosen":"a","rejected":3})"),
              HasSubstr("'rejected' must be a text or a list of messages"));
  EXPECT_THAT(error_of(R"({"chosen":"a","rejected":"b"})"), HasSubstr("begin differently"));
  EXPECT_THAT(
      error_of(R"({"chosen":[{"role":"user","content":"p"},{"role":"assistant","content":"a"}],
                  "rejected":[{"role":"user","content":"q"},{"role":"assistant","content":"b"}]})"),
      HasSubstr("begin differently"));
  EXPECT_THAT(
      error_of(
          R"({"prompt":"x","chosen":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],
                  "rejected":[{"role":"user","content":"q"},{"role":"assistant","content":"b"}]})"),
      HasSubstr("begin with another prompt"));
  EXPECT_THAT(
      error_of(
          R"({"prompt":"q","chosen":[{"role":"assistant","content":"a"},{"role":"user","content":"x"}],
                  "rejected":[{"role":"assistant","content":"b"}]})"),
      HasSubstr("'chosen' must begin"));
  EXPECT_THAT(
      error_of(R"({"prompt":[{"role":"user","content":"q"},{"role":"assistant","content":"h"}],
                  "chosen":"a","rejected":"b"})"),
      HasSubstr("ends with an assistant turn"));
  EXPECT_THAT(error_of(R"({"prompt":"q","chosen":"a","rejected":"b","images":["x.png"]})"),
              HasSubstr("only texts"));
  EXPECT_THAT(error_of(R"({"prompt":"","chosen":"a","rejected":"b"})", "plain"),
              HasSubstr("the prompt has no tokens"));
}

}  // namespace
}  // namespace longshot::datasets
