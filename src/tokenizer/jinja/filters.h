#pragma once
// Jinja2's built-in filters and tests.

#include <string_view>

#include "tokenizer/jinja/python/access.h"

namespace longshot::tokenizer::jinja {

using FilterBody = Value (*)(const Value& input, Arguments& arguments, Budget& budget);
using TestBody = bool (*)(const Value& input, Arguments& arguments, Budget& budget);

// nullptr if there is none.
FilterBody find_filter(std::string_view name);
TestBody find_test(std::string_view name);
// Filters of Jinja2 that are left out, with the reason; nullptr for other names.
const char* why_unsupported(std::string_view filter);

}  // namespace longshot::tokenizer::jinja
