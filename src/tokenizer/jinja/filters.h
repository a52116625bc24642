#pragma once
// Jinja2's built-in filters and tests.

#include <string_view>

#include "tokenizer/jinja/python/access.h"

namespace longshot::tokenizer::jinja {

using FilterBody = Value (*)(const Value& input, Arguments& arguments, Budget& budget);
struct Test {
  bool (*body)(const Value& input, Arguments& arguments, Budget& budget);
  bool (*alone)(const Value& input) = nullptr;  // the same, for tests that take no arguments
};

// nullptr if there is none.
FilterBody find_filter(std::string_view name);
const Test* find_test(std::string_view name);
// Filters of Jinja2 that are left out, with the reason; nullptr for other names.
const char* why_unsupported(std::string_view filter);

}  // namespace longshot::tokenizer::jinja
