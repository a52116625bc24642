#include "datasets/completion.h"

#include <fmt/format.h>

#include <utility>

#include "datasets/encode.h"
#include "datasets/schema.h"

namespace longshot::datasets {
namespace {

using Message = tokenizer::ChatMessage;

void append(MaskedTokens& example, const std::vector<TokenId>& ids, bool trained) {
  example.tokens.insert(example.tokens.end(), ids.begin(), ids.end());
  example.loss_mask.resize(example.tokens.size(), trained ? 1 : 0);
}

// Tokens [0, result) of a rendered assistant turn are trained on: up to and including the
// end-of-turn token, without the white space that templates put after it. 0 if the template does
// not mark the end of a turn.
size_t end_of_turn(const std::vector<TokenId>& ids, const tokenizer::Tokenizer& tokenizer) {
  size_t end = ids.size();
  while (end > 0 && !tokenizer.is_special(ids[end - 1])) {
    const std::string bytes = tokenizer.token_bytes(ids[end - 1]);
    if (bytes.find_first_not_of(" \t\r\n") != std::string::npos) return 0;
    --end;
  }
  return end;
}

Result<std::string> render(const CompletionEncoder& encoder, const std::vector<Message>& messages,
                           size_t count, bool open_turn, const std::string& where) {
  const std::vector<Message> head(messages.begin(), messages.begin() + static_cast<long>(count));
  auto text = encoder.chat_template.render_chat(head, {open_turn, encoder.arguments});
  if (!text.ok()) return text.status().with_context(where);
  return text;
}

// Assistant turn `i` of the rendered chat `full` is the text [begin, end).
struct Turn {
  size_t begin = 0, end = 0;
};
Result<Turn> locate_turn(const CompletionEncoder& encoder, const std::vector<Message>& messages,
                         size_t i, const std::string& full, const std::string& where) {
  LS_ASSIGN_OR_RETURN(const std::string before, render(encoder, messages, i, true, where));
  LS_ASSIGN_OR_RETURN(const std::string after, render(encoder, messages, i + 1, false, where));
  if (!after.starts_with(before) || !full.starts_with(after)) {
    return invalid_argument(
        fmt::format("{}: the '{}' chat template renders message {} differently "
                    "once later messages follow, so "
                    "what the "
                    "model would have seen is not in this row; give one row "
                    "for each assistant turn",
                    where, encoder.chat_template.family(), i + 1));
  }
  return Turn{before.size(), after.size()};
}

// Trains on the tokens that the template's own {% generation %} marks enclose, from message `first`
// on.
Result<MaskedTokens> encode_marked(const CompletionEncoder& encoder,
                                   const std::vector<Message>& messages, size_t first,
                                   const std::string& where) {
  const tokenizer::ChatOptions options{false, encoder.arguments};
  const auto marked = [&](size_t count) {
    const std::vector<Message> head(messages.begin(), messages.begin() + static_cast<long>(count));
    return encoder.chat_template.render_marked(head, options);
  };
  auto whole = marked(messages.size());
  if (!whole.ok()) return whole.status().with_context(where);
  size_t skipped = 0;  // spans of the prompt's own assistant turns
  if (first > 0) {
    const auto prompt = marked(first);
    if (!prompt.ok()) return prompt.status().with_context(where);
    skipped = prompt->generations.size();
  }
  MaskedTokens example;
  size_t done = 0;
  const std::string_view text = whole->text;
  for (size_t i = skipped; i < whole->generations.size(); ++i) {
    const auto [begin, end] = whole->generations[i];
    if (begin == end) continue;
    LS_ASSIGN_OR_RETURN(const auto before,
                        encode_text(encoder.tokenizer, text.substr(done, begin - done), where));
    append(example, before, false);
    LS_ASSIGN_OR_RETURN(const auto spoken,
                        encode_text(encoder.tokenizer, text.substr(begin, end - begin), where));
    append(example, spoken, true);
    done = end;
  }
  if (done == 0)
    return invalid_argument(where +
                            ": the chat template marks nothing of this row by {% generation %}");
  return example;
}

}  // namespace

Result<MaskedTokens> encode_turns(const CompletionEncoder& encoder,
                                  const std::vector<Message>& messages, size_t first,
                                  const std::string& where) {
  LS_ASSIGN_OR_RETURN(const std::string full,
                      render(encoder, messages, messages.size(), false, where));
  if (encoder.chat_template.marks_generations())
    return encode_marked(encoder, messages, first, where);
  MaskedTokens example;
  size_t done = 0, trained_end = 0;  // characters of `full`, tokens
  for (size_t i = first; i < messages.size(); ++i) {
    if (messages[i].role != "assistant") continue;
    LS_ASSIGN_OR_RETURN(const Turn turn, locate_turn(encoder, messages, i, full, where));
    if (trained_end == 0) {
      const std::vector<Message> head(messages.begin(), messages.begin() + static_cast<long>(i));
      LS_ASSIGN_OR_RETURN(const auto ids, encode_chat(encoder.tokenizer, encoder.chat_template,
                                                      head, {true, encoder.arguments}, where));
      append(example, ids, false);
    } else {
      const auto between = std::string_view(full).substr(done, turn.begin - done);
      LS_ASSIGN_OR_RETURN(const auto ids, encode_text(encoder.tokenizer, between, where));
      append(example, ids, false);
    }
    const auto spoken = std::string_view(full).substr(turn.begin, turn.end - turn.begin);
    LS_ASSIGN_OR_RETURN(auto ids, encode_text(encoder.tokenizer, spoken, where));
    size_t length = end_of_turn(ids, encoder.tokenizer);
    if (length == 0) {
      if (i + 1 == messages.size()) ids.push_back(encoder.eos);
      length = ids.size();
    }
    append(example, {ids.begin(), ids.begin() + static_cast<long>(length)}, true);
    trained_end = example.tokens.size();
    append(example, {ids.begin() + static_cast<long>(length), ids.end()}, false);
    done = turn.end;
  }
  if (trained_end == 0) return invalid_argument(where + ": no assistant turn to train on");
  example.tokens.resize(trained_end);
  example.loss_mask.resize(trained_end);
  return example;
}

Result<MaskedTokens> encode_texts(const CompletionEncoder& encoder, const std::string& prompt,
                                  const std::string& completion, const std::string& where) {
  MaskedTokens example;
  LS_ASSIGN_OR_RETURN(const auto prompt_ids, encode_raw_prompt(encoder.tokenizer, prompt, where));
  LS_ASSIGN_OR_RETURN(auto ids, encode_text(encoder.tokenizer, completion, where));
  if (ids.empty() || ids.back() != encoder.eos) ids.push_back(encoder.eos);
  append(example, prompt_ids, false);
  append(example, ids, true);
  return example;
}

Result<MaskedTokens> encode_completion(const CompletionEncoder& encoder, const OrderedJson& prompt,
                                       const OrderedJson& completion, const std::string& where) {
  const bool raw = prompt.is_string() && !encoder.wraps_texts;
  if (raw && completion.is_string()) {
    return encode_texts(encoder, prompt.get<std::string>(), completion.get<std::string>(), where);
  }
  if (raw) {
    return invalid_argument(where + ": the prompt is a string, so the completion must be one too");
  }
  std::vector<Message> messages;
  if (prompt.is_string()) {
    messages.push_back({{"user", prompt.get<std::string>()}});
  } else {
    LS_ASSIGN_OR_RETURN(messages, parse_chat(prompt, where + ": 'prompt'"));
  }
  const size_t first = messages.size();
  if (completion.is_string()) {
    messages.push_back({{"assistant", completion.get<std::string>()}});
  } else {
    LS_ASSIGN_OR_RETURN(auto answer, parse_chat(completion, where + ": 'completion'"));
    messages.insert(messages.end(), answer.begin(), answer.end());
  }
  return encode_turns(encoder, messages, first, where);
}

}  // namespace longshot::datasets
