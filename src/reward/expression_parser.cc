#include "reward/expression_parser.h"

#include <algorithm>

#include "reward/text.h"

namespace longshot::reward {
namespace {

constexpr size_t kMaxText = 2000;
constexpr size_t kMaxDigits = 1000;
constexpr int kMaxDepth = 40;
constexpr size_t kMaxWord = 4;  // longer runs of letters are words, not products

constexpr std::string_view kGreek[] = {
    "alpha", "beta", "gamma", "delta", "epsilon", "varepsilon", "zeta", "eta",   "theta", "vartheta",
    "iota",  "kappa", "lambda", "mu",  "nu",      "xi",         "rho",  "sigma", "tau",   "upsilon",
    "phi",   "varphi", "chi",  "psi",  "omega",   "Gamma",      "Delta", "Theta", "Lambda", "Xi",
    "Pi",    "Sigma", "Upsilon", "Phi", "Psi",    "Omega",      "ell",  "hbar"};
constexpr std::string_view kDecorations[] = {"overline", "vec",  "hat",     "bar",
                                             "tilde",    "angle", "triangle", "widehat"};

struct FunctionName {
  std::string_view written, name;
};
constexpr FunctionName kFunctionNames[] = {
    {"sin", "sin"},       {"cos", "cos"},       {"tan", "tan"},       {"cot", "cot"},
    {"sec", "sec"},       {"csc", "csc"},       {"arcsin", "arcsin"}, {"arccos", "arccos"},
    {"arctan", "arctan"}, {"asin", "arcsin"},   {"acos", "arccos"},   {"atan", "arctan"},
    {"sinh", "sinh"},     {"cosh", "cosh"},     {"tanh", "tanh"},     {"tg", "tan"},
    {"ctg", "cot"},       {"arctg", "arctan"},  {"arccot", "arccot"}, {"ln", "ln"},
    {"log", "log"},       {"lg", "lg"},         {"exp", "exp"},       {"abs", "abs"}};

std::string_view function_name(std::string_view written) {
  for (const auto& entry : kFunctionNames) {
    if (entry.written == written) return entry.name;
  }
  return {};
}

template <typename Table>
bool contains(const Table& table, std::string_view name) {
  return std::find(std::begin(table), std::end(table), name) != std::end(table);
}

std::string_view inverse_of(std::string_view name) {
  if (name == "sin") return "arcsin";
  if (name == "cos") return "arccos";
  if (name == "tan") return "arctan";
  if (name == "cot") return "arccot";
  return {};
}

// Names travel on one line between parentheses.
std::string wire_name(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (is_space(c) || c == '{' || c == '}') continue;
    out += c == '(' ? '[' : c == ')' ? ']' : c == '$' ? '_' : c;
  }
  return out;
}

mpq_class power_of_ten(size_t exponent) {
  mpz_class out;
  mpz_ui_pow_ui(out.get_mpz_t(), 10, exponent);
  return out;
}

// Recursive descent; a failure empties every result above it.
//   sum = product {(+|-) product}      product = factor {[*|/] factor}     factor = [+|-] power
//   power = postfix [^ exponent]       postfix = atom {! | %}
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::optional<Expression> whole() {
    auto e = read_sum();
    skip_spaces();
    if (!e || at_ != text_.size()) return std::nullopt;
    return e;
  }

 private:
  using Value = std::optional<Expression>;

  void skip_spaces() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  char next() {
    skip_spaces();
    return peek();
  }
  bool eat(char c) {
    if (next() != c) return false;
    ++at_;
    return true;
  }
  // The command name at the position, without its backslash; empty when there is none.
  std::string_view command() {
    if (next() != '\\') return {};
    size_t end = at_ + 1;
    while (end < text_.size() && is_alpha(text_[end])) ++end;
    return text_.substr(at_ + 1, end - at_ - 1);
  }
  bool eat_command(std::string_view name) {
    if (command() != name) return false;
    at_ += name.size() + 1;
    return true;
  }
  std::string_view letters() const {
    size_t end = at_;
    while (end < text_.size() && is_alpha(text_[end])) ++end;
    return text_.substr(at_, end - at_);
  }

