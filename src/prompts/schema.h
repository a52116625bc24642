#pragma once
// Which of the known row forms a row has, told from its columns alone.

#include "base/json.h"
#include "base/status.h"
#include "prompts/prompts.h"

namespace longshot::prompts {

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

// A chat from a JSON list of {"role", "content"}. Content is a string or a list of {"type": "text"}
// parts; tool calls and other parts are refused, since no supported template renders them.
Result<std::vector<data::Message>> parse_messages(const Json& list, const std::string& where);

// A string or a number as text, anything structured as one line of JSON. null is an error.
Result<std::string> text_of(const Json& value, const std::string& where);

}  // namespace longshot::prompts
