#include "math/compare/comparer.h"

#include <algorithm>
#include <cmath>

#include "base/text/text.h"
#include "math/compare/sets.h"
#include "math/read/latex.h"
#include "math/read/units.h"
#include "math/symbolic/evaluate.h"

namespace longshot::math {
namespace {

using Kind = Answer::Kind;

constexpr int kMaxQuestions = 300;
constexpr size_t kMaxParts = 1000;

bool has_infinity(const Expression& e) {
  return any_part(e, [](const Expression& part) { return part == symbol("oo"); });
}

bool is_inequality(const Answer& a) {
  if (a.is_bare() && !a.parts.empty())
    return std::all_of(a.parts.begin(), a.parts.end(), is_inequality);
  return a.kind == Kind::relation && std::any_of(a.signs.begin(), a.signs.end(), [](const auto& s) {
           return s != "=" && s != "\\approx";
         });
}
bool is_equation(const Answer& a) {
  return a.kind == Kind::relation && !is_inequality(a);
}

// True if some side before the last only names the value.
bool names_its_value(const Answer& chain) {
  return std::any_of(chain.parts.begin(), chain.parts.end() - 1,
                     [](const Answer& side) { return is_name(side.text); });
}

// 3,14 compared with a number is a decimal comma; compared with a list, or written with a space, it
// is a list.
std::optional<Number> decimal_comma(const Answer& list, const Answer& other) {
  if (!list.is_bare() || list.parts.size() != 2 || !other.number) return std::nullopt;
  std::string text = list.text;
  const size_t comma = text.find(',');
  if (comma == std::string::npos || comma + 1 == text.size() || !is_digit(text[comma + 1]))
    return std::nullopt;
  text[comma] = '.';
  return parse_number(text);
}

// 1:2 compared with a number is a quotient.
std::optional<Number> ratio_value(const Answer& list, const Answer& other) {
  if (list.open != ':' || list.parts.size() != 2 || !other.number) return std::nullopt;
  const auto &top = list.parts[0].number, &bottom = list.parts[1].number;
  if (!top || !bottom || bottom->value == 0 || !top->unit.empty() || !bottom->unit.empty())
    return std::nullopt;
  return Number{top->value / bottom->value, top->decimal || bottom->decimal, false, ""};
}

// Angle brackets around a vector mean the same as round ones.
char round(char bracket) {
  return bracket == '<' ? '(' : bracket == '>' ? ')' : bracket;
}

// The variables in the order of their first occurrence.
void collect(const Expression& e, std::vector<std::string>& out) {
  const bool variable = e.kind == Expression::Kind::symbol && !is_constant_name(e.name);
  if (variable && std::find(out.begin(), out.end(), e.name) == out.end()) out.push_back(e.name);
  for (const auto& arg : e.args) collect(arg, out);
}

void substitute(Expression& e, const std::vector<std::string>& names,
                const std::vector<Expression>& values) {
  if (e.kind == Expression::Kind::symbol) {
    const auto it = std::find(names.begin(), names.end(), e.name);
    if (it != names.end()) e = values[static_cast<size_t>(it - names.begin())];
    return;
  }
  for (auto& arg : e.args) substitute(arg, names, values);
}

// b with its variables renamed to those of a, by order.
Expression renamed(const Expression& a, Expression b) {
  std::vector<std::string> to, from;
  collect(a, to);
  collect(b, from);
  if (to.size() != from.size()) return b;
  std::vector<Expression> values;
  for (const auto& name : to) values.push_back(symbol(name));
  substitute(b, from, values);
  return b;
}

}  // namespace

Result<bool> Comparer::equal_expressions(const Expression& a, const Expression& b) {
  if (a == b) return true;
  if (has_infinity(a) || has_infinity(b)) return false;
  if (count_parts(a) > kMaxParts || count_parts(b) > kMaxParts) return false;
  if (!options_.strict && variables_of(a) != variables_of(b)) {
    const Expression other = renamed(a, b);
    if (variables_of(other) == variables_of(a)) return equal_expressions(a, other);
  }
  const bool constant = !has_variables(a) && !has_variables(b);
  if (constant && (has_decimals(a) || has_decimals(b))) {
    const auto x = evaluate(a, {}), y = evaluate(b, {});
    if (x.state == Approximation::State::defined && y.state == x.state)
      return decimals_agree(x.value, y.value, options_.digits);
  }
  if (surely_different(a, b, options_.positive)) return false;
  if (++questions_ > kMaxQuestions)
    return exhausted("the answer has too many parts that only symbolic work can tell apart");
  return SymbolicPool::shared().equal(a, b, options_.positive, options_.limits, deadline_);
}

Result<bool> Comparer::equal_values(const Answer& answer, const Answer& truth) {
  if (answer.number && truth.number) {
    return numbers_agree(*answer.number, *truth.number,
                         {options_.digits, options_.bare_percent, options_.ignore_units});
  }
  const auto ratio = options_.ignore_units ? mpq_class(1) : unit_ratio(answer.unit, truth.unit);
  if (!ratio) return false;
  if (*ratio == 1) return equal_expressions(*answer.expression, *truth.expression);
  return equal_expressions(product({number(*ratio), *answer.expression}), *truth.expression);
}

// ---- lists

Result<bool> Comparer::in_order(const std::vector<Answer>& a, const std::vector<Answer>& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    LS_ASSIGN_OR_RETURN(const bool same, equal(a[i], b[i]));
    if (!same) return false;
  }
  return true;
}

