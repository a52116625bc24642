#pragma once
// Jinja2's built-in filters.

#include <string_view>

#include "tokenizer/jinja/python/access.h"

namespace longshot::tokenizer::jinja {

using FilterBody = Value (*)(const Value& input, Arguments& arguments, Budget& budget);

// nullptr if there is no such filter.
FilterBody find_filter(std::string_view name);
// The reason why a filter of Jinja2 is not supported; nullptr for other names.
const char* why_unsupported(std::string_view filter);

}  // namespace longshot::tokenizer::jinja