  Value read_sum() {
    if (++depth_ > kMaxDepth) return std::nullopt;
    std::vector<Expression> terms;
    Value term = read_product();
    while (term) {
      terms.push_back(std::move(*term));
      const char op = next();
      if (op != '+' && op != '-') break;
      ++at_;
      term = read_product();
      if (term && op == '-') term = negative(std::move(*term));
    }
    --depth_;
    if (!term) return std::nullopt;
    return sum(std::move(terms));
  }

  Value read_product() {
    std::vector<Expression> factors;
    Value factor = read_factor();
    while (factor) {
      factors.push_back(std::move(*factor));
      const char op = next();
      if (op == '*' || op == '/') {
        ++at_;
        if (peek() == '*') return std::nullopt;  // Python's power sign is not ours
        factor = read_factor();
        if (factor && op == '/') factor = power(std::move(*factor), number(-1));
      } else if (starts_factor(op)) {
        factor = read_power();
      } else {
        return product(std::move(factors));
      }
    }
    return std::nullopt;
  }

  // Whether a product without a sign goes on here. A digit does only behind a factorial: "2 3" and "x2" are no products.
  bool starts_factor(char c) {
    if (is_digit(c)) return text_[at_ - 1] == '!';
    if (c == '(' || c == '[' || c == '{' || (is_alpha(c) && !stop_word())) return true;
    if (c == '|') return bars_ == 0;
    if (c != '\\') return false;
    const auto name = command();
    return contains(kGreek, name) || contains(kDecorations, name) || !function_name(name).empty() ||
           name == "pi" || name == "frac" || name == "sqrt" || name == "binom" ||
           name == "lfloor" || name == "lceil";
  }
  bool stop_word() const {
    const auto run = letters();
    return run.size() > kMaxWord && function_name(run).empty();
  }

  Value read_factor() {
    if (++depth_ > kMaxDepth) return std::nullopt;
    Value out;
    if (eat('-')) {
      out = read_factor();
      if (out) out = negative(std::move(*out));
    } else {
      out = eat('+') ? read_factor() : read_power();
    }
    --depth_;
    return out;
  }

  Value read_power() {
    Value base = read_postfix();
    if (!base || next() != '^') return base;
    ++at_;
    Value exponent = read_exponent();
    if (!exponent) return std::nullopt;
    return power(std::move(*base), folded(std::move(*exponent)));
  }

  // {2/3} is a number and not a quotient: exponents are asked for their numerators.
  static Expression folded(Expression e) {
    if (e.kind == Expression::Kind::number) return e;
    auto value = rational_value(e);
    return value ? number(std::move(*value)) : e;
  }

  // After ^: a sign is allowed, and a tower associates to the right.
  Value read_exponent() {
    if (++depth_ > kMaxDepth) return std::nullopt;
    Value out;
    if (eat('-')) {
      out = read_exponent();
      if (out) out = negative(std::move(*out));
    } else {
      out = read_power();
    }
    --depth_;
    return out;
  }

  Value read_postfix() {
    Value out = read_atom();
    while (out) {
      const char c = next();
      if (c == '!' && text_.substr(at_, 2) != "!=") {
        out = function("factorial", {std::move(*out)});
      } else if (c == '%') {
        out = product({std::move(*out), number(mpq_class(1, 100))});
      } else {
        break;
      }
      ++at_;
    }
    return out;
  }

  Value read_atom() {
    const char c = next();
    if (c == '(') return group('(', ')');
    if (c == '[') return group('[', ']');
    if (c == '{') return group('{', '}');
    if (c == '|') return bars();
    if (c == '\\') return read_command();
    if (is_digit(c) || c == '.') return literal();
    if (is_alpha(c)) return word();
    return std::nullopt;
  }

  Value group(char open, char close) {
    if (!eat(open)) return std::nullopt;
    const int bars = std::exchange(bars_, 0);
    Value inside = read_sum();
    bars_ = bars;
    if (!inside || !eat(close)) return std::nullopt;
    return inside;
  }

