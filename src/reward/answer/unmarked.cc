#include "reward/answer/unmarked.h"

#include <algorithm>

#include "base/text/text.h"
#include "math/read/answer.h"
#include "math/read/latex.h"
#include "math/read/units.h"
#include "reward/answer/formula.h"

namespace longshot::reward {
namespace {

constexpr size_t kNone = std::string_view::npos;

bool number_char(char c) {
  return is_digit(c) || c == '.' || c == ',' || c == '/';
}

bool hedged(std::string_view before, std::string_view after) {
  const auto words_before = words_of(before), words_after = words_of(after);
  const size_t newline = before.rfind('\n');
  const auto near = words_of(newline == kNone ? before : before.substr(newline + 1));
  for (size_t i = near.size() > 3 ? near.size() - 3 : 0; i < near.size(); ++i) {
    const std::string word = to_lower(near[i]);
    if (word == "or" || word == "not" || word == "either" || word == "than" || word == "t" ||
        word == "negative" || word == "maybe" || word == "perhaps" || word == "between" ||
        word == "minus") {
      return true;
    }
  }
  return !words_after.empty() && math::changes_meaning(to_lower(words_after.front())) &&
         trim(after).front() != '.' && after.find('\n') > after.find(words_after.front());
}

// True if a percent sign or word follows: 28 percent, $28$ pct.
bool percent_follows(std::string_view after) {
  const auto rest = trim(after);
  if (rest.starts_with('%') || rest.starts_with("\\%")) return true;
  const auto words = words_of(rest);
  if (words.empty() || words[0].data() != rest.data()) return false;
  const std::string word = to_lower(words[0]);
  return word == "percent" || word == "pct" || word == "percentage";
}

std::optional<std::string> last_number(std::string_view text) {
  size_t end = text.size();
  while (end > 0 && !is_digit(text[end - 1])) --end;
  if (end == 0) return std::nullopt;
  size_t begin = end;
  while (begin > 0 && number_char(text[begin - 1]) && end - begin < 40000) --begin;
  while (!is_digit(text[begin]) && text[begin] != '.') ++begin;
  if (begin > 0 && (is_alpha(text[begin - 1]) || text[begin - 1] == '_' || text[begin - 1] == '^'))
    return std::nullopt;
  const bool letter = end < text.size() && is_alpha(text[end]) &&
                      (end + 1 == text.size() || !is_alpha(text[end + 1]));
  const bool metres = text.substr(end, 3) == "m\u00b2" || text.substr(end, 3) == "m\u00b3";
  if (letter && !metres) return std::nullopt;
  const size_t context = begin > 60 ? begin - 60 : 0;
  const bool percent = percent_follows(text.substr(end, 30));
  if (hedged(text.substr(context, begin - context), percent ? "" : text.substr(end, 30)))
    return std::nullopt;
  size_t sign = begin;
  if (sign > 0 && text[sign - 1] == '$') --sign;
  const bool minus = sign > 0 && text[sign - 1] == '-' &&
                     (sign == 1 || !(is_digit(text[sign - 2]) || is_alpha(text[sign - 2]) ||
                                     text[sign - 2] == ')'));
  return (minus ? "-" : "") + std::string(text.substr(begin, end - begin)) + (percent ? "%" : "");
}

// True if the whole response is an expression, in which no two words are adjacent.
bool is_only_an_answer(std::string_view text) {
  if (text.size() > 200) return false;
  const std::string plain = math::plain_math(text);
  if (math::parse_number(plain)) return true;
  for (size_t i = 1; i + 1 < plain.size(); ++i) {
    if (is_space(plain[i]) && is_alpha(plain[i - 1]) && is_alpha(plain[i + 1])) return false;
  }
  return math::read_answer(plain, true).kind == math::Answer::Kind::value;
}

}  // namespace

std::optional<std::string> unmarked_answer(std::string_view text) {
  if (is_only_an_answer(text)) return std::string(trim(text));
  const auto formula = last_formula(text);
  const auto has_digit = [](std::string_view part) {
    return std::any_of(part.begin(), part.end(), is_digit);
  };
  if (!formula || has_digit(text.substr(formula->end)) ||
      (has_digit(text) && !has_digit(formula->content))) {
    return last_number(text);
  }
  const size_t context = formula->begin > 60 ? formula->begin - 60 : 0;
  const auto after = text.substr(formula->end, 30);
  const bool percent = percent_follows(after);
  if (hedged(text.substr(context, formula->begin - context), percent ? "" : after))
    return std::nullopt;
  return std::string(trim(formula->content)) + (percent ? "%" : "");
}

}  // namespace longshot::reward