Result<bool> Comparer::in_any_order(const std::vector<Answer>& a, const std::vector<Answer>& b) {
  std::vector<bool> used(b.size(), false);
  for (const auto& element : a) {
    bool found = false;
    for (size_t j = 0; j < b.size() && !found; ++j) {
      if (used[j]) continue;
      LS_ASSIGN_OR_RETURN(found, equal(element, b[j]));
      used[j] = found;
    }
    if (!found) return false;
  }
  return true;
}

namespace {

// The elements without those whose text occurred before.
std::vector<Answer> without_repetitions(const std::vector<Answer>& parts) {
  std::vector<Answer> out;
  std::vector<std::string> keys;
  for (const auto& part : parts) {
    auto key = text_key(part.text);
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
    keys.push_back(std::move(key));
    out.push_back(part);
  }
  return out;
}

}  // namespace

Result<bool> Comparer::equal_lists(const Answer& answer, const Answer& truth) {
  const auto is_ordered = [](const Answer& l) { return l.open != 0 && l.open != '{'; };
  const bool ordered = is_ordered(answer) || is_ordered(truth);
  // Duplicates in the answer are ignored, unless the ground truth itself contains duplicates.
  if (!ordered && answer.parts.size() > truth.parts.size() &&
      without_repetitions(truth.parts).size() == truth.parts.size()) {
    Answer shorter = answer;
    shorter.parts = without_repetitions(answer.parts);
    if (shorter.parts.size() <= truth.parts.size()) return equal_lists(shorter, truth);
  }
  if (answer.parts.size() != truth.parts.size() || truth.parts.empty()) return false;
  const bool bare = answer.open == 0 || truth.open == 0;
  const bool same_brackets =
      round(answer.open) == round(truth.open) && round(answer.close) == round(truth.close);
  if (!bare && !same_brackets && options_.strict) return false;
  // [1,2) and [1,2] are intervals and 7:32 a ratio; they have no bare form.
  const auto special = [](const Answer& l) {
    return l.open == ':' || l.open == '[' || l.close == ']';
  };
  if (options_.strict && !same_brackets && (special(answer) || special(truth))) return false;
  return ordered ? in_order(answer.parts, truth.parts) : in_any_order(answer.parts, truth.parts);
}

// ---- relations

