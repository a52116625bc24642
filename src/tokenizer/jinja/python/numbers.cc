#include "tokenizer/jinja/python/numbers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "tokenizer/jinja/python/characters.h"
#include "tokenizer/jinja/python/formatting.h"

namespace longshot::tokenizer::jinja {
namespace {

[[noreturn]] void fail_overflow() {
  fail("an integer beyond 128 bits");
}

Int floor_quotient(Int a, Int b) {
  if (b == -1) {
    Int negated = 0;
    if (__builtin_sub_overflow(Int{0}, a, &negated)) fail_overflow();
    return negated;
  }
  const Int quotient = a / b;
  return quotient - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

Int floor_remainder(Int a, Int b) {
  if (b == -1) return 0;
  const Int rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

double floor_remainder(double a, double b) {
  const double rest = std::fmod(a, b);
  if (rest == 0) return std::copysign(0.0, b);
  return (rest < 0) != (b < 0) ? rest + b : rest;
}

double floor_quotient(double a, double b) {
  const double rest = floor_remainder(a, b);
  const double quotient = (a - rest) / b;
  if (quotient == 0) return std::copysign(0.0, a / b);
  const double floored = std::floor(quotient);
  return quotient - floored > 0.5 ? floored + 1 : floored;
}

Int integer_power(Int base, Int exponent) {
  Int result = 1;
  while (exponent > 0) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) fail_overflow();
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) fail_overflow();
  }
  return result;
}

Value integer_arithmetic(BinaryOp op, Int a, Int b) {
  Int result = 0;
  bool overflow = false;
  switch (op) {
    case BinaryOp::add:
      overflow = __builtin_add_overflow(a, b, &result);
      break;
    case BinaryOp::subtract:
      overflow = __builtin_sub_overflow(a, b, &result);
      break;
    case BinaryOp::multiply:
      overflow = __builtin_mul_overflow(a, b, &result);
      break;
    case BinaryOp::divide:
      return Value::real(static_cast<double>(a) / static_cast<double>(b));
    case BinaryOp::floor_divide:
      result = floor_quotient(a, b);
      break;
    case BinaryOp::modulo:
      result = floor_remainder(a, b);
      break;
    case BinaryOp::power:
      if (a == 0 || a == 1) return Value::integer(b == 0 ? 1 : a);
      if (a == -1) return Value::integer((b & 1) != 0 ? -1 : 1);
      result = integer_power(a, b);
      break;
  }
  if (overflow) fail_overflow();
  return Value::integer(result);
}

Value real_arithmetic(BinaryOp op, double a, double b) {
  switch (op) {
    case BinaryOp::add:
      return Value::real(a + b);
    case BinaryOp::subtract:
      return Value::real(a - b);
    case BinaryOp::multiply:
      return Value::real(a * b);
    case BinaryOp::divide:
      return Value::real(a / b);
    case BinaryOp::floor_divide:
      return Value::real(floor_quotient(a, b));
    case BinaryOp::modulo:
      return Value::real(floor_remainder(a, b));
    case BinaryOp::power:
      if (a < 0 && std::isfinite(a) && std::isfinite(b) && b != std::floor(b))
        fail("a complex number");
      if (std::isfinite(a) && std::isfinite(b) && std::isinf(std::pow(a, b)))
        fail("a number beyond the range of floats");
      return Value::real(std::pow(a, b));
  }
  return {};
}

Value add(const Value& a, const Value& b, Budget& budget) {
  if (a.is(Type::string)) {
    budget.charge_bytes(a.text().size() + b.text().size());
    if (a.markup() == b.markup()) return Value::string(a.text() + b.text(), a.markup());
    if (a.markup()) return Value::string(a.text() + escape_html(b.text()), true);
    return Value::string(escape_html(a.text()) + b.text(), true);
  }
  budget.charge_bytes((a.items().size() + b.items().size()) * sizeof(Value));
  Values items = a.items();
  items.insert(items.end(), b.items().begin(), b.items().end());
  return a.is(Type::list) ? Value::list(std::move(items)) : Value::tuple(std::move(items));
}

bool repeatable(const Value& value) {
  return value.is(Type::string) || value.is(Type::list) || value.is(Type::tuple);
}

Value repeat(const Value& value, Int count, Budget& budget) {
  const size_t unit =
      value.is(Type::string) ? value.text().size() : value.items().size() * sizeof(Value);
  count = unit == 0 ? 0 : std::clamp<Int>(count, 0, Int{1} << 40);
  budget.charge_bytes(
      static_cast<size_t>(std::min<Int>(static_cast<Int>(unit) * count, Int{1} << 60)));
  if (value.is(Type::string)) {
    std::string text;
    for (Int i = 0; i < count; ++i) text += value.text();
    return Value::string(std::move(text), value.markup());
  }
  Values items;
  for (Int i = 0; i < count; ++i)
    items.insert(items.end(), value.items().begin(), value.items().end());
  return value.is(Type::list) ? Value::list(std::move(items)) : Value::tuple(std::move(items));
}

std::string without_underscores(std::string_view text, bool* well_formed) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
      continue;
    }
    const bool between = i > 0 && i + 1 < text.size() && std::isalnum(text[i - 1]) != 0 &&
                         std::isalnum(text[i + 1]) != 0;
    if (!between) *well_formed = false;
  }
  return out;
}

