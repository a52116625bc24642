#include "datasets/supervised.h"

#include <utility>

#include "datasets/encode.h"
#include "datasets/schema.h"

namespace longshot::datasets {
namespace {

// Plain language modelling. Nothing precedes the first token, so it carries no loss.
Result<MaskedTokens> encode_plain(const CompletionEncoder& encoder, const Row& row) {
  LS_ASSIGN_OR_RETURN(const auto text, json_get<std::string>(row.json, "text", row.where));
  LS_ASSIGN_OR_RETURN(auto ids, encode_raw_prompt(encoder.tokenizer, text, row.where));
  if (ids.empty()) return invalid_argument(row.where + ": 'text' is empty");
  if (ids.back() != encoder.eos) ids.push_back(encoder.eos);
  std::vector<uint8_t> mask(ids.size(), 1);
  mask.front() = 0;
  return MaskedTokens{std::move(ids), std::move(mask)};
}

Result<MaskedTokens> encode_messages(const CompletionEncoder& encoder, const Row& row) {
  LS_ASSIGN_OR_RETURN(const auto messages,
                      parse_chat(ordered_column(row, "messages"), row.where + ": 'messages'"));
  return encode_turns(encoder, messages, 0, row.where);
}

// Some data sets repeat the first turn of `messages` in `prompt`.
Result<MaskedTokens> encode_verl(const CompletionEncoder& encoder, const Row& row) {
  const Json& json = row.json;
  const Json extra = json.value("extra_info", Json::object());
  Json response = json.value("response", Json());
  if (response.is_null() && extra.is_object()) response = extra.value("answer", Json());
  if (!response.is_string() && has(json, "messages")) return encode_messages(encoder, row);
  if (!response.is_string()) {
    return invalid_argument(row.where +
                            ": no text to train on; expected a string in 'response' or " +
                            "'extra_info.answer' next to 'prompt', or a column 'completion' or "
                            "'messages'");
  }
  return encode_completion(encoder, ordered_column(row, "prompt"), OrderedJson(response),
                           row.where);
}

Result<MaskedTokens> encode_row(const CompletionEncoder& shared, const Row& row) {
  CompletionEncoder encoder = shared;
  LS_ASSIGN_OR_RETURN(encoder.arguments, template_arguments_of(row));
  LS_ASSIGN_OR_RETURN(const Schema schema, detect_schema(row));
  switch (schema) {
    case Schema::messages:
      return encode_messages(encoder, row);
    case Schema::prompt_completion:
      return encode_completion(encoder, ordered_column(row, "prompt"),
                               ordered_column(row, "completion"), row.where);
    case Schema::text:
      return encode_plain(encoder, row);
    case Schema::verl:
    case Schema::prompt:
      return encode_verl(encoder, row);
    case Schema::preference:
      break;
  }
  return invalid_argument(
      row.where +
      ": rows with 'chosen' and 'rejected' are preference pairs; `longshot dpo` trains " +
      "on them, and `longshot rm` trains a reward model on them");
}

}  // namespace

SupervisedEncoder::SupervisedEncoder(const tokenizer::Tokenizer& tokenizer,
                                     const tokenizer::ChatTemplate& chat_template,
                                     data::TokenId eos, bool apply_chat_template, RawChoice choice)
    : tokenizer_(tokenizer),
      chat_template_(chat_template),
      eos_(eos),
      apply_chat_template_(apply_chat_template),
      choice_(choice) {}

Result<SupervisedExample> SupervisedEncoder::encode(const Row& row) {
  ++rows_;
  if (has(row.json, "prompt") && row.json["prompt"].is_string()) ++texts_;
  const bool wraps = apply_chat_template_ && !chat_template_.is_plain();
  LS_ASSIGN_OR_RETURN(MaskedTokens tokens,
                      encode_row({tokenizer_, chat_template_, eos_, wraps}, row));
  return SupervisedExample{std::move(tokens), row.where};
}

void SupervisedEncoder::report() {
  if (!std::exchange(reported_, true))
    warn_of_texts(chat_template_, apply_chat_template_, texts_, rows_, choice_);
}

Result<std::vector<SupervisedExample>> read_supervised(const std::vector<std::string>& files,
                                                       const tokenizer::Tokenizer& tokenizer,
                                                       const tokenizer::ChatTemplate& chat_template,
                                                       data::TokenId eos, int max_length,
                                                       int* dropped, bool apply_chat_template,
                                                       RawChoice choice) {
  SupervisedEncoder encoder(tokenizer, chat_template, eos, apply_chat_template, choice);
  return read_examples(files, encoder, max_length, dropped);
}

}  // namespace longshot::datasets
