#pragma once
// Finds out which of the known forms a row has, from its columns only.

#include "base/json.h"
#include "base/status.h"
#include "datasets/rows.h"
#include "tokenizer/chat/chat_values.h"

namespace longshot::datasets {

enum class Schema {
  verl,               // a prompt with data_source, reward_model or extra_info
  prompt,             // TRL: only a prompt, perhaps with an answer column
  prompt_completion,  // TRL: prompt + completion
  messages,           // TRL: messages
  preference,         // TRL: chosen + rejected, with or without prompt
  text,               // TRL: text
};
const char* schema_name(Schema schema);

// True if the row has a value other than null in the column.
bool has(const Json& row, const std::string& column);

// The error for an unknown form names the columns found and the known forms.
Result<Schema> detect_schema(const Row& row, const std::string& prompt_column = "prompt");

// The right answer of a row as text: reward_model.ground_truth, ground_truth, answer or solution;
// "" if it has none.
Result<std::string> reference_of(const Row& row);

// Reads a chat from a JSON list of {"role", "content", ...}. Content is a string, null or a list of
// {"type": "text"} parts, and keeps this form. Other members of a message (tool calls, a name,
// reasoning) are kept for the chat template by parse_chat, and dropped by parse_messages.
Result<tokenizer::Chat> parse_chat(const OrderedJson& list, const std::string& where);
Result<std::vector<data::Message>> parse_messages(const Json& list, const std::string& where);

// A column with its keys in the order of the file, where that is known.
OrderedJson ordered_column(const Row& row, const std::string& column);

// The row's own arguments for the chat template: its columns tools and documents (lists, or texts
// of JSON) and the members of chat_template_kwargs, as a JSON object; "" if it has none.
Result<std::string> template_arguments_of(const Row& row);

// keep_template_data stores the input of a template other than roles and texts in
// extra_info.chat_template, as texts of JSON, which keep the order of keys. restore_template_data
// returns the arguments and completes the chat. A user's own column of that name, which does not
// look like it, is left alone.
void keep_template_data(const tokenizer::Chat& chat, const std::string& arguments,
                        data::Prompt& prompt);
std::string restore_template_data(const data::Prompt& prompt, tokenizer::Chat& chat);
bool is_template_data(const Json& value);

// A string or a number as text, anything structured as one line of JSON. null is an error.
Result<std::string> text_of(const Json& value, const std::string& where);

}  // namespace longshot::datasets
