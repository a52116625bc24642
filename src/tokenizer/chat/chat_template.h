#pragma once
// Chat templates. A model's Jinja template is rendered as in transformers' apply_chat_template
// (tokenizer/jinja). A few families are built in for models without a template; they are used only
// if the user names one.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "data/types.h"
#include "tokenizer/chat/chat_values.h"
#include "tokenizer/jinja/template.h"
#include "tokenizer/tokenizer.h"

namespace longshot::tokenizer {

// Options of one rendering.
struct ChatOptions {
  bool add_generation_prompt = false;
  // A JSON object: tools, documents, enable_thinking, ... It takes precedence over the template's
  // own arguments. "" = none.
  std::string arguments = {};
  // Leaves the last message open for the model to continue. Not with add_generation_prompt.
  bool continue_final_message = false;
};

// A copy duplicates the texts and shares the parsed templates. Rendering is thread-safe.
class ChatTemplate {
 public:
  // The templates and special tokens of a model directory: chat_template.jinja,
  // additional_chat_templates/, chat_template.json, or tokenizer_config.json's `chat_template`,
  // which is a string or a list of named ones. A directory without any gives the "plain" family:
  // contents concatenated, nothing added. A template that cannot be parsed is an error only when it
  // is rendered.
  static Result<ChatTemplate> load(const std::string& directory);
  // family: "chatml", "smollm2", "qwen2.5", "qwen3", "llama2", "llama3", "llama3.1", "plain".
  // "llama3.1" is llama3 with the system header of Llama 3.1 and 3.2: knowledge date December 2023
  // and always "Today Date: 26 Jul 2024" (Llama 3.1's default), so that a text does not depend on
  // the day.
  static Result<ChatTemplate> of_family(const std::string& family);
  // `tokens` are bos_token, eos_token, ... with their texts, as templates see them.
  static ChatTemplate from_jinja(const std::string& source,
                                 std::vector<std::pair<std::string, std::string>> tokens = {});

  // The template of a GGUF file; "plain" if it has none.
  static ChatTemplate of_gguf(const GgufVocabulary& vocabulary);

  // Switches to another template: a named one of the model ("tool_use"), a file NAME.jinja, or a
  // family.
  Status choose(const std::string& choice);
  // Sets arguments for every rendering, as a JSON object; "" changes nothing. "strftime_now":
  // "2024-07-26" fixes the day that the function strftime_now returns.
  Status set_arguments(const std::string& arguments);

  // "jinja" for a model's own template.
  const std::string& family() const { return family_; }
  bool is_plain() const { return family_ == "plain"; }
  const std::string& source() const { return source_; }  // the Jinja text; empty for a family
  const std::map<std::string, std::string>& named_sources() const { return named_; }
  // True if the rendered text depends on the current day.
  bool depends_on_the_day() const;
  // False if arguments of this name, such as "tools", cannot appear in a rendered text.
  bool reads(const std::string& argument) const;
  bool marks_generations() const { return template_ && template_->has_generation(); }

  // The text that transformers' apply_chat_template(messages, tokenize=False, ...) returns.
  Result<std::string> render_chat(const Chat& chat, const ChatOptions& options) const;
  Result<std::string> render(const std::vector<data::Message>& messages,
                             bool add_generation_prompt) const {
    return render_chat(chat_of(messages), {add_generation_prompt});
  }
  // Also returns the bytes inside {% generation %}.
  Result<jinja::Rendered> render_marked(const Chat& chat, const ChatOptions& options) const;

  // Token ids of the rendered text. Like transformers, it recognises special tokens inside a
  // message's content.
  Result<std::vector<TokenId>> encode_chat(const Tokenizer& tokenizer, const Chat& chat,
                                           const ChatOptions& options) const;
  Result<std::vector<TokenId>> encode(const Tokenizer& tokenizer,
                                      const std::vector<data::Message>& messages,
                                      bool add_generation_prompt) const {
    return encode_chat(tokenizer, chat_of(messages), {add_generation_prompt});
  }

 private:
  Result<std::string> render_family(const Chat& chat, const ChatOptions& options) const;
  Result<jinja::Rendered> render_jinja(const Chat& chat, const ChatOptions& options,
                                       bool marked) const;
  Result<const jinja::Template*> template_for(bool tools) const;
  void set_source(const std::string& source);
  Status fix_variables();

  std::string family_ = "plain";
  std::string source_;
  Status problem_;  // why the source cannot be parsed; ok if it can
  std::optional<jinja::Template> template_, tool_template_;
  std::map<std::string, std::string> named_;  // further templates of the model, by name
  std::vector<std::pair<std::string, std::string>> tokens_;
  std::string arguments_;
  // The variables of every rendering, from tokens_ and arguments_.
  struct Fixed;
  std::shared_ptr<const Fixed> fixed_;
  // system prompt that some chatml families insert if the first message is not a system message
  std::string default_system_;
};

}  // namespace longshot::tokenizer
