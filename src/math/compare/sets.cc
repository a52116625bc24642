#include "math/compare/sets.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "math/symbolic/evaluate.h"

namespace longshot::math {
namespace {

using Kind = Answer::Kind;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr size_t kMaxEnds = 100;

// The real line is cut at every end point of both sets. Cell 2k+1 is the k-th point, cell 2k the
// open gap before it. A set is represented by the cells that belong to it, so that equal sets have
// equal cells, however they are written.
using Cells = std::vector<bool>;

struct End {
  Expression expression;
  double value = 0;
};

std::optional<End> read_end(const Expression& e) {
  using K = Expression::Kind;
  if (e == symbol("oo")) return End{e, kInfinity};
  if (e.kind == K::product && e.args.size() == 2 && e.args[1] == symbol("oo") &&
      e.args[0].kind == K::number && e.args[0].value != 0) {
    return End{e, e.args[0].value < 0 ? -kInfinity : kInfinity};
  }
  if (has_variables(e)) return std::nullopt;
  const auto approximation = evaluate(e, {});
  if (approximation.state != Approximation::State::defined) return std::nullopt;
  return End{e, approximation.value};
}

// The sign of a list of inequalities with "and" or a comma between them. The list means their
// intersection (x > 1, x < 3) unless that is empty; then it means their union (x < 1, x > 2).
constexpr const char* kList = "list";

// A set before the cells are known.
struct Tree {
  std::string sign;  // "interval", kList, \cup, \cap, \setminus
  End low, high;
  bool closed_low = false, closed_high = false;
  std::vector<Tree> parts;
};

Tree interval(End low, bool closed_low, End high, bool closed_high) {
  return {"interval", std::move(low), std::move(high), closed_low, closed_high, {}};
}
Tree point(const End& at) {
  return interval(at, true, at, true);
}
End infinite(int sign) {
  return {sign < 0 ? negative(symbol("oo")) : symbol("oo"), sign * kInfinity};
}
Tree line() {
  return interval(infinite(-1), false, infinite(1), false);
}
Tree joined(std::string sign, std::vector<Tree> parts) {
  Tree out;
  out.sign = std::move(sign);
  out.parts = std::move(parts);
  return out;
}

std::optional<Tree> read_tree(const Answer& answer, SetForms forms);

std::optional<End> end_of(const Answer& part) {
  return part.expression ? read_end(*part.expression) : std::nullopt;
}

std::optional<Tree> read_interval(const Answer& list) {
  const auto low = end_of(list.parts[0]), high = end_of(list.parts[1]);
  if (!low || !high || low->value > high->value) return std::nullopt;
  return interval(*low, list.open == '[', *high, list.close == ']');
}

std::optional<Tree> read_points(const Answer& list) {
  std::vector<Tree> points;
  for (const auto& part : list.parts) {
    const auto at = end_of(part);
    if (!at || std::isinf(at->value)) return std::nullopt;
    points.push_back(point(*at));
  }
  return joined("\\cup", std::move(points));
}

// ---- inequalities

// The unknown of an inequality: its text, and whether it is inside | |.
struct Unknown {
  std::string text;
  bool absolute = false;
};

std::optional<Unknown> read_unknown(const Answer& side) {
  if (!side.expression || !has_variables(*side.expression)) return std::nullopt;
  const Expression& e = *side.expression;
  if (e.kind == Expression::Kind::symbol) return Unknown{e.name, false};
  const bool absolute = e.kind == Expression::Kind::function && e.name == "abs" &&
                        e.args[0].kind == Expression::Kind::symbol;
  if (!absolute) return std::nullopt;
  return Unknown{e.args[0].name, true};
}

// {x : x sign c}
Tree half_line(const std::string& sign, const End& c) {
  if (sign == "<" || sign == "\\le") return interval(infinite(-1), false, c, sign == "\\le");
  if (sign == ">" || sign == "\\ge") return interval(c, sign == "\\ge", infinite(1), false);
  return joined("\\setminus", {line(), point(c)});
}

std::string turned(const std::string& sign) {
  if (sign == "<") return ">";
  if (sign == ">") return "<";
  if (sign == "\\le") return "\\ge";
  if (sign == "\\ge") return "\\le";
  return sign;
}

// {x : |x| sign c}: both x sign c and -x sign c for "less", one of them for "more".
Tree with_absolute(const std::string& sign, const End& c) {
  const End opposite{negative(c.expression), -c.value};
  const bool less = sign == "<" || sign == "\\le";
  const bool both = less || sign == "\\ne";
  return joined(both ? "\\cap" : "\\cup", {half_line(sign, c), half_line(turned(sign), opposite)});
}

std::optional<Tree> read_link(const Answer& relation, size_t i) {
  const Answer &left = relation.parts[i], &right = relation.parts[i + 1];
  const std::string& sign = relation.signs[i];
  const auto x = read_unknown(left);
  const auto unknown = x ? x : read_unknown(right);
  const auto c = end_of(x ? right : left);
  if (!unknown || !c || sign == "=" || sign == "\\approx") return std::nullopt;
  const std::string direct = x ? sign : turned(sign);
  return unknown->absolute ? with_absolute(direct, *c) : half_line(direct, *c);
}

// Stores the unknown of `answer` in `name`. Returns false if there are two.
bool find_unknown(const Answer& answer, std::string& name) {
  if (const auto unknown = read_unknown(answer)) {
    if (!name.empty() && name != unknown->text) return false;
    name = unknown->text;
  }
  const bool inside = answer.kind == Kind::relation || answer.is_bare();
  return !inside || std::all_of(answer.parts.begin(), answer.parts.end(),
                                [&](const Answer& part) { return find_unknown(part, name); });
}

std::optional<Tree> read_relation(const Answer& relation) {
  if (unknown_of(relation).empty()) return std::nullopt;
  std::vector<Tree> links;
  for (size_t i = 0; i < relation.signs.size(); ++i) {
    auto link = read_link(relation, i);
    if (!link) return std::nullopt;
    links.push_back(std::move(*link));
  }
  return joined("\\cap", std::move(links));
}

// True for a list of relations in one unknown: x < 1 or x > 2.
bool is_relation_list(const Answer& list) {
  return !unknown_of(list).empty() &&
         std::all_of(list.parts.begin(), list.parts.end(),
                     [](const Answer& part) { return part.kind == Kind::relation; });
}

// True if every part of the list is written as a set: [1,2] or \{3\}.
bool is_set_list(const Answer& list) {
  return std::all_of(list.parts.begin(), list.parts.end(), is_set_form);
}

std::optional<Tree> read_parts(const Answer& answer, SetForms forms, const std::string& sign) {
  std::vector<Tree> parts;
  for (const auto& part : answer.parts) {
    auto tree = read_tree(part, forms);
    if (!tree) return std::nullopt;
    parts.push_back(std::move(*tree));
  }
  return joined(sign, std::move(parts));
}

// Reads operations of one kind; differences apply from left to right. A mixture without brackets is
// not read.
std::optional<Tree> read_operation(const Answer& set, SetForms forms) {
  const bool one_kind = std::all_of(set.signs.begin(), set.signs.end(),
                                    [&](const std::string& sign) { return sign == set.signs[0]; });
  if (!one_kind) return std::nullopt;
  return read_parts(set, forms, set.signs[0]);
}

// \{x \in S | condition\}
std::optional<Tree> read_builder(const Answer& builder) {
  if (unknown_of(builder.parts[0]).empty() && !is_set_form(builder.parts[0])) return std::nullopt;
  std::vector<Tree> parts;
  for (const auto& part : builder.parts) {
    auto tree = read_tree(part, SetForms{true, true});
    if (!tree) return std::nullopt;
    parts.push_back(std::move(*tree));
  }
  return joined("\\cap", std::move(parts));
}

std::optional<Tree> read_bare(const Answer& list, SetForms forms) {
  if (forms.relations && is_relation_list(list)) return read_parts(list, forms, kList);
  if (forms.intervals && is_set_list(list)) return read_parts(list, forms, "\\cup");
  return std::nullopt;
}

std::optional<Tree> read_tree(const Answer& answer, SetForms forms) {
  if (answer.text == "\\mathbb{R}" || answer.text == "\\Reals") return line();
  if (answer.text == "\\varnothing") return joined("\\cup", {});
  if (answer.kind == Kind::relation && forms.relations) return read_relation(answer);
  if (answer.kind == Kind::set && forms.intervals)
    return answer.is_builder() ? read_builder(answer) : read_operation(answer, forms);
  if (answer.kind != Kind::list) return std::nullopt;
  if (answer.is_bare()) {
    auto tree = read_bare(answer, forms);
    if (tree && tree->sign == kList && answer.either) tree->sign = "\\cup";
    return tree;
  }
  if (!forms.intervals) return std::nullopt;
  const bool brackets = (answer.open == '(' || answer.open == '[');
  if (brackets && answer.parts.size() == 2) return read_interval(answer);
  return answer.open == '{' ? read_points(answer) : std::nullopt;
}

// ---- cells

class Line {
 public:
  explicit Line(Comparer& comparer) : comparer_(comparer) {}

