#pragma once
// Encodes texts and chats as token ids. A character without a token is an error and not a silent
// <unk>.

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "tokenizer/chat/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace longshot::datasets {

using data::TokenId;

// Adds no BOS. `where` begins the error message.
Result<std::vector<TokenId>> encode_text(const tokenizer::Tokenizer& tokenizer,
                                         std::string_view text, const std::string& where);
// Adds the leading BOS if the tokenizer has one and the text does not begin with it.
Result<std::vector<TokenId>> encode_raw_prompt(const tokenizer::Tokenizer& tokenizer,
                                               std::string_view text, const std::string& where);
// Whether a command lets its user choose `apply_chat_template`: data.apply_chat_template or --raw.
enum class RawChoice { offered, none };
// Prompts that are texts become the user's message if the model has a chat template and
// `apply_chat_template` is set. Logs a warning with the counts if there is such a prompt, or if the
// option is false although no prompt is a text. Advises the option where the command has it.
void warn_of_texts(const tokenizer::ChatTemplate& chat_template, bool apply_chat_template,
                   size_t texts, size_t prompts, RawChoice choice = RawChoice::offered);
Result<std::vector<TokenId>> encode_chat(const tokenizer::Tokenizer& tokenizer,
                                         const tokenizer::ChatTemplate& chat_template,
                                         const tokenizer::Chat& chat,
                                         const tokenizer::ChatOptions& options,
                                         const std::string& where);
inline Result<std::vector<TokenId>> encode_chat(const tokenizer::Tokenizer& tokenizer,
                                                const tokenizer::ChatTemplate& chat_template,
                                                const std::vector<data::Message>& messages,
                                                bool add_generation_prompt,
                                                const std::string& where) {
  return encode_chat(tokenizer, chat_template, tokenizer::chat_of(messages),
                     tokenizer::ChatOptions{add_generation_prompt}, where);
}

}  // namespace longshot::datasets
