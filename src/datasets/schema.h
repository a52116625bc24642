#pragma once
// Which of the known row forms a row has, told from its columns alone.

#include "base/json.h"
#include "base/status.h"
#include "datasets/rows.h"
#include "tokenizer/chat/chat_values.h"

namespace longshot::datasets {

enum class Schema {
  verl,               // data_source / reward_model / ground_truth beside a prompt
  prompt,             // TRL: prompt alone, perhaps with an answer column
  prompt_completion,  // TRL: prompt + completion
  messages,           // TRL: messages
  preference,         // TRL: chosen + rejected, with or without prompt
  text,               // TRL: text
};
const char* schema_name(Schema schema);

// Whether the row has a value in the column that is not null.
bool has(const Json& row, const std::string& column);

// An error names the columns found and the forms that are known.
Result<Schema> detect_schema(const Row& row, const std::string& prompt_column = "prompt");

// The right answer of a row as text: reward_model.ground_truth, ground_truth, answer or solution; "" where it has none.
Result<std::string> reference_of(const Row& row);

// A chat from a JSON list of {"role", "content", ...}. Content is a string, null or a list of
// {"type": "text"} parts; what else a message holds (tool calls, a name, reasoning) is kept for the
// chat template by parse_chat, and dropped by parse_messages.
Result<tokenizer::Chat> parse_chat(const OrderedJson& list, const std::string& where);
Result<std::vector<data::Message>> parse_messages(const Json& list, const std::string& where);

// A column with its keys in the order of the file, where that is known.
OrderedJson ordered_column(const Row& row, const std::string& column);

// The row's own arguments for the chat template: its columns tools and documents (lists, or texts
// of JSON) and the members of chat_template_kwargs, as a JSON object; "" if it has none.
Result<std::string> template_arguments_of(const Row& row);

// What a template sees besides roles and texts is kept in extra_info.chat_template, as texts of
// JSON, so that the order of keys stays. restore gives the arguments and completes the chat.
void keep_template_data(const tokenizer::Chat& chat, const std::string& arguments,
                        data::Prompt& prompt);
Result<std::string> restore_template_data(const data::Prompt& prompt, tokenizer::Chat& chat);

// A string or a number as text, anything structured as one line of JSON. null is an error.
Result<std::string> text_of(const Json& value, const std::string& where);

}  // namespace longshot::datasets
