#include "curate/select/training_rows.h"

#include <gtest/gtest.h>

#include "curate/select/testing.h"

namespace longshot::curate {
namespace {

TEST(TrainingRows, ChatsStayListsOfMessages) {
  const JudgedPrompt prompt = prompt_of({judged(true, 3, "4"), judged(false, 7, "It is 5.")});
  EXPECT_EQ(dump_json(response_row(prompt, prompt.samples[0])),
            R"({"prompt":[{"role":"user","content":"2 + 2?"}],)"
            R"("completion":[{"role":"assistant","content":"4"}],)"
            R"("id":"p","data_source":"d","index":0,"score":1.0,"tokens":3})");
  EXPECT_EQ(dump_json(pair_row(prompt, prompt.samples[0], prompt.samples[1])),
            R"({"prompt":[{"role":"user","content":"2 + 2?"}],)"
            R"("chosen":[{"role":"assistant","content":"4"}],)"
            R"("rejected":[{"role":"assistant","content":"It is 5."}],)"
            R"("id":"p","data_source":"d","chosen_index":0,"rejected_index":1,)"
            R"("chosen_score":1.0,"rejected_score":0.0,"chosen_tokens":3,"rejected_tokens":7,)"
            R"("rejected_correct":false})");
}

TEST(TrainingRows, TextsStayTexts) {
  JudgedPrompt prompt = prompt_of({judged(true, 3, "4")});
  prompt.messages.clear();
  prompt.text = "2 + 2 =";
  const OrderedJson row = response_row(prompt, prompt.samples[0]);
  EXPECT_EQ(row["prompt"], "2 + 2 =");
  EXPECT_EQ(row["completion"], "4");
}

TEST(TrainingRows, TheInputOfTheChatTemplateIsKept) {
  JudgedPrompt prompt = prompt_of({judged(true, 3, "4")});
  prompt.extra_info = {
      {"chat_template",
       {{"arguments", R"({"tools":[{"name":"add"}]})"},
        {"messages", {{"0", R"({"role":"user","name":"Ann","content":"2 + 2?"})"}}}}}};
  const OrderedJson row = response_row(prompt, prompt.samples[0]);
  EXPECT_EQ(row["prompt"][0]["name"], "Ann");
  EXPECT_EQ(row["chat_template_kwargs"]["tools"][0]["name"], "add");
}

TEST(TrainingRows, AColumnNamedChatTemplateIsTheUsersOwn) {
  JudgedPrompt prompt = prompt_of({judged(true, 3, "4")});
  const std::string plain = dump_json(response_row(prompt, prompt.samples[0]));
  for (const char* own : {R"("x")", R"({"messages": "x"})", R"({"messages": ["x"]})",
                          R"({"arguments": "x", "messages": {"a": "b"}})"}) {
    prompt.extra_info = {{"chat_template", parse_json(own, "own").value()}};
    EXPECT_EQ(dump_json(response_row(prompt, prompt.samples[0])), plain) << own;
  }
}

}  // namespace
}  // namespace longshot::curate
