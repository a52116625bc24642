#pragma once
// The methods of Python's str that make texts of texts; text_methods.cc and text_queries.cc have
// them all. Shared with the filters of the same names.

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "tokenizer/jinja/python/access.h"

namespace longshot::tokenizer::jinja {

using MethodTable = std::unordered_map<std::string_view, MethodBody>;
const MethodTable& text_methods();
const MethodTable& text_queries();

std::string replace_text(std::string_view text, std::string_view old, std::string_view with,
                         Int count, Budget& budget);
std::string capitalize(std::string_view text);
std::string center(std::string_view text, Int width, std::string_view fill, Budget& budget);
// str.strip(chars); `chars` none or undefined: white space.
std::string_view strip_by(std::string_view text, const Value& chars, bool left, bool right);
// Items as a text with `separator` between them; each must be a text.
Value join_texts(const Value& separator, const Values& items, Budget& budget);

// The text of an argument; fails for other types. `what` begins the message.
const std::string& text_of(const Value& value, const char* what);

}  // namespace longshot::tokenizer::jinja