  Value bars() {
    ++at_;
    ++bars_;
    Value inside = read_sum();
    --bars_;
    if (!inside || !eat('|')) return std::nullopt;
    return function("abs", {std::move(*inside)});
  }

  // ---- commands and words

  Value read_command() {
    const std::string_view name = command();
    at_ += name.size() + 1;
    if (name == "frac") return fraction();
    if (name == "sqrt") return square_root();
    if (name == "pi") return symbol("pi");
    if (name == "infty") return symbol("oo");
    if (name == "binom" || name == "dbinom" || name == "tbinom") return binomial();
    if (name == "lfloor") return closed_by("floor", "rfloor");
    if (name == "lceil") return closed_by("ceil", "rceil");
    if (contains(kDecorations, name)) return decorated(name);
    if (contains(kGreek, name)) return named(std::string(name));
    if (const auto f = function_name(name); !f.empty()) return apply(f);
    return std::nullopt;
  }

  Value fraction() {
    Value top = group('{', '}');
    Value bottom = top ? group('{', '}') : std::nullopt;
    if (!bottom) return std::nullopt;
    return product({std::move(*top), power(std::move(*bottom), number(-1))});
  }

  Value square_root() {
    Value degree;
    if (next() == '[') {
      degree = group('[', ']');
      if (!degree) return std::nullopt;
    }
    Value inside = next() == '(' ? group('(', ')') : next() == '{' ? group('{', '}') : literal();
    if (!inside) return std::nullopt;
    if (degree && !(*degree == number(2)))
      return function("root", {std::move(*inside), std::move(*degree)});
    return power(std::move(*inside), number(mpq_class(1, 2)));
  }

  Value binomial() {
    Value n = group('{', '}');
    Value k = n ? group('{', '}') : std::nullopt;
    if (!k) return std::nullopt;
    return function("binomial", {std::move(*n), std::move(*k)});
  }

  Value closed_by(const char* name, std::string_view end) {
    Value inside = read_sum();
    if (!inside || !eat_command(end)) return std::nullopt;
    return function(name, {std::move(*inside)});
  }

  // \overline{AB}: a name, whatever stands inside.
  Value decorated(std::string_view decoration) {
    skip_spaces();
    const auto inside = peek() == '{' ? braced() : letters();
    if (inside.empty() || inside.size() > 20) return std::nullopt;
    if (peek() != '}' && inside.data() == text_.data() + at_) at_ += inside.size();
    return symbol(std::string(decoration) + "[" + wire_name(inside) + "]");
  }

