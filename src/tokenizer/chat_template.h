#pragma once
// Chat templates of the supported families. A model's Jinja template is recognised by its
// characteristic strings and rendered natively; an unknown template is an error that names the
// families.

#include <string>
#include <vector>

#include "base/status.h"
#include "data/types.h"
#include "tokenizer/tokenizer.h"

namespace longshot::tokenizer {

class ChatTemplate {
 public:
  // From the `chat_template` of a model directory (tokenizer_config.json or chat_template.jinja).
  // A directory without one gives the "plain" family: contents concatenated, nothing added.
  static Result<ChatTemplate> load(const std::string& directory);
  // family: "chatml", "smollm2", "qwen2.5", "qwen3", "llama2", "llama3", "plain".
  // "llama3.1" is llama3 with the system header of Llama 3.1 and 3.2: knowledge date December 2023 and, so that
  // a text does not depend on the day, always "Today Date: 26 Jul 2024" (Llama 3.1's default).
  static Result<ChatTemplate> of_family(const std::string& family);
  static Result<ChatTemplate> from_jinja(const std::string& source);

  const std::string& family() const { return family_; }
  const std::string& source() const { return source_; }  // the Jinja text, empty if of_family

  // The text as transformers' apply_chat_template(messages, tokenize=False,
  // add_generation_prompt=...) gives it.
  Result<std::string> render(const std::vector<data::Message>& messages,
                             bool add_generation_prompt) const;

  // Token ids of the rendered text. A special token that stands in a message's content is encoded
  // as plain text only where the family's own library would do so too (it does not).
  Result<std::vector<TokenId>> encode(const Tokenizer& tokenizer,
                                      const std::vector<data::Message>& messages,
                                      bool add_generation_prompt) const;

 private:
  static Result<ChatTemplate> recognise(const std::string& source);
  static Result<ChatTemplate> recognise_chatml(const std::string& source);

  std::string family_ = "plain";
  std::string source_;
  std::string
      default_system_;  // of chatml families: said when the first message is not a system one
  std::string bos_;     // of llama families
  std::string eos_;     // of llama2
  bool always_prompts_ = false;  // llama3 templates that ignore add_generation_prompt
};

}  // namespace longshot::tokenizer
