#pragma once
// Text and chats to token ids, where a character without a token is an error and not a silent
// <unk>.

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "tokenizer/chat/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace longshot::datasets {

using data::TokenId;

// No BOS. `where` begins the error message.
Result<std::vector<TokenId>> encode_text(const tokenizer::Tokenizer& tokenizer,
                                         std::string_view text, const std::string& where);
// With the leading BOS where the tokenizer has one and the text does not bring its own.
Result<std::vector<TokenId>> encode_raw_prompt(const tokenizer::Tokenizer& tokenizer,
                                               std::string_view text, const std::string& where);
// Whether prompts that are texts become the user's message: the model has a chat template, and the
// user has not turned it off. Says so once for each data set, with the counts; no text, no word.
bool wraps_texts(const tokenizer::ChatTemplate& chat_template, bool apply_chat_template,
                 size_t texts, size_t prompts);
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
