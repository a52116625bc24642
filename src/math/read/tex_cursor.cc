#include "math/read/tex_cursor.h"

#include <algorithm>

#include "base/text/text.h"

namespace longshot::math {
namespace {

constexpr size_t kMaxDigits = 1000;

constexpr std::string_view kGreek[] = {
    "alpha",   "beta",     "gamma", "delta",   "epsilon", "varepsilon", "zeta", "eta",
    "theta",   "vartheta", "iota",  "kappa",   "lambda",  "mu",         "nu",   "xi",
    "rho",     "sigma",    "tau",   "upsilon", "phi",     "varphi",     "chi",  "psi",
    "omega",   "Gamma",    "Delta", "Theta",   "Lambda",  "Xi",         "Pi",   "Sigma",
    "Upsilon", "Phi",      "Psi",   "Omega",   "ell",     "hbar"};
constexpr std::string_view kDecorations[] = {"overline", "vec",   "hat",      "bar",
                                             "tilde",    "angle", "triangle", "widehat"};

// Operators with limits. An operator with its limits and its ordered body becomes one name.
constexpr std::string_view kIndexed[] = {"sum", "prod", "int", "oint", "lim"};

struct FunctionName {
  std::string_view written, name;
};
constexpr FunctionName kFunctionNames[] = {
    {"sin", "sin"},       {"cos", "cos"},      {"tan", "tan"},       {"cot", "cot"},
    {"sec", "sec"},       {"csc", "csc"},      {"arcsin", "arcsin"}, {"arccos", "arccos"},
    {"arctan", "arctan"}, {"asin", "arcsin"},  {"acos", "arccos"},   {"atan", "arctan"},
    {"sinh", "sinh"},     {"cosh", "cosh"},    {"tanh", "tanh"},     {"tg", "tan"},
    {"ctg", "cot"},       {"arctg", "arctan"}, {"arccot", "arccot"}, {"ln", "ln"},
    {"log", "log"},       {"lg", "lg"},        {"exp", "exp"},       {"abs", "abs"}};

template <typename Table>
bool contains(const Table& table, std::string_view name) {
  return std::find(std::begin(table), std::end(table), name) != std::end(table);
}

mpq_class power_of_ten(size_t exponent) {
  mpz_class out;
  mpz_ui_pow_ui(out.get_mpz_t(), 10, exponent);
  return out;
}

bool three_digits(std::string_view text, size_t i) {
  return i + 3 <= text.size() && is_digit(text[i]) && is_digit(text[i + 1]) &&
         is_digit(text[i + 2]) && (i + 3 == text.size() || !is_digit(text[i + 3]));
}

}  // namespace

std::string_view function_name(std::string_view written) {
  for (const auto& entry : kFunctionNames) {
    if (entry.written == written) return entry.name;
  }
  return {};
}

std::string_view constant_name(std::string_view word) {
  if (word == "pi") return "pi";
  for (const std::string_view name : {"infty", "infinity", "Infinity", "inf", "oo"}) {
    if (word == name) return "oo";
  }
  return {};
}

std::string_view inverse_function(std::string_view name) {
  if (name == "sin") return "arcsin";
  if (name == "cos") return "arccos";
  if (name == "tan") return "arctan";
  if (name == "cot") return "arccot";
  return {};
}

bool is_greek(std::string_view command) {
  return contains(kGreek, command);
}
bool is_decoration(std::string_view command) {
  return contains(kDecorations, command);
}
bool has_limits(std::string_view command) {
  return contains(kIndexed, command);
}

std::string wire_name(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '{' || c == '}') continue;
    if (is_space(c)) {
      if (!out.empty() && out.back() != '_') out += '_';  // two names stay two
      continue;
    }
    out += c == '(' ? '[' : c == ')' ? ']' : c == '$' || c == '\t' ? '_' : c;
  }
  return out;
}

size_t skip_literal(std::string_view text, size_t i) {
  const size_t start = i;
  while (i < text.size() && is_digit(text[i])) ++i;
  if (i > start && i - start <= 3 && text[start] != '0') {
    while (i < text.size() && text[i] == ',' && three_digits(text, i + 1)) i += 4;
  }
  if (i < text.size() && text[i] == '.') {
    size_t end = i + 1;
    while (end < text.size() && is_digit(text[end])) ++end;
    if (end > i + 1 || i > start) i = end;
  }
  return i;
}

char TexCursor::next() {
  while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  return peek();
}

bool TexCursor::eat(char c) {
  if (next() != c) return false;
  ++at_;
  return true;
}

std::string_view TexCursor::command() {
  if (next() != '\\') return {};
  size_t end = at_ + 1;
  while (end < text_.size() && is_alpha(text_[end])) ++end;
  return text_.substr(at_ + 1, end - at_ - 1);
}

bool TexCursor::eat_command(std::string_view name) {
  if (command() != name) return false;
  at_ += name.size() + 1;
  return true;
}

std::string_view TexCursor::letters() const {
  size_t end = at_;
  while (end < text_.size() && is_alpha(text_[end])) ++end;
  return text_.substr(at_, end - at_);
}

std::string_view TexCursor::braced() {
  const size_t start = at_ + 1;
  int depth = 0;
  for (size_t i = at_; i < text_.size(); ++i) {
    depth += text_[i] == '{' ? 1 : text_[i] == '}' ? -1 : 0;
    if (depth != 0) continue;
    at_ = i + 1;
    return text_.substr(start, i - start);
  }
  return {};
}

std::string_view TexCursor::subscript() {
  if (peek() == '{') {
    const auto inside = braced();
    return inside.size() > 40 ? std::string_view() : inside;
  }
  size_t end = at_;
  if (is_alpha(peek())) {
    end = at_ + 1;
  } else {
    while (end < text_.size() && is_digit(text_[end])) ++end;
  }
  const auto out = text_.substr(at_, end - at_);
  at_ = end;
  return out;
}

std::optional<TexCursor::Literal> TexCursor::literal() {
  const size_t start = at_;
  const size_t end = skip_literal(text_, at_);
  if (end == start || end - start > kMaxDigits) return std::nullopt;
  at_ = end;
  std::string digits;
  size_t decimals = 0;
  bool point = false;
  for (const char c : text_.substr(start, end - start)) {
    if (c == '.') point = true;
    if (!is_digit(c)) continue;
    digits += c;
    decimals += point ? 1 : 0;
  }
  mpq_class value(mpz_class(digits, 10));
  value /= power_of_ten(decimals);
  if (point && (command() == "overline" || command() == "bar" || command() == "dot"))
    return repeating(value, decimals);
  return Literal{std::move(value), point};
}

// 0.1\overline{6}: the digits under the bar repeat for ever.
std::optional<TexCursor::Literal> TexCursor::repeating(const mpq_class& head, size_t decimals) {
  at_ += command().size() + 1;
  const auto period = next() == '{' ? braced() : std::string_view();
  if (period.empty() || period.size() > 50 || !std::all_of(period.begin(), period.end(), is_digit))
    return std::nullopt;
  const mpq_class tail(mpz_class(std::string(period), 10));
  return Literal{head + tail / ((power_of_ten(period.size()) - 1) * power_of_ten(decimals)), false};
}

}  // namespace longshot::math
