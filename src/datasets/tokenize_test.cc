// Rows through a model's own chat template.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/os/fs.h"
#include "datasets/encode.h"
#include "datasets/prompts.h"
#include "datasets/supervised.h"
#include "datasets/tokenize.h"

namespace longshot::datasets {
namespace {

using ::testing::HasSubstr;

constexpr const char* kMarked =
    "{{ tools | tojson if tools }}{% for m in messages %}<{{ m.role }}>"
    "{% if m.role == 'assistant' %}{% generation %}{{ m.content }};{% endgeneration %}"
    "{% else %}{{ m.content }}{{ m.tool_calls | tojson if m.tool_calls }}{% endif %}{% endfor %}"
    "{{ '<assistant>' if add_generation_prompt }}{{ '!' if not thinking | default(true) }}";

class Templates : public testing::Test {
 protected:
  Templates()
      : chars_(tokenizer::make_character_tokenizer(
                   "abcdefghijklmnopqrstuvwxyz0123456789<>;!?_ \"[]{}:,")
                   .value()),
        chat_(tokenizer::ChatTemplate::from_jinja(kMarked)),
        path_(testing::TempDir() + "longshot_templates_" + std::to_string(getpid()) + ".jsonl") {}
  ~Templates() override { std::filesystem::remove(path_); }

  // The first prompt as the model sees it, or the error.
  std::string prompt(const std::string& row, const ColumnMapping& mapping = {}) {
    EXPECT_TRUE(write_file_atomic(path_, row).ok());
    auto list = read_prompts({path_}, mapping);
    if (!list.ok()) return list.status().message();
    // A prompt that a journal kept is tokenized the same way.
    (*list)[0] = data::prompt_from_json(data::to_json((*list)[0]), "journal").value();
    int dropped = 0;
    const Status status =
        tokenize_prompts(*list, *chars_, chat_, 1000, &dropped, mapping.apply_chat_template);
    return status.ok() ? chars_->decode((*list)[0].tokens, false) : status.message();
  }

  // The supervised row with what is trained on in parentheses, or the error.
  std::string supervised(const std::string& row, bool apply_chat_template = true) {
    EXPECT_TRUE(write_file_atomic(path_, row).ok());
    int dropped = 0;
    const auto rows =
        read_supervised({path_}, *chars_, chat_, 1, 1000, &dropped, apply_chat_template);
    if (!rows.ok()) return rows.status().message();
    std::string out;
    bool before = false;
    for (size_t i = 0; i < (*rows)[0].tokens.size(); ++i) {
      const bool on = (*rows)[0].loss_mask[i] != 0;
      if (on != before) out += on ? "(" : ")";
      out += chars_->decode(std::vector<data::TokenId>{(*rows)[0].tokens[i]}, false);
      before = on;
    }
    return out;
  }

  std::unique_ptr<tokenizer::Tokenizer> chars_;
  tokenizer::ChatTemplate chat_;
  std::string path_;
};

TEST_F(Templates, ATextIsTheUsersMessageUnlessItIsAskedForAsItIs) {
  const std::string row = R"({"prompt": "hi", "answer": "a"})";
  testing::internal::CaptureStderr();
  EXPECT_EQ(prompt(row), "<user>hi<assistant>");
  ColumnMapping raw;
  raw.apply_chat_template = false;
  EXPECT_EQ(prompt(row, raw), "hi");
  testing::internal::GetCapturedStderr();
  EXPECT_TRUE(check_system_prompt("", false).ok());
  EXPECT_TRUE(check_system_prompt("s", true).ok());
  EXPECT_THAT(check_system_prompt("s", false).message(), HasSubstr("leave out one of the two"));
}

TEST_F(Templates, ATextWithASystemMessageIsStillReportedAsAText) {
  ASSERT_TRUE(write_file_atomic(path_, R"({"prompt": "hi", "answer": "a"})").ok());
  ColumnMapping mapping;
  mapping.system_prompt = "s";
  testing::internal::CaptureStderr();
  const auto list = load_prompts({path_}, mapping, 1000, *chars_, chat_);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("1 of 1 prompts are plain text"));
  ASSERT_TRUE(list.ok()) << list.status().message();
  EXPECT_EQ(chars_->decode(list->front().tokens, false), "<system>s<user>hi<assistant>");
}

TEST_F(Templates, PairsOfTextsFollowTheSameRuleAsPrompts) {
  const std::string row = R"({"prompt": "hi", "completion": "b"})";
  testing::internal::CaptureStderr();
  EXPECT_EQ(supervised(row), "<user>hi<assistant>(b;");
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("1 of 1 prompts are plain text"));
  EXPECT_EQ(supervised(row, false), "hi(b<eos>");
  EXPECT_EQ(supervised(R"({"text": "hi"})"), "h(i<eos>");
}

TEST_F(Templates, TheOptionIsAdvisedWhereTheCommandHasIt) {
  const auto said = [&](RawChoice choice) {
    testing::internal::CaptureStderr();
    warn_of_texts(chat_, true, 2, 3, choice);
    return testing::internal::GetCapturedStderr();
  };
  EXPECT_THAT(said(RawChoice::offered), HasSubstr("data.apply_chat_template=false (--raw)"));
  EXPECT_THAT(said(RawChoice::none), testing::AllOf(HasSubstr("2 of 3 prompts are plain text"),
                                                    testing::Not(HasSubstr("--raw"))));
}

TEST_F(Templates, ToolsAndOtherArgumentsOfARowKeepTheirOrder) {
  EXPECT_EQ(prompt(R"({"prompt": [{"role": "user", "content": "q", "tool_calls": )"
                   R"([{"z": 1, "a": 2}]}], "tools": [{"name": "f", "b": 1, "a": []}], )"
                   R"("chat_template_kwargs": {"thinking": false}})"),
            R"([{"name": "f", "b": 1, "a": []}]<user>q[{"z": 1, "a": 2}]<assistant>!)");
  EXPECT_THAT(prompt(R"({"prompt": [{"role": "user", "content": "q"}], "tools": {"a": 1}})"),
              HasSubstr("'tools' must be a list"));
}

TEST_F(Templates, AColumnNamedChatTemplateIsTheUsersOwn) {
  for (const char* own :
       {R"("x")", R"({"messages": {"a": "b"}})", R"({"messages": [{"0": "b"}]})",
        R"({"arguments": 1, "messages": {}})", R"({"arguments": "", "messages": {"0": 1}})",
        R"({"arguments": "", "messages": {"99999999999999999999": "b"}})",
        R"({"arguments": "", "messages": {"7": "b"}})"})
    EXPECT_EQ(prompt(R"({"prompt": [{"role": "user", "content": "q"}], "chat_template": )" +
                     std::string(own) + "}"),
              "<user>q<assistant>")
        << own;
}

TEST_F(Templates, GenerationMarksSayWhatIsTrainedOn) {
  EXPECT_EQ(
      supervised(R"({"messages": [{"role": "user", "content": "a"}, )"
                 R"({"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}, )"
                 R"({"role": "assistant", "content": "d"}]})"),
      "<user>a<assistant>(b;)<user>c<assistant>(d;");
  EXPECT_EQ(supervised(R"({"prompt": [{"role": "assistant", "content": "b"}, )"
                       R"({"role": "user", "content": "c"}], )"
                       R"("completion": [{"role": "assistant", "content": "d"}]})"),
            "<assistant>b;<user>c<assistant>(d;");
  EXPECT_THAT(supervised(R"({"messages": [{"role": "user", "content": "a"}]})"),
              HasSubstr("marks nothing of this row"));
}

}  // namespace
}  // namespace longshot::datasets
