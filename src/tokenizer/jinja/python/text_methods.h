#pragma once
// The methods of Python's str that return texts, shared with the filters of the same names.
// text_methods.cc and text_methods_queries.cc contain all supported methods of str.

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
// str.strip(chars). If `chars` is none or undefined, strips white space.
std::string_view strip_by(std::string_view text, const Value& chars, bool left, bool right);
// Joins the items, each of which must be a text, with `separator` between them.
Value join_texts(const Value& separator, const Values& items, Budget& budget);

// The text of an argument. Fails for other types, with a message that begins with `what`.
const std::string& text_of(const Value& value, const char* what);

}  // namespace longshot::tokenizer::jinja