int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'z') return c - 'a' + 10;
  return c >= 'A' && c <= 'Z' ? c - 'A' + 10 : 99;
}

// Removes a prefix such as "0x" if `base` allows it, and returns the base. If `base` is 0, the
// prefix determines it.
int take_prefix(std::string& digits, int base) {
  const char letter = digits.size() > 1 && digits[0] == '0'
                          ? static_cast<char>(std::tolower(static_cast<unsigned char>(digits[1])))
                          : ' ';
  const int told = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
  if (told != 0 && (base == told || base == 0)) {
    digits.erase(0, 2);
    return told;
  }
  return base == 0 ? 10 : base;
}

}  // namespace

std::string integer_text(Int value) {
  return fmt::format("{}", value);
}

std::string real_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::array<char, 64> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                 std::chars_format::scientific)
                       .ptr;
  std::string text(buffer.data(), end);
  const size_t e = text.find('e');
  const int exponent = std::atoi(text.c_str() + e + 1);
  if (exponent < -4 || exponent >= 16) return text;
  std::string sign = text[0] == '-' ? "-" : "";
  std::string digits;
  for (const char c : text.substr(0, e))
    if (c >= '0' && c <= '9') digits += c;
  if (exponent < 0)
    return sign + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  const auto whole = static_cast<size_t>(exponent) + 1;
  if (digits.size() < whole) digits.resize(whole, '0');
  const std::string fraction = digits.substr(whole);
  return sign + digits.substr(0, whole) + "." + (fraction.empty() ? "0" : fraction);
}

std::optional<Int> parse_integer(std::string_view text, int base) {
  bool well_formed = base == 0 || (base >= 2 && base <= 36);
  std::string digits = without_underscores(strip(text), &well_formed);
  bool negative = false;
  if (!digits.empty() && (digits[0] == '-' || digits[0] == '+')) {
    negative = digits[0] == '-';
    digits.erase(0, 1);
  }
  const int radix = take_prefix(digits, base);
  if (!well_formed || digits.empty()) return std::nullopt;
  if (base == 0 && radix == 10 && digits[0] == '0' &&
      digits.find_first_not_of('0') != std::string::npos)
    return std::nullopt;
  Int value = 0;
  for (const char c : digits) {
    const int digit = digit_value(c);
    if (digit >= radix) return std::nullopt;
    if (__builtin_mul_overflow(value, Int{radix}, &value) ||
        __builtin_add_overflow(value, Int{digit}, &value))
      fail_overflow();
  }
  return negative ? -value : value;
}

std::optional<double> parse_real(std::string_view text) {
  bool well_formed = true;
  std::string number = without_underscores(strip(text), &well_formed);
  if (!number.empty() && number[0] == '+') number.erase(0, 1);
  if (!well_formed || number.empty() || number[0] == '+') return std::nullopt;
  if (number.find_first_of("xXpP(") != std::string::npos) return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  if (end != number.data() + number.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range) return std::strtod(number.c_str(), nullptr);
  return error == std::errc() ? std::optional(value) : std::nullopt;
}

const char* symbol(BinaryOp op) {
  constexpr std::array<const char*, 7> kSymbols = {"+", "-", "*", "/", "//", "%", "** or pow()"};
  return kSymbols[static_cast<size_t>(op)];
}

