#include "tokenizer/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longshot::tokenizer {
namespace {

using ::testing::HasSubstr;

const std::vector<data::Message> kDialogue = {
    {"user", " Hi "}, {"assistant", "Yes"}, {"user", "Go"}};

std::string render(const std::string& family, const std::vector<data::Message>& messages,
                   bool prompt) {
  auto made = ChatTemplate::of_family(family);
  EXPECT_TRUE(made.ok()) << made.status().message();
  auto text = made->render(messages, prompt);
  return text.ok() ? *text : text.status().message();
}

TEST(ChatTemplateTest, PlainOnlyConcatenates) {
  EXPECT_EQ(render("plain", kDialogue, true), " Hi YesGo");
}

TEST(ChatTemplateTest, ChatmlFamilies) {
  const std::string turns =
      "<|im_start|>user\n Hi "
      "<|im_end|>\n<|im_start|>assistant\nYes<|im_end|>\n<|im_start|>user\nGo<|im_end|>\n";
  EXPECT_EQ(render("chatml", kDialogue, false), turns);
  EXPECT_EQ(render("chatml", kDialogue, true), turns + "<|im_start|>assistant\n");
  EXPECT_EQ(render("smollm2", kDialogue, false),
            "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging "
            "Face<|im_end|>\n" +
                turns);
  EXPECT_EQ(render("smollm2", {{"system", "S"}}, false), "<|im_start|>system\nS<|im_end|>\n");
}

TEST(ChatTemplateTest, Qwen3DropsEarlierThoughts) {
  const std::string thought = "<think>\nhm\n</think>\n\nfour";
  EXPECT_EQ(render("qwen3", {{"user", "q"}, {"assistant", thought}, {"user", "r"}}, true),
            "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\nfour<|im_end|>\n<|im_start|>"
            "user\nr<|im_end|>\n"
            "<|im_start|>assistant\n");
  EXPECT_EQ(render("qwen3", {{"user", "q"}, {"assistant", thought}}, false),
            "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n<think>\nhm\n</"
            "think>\n\nfour<|im_end|>\n");
}

TEST(ChatTemplateTest, Llama2NeedsAlternatingRoles) {
  EXPECT_EQ(render("llama2", {{"system", "S"}, {"user", " Hi "}, {"assistant", "Yes"}}, true),
            "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\n Hi [/INST] Yes </s>");
  EXPECT_THAT(render("llama2", {{"assistant", "x"}}, true), HasSubstr("must alternate"));
}

TEST(ChatTemplateTest, Llama3TrimsAndHasTheFixedDateHeader) {
  EXPECT_EQ(render("llama3", {{"user", " Hi\n"}}, true),
            "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n");
  EXPECT_EQ(render("llama3.1", {{"user", "Hi"}}, false),
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge "
            "Date: December 2023\n"
            "Today Date: 26 Jul "
            "2024\n\n<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>");
}

TEST(ChatTemplateTest, UnknownThingsAreErrors) {
  EXPECT_THAT(ChatTemplate::of_family("klingon").status().message(),
              HasSubstr("supported: chatml"));
  EXPECT_THAT(ChatTemplate::from_jinja("{{ 'Human: ' }}").status().message(),
              HasSubstr("supported families"));
  EXPECT_THAT(ChatTemplate::from_jinja("{{ bos_token + '<|im_start|>' }}").status().message(),
              HasSubstr("BOS"));
  EXPECT_THAT(render("chatml", {{"tool", "x"}}, false), HasSubstr("role 'tool'"));
}

TEST(ChatTemplateTest, ChatmlDefaultSystemMessageIsReadFromTheSource) {
  auto made = ChatTemplate::from_jinja(
      "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
      "{{ '<|im_start|>system\\nReason in \\\\boxed{}.<|im_end|>\\n' }}{% endif %}"
      "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% "
      "endfor %}");
  ASSERT_TRUE(made.ok()) << made.status().message();
  EXPECT_EQ(made->family(), "chatml");
  EXPECT_EQ(made->render({{"user", "u"}}, false).value(),
            "<|im_start|>system\nReason in \\boxed{}.<|im_end|>\n<|im_start|>user\nu<|im_end|>\n");
}

}  // namespace
}  // namespace longshot::tokenizer