  // Adds all finite end points; equal ones share a place. Returns exhausted if there are too many.
  Status add(const Tree& tree) {
    if (tree.sign == "interval") {
      LS_RETURN_IF_ERROR(add(tree.low));
      LS_RETURN_IF_ERROR(add(tree.high));
    }
    for (const auto& part : tree.parts) LS_RETURN_IF_ERROR(add(part));
    return {};
  }

  Cells cells_of(const Tree& tree) const {
    if (tree.sign == "interval") return interval_cells(tree);
    if (tree.parts.empty()) return Cells(size(), false);
    if (tree.sign != kList) return combined(tree, tree.sign);
    const Cells all = combined(tree, "\\cap");
    const bool possible = std::find(all.begin(), all.end(), true) != all.end();
    return possible ? all : combined(tree, "\\cup");
  }

 private:
  Cells combined(const Tree& tree, std::string_view sign) const {
    Cells out = cells_of(tree.parts[0]);
    for (size_t i = 1; i < tree.parts.size(); ++i) {
      const Cells next = cells_of(tree.parts[i]);
      for (size_t c = 0; c < out.size(); ++c) {
        out[c] = sign == "\\cup"   ? out[c] || next[c]
                 : sign == "\\cap" ? out[c] && next[c]
                                   : out[c] && !next[c];
      }
    }
    return out;
  }

