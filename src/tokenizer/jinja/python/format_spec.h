#pragma once
// Python's format specification: [[fill]align][sign][#][0][width][,][.precision][type].

#include <string>
#include <string_view>

#include "tokenizer/jinja/python/value.h"

namespace longshot::tokenizer::jinja {

struct FormatSpec {
  std::string fill = " ";  // one character
  char align = 0;          // '<', '>', '^', '='; 0: the default of the type
  char sign = 0;           // '+', ' ' or 0
  bool alternate = false, zero = false;
  int width = -1, precision = -1;
  char grouping = 0;  // ',' or '_'
  char type = 0;
};
FormatSpec parse_format_spec(std::string_view text);

std::string format_text(std::string_view text, const FormatSpec& spec);
std::string format_integer(Int value, const FormatSpec& spec);
std::string format_real(double value, const FormatSpec& spec);
// format(value, spec).
std::string format_value(const Value& value, const std::string& spec, Budget& budget);

}  // namespace longshot::tokenizer::jinja
