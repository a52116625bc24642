#pragma once
// The functions that every template can call: range, dict, namespace, raise_exception ...

#include <string_view>

#include "tokenizer/jinja/python/value.h"

namespace longshot::tokenizer::jinja {

const Value* find_global(std::string_view name);  // nullptr for any other name

}  // namespace longshot::tokenizer::jinja