Result<int> Comparer::proportional(const Expression& a, const Expression& b) {
  const auto names = variables_of(a);
  if (names.empty() || names != variables_of(b)) return 0;
  for (int k = 0; k < 3; ++k) {
    std::vector<Expression> values;
    std::map<std::string, double> point;
    for (size_t j = 0; j < names.size(); ++j) {
      const mpq_class x(7 + 3 * k + 5 * static_cast<int>(j), 4);
      values.push_back(number(x));
      point[names[j]] = x.get_d();
    }
    const auto x = evaluate(a, point), y = evaluate(b, point);
    const auto usable = [](const Approximation& v) {
      return v.state == Approximation::State::defined && std::abs(v.value) > 1e-6 + 10 * v.error;
    };
    if (!usable(x) || !usable(y)) continue;
    Expression at_a = a, at_b = b;
    substitute(at_a, names, values);
    substitute(at_b, names, values);
    LS_ASSIGN_OR_RETURN(const bool same, equal_expressions(product({a, at_b}), product({b, at_a})));
    return !same ? 0 : x.value * y.value > 0 ? 1 : -1;
  }
  return 0;
}

// True if the i-th relation of one chain says the same as the j-th of the other.
Result<bool> Comparer::same_link(const Answer& a, size_t i, const Answer& b, size_t j) {
  const auto difference = [](const Answer& chain, size_t at) -> std::optional<Expression> {
    const auto &left = chain.parts[at].expression, &right = chain.parts[at + 1].expression;
    if (!left || !right || has_infinity(*left) || has_infinity(*right)) return std::nullopt;
    const bool turn = chain.signs[at] == ">" || chain.signs[at] == "\\ge";
    return sum({turn ? *right : *left, negative(turn ? *left : *right)});
  };
  const auto kind = [](const std::string& sign) {
    return sign == "\\approx" ? "=" : sign == ">" ? "<" : sign == "\\ge" ? "\\le" : sign;
  };
  if (kind(a.signs[i]) != kind(b.signs[j])) return false;
  const auto x = difference(a, i), y = difference(b, j);
  if (x && y) {
    LS_ASSIGN_OR_RETURN(const int sign, proportional(*x, *y));
    const bool either = kind(a.signs[i]) == "=" || a.signs[i] == "\\ne";
    return sign > 0 || (either && sign < 0);
  }
  LS_ASSIGN_OR_RETURN(const bool left, equal(a.parts[i], b.parts[j]));
  if (!left || a.signs[i] != b.signs[j]) return false;
  return equal(a.parts[i + 1], b.parts[j + 1]);
}

Result<bool> Comparer::same_statement(const Answer& answer, const Answer& truth) {
  const size_t n = answer.signs.size();
  if (n != truth.signs.size()) return false;
  for (const bool backwards : {false, true}) {
    bool same = true;
    for (size_t i = 0; i < n && same; ++i) {
      LS_ASSIGN_OR_RETURN(same, same_link(answer, i, truth, backwards ? n - 1 - i : i));
    }
    if (same) return true;
    if (n == 1) break;
  }
  return false;
}

// The side of a chain of equations that is its value; nullptr if its numbers contradict one
// another.
const Answer* Comparer::value_of_chain(const Answer& chain) const {
  size_t last = chain.parts.size() - 1;
  for (size_t i = 1; i < chain.signs.size(); ++i) {
    if (chain.signs[i] == "\\approx") last = std::min(last, i);
  }
  const Answer& value = chain.parts[last];
  if (names_its_value(chain)) return &value;
  for (size_t i = 0; i < last; ++i) {
    const auto& side = chain.parts[i].number;
    if (side && value.number && !numbers_agree(*side, *value.number, {options_.digits}))
      return nullptr;
  }
  return &value;
}

Result<bool> Comparer::equal_equations(const Answer& answer, const Answer& truth) {
  if (!is_equation(truth)) {
    const Answer* value = value_of_chain(answer);
    if (value == nullptr) return false;
    return equal(*value, truth);
  }
  const bool truth_named = names_its_value(truth);
  if (!is_equation(answer)) {
    // "2x + z = 1" is a statement, not a name for 1.
    const Answer* value = truth_named ? value_of_chain(truth) : nullptr;
    if (value == nullptr) return false;
    return equal(answer, *value);
  }
  if (is_name(truth.parts[0].text) &&
      text_key(answer.parts[0].text) == text_key(truth.parts[0].text)) {
    LS_ASSIGN_OR_RETURN(const bool same, equal(*value_of_chain(answer), *value_of_chain(truth)));
    if (same) return true;
  }
  return same_statement(answer, truth);
}

