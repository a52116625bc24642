#include "reward/rules/ifeval/sentence_words.h"

#include <array>

#include "base/check.h"
#include "reward/rules/ifeval/characters.h"
#include "reward/rules/regex.h"

namespace longshot::reward {
namespace {

bool is_in(char32_t c, std::u32string_view set) {
  return set.find(c) != set.npos;
}

bool starts_punkt_word(char32_t c) {
  return !is_in(c, U"(\"`{[:;&#*@)}]-,");
}

// The length of "--", "..", ". . ." and longer ones at the start of the text; else 0.
size_t multiple_punctuation(std::u32string_view text) {
  for (const char32_t c : {U'-', U'.'}) {
    size_t n = 0;
    while (n < text.size() && text[n] == c) ++n;
    if (n >= 2) return n;
  }
  size_t pairs = 0;
  while (2 * pairs + 1 < text.size() && text[2 * pairs] == U'.' &&
         is_unicode_space(text[2 * pairs + 1]))
    ++pairs;
  // The last pair may have to give its period back.
  for (; pairs >= 2; --pairs) {
    if (2 * pairs < text.size() && text[2 * pairs] == U'.') return 2 * pairs + 1;
  }
  return 0;
}

bool word_ends_before(std::u32string_view rest) {
  const auto ends = [](std::u32string_view at) {
    return at.empty() || is_unicode_space(at[0]) || ends_punkt_word(at[0]) ||
           multiple_punctuation(at) > 0;
  };
  return ends(rest) || (rest[0] == U',' && ends(rest.substr(1)));
}

size_t punkt_word_length(std::u32string_view text) {
  if (const size_t n = multiple_punctuation(text)) return n;
  if (!starts_punkt_word(text[0])) return 1;
  for (size_t n = 1; n <= text.size() && !is_unicode_space(text[n - 1]); ++n) {
    if (word_ends_before(text.substr(n))) return n;
  }
  return 1;
}

void add_line(std::u32string_view line, std::vector<std::u32string>& words) {
  for (size_t at = 0; at < line.size();) {
    if (is_unicode_space(line[at])) {
      ++at;
      continue;
    }
    const size_t n = punkt_word_length(line.substr(at));
    words.emplace_back(line.substr(at, n));
    at += n;
  }
}

struct Rule {
  const char* pattern;
  const char* replacement;
};

// In this order: opening quotes, punctuation, brackets, dashes.
constexpr std::array kFirstRules = {
    Rule{"([«“‘„]|[`]+)", " $1 "},
    Rule{"^\"", "``"},
    Rule{"(``)", " $1 "},
    Rule{"([ \\(\\[{<])(\"|'{2})", "$1 `` "},
    Rule{"(?i)(?<!\\w)(')(?!(?:re|ve|ll|m|t|s|d|n)\\b)(?=\\w)", "$1 "},
    Rule{"([^\\.])(\\.)([\\]\\)}>\"'»”’ ]*+)\\s*$", "$1 $2 $3 "},
    Rule{"([:,])([^\\d])", " $1 $2"},
    Rule{"([:,])$", " $1 "},
    Rule{"\\.{2,}", " $0 "},
    Rule{"[;@#$%&]", " $0 "},
    Rule{"[\\x{2012}-\\x{2015}]", " $0 "},
    Rule{"([^\\.])(\\.)([\\]\\)}>\"']*)\\s*$", "$1 $2$3 "},
    Rule{"[?!]", " $0 "},
    Rule{"([^'])' ", "$1 ' "},
    Rule{"[*]", " $0 "},
    Rule{"[\\]\\[\\(\\)\\{\\}\\<\\>]", " $0 "},
    Rule{"--", " -- "},
};
// With a blank at both ends of the text: closing quotes, clitics, contractions.
constexpr std::array kLastRules = {
    Rule{"([»”’])", " $1 "},
    Rule{"''", " '' "},
    Rule{"\"", " '' "},
    Rule{"\\s+", " "},
    Rule{"([^' ])('[sS]|'[mM]|'[dD]|') ", "$1 $2 "},
    Rule{"([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) ", "$1 $2 "},
    Rule{"(?i)\\b(can)(not)\\b", " $1 $2 "},
    Rule{"(?i)\\b(d)('ye)\\b", " $1 $2 "},
    Rule{"(?i)\\b(gim)(me)\\b", " $1 $2 "},
    Rule{"(?i)\\b(gon)(na)\\b", " $1 $2 "},
    Rule{"(?i)\\b(got)(ta)\\b", " $1 $2 "},
    Rule{"(?i)\\b(lem)(me)\\b", " $1 $2 "},
    Rule{"(?i)\\b(more)('n)\\b", " $1 $2 "},
    Rule{"(?i)\\b(wan)(na)(?=\\s)", " $1 $2 "},
    Rule{"(?i) ('t)(is)\\b", " $1 $2 "},
    Rule{"(?i) ('t)(was)\\b", " $1 $2 "},
};

struct Compiled {
  Regex regex;
  const char* replacement;
};

template <size_t n>
std::vector<Compiled> compiled(const std::array<Rule, n>& rules) {
  std::vector<Compiled> out;
  for (const Rule& rule : rules) {
    auto regex = Regex::compile(std::string("(*UCP)") + rule.pattern, false);
    LS_CHECK(regex.ok(), "a rule of the Penn Treebank is no expression");
    out.push_back({std::move(*regex), rule.replacement});
  }
  return out;
}

Status apply(const std::vector<Compiled>& rules, std::string& text) {
  for (const Compiled& rule : rules) {
    LS_ASSIGN_OR_RETURN(text, rule.regex.replace_all(text, rule.replacement));
  }
  return ok_status();
}

}  // namespace

bool ends_punkt_word(char32_t c) {
  return is_in(c, U")\";}]*:@'({[\u2018\u2019\u201c\u201d\u00ab\u00bb?!");
}

bool is_number_word(std::u32string_view word) {
  size_t at = word.starts_with(U'-') ? 1 : 0;
  if (at < word.size() && is_in(word[at], U".,")) ++at;
  if (at >= word.size() || !is_unicode_digit(word[at])) return false;
  while (++at < word.size()) {
    if (!is_unicode_digit(word[at]) && !is_in(word[at], U",.-")) return false;
  }
  return true;
}

std::vector<std::u32string> punkt_words(std::u32string_view text) {
  std::vector<std::u32string> words;
  for (size_t from = 0; from <= text.size();) {
    const size_t end = std::min(text.find(U'\n', from), text.size());
    add_line(text.substr(from, end - from), words);
    from = end + 1;
  }
  return words;
}

Result<std::vector<std::string>> treebank_words(const std::string& sentence) {
  static const std::vector<Compiled> first = compiled(kFirstRules), last = compiled(kLastRules);
  std::string text = sentence;
  LS_RETURN_IF_ERROR(apply(first, text));
  text = " " + text + " ";
  LS_RETURN_IF_ERROR(apply(last, text));
  std::vector<std::string> words;
  std::u32string word;
  for (const char32_t c : code_points(text + " ")) {
    if (!is_unicode_space(c)) {
      word.push_back(c);
    } else if (!word.empty()) {
      words.push_back(utf8(word));
      word.clear();
    }
  }
  return words;
}

}  // namespace longshot::reward
