#include "math/read/expression_forms.h"

#include <algorithm>

namespace longshot::math {

Expression ordered(Expression e) {
  for (auto& arg : e.args) arg = ordered(std::move(arg));
  if (e.kind != Expression::Kind::sum && e.kind != Expression::Kind::product) return e;
  std::sort(e.args.begin(), e.args.end(),
            [](const Expression& a, const Expression& b) { return to_wire(a) < to_wire(b); });
  return e;
}

Expression folded(Expression e) {
  if (e.kind == Expression::Kind::number) return e;
  auto value = rational_value(e);
  return value ? number(std::move(*value)) : e;
}

Expression called(std::string_view name, std::optional<Expression> base, Expression x) {
  if (name == "exp") return power(symbol("e"), std::move(x));
  if (name == "lg") return function("log", {number(10), std::move(x)});
  if (name == "log" && base) return function("log", {std::move(*base), std::move(x)});
  if (name == "log") return product({symbol("logscale"), function("ln", {std::move(x)})});
  return function(std::string(name), {std::move(x)});
}

}  // namespace longshot::math