  size_t size() const { return 2 * ends_.size() + 1; }

  Status add(const End& end) {
    if (std::isinf(end.value)) return {};
    auto at = ends_.begin();
    for (; at != ends_.end() && at->value < end.value + margin(end.value); ++at) {
      if (std::abs(at->value - end.value) > margin(end.value)) continue;
      LS_ASSIGN_OR_RETURN(const bool same,
                          comparer_.equal_expressions(at->expression, end.expression));
      if (same) return {};
    }
    if (ends_.size() >= kMaxEnds) return exhausted("a set has too many end points");
    const auto place =
        std::find_if(ends_.begin(), ends_.end(), [&](const End& e) { return e.value > end.value; });
    ends_.insert(place, end);
    return {};
  }

  // The largest distance at which two end points may agree under the tolerance of decimals.
  double margin(double value) const {
    return std::pow(10.0, -comparer_.options().digits) * std::max(1.0, std::abs(value));
  }

  // The place of an end point that was added: the index of the nearest one.
  size_t place(double value) const {
    size_t best = 0;
    for (size_t i = 1; i < ends_.size(); ++i) {
      if (std::abs(ends_[i].value - value) < std::abs(ends_[best].value - value)) best = i;
    }
    return best;
  }

  Cells interval_cells(const Tree& tree) const {
    const bool from_start = std::isinf(tree.low.value), to_end = std::isinf(tree.high.value);
    size_t first = 0, last = size() - 1;
    if (!from_start) first = 2 * place(tree.low.value) + (tree.closed_low ? 1 : 2);
    if (!to_end) last = 2 * place(tree.high.value) + (tree.closed_high ? 1 : 0);
    Cells out(size(), false);
    for (size_t c = first; c <= last && c < out.size(); ++c) out[c] = true;
    return out;
  }

  Comparer& comparer_;
  std::vector<End> ends_;
};

}  // namespace

bool is_set_form(const Answer& answer) {
  return answer.kind == Kind::set || answer.text == "\\mathbb{R}" ||
         answer.text == "\\varnothing" ||
         (answer.kind == Kind::list &&
          (answer.open == '(' || answer.open == '[' || answer.open == '{'));
}

std::string unknown_of(const Answer& answer) {
  std::string name;
  return find_unknown(answer, name) ? name : "";
}

Result<std::optional<bool>> equal_sets(const Answer& a, SetForms a_forms, const Answer& b,
                                       SetForms b_forms, Comparer& comparer) {
  const auto x = read_tree(a, a_forms), y = read_tree(b, b_forms);
  if (!x || !y) return std::optional<bool>();
  Line line(comparer);
  LS_RETURN_IF_ERROR(line.add(*x));
  LS_RETURN_IF_ERROR(line.add(*y));
  return std::optional<bool>(line.cells_of(*x) == line.cells_of(*y));
}

}  // namespace longshot::math
