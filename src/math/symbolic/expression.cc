#include "math/symbolic/expression.h"

#include <algorithm>
#include <cstdlib>
#include <set>

namespace longshot::math {
namespace {

constexpr std::string_view kFunctions[] = {
    "abs",    "sin",    "cos",    "tan",    "cot",       "sec",  "csc",
    "arcsin", "arccos", "arctan", "arccot", "sinh",      "cosh", "tanh",
    "ln",     "log",    "floor",  "ceil",   "factorial", "root", "binomial"};
constexpr std::string_view kConstants[] = {"pi", "e", "i", "oo"};
constexpr int kMaxWireDepth = 200;
constexpr int kFoldedPower = 20;

Expression node(Expression::Kind kind, std::string name, std::vector<Expression> args) {
  Expression e;
  e.kind = kind;
  e.name = std::move(name);
  e.args = std::move(args);
  return e;
}

void write(const Expression& e, std::string& out) {
  using Kind = Expression::Kind;
  if (e.kind == Kind::number) {
    if (e.decimal) out += '~';
    out += e.value.get_str();
    return;
  }
  if (e.kind == Kind::symbol) {
    out.append("$").append(e.name);
    return;
  }
  out += '(';
  out += e.kind == Kind::sum       ? "+"
         : e.kind == Kind::product ? "*"
         : e.kind == Kind::power   ? "^"
                                   : e.name;
  for (const auto& arg : e.args) {
    out += ' ';
    write(arg, out);
  }
  out += ')';
}

class WireReader {
 public:
  explicit WireReader(std::string_view text) : text_(text) {}

  std::optional<Expression> whole() {
    auto e = read(0);
    if (!e || at_ != text_.size()) return std::nullopt;
    return e;
  }

 private:
  std::string_view word() {
    const size_t start = at_;
    while (at_ < text_.size() && text_[at_] != ' ' && text_[at_] != ')') ++at_;
    return text_.substr(start, at_ - start);
  }

  std::optional<Expression> read(int depth) {
    if (at_ >= text_.size() || depth > kMaxWireDepth) return std::nullopt;
    if (text_[at_] == '(') return compound(depth);
    const std::string_view leaf = word();
    if (leaf.size() > 1 && leaf[0] == '$') return symbol(std::string(leaf.substr(1)));
    const bool decimal = !leaf.empty() && leaf[0] == '~';
    mpq_class value;
    if (value.set_str(std::string(leaf.substr(decimal ? 1 : 0)), 10) != 0 || value.get_den() == 0)
      return std::nullopt;
    value.canonicalize();
    return number(std::move(value), decimal);
  }

  std::optional<Expression> compound(int depth) {
    ++at_;
    const std::string name(word());
    std::vector<Expression> args;
    while (at_ < text_.size() && text_[at_] == ' ') {
      ++at_;
      auto arg = read(depth + 1);
      if (!arg) return std::nullopt;
      args.push_back(std::move(*arg));
    }
    if (at_ >= text_.size() || args.empty()) return std::nullopt;
    ++at_;
    if (name == "+") return node(Expression::Kind::sum, "", std::move(args));
    if (name == "*") return node(Expression::Kind::product, "", std::move(args));
    if (name == "^" && args.size() == 2) return node(Expression::Kind::power, "", std::move(args));
    if (!is_function(name)) return std::nullopt;
    return node(Expression::Kind::function, name, std::move(args));
  }

  std::string_view text_;
  size_t at_ = 0;
};

void collect_variables(const Expression& e, std::set<std::string>& out) {
  if (e.kind == Expression::Kind::symbol && !is_constant_name(e.name)) out.insert(e.name);
  for (const auto& arg : e.args) collect_variables(arg, out);
}

}  // namespace

bool Expression::operator==(const Expression& other) const {
  return kind == other.kind && value == other.value && name == other.name && args == other.args;
}

Expression number(mpq_class value, bool decimal) {
  Expression e;
  e.value = std::move(value);
  e.decimal = decimal;
  return e;
}
Expression symbol(std::string name) {
  return node(Expression::Kind::symbol, std::move(name), {});
}
Expression sum(std::vector<Expression> terms) {
  if (terms.size() == 1) return std::move(terms[0]);
  return node(Expression::Kind::sum, "", std::move(terms));
}
Expression product(std::vector<Expression> factors) {
  if (factors.size() == 1) return std::move(factors[0]);
  return node(Expression::Kind::product, "", std::move(factors));
}
Expression power(Expression base, Expression exponent) {
  std::vector<Expression> args;
  args.push_back(std::move(base));
  args.push_back(std::move(exponent));
  return node(Expression::Kind::power, "", std::move(args));
}
Expression function(std::string name, std::vector<Expression> args) {
  return node(Expression::Kind::function, std::move(name), std::move(args));
}
Expression negative(Expression x) {
  if (x.kind == Expression::Kind::number) return number(-x.value, x.decimal);
  std::vector<Expression> args;
  args.push_back(number(-1));
  args.push_back(std::move(x));
  return product(std::move(args));
}

bool is_function(std::string_view name) {
  return std::find(std::begin(kFunctions), std::end(kFunctions), name) != std::end(kFunctions);
}
bool is_constant_name(std::string_view name) {
  return std::find(std::begin(kConstants), std::end(kConstants), name) != std::end(kConstants);
}

bool has_variables(const Expression& e) {
  return any_part(e, [](const Expression& part) {
    return part.kind == Expression::Kind::symbol && !is_constant_name(part.name);
  });
}
bool has_decimals(const Expression& e) {
  return any_part(e, [](const Expression& part) { return part.decimal; });
}
std::optional<mpq_class> rational_value(const Expression& e) {
  if (e.kind == Expression::Kind::number) return e.value;
  if (e.kind == Expression::Kind::symbol || e.kind == Expression::Kind::function)
    return std::nullopt;
  mpq_class out = e.kind == Expression::Kind::sum ? 0 : 1;
  if (e.kind == Expression::Kind::power) {
    const auto base = rational_value(e.args[0]), exponent = rational_value(e.args[1]);
    if (!base || !exponent || exponent->get_den() != 1 || abs(*exponent) > kFoldedPower)
      return std::nullopt;
    if (*base == 0 && *exponent <= 0) return std::nullopt;
    for (long i = std::abs(exponent->get_num().get_si()); i > 0; --i) out *= *base;
    return *exponent < 0 ? mpq_class(1 / out) : out;
  }
  for (const auto& arg : e.args) {
    const auto value = rational_value(arg);
    if (!value) return std::nullopt;
    out = e.kind == Expression::Kind::sum ? mpq_class(out + *value) : mpq_class(out * *value);
  }
  return out;
}
size_t count_parts(const Expression& e) {
  size_t count = 1;
  for (const auto& arg : e.args) count += count_parts(arg);
  return count;
}
std::vector<std::string> variables_of(const Expression& e) {
  std::set<std::string> names;
  collect_variables(e, names);
  return {names.begin(), names.end()};
}

std::string to_wire(const Expression& e) {
  std::string out;
  write(e, out);
  return out;
}
std::optional<Expression> from_wire(std::string_view text) {
  return WireReader(text).whole();
}

}  // namespace longshot::math
