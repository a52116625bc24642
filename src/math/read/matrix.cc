#include "math/read/matrix.h"

#include <algorithm>

#include "base/text/text.h"
#include "math/read/expression_parser.h"
#include "math/read/scan.h"

namespace longshot::math {
namespace {

constexpr size_t kMaxEntries = 100;
constexpr std::string_view kBegin = "\\begin{";
constexpr std::string_view kEnvironments[] = {"pmatrix", "bmatrix",     "Bmatrix",
                                              "matrix",  "smallmatrix", "array"};

std::optional<Answer> read_product(std::string_view text);

// One environment and nothing else.
std::optional<Answer> read_environment(std::string_view text) {
  if (!text.starts_with(kBegin)) return std::nullopt;
  const size_t name_end = text.find('}');
  if (name_end == std::string_view::npos) return std::nullopt;
  const auto name = text.substr(kBegin.size(), name_end - kBegin.size());
  const std::string end = "\\end{" + std::string(name) + "}";
  if (std::find(std::begin(kEnvironments), std::end(kEnvironments), name) ==
          std::end(kEnvironments) ||
      text.find(end) != text.size() - end.size()) {
    return std::nullopt;
  }
  auto body = trim(text.substr(name_end + 1, text.size() - end.size() - name_end - 1));
  if (name == "array" && body.starts_with('{')) body = trim(body.substr(body.find('}') + 1));
  Answer out;
  out.kind = Answer::Kind::matrix;
  const auto row_end = [&](size_t i) -> size_t { return body.substr(i, 2) == "\\\\" ? 2 : 0; };
  for (const auto row : cut_outside(body, row_end)) {
    if (row.empty()) continue;
    const auto entries =
        cut_outside(row, [&](size_t i) -> size_t { return row[i] == '&' ? 1 : 0; });
    if (out.columns != 0 && entries.size() != out.columns) return std::nullopt;
    out.columns = entries.size();
    for (const auto entry : entries) out.parts.push_back(read_answer(entry, true));
    if (out.parts.size() > kMaxEntries) return std::nullopt;
  }
  if (out.parts.empty()) return std::nullopt;
  return out;
}

bool in_brackets(std::string_view text) {
  return text.size() > 2 && bracket_at(text, 0, "([") == 1 && after_closing(text) == text.size();
}

Answer entry(Expression e) {
  Answer out;
  out.kind = Answer::Kind::value;
  out.expression = std::move(e);
  return out;
}

bool is_arithmetic(const Answer& m) {
  return std::all_of(m.parts.begin(), m.parts.end(),
                     [](const Answer& part) { return part.expression.has_value(); });
}

std::optional<Answer> add(const Answer& a, const Answer& b) {
  if (a.columns != b.columns || a.parts.size() != b.parts.size()) return std::nullopt;
  Answer out = a;
  for (size_t i = 0; i < a.parts.size(); ++i)
    out.parts[i] = entry(sum({*a.parts[i].expression, *b.parts[i].expression}));
  return out;
}

Answer scaled(const Answer& m, const Expression& by) {
  Answer out = m;
  for (auto& part : out.parts) part = entry(product({by, *part.expression}));
  return out;
}

std::optional<Answer> multiply(const Answer& a, const Answer& b) {
  const size_t rows = a.parts.size() / a.columns, inner = b.parts.size() / b.columns;
  if (a.columns != inner || rows * b.columns > kMaxEntries) return std::nullopt;
  Answer out;
  out.kind = Answer::Kind::matrix;
  out.columns = b.columns;
  for (size_t i = 0; i < rows; ++i) {
    for (size_t j = 0; j < b.columns; ++j) {
      std::vector<Expression> terms;
      for (size_t k = 0; k < inner; ++k) {
        terms.push_back(product(
            {*a.parts[i * a.columns + k].expression, *b.parts[k * b.columns + j].expression}));
      }
      out.parts.push_back(entry(sum(std::move(terms))));
    }
  }
  return out;
}

// Reads matrices side by side, with a number or expression before them: 2 M, \frac{1}{2} M N.
std::optional<Answer> read_product(std::string_view text) {
  std::optional<Answer> out;
  std::optional<Expression> factor;
  while (!text.empty()) {
    const size_t begin = text.find(kBegin);
    if (begin == std::string_view::npos) return std::nullopt;
    auto scalar = trim(text.substr(0, begin));
    if (scalar.ends_with('*')) scalar = trim(scalar.substr(0, scalar.size() - 1));
    if (!scalar.empty()) {
      if (out || factor) return std::nullopt;
      factor = scalar == "-" ? number(-1) : parse_expression(scalar);
      if (!factor) return std::nullopt;
    }
    text = text.substr(begin);
    const size_t end = after_closing(text);
    if (end == std::string_view::npos) return std::nullopt;
    const size_t close = text.find('}', end);  // of \end{name}
    const size_t length = close == std::string_view::npos ? text.size() : close + 1;
    const auto matrix = read_environment(text.substr(0, length));
    if (!matrix || ((out || factor) && !is_arithmetic(*matrix)) || (out && !is_arithmetic(*out)))
      return std::nullopt;
    out = out ? multiply(*out, *matrix) : matrix;
    if (!out) return std::nullopt;
    text = trim(text.substr(length));
  }
  if (out && factor) return scaled(*out, *factor);
  return out;
}

std::optional<Answer> read_sum(std::string_view text) {
  std::vector<std::string_view> signs;
  const auto sign = [&](size_t i) -> size_t { return i > 0 && (text[i] == '+' || text[i] == '-'); };
  const auto terms = cut_outside(text, sign, &signs);
  std::optional<Answer> out;
  for (size_t i = 0; i < terms.size(); ++i) {
    auto term = read_product(terms[i]);
    if (!term || (terms.size() > 1 && !is_arithmetic(*term))) return std::nullopt;
    if (i > 0 && signs[i - 1] == "-") term = scaled(*term, number(-1));
    out = out ? add(*out, *term) : term;
    if (!out) return std::nullopt;
  }
  return out;
}

}  // namespace

bool read_matrix(std::string_view text, Answer& out) {
  if (text.find(kBegin) == std::string_view::npos) return false;
  text = trim(text);
  while (in_brackets(text)) text = trim(text.substr(1, text.size() - 2));
  auto matrix = read_sum(text);
  if (!matrix) return false;
  matrix->text = std::move(out.text);
  out = std::move(*matrix);
  return true;
}

}  // namespace longshot::math
