#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tokenizer/bpe/byte_alphabet.h"
#include "tokenizer/testing.h"
#include "tokenizer/tokenizer.h"

namespace longshot::tokenizer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The bytes by value, "ab", <|bos|> (control), <think> (user-defined) and one unused token.
GgufVocabulary small_vocabulary(const std::string& pre) {
  GgufVocabulary v;
  v.model = "gpt2";
  v.pre = pre;
  for (int b = 0; b < 256; ++b)
    v.tokens.push_back(to_byte_alphabet(std::string(1, static_cast<char>(b))));
  v.tokens.insert(v.tokens.end(), {"ab", "<|bos|>", "<think>", "[PAD259]"});
  v.token_types.assign(257, 1);
  v.token_types.insert(v.token_types.end(), {3, 4, 5});
  v.merges = {"a b"};
  v.bos = 257;
  v.eos = 257;
  v.add_bos = false;
  return v;
}

TEST(GgufTokenizerTest, EncodesWithTheNamedPreTokenizer) {
  for (const char* pre : {"llama-bpe", "qwen2", "gpt-2", "smollm", "default"}) {
    auto made = make_gguf_tokenizer(small_vocabulary(pre));
    ASSERT_TRUE(made.ok()) << pre << made.status().message();
    EXPECT_THAT((*made)->encode("ab<|bos|>1<think>"), ElementsAre(256, 257, '1', 258)) << pre;
    EXPECT_TRUE((*made)->is_special(257));
    EXPECT_FALSE((*made)->is_special(258));
    EXPECT_FALSE((*made)->leading_bos().has_value());
  }
}

TEST(GgufTokenizerTest, QwenNormalizes) {
  auto qwen = make_gguf_tokenizer(small_vocabulary("qwen2"));
  auto gpt = make_gguf_tokenizer(small_vocabulary("gpt-2"));
  EXPECT_EQ((*qwen)->encode("e\u0301").size(), 2u);
  EXPECT_EQ((*gpt)->encode("e\u0301").size(), 3u);
}

TEST(GgufTokenizerTest, AddBosMakesALeadingBos) {
  GgufVocabulary v = small_vocabulary("llama-bpe");
  v.add_bos = true;
  auto made = make_gguf_tokenizer(v);
  ASSERT_TRUE(made.ok()) << made.status().message();
  EXPECT_EQ((*made)->leading_bos(), 257);
}

TEST(GgufTokenizerTest, ThePreTokenizerDecidesAboutBosWhereTheFileDoesNot) {
  for (const auto& [pre, begins] : {std::pair{"llama-bpe", true},
                                    {"pixtral", true},
                                    {"qwen2", false},
                                    {"gpt-2", false},
                                    {"", false}}) {
    GgufVocabulary v = small_vocabulary(pre);
    v.add_bos.reset();
    auto made = make_gguf_tokenizer(v);
    ASSERT_TRUE(made.ok()) << made.status().message();
    EXPECT_EQ((*made)->leading_bos().has_value(), begins) << pre;
    v.bos.reset();
    EXPECT_EQ(make_gguf_tokenizer(v).ok(), !begins) << "a BOS token that has no id: " << pre;
  }
}

TEST(GgufTokenizerTest, BadVocabulariesAreRefused) {
  const auto message = [](const GgufVocabulary& v) {
    const auto made = make_gguf_tokenizer(v);
    return made.ok() ? "no error" : made.status().message();
  };
  GgufVocabulary v = small_vocabulary("gpt-2");
  v.model = "llama";
  EXPECT_THAT(message(v), HasSubstr("tokenizer.ggml.scores has 0 entries"));
  v.model = "t5";
  EXPECT_THAT(message(v), HasSubstr("tokenizer.ggml.model 't5'"));
  EXPECT_THAT(message(small_vocabulary("elvish")), HasSubstr("tokenizer.ggml.pre 'elvish'"));
  v = small_vocabulary("gpt-2");
  v.tokens[3] = v.tokens[2];
  EXPECT_THAT(message(v), HasSubstr("tokens[3]"));
  v = small_vocabulary("gpt-2");
  v.merges = {"a zz"};
  EXPECT_THAT(message(v), HasSubstr("merges[0]"));
  v = small_vocabulary("gpt-2");
  v.tokens[3] = "\xFF";
  EXPECT_THAT(message(v), HasSubstr("not valid UTF-8"));
  v = small_vocabulary("gpt-2");
  v.eos = 4000;
  EXPECT_THAT(message(v), HasSubstr("eos_token_id 4000"));
  v = small_vocabulary("gpt-2");
  v.token_types.pop_back();
  EXPECT_THAT(message(v), HasSubstr("token_type"));
}

}  // namespace
}  // namespace longshot::tokenizer
