#include "math/read/answer.h"

#include <algorithm>

#include "base/text/text.h"
#include "math/read/expression_parser.h"
#include "math/read/latex.h"
#include "math/read/matrix.h"
#include "math/read/open_intervals.h"
#include "math/read/scan.h"
#include "math/read/tex_cursor.h"
#include "math/read/units.h"

namespace longshot::math {
namespace {

constexpr size_t kMaxText = 4000;
constexpr size_t kMaxParts = 200;
constexpr int kMaxDepth = 8;
constexpr size_t kNone = std::string_view::npos;

Answer read(std::string_view text, bool keep_thousands, int depth);

// ---- what separates

bool thousands_comma(std::string_view text, size_t i) {
  const auto digit = [&](size_t at) { return at < text.size() && is_digit(text[at]); };
  const bool zero = i > 0 && text[i - 1] == '0' && (i == 1 || !is_digit(text[i - 2]));  // 0,111
  return text[i] == ',' && i > 0 && digit(i - 1) && !zero && digit(i + 1) && digit(i + 2) &&
         digit(i + 3) && !digit(i + 4);
}

// The length of the word "and" or "or" at i between elements; 0 if there is none.
size_t separator_word(std::string_view text, size_t i) {
  if (i == 0 || is_alpha(text[i - 1]) || text[i - 1] == '\\') return 0;
  for (const std::string_view word : {"and", "or"}) {
    if (!starts_with_ignoring_case(text.substr(i), word)) continue;
    const size_t end = i + word.size();
    if (end < text.size() && !is_alpha(text[end])) return word.size();
  }
  return 0;
}

constexpr std::string_view kRelations[] = {
    "\\approx", "\\le", "\\ge", "\\ne", "\\in", "<=", ">=", "!=", "=", "<", ">"};
constexpr std::string_view kSetSigns[] = {"\\cup",       "\\cap", "\\setminus",
                                          "\\backslash", "-\\{",  "- \\{"};

// Commands that compute: \sin x is not a name.
constexpr std::string_view kArithmetic[] = {"sin", "cos", "tan", "cot",  "sec", "csc", "ln",
                                            "log", "lg",  "exp", "sqrt", "sum", "int"};

constexpr std::string_view kShortWords[] = {"am", "an", "as", "at", "be", "by", "do", "go", "he",
                                            "hi", "if", "in", "is", "it", "me", "my", "no", "of",
                                            "ok", "on", "or", "pm", "so", "to", "up", "us", "we"};

template <typename Table>
size_t sign_at(std::string_view text, size_t i, const Table& table) {
  for (const std::string_view sign : table) {
    if (text.substr(i, sign.size()) != sign) continue;
    const size_t end = i + sign.size();
    if (sign[0] == '-') return i > 0 ? 1 : 0;  // R - \{3\}
    if (sign[0] != '\\' || end == text.size() || !is_alpha(text[end])) return sign.size();
  }
  return 0;
}

std::string canonical_sign(std::string_view sign) {
  if (sign == "<=") return "\\le";
  if (sign == ">=") return "\\ge";
  if (sign == "!=") return "\\ne";
  if (sign == "\\backslash" || sign == "-") return "\\setminus";
  return std::string(sign);
}

bool all_filled(const std::vector<std::string_view>& parts) {
  return std::none_of(parts.begin(), parts.end(), [](std::string_view p) { return p.empty(); });
}

// ---- lists

// The parts of a list without the empty ones ("1, 2, and 3").
std::vector<std::string_view> elements_of(std::string_view text, bool keep_thousands,
                                          std::vector<std::string_view>* joints = nullptr) {
  const auto semicolon = [&](size_t i) -> size_t { return text[i] == ';' ? 1 : 0; };
  const auto comma = [&](size_t i) -> size_t {
    if (text[i] == ',' && !(keep_thousands && thousands_comma(text, i))) return 1;
    return separator_word(text, i);
  };
  auto parts = cut_outside(text, semicolon);
  if (parts.size() < 2) parts = cut_outside(text, comma, joints);
  std::erase_if(parts, [](std::string_view p) { return p.empty(); });
  return parts;
}

void add_elements(Answer& list, const std::vector<std::string_view>& parts, bool keep_thousands,
                  int depth) {
  for (const auto part : parts) {
    Answer element = read(part, keep_thousands, depth + 1);
    const bool splice = element.alternatives && list.open != '(' && list.open != '[';
    if (splice) {
      std::move(element.parts.begin(), element.parts.end(), std::back_inserter(list.parts));
    } else {
      list.parts.push_back(std::move(element));
    }
  }
}

bool read_list(std::string_view text, bool keep_thousands, int depth, Answer& out) {
  std::vector<std::string_view> joints;
  const auto parts = elements_of(text, keep_thousands, &joints);
  if (parts.size() < 2 || parts.size() > kMaxParts) return false;
  out.kind = Answer::Kind::list;
  out.either = std::any_of(joints.begin(), joints.end(), [](std::string_view joint) {
    return starts_with_ignoring_case(joint, "or");
  });
  add_elements(out, parts, keep_thousands, depth);
  return true;
}

// 2,5 between semicolons has a decimal comma.
std::string with_decimal_point(std::string_view part) {
  std::string out(part);
  const size_t comma = out.find(',');
  const bool decimal = comma != kNone && comma > 0 && is_digit(out[comma - 1]) &&
                       comma + 1 < out.size() &&
                       out.find_first_not_of("0123456789", comma + 1) == kNone;
  if (decimal) out[comma] = '.';
  return out;
}

bool read_bracketed(std::string_view text, bool keep_thousands, int depth, Answer& out) {
  const size_t open = bracket_at(text, 0, "([{");
  if (open == 0 || after_closing(text) != text.size()) return false;
  const bool angle = open > 2;
  const size_t close = angle ? open : text.size() >= 2 && text[text.size() - 2] == '\\' ? 2 : 1;
  if (text.size() < open + close) return false;
  const auto inside = text.substr(open, text.size() - open - close);
  const auto parts = elements_of(inside, keep_thousands);
  if (parts.size() > kMaxParts) return false;
  out.kind = Answer::Kind::list;
  const bool group = open == 1 && text[0] == '{';  // LaTeX's own braces
  out.open = group ? '\0' : angle ? '<' : text[open - 1];
  out.close = group ? '\0' : angle ? '>' : text.back();
  if (inside.find(';') == kNone) {
    add_elements(out, parts, keep_thousands, depth);
  } else {
    for (const auto part : parts)
      add_elements(out, {with_decimal_point(part)}, keep_thousands, depth);
  }
  return true;
}

// \{x | x>2\}, \{x \in \mathbb{R} : x \ne 3\}
bool read_builder(std::string_view text, bool keep_thousands, int depth, Answer& out) {
  if (!text.starts_with("\\{") || !text.ends_with("\\}") || after_closing(text) != text.size())
    return false;
  const auto inside = trim(text.substr(2, text.size() - 4));
  const auto bar = [&](size_t i) -> size_t { return inside[i] == '|' || inside[i] == ':' ? 1 : 0; };
  const auto cut = cut_outside(inside, bar);
  if (cut.size() < 2 || cut[0].empty()) return false;
  const auto from = static_cast<size_t>(cut[1].data() - inside.data());
  const Answer condition = read(trim(inside.substr(from)), keep_thousands, depth + 1);
  const size_t in = cut[0].find("\\in");
  if (!is_name(trim(cut[0].substr(0, in)))) return false;
  out.kind = Answer::Kind::set;
  out.signs.push_back("|");
  out.parts.push_back(condition);
  if (in != kNone)
    out.parts.push_back(read(trim(cut[0].substr(in + 3)), keep_thousands, depth + 1));
  return true;
}

// 7:32
bool read_ratio(std::string_view text, bool keep_thousands, int depth, Answer& out) {
  const auto parts = cut_outside(text, [&](size_t i) -> size_t { return text[i] == ':' ? 1 : 0; });
  if (parts.size() < 2 || parts.size() > kMaxParts || !all_filled(parts)) return false;
  out.kind = Answer::Kind::list;
  out.open = out.close = ':';
  for (const auto part : parts) out.parts.push_back(read(part, keep_thousands, depth + 1));
  return true;
}

// ---- \pm

std::string with_signs(std::string_view text, char pm, char mp) {
  std::string out(text);
  replace_all(out, "\\pm", std::string(1, pm));
  replace_all(out, "\\mp", std::string(1, mp));
  return out;
}

bool read_plus_minus(std::string_view text, bool keep_thousands, int depth, Answer& out) {
  if (text.find("\\pm") == kNone && text.find("\\mp") == kNone) return false;
  const bool is_list = elements_of(text, keep_thousands).size() > 1;
  const bool is_set = bracket_at(text, 0, "{") && after_closing(text) == text.size();
  if (is_list || is_set) return false;  // its elements are read separately
  out.kind = Answer::Kind::list;
  out.alternatives = true;
  out.parts.push_back(read(with_signs(text, '+', '-'), keep_thousands, depth + 1));
  out.parts.push_back(read(with_signs(text, '-', '+'), keep_thousands, depth + 1));
  return true;
}

// ---- relations and sets

template <typename Table>
bool read_signs(std::string_view text, const Table& table, Answer::Kind kind, bool keep_thousands,
                int depth, Answer& out) {
  std::vector<std::string_view> signs;
  const auto parts = cut_outside(
      text, [&](size_t i) { return sign_at(text, i, table); }, &signs);
  if (parts.size() < 2 || parts.size() > kMaxParts || !all_filled(parts)) return false;
  // x \in S: the set is the answer.
  if (signs.size() == 1 && signs[0] == "\\in") {
    if (!is_name(parts[0])) return false;
    out = read(parts[1], keep_thousands, depth + 1);
    return true;
  }
  out.kind = kind;
  for (const auto part : parts) out.parts.push_back(read(part, keep_thousands, depth + 1));
  for (const auto sign : signs) out.signs.push_back(canonical_sign(sign));
  return true;
}

// ---- values

// Reads an expression followed by a unit: \frac{1}{3} meters. Counted things are read only after
// constants: "n even" is not n, and "x yz" is not x.
bool read_with_unit(std::string_view text, Answer& out) {
  for (size_t i = 1; i < text.size(); ++i) {
    const bool starts_word = is_alpha(text[i]) && !is_alpha(text[i - 1]) && text[i - 1] != '\\';
    const bool long_word = i + 2 < text.size() && is_alpha(text[i + 1]) && is_alpha(text[i + 2]);
    if (!starts_word) continue;
    const auto unit = read_unit(text.substr(i), /*attached=*/!is_space(text[i - 1]));
    if (!unit || unit->size() < 2 || !(long_word || is_known_unit(*unit))) continue;
    auto expression = parse_expression(trim(text.substr(0, i)));
    if (!expression || (has_variables(*expression) && !is_known_unit(*unit))) continue;
    out.kind = Answer::Kind::value;
    out.expression = std::move(expression);
    out.unit = *unit;
    return true;
  }
  return false;
}

// True for different letters that spell no common word, such as yx and abc, and for the constants
// pi and inf.
bool is_letter_product(std::string_view text) {
  if (!constant_name(text).empty()) return true;
  if (text.size() > 4 || std::any_of(text.begin(), text.end(), [](char c) { return c < 'a'; }))
    return false;
  for (size_t i = 1; i < text.size(); ++i) {
    if (text.substr(0, i).find(text[i]) != kNone) return false;
  }
  if (text.size() == 2) {
    return std::find(std::begin(kShortWords), std::end(kShortWords), text) == std::end(kShortWords);
  }
  const bool labels = text.find_first_not_of("abcd") == kNone;
  return labels || text.find_first_of("aeiou") == kNone;
}

bool read_value(std::string_view text, Answer& out) {
  out.number = parse_number(text);
  if (out.number) {
    out.kind = Answer::Kind::value;
    out.expression = number(out.number->value, out.number->decimal);
    out.unit = out.number->unit;
    return true;
  }
  const bool only_letters = std::all_of(text.begin(), text.end(), is_alpha);
  if (only_letters && text.size() > 1 && !is_letter_product(text)) return false;  // a word
  if (read_with_unit(text, out)) return true;
  out.expression = parse_expression(text);
  if (out.expression) out.kind = Answer::Kind::value;
  return out.expression.has_value();
}

bool has_thousands(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (thousands_comma(text, i)) return true;
  }
  return false;
}

Answer read(std::string_view text, bool keep_thousands, int depth) {
  Answer out;
  out.text = std::string(trim(text));
  text = out.text;
  if (text.empty() || depth > kMaxDepth) return out;
  (void)(read_plus_minus(text, keep_thousands, depth, out) ||
         read_list(text, keep_thousands, depth, out) ||
         read_signs(text, kRelations, Answer::Kind::relation, keep_thousands, depth, out) ||
         read_signs(text, kSetSigns, Answer::Kind::set, keep_thousands, depth, out) ||
         read_matrix(text, out) ||
         ((keep_thousands || !has_thousands(text)) && read_value(text, out)) ||
         read_builder(text, keep_thousands, depth, out) ||
         read_bracketed(text, keep_thousands, depth, out) ||
         read_ratio(text, keep_thousands, depth, out));
  return out;
}

}  // namespace

Answer read_answer(std::string_view plain, bool keep_thousands) {
  if (plain.size() > kMaxText) {
    Answer out;
    out.text = std::string(plain);
    return out;
  }
  return read(with_round_brackets(plain), keep_thousands, 0);
}

bool is_name(std::string_view side) {
  bool letter = false;
  for (size_t i = 0; i < side.size(); ++i) {
    const char c = side[i];
    if (c == '\\') {
      const size_t start = i + 1;
      while (i + 1 < side.size() && is_alpha(side[i + 1])) ++i;
      const auto command = side.substr(start, i + 1 - start);
      if (std::find(std::begin(kArithmetic), std::end(kArithmetic), command) !=
          std::end(kArithmetic))
        return false;
      letter |= command != "frac";
      continue;
    }
    letter |= is_alpha(c);
    const char before = i > 0 ? side[i - 1] : ' ';
    const bool index = std::string_view("_([,").find(before) != kNone || is_digit(before) ||
                       (before == '{' && i > 1 && side[i - 2] == '_');
    if (is_digit(c) && !index) return false;
    if (std::string_view("+-*^<>=!%/").find(c) != kNone) return false;
  }
  return letter;
}

}  // namespace longshot::math
