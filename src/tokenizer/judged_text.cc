#include "tokenizer/judged_text.h"

#include <algorithm>
#include <utility>

namespace longshot::tokenizer {
namespace {

constexpr const char* kReference = "\n\nReference answer: ";

// Adds the BOS and EOS that a template would add.
void enclose(const Tokenizer& tokenizer, TokenId eos, std::vector<TokenId>& ids) {
  const auto bos = tokenizer.leading_bos();
  if (bos && (ids.empty() || ids.front() != *bos)) ids.insert(ids.begin(), *bos);
  if (ids.empty() || ids.back() != eos) ids.push_back(eos);
}

}  // namespace

Result<std::vector<TokenId>> encode_judged(const Tokenizer& tokenizer,
                                           const ChatTemplate& chat_template, JudgedText text,
                                           TokenId eos) {
  std::vector<data::Message> chat = std::move(text.question);
  if (!text.reference.empty()) {
    if (chat.empty()) return invalid_argument("a reference answer without a question");
    chat.back().content.append(kReference + text.reference);
  }
  chat.push_back({"assistant", std::move(text.response)});
  LS_ASSIGN_OR_RETURN(std::vector<TokenId> ids, chat_template.encode(tokenizer, chat, false));
  if (ids.empty()) return invalid_argument("question and response are empty");
  const auto unknown = tokenizer.token_to_id("<unk>");
  if (unknown && std::find(ids.begin(), ids.end(), *unknown) != ids.end())
    return invalid_argument(
        "the reward model's tokenizer has no token for a character of the text");
  if (chat_template.family() == "plain") enclose(tokenizer, eos, ids);
  return ids;
}

}  // namespace longshot::tokenizer
