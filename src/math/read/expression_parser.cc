#include "math/read/expression_parser.h"

#include <algorithm>

#include "base/text/text.h"
#include "math/read/expression_forms.h"
#include "math/read/tex_cursor.h"

namespace longshot::math {
namespace {

constexpr size_t kMaxText = 2000;
constexpr int kMaxDepth = 40;
constexpr size_t kMaxWord = 4;  // longer runs of letters are words, not products

// Recursive descent; a failure empties every result above it.
//   sum = product {(+|-) product}      product = factor {[*|/] factor}     factor = [+|-] power
//   power = postfix [^ exponent]       postfix = atom {! | %}
class Parser {
 public:
  explicit Parser(std::string_view text) : cursor_(text) {}

  std::optional<Expression> whole() {
    auto e = read_sum();
    if (!e || !cursor_.at_end()) return std::nullopt;
    return e;
  }

 private:
  using Value = std::optional<Expression>;

  Value read_sum() {
    if (++depth_ > kMaxDepth) return std::nullopt;
    std::vector<Expression> terms;
    Value term = read_product();
    while (term) {
      terms.push_back(std::move(*term));
      const char op = cursor_.next();
      if (op != '+' && op != '-') break;
      cursor_.step();
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
      const char op = cursor_.next();
      if (op == '*' || op == '/') {
        cursor_.step();
        if (cursor_.peek() == '*') return std::nullopt;  // Python's power sign is not accepted
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

  // True if a product without a sign continues here. A digit continues one only after a factorial:
  // "2 3" and "x2" are not products.
  bool starts_factor(char c) {
    if (is_digit(c)) return cursor_.behind('!');
    if (c == '(' || c == '[' || c == '{' || (is_alpha(c) && !stop_word())) return true;
    if (c == '|') return bars_ == 0;
    if (c != '\\') return false;
    const auto name = cursor_.command();
    return is_greek(name) || is_decoration(name) || has_limits(name) ||
           !function_name(name).empty() || name == "pi" || name == "frac" || name == "sqrt" ||
           name == "binom" || name == "lfloor" || name == "lceil";
  }
  // True for a word of running text: a long one, or three or more letters after a space.
  bool stop_word() const {
    const auto run = cursor_.letters();
    const bool word = run.size() > kMaxWord || (run.size() > 2 && cursor_.behind(' '));
    return word && function_name(run).empty() && run != "sqrt" && run != "cbrt";
  }

  Value read_factor() {
    if (++depth_ > kMaxDepth) return std::nullopt;
    Value out;
    if (cursor_.eat('-')) {
      out = read_factor();
      if (out) out = negative(std::move(*out));
    } else {
      out = cursor_.eat('+') ? read_factor() : read_power();
    }
    --depth_;
    return out;
  }

  Value read_power() {
    Value base = read_postfix();
    if (!base || cursor_.next() != '^') return base;
    cursor_.step();
    Value exponent = read_exponent();
    if (!exponent) return std::nullopt;
    return power(std::move(*base), folded(std::move(*exponent)));
  }

  // After ^: a sign is allowed, and a tower associates to the right.
  Value read_exponent() {
    if (++depth_ > kMaxDepth) return std::nullopt;
    Value out;
    if (cursor_.eat('-')) {
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
      const char c = cursor_.next();
      if (c == '!' && !cursor_.starts_with("!=")) {
        out = function("factorial", {std::move(*out)});
      } else if (c == '%') {
        out = product({std::move(*out), number(mpq_class(1, 100))});
      } else {
        break;
      }
      cursor_.step();
    }
    return out;
  }

  Value read_atom() {
    const char c = cursor_.next();
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
    if (!cursor_.eat(open)) return std::nullopt;
    const int bars = std::exchange(bars_, 0);
    Value inside = read_sum();
    bars_ = bars;
    if (!inside || !cursor_.eat(close)) return std::nullopt;
    return inside;
  }

  Value bars() {
    cursor_.step();
    ++bars_;
    Value inside = read_sum();
    --bars_;
    if (!inside || !cursor_.eat('|')) return std::nullopt;
    return function("abs", {std::move(*inside)});
  }

  // ---- commands and words

  Value read_command() {
    const std::string_view name = cursor_.command();
    cursor_.skip(name.size() + 1);
    if (name == "frac") return fraction();
    if (name == "sqrt") return square_root();
    if (name == "pi") return symbol("pi");
    if (name == "infty") return symbol("oo");
    if (name == "binom" || name == "dbinom" || name == "tbinom") return binomial();
    if (name == "lfloor") return closed_by("floor", "rfloor");
    if (name == "lceil") return closed_by("ceil", "rceil");
    if (is_decoration(name)) return decorated(name);
    if (has_limits(name)) return indexed(name);
    if (is_greek(name)) return named(std::string(name));
    if (const auto f = function_name(name); !f.empty()) return apply(f);
    return std::nullopt;
  }

  Value fraction() {
    Value top = group('{', '}');
    Value bottom = top ? group('{', '}') : std::nullopt;
    if (!bottom) return std::nullopt;
    return product({std::move(*top), power(std::move(*bottom), number(-1))});
  }

  Value square_root(Value degree = {}) {
    if (!degree && cursor_.next() == '[') {
      degree = group('[', ']');
      if (!degree) return std::nullopt;
    }
    const char c = cursor_.next();
    if (++depth_ > kMaxDepth) return std::nullopt;
    Value inside = c == '(' || c == '{' || c == '\\' || is_alpha(c) ? read_atom() : literal();
    --depth_;
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
    if (!inside || !cursor_.eat_command(end)) return std::nullopt;
    return function(name, {std::move(*inside)});
  }

  // \overline{AB} is a name; its content is not parsed.
  Value decorated(std::string_view decoration) {
    const bool group = cursor_.next() == '{';
    const auto inside = group ? cursor_.braced() : cursor_.letters();
    if (inside.empty() || inside.size() > 20) return std::nullopt;
    if (!group) cursor_.skip(inside.size());
    return symbol(std::string(decoration) + "[" + wire_name(inside) + "]");
  }

  Value indexed(std::string_view operation) {
    std::string name(operation);
    for (char c = cursor_.next(); c == '_' || c == '^'; c = cursor_.next()) {
      cursor_.step();
      const auto limit = cursor_.peek() == '{' ? cursor_.braced() : cursor_.subscript();
      if (limit.empty()) return std::nullopt;
      name += c + wire_name(limit);
    }
    Value body = read_product();
    if (!body) return std::nullopt;
    return symbol(name + "[" + wire_name(to_wire(ordered(std::move(*body)))) + "]");
  }

  // log2(8) and log10(x) have a base, log2x has none.
  Value written_base() {
    const size_t start = cursor_.position();
    auto base = cursor_.literal();
    if (base && !base->decimal && cursor_.peek() == '(') {
      Value x = group('(', ')');
      if (!x) return std::nullopt;
      return function("log", {number(std::move(base->value)), std::move(*x)});
    }
    cursor_.go_to(start);
    return apply("log");
  }

  Value word() {
    const auto run = cursor_.letters();
    if (const auto f = function_name(run); !f.empty()) {
      cursor_.skip(run.size());
      return f == "log" && is_digit(cursor_.peek()) ? written_base() : apply(f);
    }
    if (run == "sqrt" || run == "cbrt") {
      cursor_.skip(run.size());
      return square_root(run == "sqrt" ? Value() : Value(number(3)));
    }
    if (const auto constant = constant_name(run); !constant.empty()) {
      cursor_.skip(run.size());
      return symbol(std::string(constant));
    }
    if (run.size() > kMaxWord) return std::nullopt;
    cursor_.step();
    return named(std::string(run.substr(0, 1)));
  }

  // Reads a letter with the rest of its name: a subscript, primes, the argument of an unknown
  // function.
  Value named(std::string name) {
    if (cursor_.peek() == '_') {
      cursor_.step();
      const auto index = cursor_.subscript();
      if (index.empty()) return std::nullopt;
      name += "_" + wire_name(index);
    }
    for (; cursor_.peek() == '\''; cursor_.step()) name += '\'';
    const bool is_call = std::string_view("fghFGH").find(name[0]) != std::string_view::npos;
    if (is_call && cursor_.peek() == '(') {
      const size_t start = cursor_.position();
      if (!group('(', ')')) return std::nullopt;
      return symbol(name + wire_name(cursor_.since(start)));
    }
    return symbol(name);
  }

  // ---- functions

  Value apply(std::string_view name) {
    Value base, exponent;
    if (name == "log" && cursor_.peek() == '_') {
      cursor_.step();
      base = index_value();
      if (!base) return std::nullopt;
    }
    if (cursor_.next() == '^') {
      cursor_.step();
      exponent = read_exponent();
      if (!exponent) return std::nullopt;
    }
    if (exponent && *exponent == number(-1) && !inverse_function(name).empty()) {
      name = inverse_function(name);
      exponent.reset();
    }
    Value argument = read_argument();
    if (!argument) return std::nullopt;
    Expression out = called(name, std::move(base), std::move(*argument));
    if (!exponent) return out;
    return power(std::move(out), std::move(*exponent));
  }

  Value index_value() {
    if (cursor_.next() == '{') return group('{', '}');
    if (const char c = cursor_.peek(); is_digit(c)) {
      cursor_.step();
      return number(c - '0');
    }
    if (++depth_ > kMaxDepth) return std::nullopt;
    Value out = read_atom();
    --depth_;
    return out;
  }

  // Reads an argument in parentheses, or the factors up to the next sign or function:
  // \sin 2x, \ln 3, \sin b \cos a.
  Value read_argument() {
    if (++depth_ > kMaxDepth) return std::nullopt;
    const char c = cursor_.next();
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
    } while (cursor_.next() != '(' && cursor_.next() != '|' && starts_factor(cursor_.peek()) &&
             !at_function());
    return product(std::move(factors));
  }
  bool at_function() {
    return !function_name(cursor_.peek() == '\\' ? cursor_.command() : cursor_.letters()).empty();
  }

  // ---- numbers

  Value literal() {
    auto read = cursor_.literal();
    if (!read) return std::nullopt;
    if (!read->decimal && cursor_.command() == "frac") return mixed(std::move(read->value));
    return number(std::move(read->value), read->decimal);
  }

  // An integer directly before a proper fraction of integers is a mixed number.
  Value mixed(mpq_class whole) {
    const size_t before = cursor_.position();
    cursor_.skip(5);
    Value part = fraction();
    if (!part) return std::nullopt;
    const auto& args = part->args;
    const bool proper = args[0].kind == Expression::Kind::number &&
                        args[1].args[0].kind == Expression::Kind::number &&
                        args[1].args[0].value != 0 && args[0].value >= 0 &&
                        args[0].value < args[1].args[0].value;
    if (proper) return number(whole + args[0].value / args[1].args[0].value);
    cursor_.go_to(before);
    return number(std::move(whole));
  }

  TexCursor cursor_;
  int depth_ = 0;
  int bars_ = 0;  // open | on this level of parentheses
};

}  // namespace

std::optional<Expression> parse_expression(std::string_view plain) {
  if (plain.size() > kMaxText) return std::nullopt;
  return Parser(plain).whole();
}

}  // namespace longshot::math
