#pragma once
// Arithmetic by Python's rules, and numbers as text. Failures are jinja::Error.

#include <optional>
#include <string>
#include <string_view>

#include "tokenizer/jinja/python/value.h"

namespace longshot::tokenizer::jinja {

std::string integer_text(Int value);
std::string real_text(double value);  // repr(float): the shortest text that reads back equal

// int(text, base), with Python's underscores, signs and white space; none if it is malformed.
std::optional<Int> parse_integer(std::string_view text, int base = 10);
std::optional<double> parse_real(std::string_view text);  // float(text)

enum class BinaryOp { add, subtract, multiply, divide, floor_divide, modulo, power };
const char* symbol(BinaryOp op);
// Both operands must be numbers.
Value number_arithmetic(BinaryOp op, const Value& a, const Value& b);
// `+`, `-` ... for any values, also texts, lists and tuples. text % values formats.
Value arithmetic(BinaryOp op, const Value& a, const Value& b, Budget& budget);
Value negate(const Value& value);
Value absolute(const Value& value);

// Python's round(): half to even. Returns an integer if `digits` is not given.
Value round_number(const Value& value, std::optional<Int> digits);
Int truncate(double value);  // int(float); fails for infinities and NaN

}  // namespace longshot::tokenizer::jinja
