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

// nullptr if there is no such filter or test.
FilterBody find_filter(std::string_view name);
const Test* find_test(std::string_view name);
// The reason why a filter of Jinja2 is not supported; nullptr for other names.
const char* why_unsupported(std::string_view filter);

}  // namespace longshot::tokenizer::jinja
