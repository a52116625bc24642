#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "datasets/encode.h"
#include "datasets/schema.h"
#include "datasets/tokenize.h"

namespace longshot::datasets {
namespace {

// Length of the UTF-8 sequence that `lead` begins; 1 for bytes that begin none.
size_t utf8_length(unsigned char lead) {
  if (lead >= 0xF0) return 4;
  if (lead >= 0xE0) return 3;
  return lead >= 0xC0 ? 2 : 1;
}

// The first character of `text` that the tokenizer has no token for.
std::string first_unknown(std::string_view text, const tokenizer::Tokenizer& tokenizer,
                          TokenId unknown) {
  for (size_t i = 0; i < text.size();) {
    const std::string_view piece = text.substr(i, utf8_length(static_cast<unsigned char>(text[i])));
    const auto ids = tokenizer.encode(piece);
    if (std::find(ids.begin(), ids.end(), unknown) != ids.end()) return std::string(piece);
    i += piece.size();
  }
  return std::string(text);
}

// An <unk> in `ids` that does not occur in the text is an error that shows the character.
Status check_known(const tokenizer::Tokenizer& tokenizer, const std::vector<TokenId>& ids,
                   std::string_view text, const std::string& where) {
  const auto unknown = tokenizer.token_to_id("<unk>");
  if (!unknown || std::find(ids.begin(), ids.end(), *unknown) == ids.end()) return ok_status();
  if (text.find("<unk>") != std::string_view::npos) return ok_status();
  return invalid_argument(fmt::format("{}: the tokenizer has no token for '{}'", where,
                                      first_unknown(text, tokenizer, *unknown)));
}

}  // namespace

Result<std::vector<TokenId>> encode_text(const tokenizer::Tokenizer& tokenizer,
                                         std::string_view text, const std::string& where) {
  auto ids = tokenizer.encode(text);
  LS_RETURN_IF_ERROR(check_known(tokenizer, ids, text, where));
  return ids;
}

Result<std::vector<TokenId>> encode_raw_prompt(const tokenizer::Tokenizer& tokenizer,
                                               std::string_view text, const std::string& where) {
  LS_ASSIGN_OR_RETURN(auto ids, encode_text(tokenizer, text, where));
  const auto bos = tokenizer.leading_bos();
  if (bos && (ids.empty() || ids.front() != *bos)) ids.insert(ids.begin(), *bos);
  return ids;
}

void warn_of_texts(const tokenizer::ChatTemplate& chat_template, bool apply_chat_template,
                   size_t texts, size_t prompts, RawChoice choice) {
  if (chat_template.is_plain()) return;
  if (texts > 0 && apply_chat_template)
    log::warn(
        "the model has a chat template: {} of {} prompts are plain text and become the user's "
        "message{}",
        texts, prompts,
        choice == RawChoice::offered
            ? "; data.apply_chat_template=false (--raw) leaves them as they are"
            : "");
  if (texts == 0 && prompts > 0 && !apply_chat_template)
    log::warn(
        "data.apply_chat_template=false (--raw) has no effect: none of the {} rows has a prompt "
        "that is a text; model.chat_template=plain (--chat-template plain) replaces the template "
        "of chats",
        prompts);
}

Result<std::vector<TokenId>> encode_chat(const tokenizer::Tokenizer& tokenizer,
                                         const tokenizer::ChatTemplate& chat_template,
                                         const tokenizer::Chat& chat,
                                         const tokenizer::ChatOptions& options,
                                         const std::string& where) {
  auto ids = chat_template.encode_chat(tokenizer, chat, options);
  if (!ids.ok()) return ids.status().with_context(where);
  std::string contents;
  for (const auto& message : chat) contents += message.content.text() + message.json;
  LS_RETURN_IF_ERROR(check_known(tokenizer, *ids, contents, where));
  return ids;
}

Status tokenize_prompts(std::vector<data::Prompt>& prompts, const tokenizer::Tokenizer& tokenizer,
                        const tokenizer::ChatTemplate& chat_template, int max_prompt_length,
                        int* dropped, bool apply_chat_template) {
  *dropped = 0;
  size_t kept = 0;
  const bool wraps = apply_chat_template && !chat_template.is_plain();
  for (size_t i = 0; i < prompts.size(); ++i) {
    data::Prompt& prompt = prompts[i];
    const std::string where = "prompt '" + prompt.id + "'";
    const bool text = prompt.messages.empty();
    const std::vector<data::Message> turn = {{"user", prompt.text}};
    if (text && !wraps) {
      LS_ASSIGN_OR_RETURN(prompt.tokens, encode_raw_prompt(tokenizer, prompt.text, where));
    } else {
      tokenizer::Chat chat = tokenizer::chat_of(text ? turn : prompt.messages);
      const std::string arguments = restore_template_data(prompt, chat);
      LS_ASSIGN_OR_RETURN(prompt.tokens,
                          encode_chat(tokenizer, chat_template, chat, {true, arguments}, where));
    }
    if (prompt.tokens.empty()) return invalid_argument(where + " has no tokens");
    if (static_cast<int>(prompt.tokens.size()) > max_prompt_length) {
      ++*dropped;
      continue;
    }
    if (kept != i) prompts[kept] = std::move(prompt);
    ++kept;
  }
  prompts.resize(kept);
  if (kept == 0) {
    return invalid_argument(fmt::format("all {} prompts are longer than max_prompt_length = {}",
                                        *dropped, max_prompt_length));
  }
  return ok_status();
}

Result<std::vector<data::Prompt>> load_prompts(const std::vector<std::string>& files,
                                               const ColumnMapping& columns, int max_prompt_length,
                                               const tokenizer::Tokenizer& tokenizer,
                                               const tokenizer::ChatTemplate& chat_template) {
  size_t texts = 0;
  LS_ASSIGN_OR_RETURN(auto list, read_prompts(files, columns, &texts));
  warn_of_texts(chat_template, columns.apply_chat_template, texts, list.size());
  int dropped = 0;
  LS_RETURN_IF_ERROR(tokenize_prompts(list, tokenizer, chat_template, max_prompt_length, &dropped,
                                      columns.apply_chat_template));
  if (dropped > 0) {
    log::warn("{} prompts of {} are longer than data.max_prompt_length={} and are left out",
              dropped, list.size() + static_cast<size_t>(dropped), max_prompt_length);
  }
  if (list.empty()) {
    return invalid_argument(fmt::format("{} holds no usable prompt", fmt::join(files, ", ")));
  }
  return list;
}

}  // namespace longshot::datasets