// ---- all of it

// Compares sets, and inequalities as the sets that they describe.
Result<bool> Comparer::equal_as_sets(const Answer& answer, const Answer& truth) {
  const std::string x = unknown_of(answer), y = unknown_of(truth);
  if (options_.strict && !x.empty() && !y.empty() && x != y) return false;
  // A union of solved inequalities is accepted for a union of sets.
  const bool pieces = answer.is_bare() && answer.either && truth.kind == Kind::set;
  const SetForms answer_forms{true, options_.set_relation || is_inequality(truth) || pieces ||
                                        (truth.kind == Kind::set && truth.is_builder())};
  LS_ASSIGN_OR_RETURN(const auto same,
                      equal_sets(answer, answer_forms, truth, SetForms{true, true}, *this));
  if (same) return *same;
  if (answer.kind == Kind::set && truth.kind == Kind::set && answer.signs == truth.signs &&
      answer.parts.size() == truth.parts.size()) {
    const bool unordered = answer.signs[0] != "\\setminus";
    return unordered ? in_any_order(answer.parts, truth.parts)
                     : in_order(answer.parts, truth.parts);
  }
  if (answer.kind == Kind::relation && truth.kind == Kind::relation)
    return same_statement(answer, truth);
  if (answer.kind == Kind::list && truth.kind == Kind::list) return equal_lists(answer, truth);
  return false;
}

Result<bool> Comparer::equal_matrices(const Answer& answer, const Answer& truth) {
  if (answer.kind == truth.kind) {
    if (answer.columns != truth.columns || answer.parts.size() != truth.parts.size()) return false;
    return in_order(answer.parts, truth.parts);
  }
  const Answer& matrix = answer.kind == Kind::matrix ? answer : truth;
  const Answer& other = answer.kind == Kind::matrix ? truth : answer;
  const bool vector = matrix.columns == 1 || matrix.columns == matrix.parts.size();
  const bool angles = other.kind == Kind::list && other.open == '<';
  const bool tuple = angles || (other.kind == Kind::list && other.open == '(' && !options_.strict);
  if (!vector || !tuple || other.parts.size() != matrix.parts.size()) return false;
  return in_order(answer.parts, truth.parts);
}

Result<bool> Comparer::equal(const Answer& answer, const Answer& truth) {
  if (answer.text.empty() || truth.text.empty()) {
    if (answer.expression && truth.expression) return equal_values(answer, truth);
    return false;
  }
  if (text_key(answer.text) == text_key(truth.text)) return true;
  if (answer.kind == Kind::value && truth.kind == Kind::value) return equal_values(answer, truth);
  if (is_equation(answer) || is_equation(truth)) return equal_equations(answer, truth);
  const bool sets = answer.kind == Kind::set || truth.kind == Kind::set || is_inequality(answer) ||
                    is_inequality(truth) ||
                    (is_set_form(answer) && is_set_form(truth) &&
                     (answer.kind != Kind::list || truth.kind != Kind::list));
  if (sets) return equal_as_sets(answer, truth);
  if (answer.kind == Kind::matrix || truth.kind == Kind::matrix)
    return equal_matrices(answer, truth);
  if (answer.kind == Kind::list && truth.kind == Kind::list) return equal_lists(answer, truth);
  if (const auto number = decimal_comma(answer, truth))
    return numbers_agree(*number, *truth.number, {options_.digits});
  if (const auto number = decimal_comma(truth, answer))
    return numbers_agree(*answer.number, *number, {options_.digits});
  if (const auto number = ratio_value(answer, truth)) return numbers_agree(*number, *truth.number);
  if (const auto number = ratio_value(truth, answer)) return numbers_agree(*answer.number, *number);
  // (C) equals C: one additional pair of brackets does not matter.
  if (answer.kind == Kind::list && answer.parts.size() == 1 && answer.open != 0)
    return equal(answer.parts[0], truth);
  if (truth.kind == Kind::list && truth.parts.size() == 1 && truth.open != 0)
    return equal(answer, truth.parts[0]);
  return false;
}

}  // namespace longshot::math
