#pragma once
// Jinja2's built-in tests: the words behind `is`.

#include <string_view>

#include "tokenizer/jinja/python/access.h"

namespace longshot::tokenizer::jinja {

struct Test {
  bool (*body)(const Value& input, Arguments& arguments, Budget& budget);
  bool (*alone)(const Value& input) = nullptr;  // the same, for tests that take no arguments
};

const Test* find_test(std::string_view name);  // nullptr if there is no such test

}  // namespace longshot::tokenizer::jinja
