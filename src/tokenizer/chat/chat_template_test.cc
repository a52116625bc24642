#include "tokenizer/chat/chat_template.h"

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
  EXPECT_THAT(render("chatml", {{"tool", "x"}}, false), HasSubstr("role 'tool'"));
}

std::string render_jinja(const std::string& source, const std::vector<data::Message>& messages,
                         const ChatOptions& options = {}) {
  const auto chat = ChatTemplate::from_jinja(source, {{"bos_token", "<s>"}});
  const auto text = chat.render_chat(chat_of(messages), options);
  return text.ok() ? *text : text.status().message();
}

TEST(ChatTemplateTest, TheModelsOwnTemplateIsRendered) {
  const std::string source =
      "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content | trim }}\n{% endfor %}"
      "{% if add_generation_prompt %}{{ 'bot: <think>\\n' }}{% endif %}";
  EXPECT_EQ(render_jinja(source, {{"user", " Hi "}}, {true}), "<s>user: Hi\nbot: <think>\n");
  EXPECT_EQ(ChatTemplate::from_jinja(source).family(), "jinja");
  EXPECT_THAT(render_jinja("{% if %}", kDialogue), HasSubstr("line 1 of the chat template"));
  EXPECT_THAT(render_jinja("\n{% include 'x' %}", kDialogue), HasSubstr("line 2"));
  EXPECT_THAT(render_jinja("{{ raise_exception('no system') }}", kDialogue),
              HasSubstr("no system"));
}

TEST(ChatTemplateTest, ToolsReasoningAndOtherArguments) {
  const std::string source =
      "{{ tools | tojson }}{% for m in messages %}{{ m.reasoning_content }}{{ m.tool_calls | "
      "tojson }}"
      "{% endfor %}{{ enable_thinking }}{{ strftime_now('%d %b %Y') }}";
  ChatMessage message;
  message.role = "assistant";
  message.json = R"({"role": "assistant", "reasoning": "r", "tool_calls": [{"z": 1, "a": 2.0}]})";
  ChatTemplate chat = ChatTemplate::from_jinja(source);
  EXPECT_TRUE(chat.depends_on_the_day());
  ASSERT_TRUE(
      chat.set_arguments(R"({"enable_thinking": false, "strftime_now": "2024-07-26"})").ok());
  EXPECT_FALSE(chat.depends_on_the_day());
  EXPECT_EQ(chat.render_chat({message}, {false, R"({"tools": [{"b": [], "a": "é"}]})"}).value(),
            "[{\"b\": [], \"a\": \"é\"}]r[{\"z\": 1, \"a\": 2.0}]False26 Jul 2024");
  EXPECT_FALSE(chat.set_arguments("[1]").ok());
  EXPECT_FALSE(chat.set_arguments(R"({"strftime_now": "today"})").ok());
  EXPECT_FALSE(ChatTemplate::of_family("chatml")->set_arguments(R"({"x": 1})").ok());
}

// As published templates for images do.
constexpr const char* kByForm =
    "{% for m in messages %}{% if m.content is string %}<{{ m.content }}>{% else %}"
    "{% for part in m.content %}[{{ part | tojson }}]{% endfor %}{% endif %}{% endfor %}";

TEST(ChatTemplateTest, ContentKeepsItsForm) {
  const std::vector<data::ContentPart> parts = {{data::PartKind::text, "a"},
                                                {data::PartKind::text, "b"}};
  EXPECT_EQ(render_jinja(kByForm, {{"user", "ab"}, {"user", parts}}),
            R"(<ab>[{"type": "text", "text": "a"}][{"type": "text", "text": "b"}])");
  EXPECT_EQ(render("chatml", {{"user", parts}}, false), render("chatml", {{"user", "ab"}}, false));
  EXPECT_EQ(render_jinja(kByForm, {{"user", parts}}, {false, "", true}),
            R"([{"type": "text", "text": "a"}][{"type": "text", "text": "b)");
}

// A parquet file gives each part the members of all parts.
TEST(ChatTemplateTest, MembersOfPartsAreKeptUnlessNull) {
  const auto message = message_of(
      OrderedJson::parse(R"({"role": "user", "content": [{"text": "a", "type": "text", "x": 1,
                             "image": null}]})"),
      "f:1");
  ASSERT_TRUE(message.ok()) << message.status().message();
  EXPECT_EQ(message->content, (std::vector<data::ContentPart>{{data::PartKind::text, "a"}}));
  EXPECT_EQ(*ChatTemplate::from_jinja(kByForm).render_chat({*message}, {}),
            R"([{"text": "a", "type": "text", "x": 1}])");
}

TEST(ChatTemplateTest, TheFinalMessageIsContinued) {
  const std::string source = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}";
  EXPECT_EQ(render_jinja(source, {{"user", "q"}, {"assistant", "The"}}, {false, "", true}),
            "<user>q</><assistant>The");
}

}  // namespace
}  // namespace longshot::tokenizer
