#include "datasets/pair.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "datasets/encode.h"
#include "datasets/schema.h"

namespace longshot::datasets {
namespace {

using tokenizer::Chat;
using tokenizer::ChatMessage;

bool same(const ChatMessage& a, const ChatMessage& b) {
  return a.role == b.role && a.content == b.content && a.json == b.json;
}

size_t common_messages(const Chat& a, const Chat& b) {
  const auto [end, other] = std::ranges::mismatch(a, b, same);
  return static_cast<size_t>(end - a.begin());
}

// The last tokens of the prompt that both sequences have, before any token of a response.
int shared_prompt(const PairExample& pair) {
  const auto prompt = [](const MaskedTokens& side) {
    return std::ranges::find(side.loss_mask, uint8_t{1}) - side.loss_mask.begin();
  };
  const auto common = std::ranges::mismatch(pair.chosen.tokens, pair.rejected.tokens).in1 -
                      pair.chosen.tokens.begin();
  return static_cast<int>(
      std::min<std::ptrdiff_t>({prompt(pair.chosen), prompt(pair.rejected), common}));
}

// A row's texts or chats, by column.
struct Columns {
  OrderedJson prompt, chosen, rejected;
  std::string where;
  std::string place(const char* column) const { return where + ": '" + column + "'"; }
};

Result<Columns> columns_of(const Row& row) {
  if (!has(row.json, "chosen") || !has(row.json, "rejected")) {
    return invalid_argument(row.where +
                            ": no preference pair; expected 'chosen' and 'rejected', and 'prompt' "
                            "unless they contain it");
  }
  for (const char* column : {"image", "images"}) {
    if (!has(row.json, column) || row.json[column].empty()) continue;
    return invalid_argument(row.where + ": '" + column + "': only texts can be trained on");
  }
  Columns out{.where = row.where};
  if (has(row.json, "prompt")) out.prompt = ordered_column(row, "prompt");
  out.chosen = ordered_column(row, "chosen");
  out.rejected = ordered_column(row, "rejected");
  for (const auto& [column, value] :
       {std::pair{"chosen", &out.chosen}, {"rejected", &out.rejected}})
    if (!value->is_string() && !value->is_array())
      return invalid_argument(out.place(column) + " must be a text or a list of messages");
  if (out.chosen.is_string() != out.rejected.is_string())
    return invalid_argument(row.where +
                            ": 'chosen' and 'rejected' must both be texts or both be messages");
  return out;
}

// Texts that contain their prompt: it is what their tokens have in common.
Result<PairExample> encode_whole_texts(const CompletionEncoder& encoder, const Columns& row) {
  const auto encode = [&](const OrderedJson& text) -> Result<MaskedTokens> {
    LS_ASSIGN_OR_RETURN(auto ids,
                        encode_raw_prompt(encoder.tokenizer, text.get<std::string>(), row.where));
    if (ids.empty() || ids.back() != encoder.eos) ids.push_back(encoder.eos);
    const size_t count = ids.size();
    return MaskedTokens{std::move(ids), std::vector<uint8_t>(count, 1)};
  };
  PairExample pair;
  LS_ASSIGN_OR_RETURN(pair.chosen, encode(row.chosen));
  LS_ASSIGN_OR_RETURN(pair.rejected, encode(row.rejected));
  const auto common = std::ranges::mismatch(pair.chosen.tokens, pair.rejected.tokens).in1 -
                      pair.chosen.tokens.begin();
  const size_t shorter = std::min(pair.chosen.tokens.size(), pair.rejected.tokens.size());
  const size_t prompt = std::min(static_cast<size_t>(common), shorter - 1);
  if (prompt == 0) {
    return invalid_argument(row.where +
                            ": 'chosen' and 'rejected' begin differently and there is no 'prompt'");
  }
  for (MaskedTokens* side : {&pair.chosen, &pair.rejected})
    std::fill_n(side->loss_mask.begin(), prompt, uint8_t{0});
  return pair;
}

// The prompt of a row with its two continuations.
struct Chats {
  Chat prompt, chosen, rejected;
};

Status check_turn(const Chat& chat, const std::string& where) {
  if (!chat.empty() && chat.front().role == "assistant" && chat.back().role == "assistant")
    return ok_status();
  return invalid_argument(
      where + " must begin, after the prompt, and end with an assistant turn" +
      (chat.empty() ? "" : "; it has '" + chat.front().role + "' and '" + chat.back().role + "'"));
}

Result<Chat> response_of(const OrderedJson& value, const std::string& where) {
  if (value.is_string()) return Chat{{{"assistant", value.get<std::string>()}}};
  return parse_chat(value, where);
}

// Moves the common beginning of the responses to the prompt; a turn is left to each of them.
void move_common_turns(Chats& chats) {
  const size_t shorter = std::min(chats.chosen.size(), chats.rejected.size());
  const size_t common = std::min(common_messages(chats.chosen, chats.rejected), shorter - 1);
  const auto count = static_cast<long>(common);
  chats.prompt.assign(chats.chosen.begin(), chats.chosen.begin() + count);
  chats.chosen.erase(chats.chosen.begin(), chats.chosen.begin() + count);
  chats.rejected.erase(chats.rejected.begin(), chats.rejected.begin() + count);
}

// True if `chat` ends with the messages of `end`.
bool ends_with(const Chat& chat, const Chat& end) {
  return chat.size() >= end.size() &&
         std::equal(end.begin(), end.end(), chat.end() - static_cast<long>(end.size()), same);
}

// Responses that are whole chats contain the prompt, and the column `prompt` may repeat its end.
Status extract_prompt(const Columns& row, Chats& chats) {
  const bool whole = !chats.prompt.empty() && (chats.chosen.front().role != "assistant" ||
                                               chats.rejected.front().role != "assistant");
  if (!chats.prompt.empty() && !whole) return ok_status();
  const Chat prompt = std::move(chats.prompt);
  move_common_turns(chats);
  if (chats.prompt.empty())
    return invalid_argument(row.where +
                            ": 'chosen' and 'rejected' begin differently and there is no 'prompt'");
  if (ends_with(chats.prompt, prompt)) return ok_status();
  return invalid_argument(row.where +
                          ": 'chosen' and 'rejected' begin with another prompt than 'prompt'");
}

Result<Chats> chats_of(const Columns& row) {
  Chats chats;
  if (row.prompt.is_string()) {
    chats.prompt = {{{"user", row.prompt.get<std::string>()}}};
  } else if (!row.prompt.is_null()) {
    LS_ASSIGN_OR_RETURN(chats.prompt, parse_chat(row.prompt, row.place("prompt")));
  }
  LS_ASSIGN_OR_RETURN(chats.chosen, response_of(row.chosen, row.place("chosen")));
  LS_ASSIGN_OR_RETURN(chats.rejected, response_of(row.rejected, row.place("rejected")));
  LS_RETURN_IF_ERROR(extract_prompt(row, chats));
  if (chats.prompt.back().role == "assistant")
    return invalid_argument(row.place("prompt") +
                            " ends with an assistant turn, which belongs to the response");
  LS_RETURN_IF_ERROR(check_turn(chats.chosen, row.place("chosen")));
  LS_RETURN_IF_ERROR(check_turn(chats.rejected, row.place("rejected")));
  return chats;
}

Result<PairExample> encode_chats(const CompletionEncoder& encoder, const Columns& row) {
  LS_ASSIGN_OR_RETURN(const Chats chats, chats_of(row));
  const auto encode = [&](const Chat& response, const char* column) {
    Chat all = chats.prompt;
    all.insert(all.end(), response.begin(), response.end());
    return encode_turns(encoder, all, chats.prompt.size(), row.place(column));
  };
  PairExample pair;
  LS_ASSIGN_OR_RETURN(pair.chosen, encode(chats.chosen, "chosen"));
  LS_ASSIGN_OR_RETURN(pair.rejected, encode(chats.rejected, "rejected"));
  return pair;
}

Result<PairExample> encode_columns(const CompletionEncoder& encoder, const Columns& row) {
  const bool texts = row.chosen.is_string();
  if (row.prompt.is_null() && texts) return encode_whole_texts(encoder, row);
  if (!row.prompt.is_string() || encoder.wraps_texts) return encode_chats(encoder, row);
  PairExample pair;
  LS_ASSIGN_OR_RETURN(pair.chosen,
                      encode_completion(encoder, row.prompt, row.chosen, row.place("chosen")));
  LS_ASSIGN_OR_RETURN(pair.rejected,
                      encode_completion(encoder, row.prompt, row.rejected, row.place("rejected")));
  return pair;
}

// Nothing predicts the first token of a sequence.
Status check_first(const PairExample& pair, const std::string& where) {
  if (pair.chosen.loss_mask.front() == 0 && pair.rejected.loss_mask.front() == 0)
    return ok_status();
  return invalid_argument(where + ": the prompt has no tokens");
}

}  // namespace

PairEncoder::PairEncoder(const tokenizer::Tokenizer& tokenizer,
                         const tokenizer::ChatTemplate& chat_template, data::TokenId eos,
                         bool apply_chat_template)
    : encoder_{tokenizer, chat_template, eos, apply_chat_template && !chat_template.is_plain()},
      apply_chat_template_(apply_chat_template) {}

Result<PairExample> PairEncoder::encode(const Row& row) {
  ++rows_;
  if (has(row.json, "prompt") && row.json["prompt"].is_string()) ++texts_;
  LS_ASSIGN_OR_RETURN(const Columns columns, columns_of(row));
  CompletionEncoder encoder = encoder_;
  LS_ASSIGN_OR_RETURN(encoder.arguments, template_arguments_of(row));
  LS_ASSIGN_OR_RETURN(PairExample pair, encode_columns(encoder, columns));
  LS_RETURN_IF_ERROR(check_first(pair, row.where));
  pair.prompt = shared_prompt(pair);
  equal_ += pair.chosen.tokens == pair.rejected.tokens;
  return pair;
}

int64_t PairEncoder::longest(const PairExample& example) const {
  return static_cast<int64_t>(
      std::max(example.chosen.tokens.size(), example.rejected.tokens.size()));
}

int64_t PairEncoder::tokens(const PairExample& example) const {
  return static_cast<int64_t>(example.chosen.tokens.size() + example.rejected.tokens.size()) -
         example.prompt;
}

void PairEncoder::report() {
  if (std::exchange(reported_, true)) return;
  warn_of_texts(encoder_.chat_template, apply_chat_template_, texts_, rows_);
  if (equal_ > 0)
    log::warn("{} of {} pairs have the same response twice and no effect", equal_, rows_);
}

}  // namespace longshot::datasets