Value number_arithmetic(BinaryOp op, const Value& a, const Value& b) {
  const bool divides =
      op == BinaryOp::divide || op == BinaryOp::floor_divide || op == BinaryOp::modulo;
  if (divides && b.as_double() == 0) fail("division by zero");
  if (op == BinaryOp::power && a.as_double() == 0 && b.as_double() < 0)
    fail("0.0 cannot be raised to a negative power");
  const bool integers = !a.is(Type::real) && !b.is(Type::real);
  if (integers && (op != BinaryOp::power || b.as_int() >= 0))
    return integer_arithmetic(op, a.as_int(), b.as_int());
  return real_arithmetic(op, a.as_double(), b.as_double());
}

Value arithmetic(BinaryOp op, const Value& a, const Value& b, Budget& budget) {
  if (op == BinaryOp::add && a.is_small_integer() && b.is_small_integer())
    return Value::integer(Int{a.small_integer()} + b.small_integer());
  if (op == BinaryOp::subtract && a.is_small_integer() && b.is_small_integer())
    return Value::integer(Int{a.small_integer()} - b.small_integer());
  if (a.is_number() && b.is_number()) return number_arithmetic(op, a, b);
  for (const Value* side : {&a, &b})
    if (side->is(Type::undefined) && !(op == BinaryOp::modulo && a.is(Type::string)))
      fail(side->undefined_message());
  if (op == BinaryOp::add && a.type() == b.type() && repeatable(a)) return add(a, b, budget);
  if (op == BinaryOp::modulo && a.is(Type::string)) return percent_format(a, b, budget);
  const bool integer_right = b.is(Type::integer) || b.is(Type::boolean);
  const bool integer_left = a.is(Type::integer) || a.is(Type::boolean);
  if (op == BinaryOp::multiply && repeatable(a) && integer_right)
    return repeat(a, b.as_int(), budget);
  if (op == BinaryOp::multiply && repeatable(b) && integer_left)
    return repeat(b, a.as_int(), budget);
  if (op == BinaryOp::add && a.is(Type::string))
    fail("can only concatenate str (not \"" + type_name(b) + "\") to str");
  fail(fmt::format("unsupported operand type(s) for {}: '{}' and '{}'", symbol(op), type_name(a),
                   type_name(b)));
}

Value negate(const Value& value) {
  if (value.is(Type::undefined)) fail(value.undefined_message());
  if (!value.is_number()) fail("bad operand type for unary -: '" + type_name(value) + "'");
  if (value.is(Type::real)) return Value::real(-value.as_double());
  return integer_arithmetic(BinaryOp::subtract, 0, value.as_int());
}

Value absolute(const Value& value) {
  if (!value.is_number()) fail("bad operand type for abs(): '" + type_name(value) + "'");
  if (value.is(Type::real)) return Value::real(std::fabs(value.as_double()));
  return value.as_int() < 0 ? negate(value) : Value::integer(value.as_int());
}

Value round_number(const Value& value, std::optional<Int> digits) {
  if (!value.is_number()) fail("type " + type_name(value) + " cannot be rounded");
  if (!value.is(Type::real)) {
    if (!digits || *digits >= 0) return Value::integer(value.as_int());
    if (*digits < -37) return Value::integer(0);
    const Int unit = integer_power(10, -*digits);
    const Int rest = floor_remainder(value.as_int(), unit);
    Int base = value.as_int() - rest;
    const bool odd = floor_remainder(floor_quotient(base, unit), Int{2}) != 0;
    if (rest * 2 > unit || (rest * 2 == unit && odd)) base += unit;
    return Value::integer(base);
  }
  const double number = value.as_double();
  if (!digits) return Value::integer(truncate(std::nearbyint(number)));
  if (!std::isfinite(number) || *digits > 323) return value;
  if (*digits < -308) return Value::real(std::copysign(0.0, number));
  if (*digits < 0) {
    const double unit = std::pow(10.0, static_cast<double>(-*digits));
    return Value::real(std::nearbyint(number / unit) * unit);
  }
  const std::string text = fmt::format("{:.{}f}", number, static_cast<int>(*digits));
  return Value::real(std::strtod(text.c_str(), nullptr));
}

Int truncate(double value) {
  if (std::isnan(value)) fail("cannot convert float NaN to integer");
  if (std::isinf(value)) fail("cannot convert float infinity to integer");
  if (std::fabs(value) >= 1.7e38) fail_overflow();
  return static_cast<Int>(value);
}

}  // namespace longshot::tokenizer::jinja