  // The text of {...}, which is skipped; empty when it does not end.
  std::string_view braced() {
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

  Value word() {
    const auto run = letters();
    if (const auto f = function_name(run); !f.empty()) {
      at_ += run.size();
      return apply(f);
    }
    if (run == "pi" || run == "sqrt" || run == "infty" || run == "infinity" || run == "oo") {
      at_ += run.size();
      return run == "sqrt" ? square_root() : symbol(run == "pi" ? "pi" : "oo");
    }
    if (run.size() > kMaxWord) return std::nullopt;
    ++at_;
    return named(std::string(run.substr(0, 1)));
  }

  // A letter with what belongs to its name: a subscript, primes, the argument of an unknown function.
  Value named(std::string name) {
    if (peek() == '_') {
      ++at_;
      const auto index = subscript();
      if (index.empty()) return std::nullopt;
      name += "_" + wire_name(index);
    }
    for (; peek() == '\''; ++at_) name += '\'';
    const bool is_call = std::string_view("fghFGH").find(name[0]) != std::string_view::npos;
    if (is_call && peek() == '(') {
      const size_t start = at_;
      if (!group('(', ')')) return std::nullopt;
      return symbol(name + wire_name(text_.substr(start, at_ - start)));
    }
    return symbol(name);
  }

  std::string_view subscript() {
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

  // ---- functions

  Value apply(std::string_view name) {
    Value base, exponent;
    if (name == "log" && peek() == '_') {
      ++at_;
      base = index_value();
      if (!base) return std::nullopt;
    }
    if (next() == '^') {
      ++at_;
      exponent = read_exponent();
      if (!exponent) return std::nullopt;
    }
    if (exponent && *exponent == number(-1) && !inverse_of(name).empty()) {
      name = inverse_of(name);
      exponent.reset();
    }
    Value argument = read_argument();
    if (!argument) return std::nullopt;
    Expression out = make(name, std::move(base), std::move(*argument));
    if (!exponent) return out;
    return power(std::move(out), std::move(*exponent));
  }

  Value index_value() {
    if (next() == '{') return group('{', '}');
    if (is_digit(peek())) {
      ++at_;
      return number(text_[at_ - 1] - '0');
    }
    return read_atom();
  }

  static Expression make(std::string_view name, Value base, Expression x) {
    if (name == "exp") return power(symbol("e"), std::move(x));
    if (name == "lg") return function("log", {number(10), std::move(x)});
    if (name == "log" && base) return function("log", {std::move(*base), std::move(x)});
    if (name == "log") return product({symbol("logscale"), function("ln", {std::move(x)})});
    return function(std::string(name), {std::move(x)});
  }

  // In parentheses, or the factors up to the next sign or function: \sin 2x, \ln 3, \sin b \cos a.
  Value read_argument() {
    if (++depth_ > kMaxDepth) return std::nullopt;
    const char c = next();
    Value out;
    if (c == '(' || c == '{' || c == '[' || c == '|') {
      out = read_atom();
    } else {
      out = bare_argument();
    }
    --depth_;
    return out;
  }

  Value bare_argument() {
    std::vector<Expression> factors;
    do {
      Value factor = read_power();
      if (!factor) return std::nullopt;
      factors.push_back(std::move(*factor));
    } while (next() != '(' && next() != '|' && starts_factor(peek()) && !at_function());
    return product(std::move(factors));
  }
  bool at_function() { return !function_name(peek() == '\\' ? command() : letters()).empty(); }

  // ---- numbers

  Value literal() {
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
    if (!point && command() == "frac") return mixed(std::move(value));
    return number(std::move(value), point);
  }

  // 0.1\overline{6}: the digits under the bar repeat for ever.
  Value repeating(const mpq_class& head, size_t decimals) {
    at_ += command().size() + 1;
    skip_spaces();
    const auto period = peek() == '{' ? braced() : std::string_view();
    if (period.empty() || period.size() > 50 ||
        !std::all_of(period.begin(), period.end(), is_digit))
      return std::nullopt;
    const mpq_class tail(mpz_class(std::string(period), 10));
    return number(head + tail / ((power_of_ten(period.size()) - 1) * power_of_ten(decimals)));
  }

  // An integer directly before a proper fraction of integers is a mixed number.
  Value mixed(mpq_class whole) {
    const size_t before = at_;
    at_ += 5;
    Value part = fraction();
    if (!part) return std::nullopt;
    const auto& args = part->args;
    const bool proper = args[0].kind == Expression::Kind::number &&
                        args[1].args[0].kind == Expression::Kind::number &&
                        args[1].args[0].value != 0 && args[0].value >= 0 &&
                        args[0].value < args[1].args[0].value;
    if (proper) return number(whole + args[0].value / args[1].args[0].value);
    at_ = before;
    return number(std::move(whole));
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
  int bars_ = 0;  // open | on this level of parentheses
};

bool three_digits(std::string_view text, size_t i) {
  return i + 3 <= text.size() && is_digit(text[i]) && is_digit(text[i + 1]) &&
         is_digit(text[i + 2]) && (i + 3 == text.size() || !is_digit(text[i + 3]));
}

}  // namespace

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

std::optional<Expression> parse_expression(std::string_view plain) {
  if (plain.size() > kMaxText) return std::nullopt;
  return Parser(plain).whole();
}

}  // namespace longshot::reward
