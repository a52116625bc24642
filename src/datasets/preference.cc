#include "datasets/preference.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "datasets/schema.h"
#include "tokenizer/judged_text.h"

namespace longshot::datasets {
namespace {

using data::Message;

// Parses a text, which is the user's turn, or a chat that ends with it.
Result<std::vector<Message>> parse_question(const Json& value, const std::string& where) {
  if (value.is_string()) return std::vector<Message>{{"user", value.get<std::string>()}};
  LS_ASSIGN_OR_RETURN(auto messages, parse_messages(value, where));
  if (messages.back().role == "assistant")
    return invalid_argument(where + " ends with an assistant turn, which belongs to the response");
  return messages;
}

// A text, or a list that holds one assistant turn and before it, perhaps, the question.
struct Answered {
  std::vector<Message> question;
  std::string response;
};
Result<Answered> parse_response(const Json& value, const std::string& where) {
  if (value.is_string()) return Answered{{}, value.get<std::string>()};
  LS_ASSIGN_OR_RETURN(auto messages, parse_messages(value, where));
  if (messages.back().role != "assistant")
    return invalid_argument(where + " does not end with an assistant turn");
  std::string response = messages.back().content.text();
  messages.pop_back();
  return Answered{std::move(messages), std::move(response)};
}

Result<double> parse_label(const Json& value, const std::string& where) {
  if (value.is_boolean()) return value.get<bool>() ? 1.0 : 0.0;
  if (value.is_number() && value.get<double>() >= 0 && value.get<double>() <= 1)
    return value.get<double>();
  return invalid_argument(where + ": 'label' must be true, false or a number from 0 to 1, not " +
                          dump_json(value));
}

bool ends_with(const std::vector<data::Message>& all, const std::vector<data::Message>& end) {
  return end.size() <= all.size() && std::equal(end.rbegin(), end.rend(), all.rbegin());
}

Status parse_pair(const Row& row, JudgedRow& out) {
  LS_ASSIGN_OR_RETURN(Answered chosen,
                      parse_response(row.json["chosen"], row.where + ": 'chosen'"));
  LS_ASSIGN_OR_RETURN(Answered rejected,
                      parse_response(row.json["rejected"], row.where + ": 'rejected'"));
  if (chosen.question != rejected.question)
    return invalid_argument(row.where +
                            ": 'chosen' and 'rejected' differ before their last assistant turns");
  // A column `prompt` may repeat the end of the question.
  if (!chosen.question.empty() && !ends_with(chosen.question, out.question))
    return invalid_argument(row.where +
                            ": 'chosen' and 'rejected' begin with another prompt than 'prompt'");
  if (!chosen.question.empty()) out.question = std::move(chosen.question);
  out.pair = true;
  out.response = std::move(chosen.response);
  out.rejected = std::move(rejected.response);
  return ok_status();
}

Status parse_labelled(const Row& row, JudgedRow& out) {
  const char* column = has(row.json, "completion") ? "completion" : "response";
  if (!has(row.json, column) || !has(row.json, "label")) {
    return invalid_argument(row.where +
                            ": no row for a reward model; expected 'prompt' with 'completion' (or "
                            "'response') and 'label', or 'chosen' and 'rejected'");
  }
  const std::string where = fmt::format("{}: '{}'", row.where, column);
  LS_ASSIGN_OR_RETURN(Answered answered, parse_response(row.json[column], where));
  if (!answered.question.empty())
    return invalid_argument(where + " must be a text or one assistant turn");
  out.response = std::move(answered.response);
  LS_ASSIGN_OR_RETURN(out.label, parse_label(row.json["label"], row.where));
  return ok_status();
}

}  // namespace

Result<JudgedRow> parse_judged(const Row& row) {
  JudgedRow out;
  out.where = row.where;
  if (has(row.json, "prompt")) {
    LS_ASSIGN_OR_RETURN(out.question, parse_question(row.json["prompt"], row.where + ": 'prompt'"));
  }
  const bool pair = has(row.json, "chosen") && has(row.json, "rejected");
  LS_RETURN_IF_ERROR(pair ? parse_pair(row, out) : parse_labelled(row, out));
  LS_ASSIGN_OR_RETURN(out.reference, reference_of(row));
  return out;
}

Result<std::vector<JudgedRow>> read_judged(const std::vector<std::string>& files) {
  std::vector<JudgedRow> rows;
  LS_RETURN_IF_ERROR(for_each_row(files, [&](Row&& row) -> Status {
    LS_ASSIGN_OR_RETURN(rows.emplace_back(), parse_judged(row));
    return ok_status();
  }));
  if (rows.empty()) return invalid_argument(fmt::format("no rows in {}", fmt::join(files, ", ")));
  return rows;
}

Result<std::vector<data::TokenId>> JudgedEncoder::encode_response(
    const JudgedRow& row, const std::string& response) const {
  auto tokens = tokenizer::encode_judged(tokenizer_, chat_template_,
                                         {row.question, row.reference, response}, eos_);
  if (!tokens.ok()) return tokens.status().with_context(row.where);
  return tokens;
}

Result<JudgedExample> JudgedEncoder::encode(const Row& row) {
  LS_ASSIGN_OR_RETURN(const JudgedRow judged, parse_judged(row));
  JudgedExample example;
  example.label = judged.label;
  LS_ASSIGN_OR_RETURN(example.tokens, encode_response(judged, judged.response));
  if (!judged.pair) return example;
  LS_ASSIGN_OR_RETURN(example.rejected, encode_response(judged, judged.rejected));
  return example;
}

int64_t JudgedEncoder::longest(const JudgedExample& example) const {
  return static_cast<int64_t>(std::max(example.tokens.size(), example.rejected.size()));
}

int64_t JudgedEncoder::tokens(const JudgedExample& example) const {
  return static_cast<int64_t>(example.tokens.size() + example.rejected.size());
}

}  // namespace longshot::datasets
