#pragma once
// Python's json.dumps. Failures are jinja::Error.

#include <string>

#include "tokenizer/jinja/python/value.h"

namespace longshot::tokenizer::jinja {

// `indent`: the text of one level; nullptr gives one line.
struct JsonStyle {
  bool ensure_ascii = false;
  const std::string* indent = nullptr;
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  bool sort_keys = false;
};
std::string json_text(const Value& value, const JsonStyle& style, Budget& budget);

}  // namespace longshot::tokenizer::jinja
