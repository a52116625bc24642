#include "reward/answer/phrases.h"

#include <algorithm>

#include "base/text/text.h"
#include "math/read/latex.h"
#include "math/read/rational.h"
#include "math/read/units.h"

namespace longshot::reward {
namespace {

constexpr size_t kNone = std::string_view::npos;

size_t skip_any(std::string_view text, size_t i, std::string_view set) {
  while (i < text.size() && set.find(text[i]) != kNone) ++i;
  return i;
}

// The position after the "is", ":" or "=" that follows the word "answer" within its sentence; kNone
// if none follows. `at` is the end of that word.
size_t behind_verb(std::string_view text, size_t at) {
  size_t i = at;
  for (size_t limit = std::min(text.size(), at + 80); i < limit; ++i) {
    const char c = text[i];
    if (c == '\n' || c == '.' || c == '?' || c == '!') return kNone;
    if (c == ':' || c == '=') return i + 1;
    if ((c == ' ' || c == '*') && i + 3 <= text.size() &&
        starts_with_ignoring_case(text.substr(i + 1), "is") &&
        (i + 3 == text.size() || !is_alpha(text[i + 3]))) {
      const size_t colon = skip_any(text, i + 3, " *");
      return colon < text.size() && text[colon] == ':' ? colon + 1 : i + 3;
    }
  }
  return kNone;
}

bool sentence_ends(std::string_view text, size_t i) {
  const char c = text[i];
  if (c == '\n') return true;
  if (c != '.' && c != '!' && c != '?') return false;
  return i + 1 == text.size() || is_space(text[i + 1]) || text[i + 1] == '*' || text[i + 1] == '<';
}

// Cuts an explanation: "5, because ...", "5 since ...".
std::string_view without_reason(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != ' ') continue;
    for (const std::string_view word : {"because ", "since ", "as ", "which ", "where ", "so "}) {
      if (starts_with_ignoring_case(text.substr(i + 1), word)) {
        text = trim(text.substr(0, i));
        while (!text.empty() && text.back() == ',') text.remove_suffix(1);
        return text;
      }
    }
  }
  return text;
}

constexpr std::string_view kLeadWords[] = {
    "is",      "equals", "equal", "to",    "therefore", "thus",  "so",   "just",  "simply",
    "exactly", "the",    "a",     "value", "number",    "total", "of",   "then",  "given",
    "by",      "answer", "final", "we",    "get",       "be",    "will", "indeed"};

// Drops words that only lead to the value ("therefore equal to 42").
std::string_view without_lead(std::string_view text) {
  while (true) {
    size_t length = 0;
    while (length < text.size() && is_alpha(text[length])) ++length;
    if (length == 0 || length == text.size() || text[length] == '=' ||
        std::find(std::begin(kLeadWords), std::end(kLeadWords), to_lower(text.substr(0, length))) ==
            std::end(kLeadWords)) {
      return text;
    }
    const size_t next = skip_any(text, length, " ,:*");
    if (next == length || next == text.size()) return text;
    text = text.substr(next);
  }
}

constexpr std::string_view kHedges[] = {
    "or",     "nor", "not", "either", "neither", "maybe", "perhaps", "possibly", "might",
    "unless", "if",  "isn", "aren",   "wasn",    "don",   "cannot",  "except",   "unknown"};

// "the largest n is 34": the text after the last "is" of a sentence that does not hedge.
std::string_view behind_last_is(std::string_view sentence) {
  for (const auto word : words_of(sentence)) {
    if (std::find(std::begin(kHedges), std::end(kHedges), to_lower(word)) != std::end(kHedges))
      return {};
  }
  const size_t is = find_last_ignoring_case(sentence, " is ");
  return is == kNone ? std::string_view() : trim(sentence.substr(is + 4));
}

// "she began 3 hours ago": the only number of a sentence whose words do not change it; empty if
// there is none.
std::string_view only_number(std::string_view sentence) {
  std::string_view found;
  for (const auto word : words_of(sentence)) {
    if (math::changes_meaning(to_lower(word))) return {};
    if (!std::any_of(word.begin(), word.end(), is_digit)) continue;
    if (!found.empty() || !std::all_of(word.begin(), word.end(), is_digit)) return {};
    found = word;
  }
  if (found.empty()) return {};
  const auto before = static_cast<size_t>(found.data() - sentence.data()),
             after = before + found.size();
  const bool alone = (before == 0 || is_space(sentence[before - 1])) &&
                     (after == sentence.size() || is_space(sentence[after]));
  return alone ? found : std::string_view();
}

// Words around "answer" in a sentence that states it. A sentence with other words is about
// something else: a step, the confidence, a key, a check.
constexpr std::string_view kStatementWords[] = {"the",
                                                "a",
                                                "an",
                                                "my",
                                                "our",
                                                "your",
                                                "this",
                                                "that",
                                                "so",
                                                "thus",
                                                "therefore",
                                                "hence",
                                                "then",
                                                "and",
                                                "but",
                                                "or",
                                                "also",
                                                "now",
                                                "final",
                                                "correct",
                                                "right",
                                                "best",
                                                "exact",
                                                "numerical",
                                                "numeric",
                                                "simplified",
                                                "short",
                                                "real",
                                                "true",
                                                "actual",
                                                "new",
                                                "corrected",
                                                "revised",
                                                "updated",
                                                "other",
                                                "another",
                                                "alternative",
                                                "alternate",
                                                "alternatively",
                                                "second",
                                                "possible",
                                                "likely",
                                                "only",
                                                "desired",
                                                "required",
                                                "overall",
                                                "complete",
                                                "full",
                                                "i",
                                                "we",
                                                "you",
                                                "think",
                                                "believe",
                                                "guess",
                                                "say",
                                                "get",
                                                "find",
                                                "conclude",
                                                "know",
                                                "see",
                                                "have",
                                                "is",
                                                "it",
                                                "in",
                                                "conclusion",
                                                "summary",
                                                "wait",
                                                "no",
                                                "actually",
                                                "hmm",
                                                "oh",
                                                "sorry",
                                                "instead",
                                                "maybe",
                                                "perhaps",
                                                "again",
                                                "finally",
                                                "as",
                                                "which",
                                                "means",
                                                "gives",
                                                "giving",
                                                "yields",
                                                "obtain",
                                                "here",
                                                "s",
                                                "ll",
                                                "consequently",
                                                "result",
                                                "either",
                                                "not",
                                                "multiple",
                                                "choice",
                                                "option",
                                                "letter",
                                                "still",
                                                "simply",
                                                "well"};
constexpr std::string_view kBetweenWords[] = {
    "to",   "the",    "this",     "problem",  "question", "here",   "then",  "therefore", "thus",
    "now",  "also",   "in",       "simplest", "form",     "for",    "of",    "exact",     "again",
    "then", "choice", "option",   "letter",   "indeed",   "thus",   "hence", "simply",    "just",
    "our",  "my",     "original", "above",    "above",    "should", "must",  "would",     "be"};

template <typename Table>
bool all_in(const Table& table, std::string_view text) {
  const auto words = words_of(text);
  return std::all_of(words.begin(), words.end(), [&](std::string_view word) {
    return std::find(std::begin(table), std::end(table), to_lower(word)) != std::end(table);
  });
}

// True if the sentence with the word "answer" at `word` and its value at `value` states an answer.
bool is_statement(std::string_view text, size_t word, size_t value) {
  size_t start = word;
  while (start > 0 && !sentence_ends(text, start - 1) && text[start - 1] != ':' &&
         text[start - 1] != ';' && text[start - 1] != ',')
    --start;
  if (!all_in(kStatementWords, text.substr(start, word - start))) return false;
  auto between = text.substr(word + 6, value - word - 6);
  if (between.ends_with(':')) between.remove_suffix(1);
  if (between.ends_with("is") || between.ends_with("IS")) between.remove_suffix(2);
  return all_in(kBetweenWords, between);
}

size_t last_announcement(std::string_view text, bool only_statements) {
  const size_t hashes = text.rfind("####");
  const size_t after_hashes = hashes == kNone ? kNone : hashes + 4;
  std::string_view rest = text;
  for (int tries = 0; tries < 50; ++tries) {
    const size_t word = find_last_ignoring_case(rest, "answer");
    if (word == kNone) break;
    const size_t at = behind_verb(text, word + 6);
    if (at != kNone && (!only_statements || is_statement(text, word, at)))
      return after_hashes == kNone ? at : std::max(at, after_hashes);
    rest = rest.substr(0, word);
  }
  return after_hashes;
}

}  // namespace

size_t announced(std::string_view text) {
  const size_t stated = last_announcement(text, true);
  return stated != kNone ? stated : last_announcement(text, false);
}

size_t stated_announcement(std::string_view text) {
  return last_announcement(text, true);
}

std::string_view sentence_from(std::string_view text, size_t at) {
  at = skip_any(text, at, " \t\r\n*:");
  for (const auto& [open, close] : {std::pair{"$$", "$$"}, std::pair{"\\[", "\\]"}}) {
    if (text.substr(at, 2) != open) continue;
    const size_t end = text.find(close, at + 2);
    if (end != kNone) return text.substr(at + 2, end - at - 2);
  }
  size_t end = at;
  while (end < text.size() && !sentence_ends(text, end)) ++end;
  return trim(text.substr(at, end - at));
}

std::string phrase_answer(std::string_view text, size_t at) {
  const std::string_view sentence = without_reason(sentence_from(text, at));
  for (const auto value :
       {without_lead(sentence), behind_last_is(sentence), only_number(sentence)}) {
    if (math::parse_number(math::plain_math(value))) return std::string(value);
  }
  return std::string(sentence);
}

std::string_view stated_number(std::string_view text, size_t at) {
  const std::string_view value = without_lead(without_reason(sentence_from(text, at)));
  return math::parse_number(math::plain_math(value)) ? value : std::string_view();
}

std::string_view announced_line(std::string_view text) {
  const size_t at = announced(text);
  if (at == kNone) return "";
  const size_t begin = skip_any(text, at, " \t\r\n*:");
  return text.substr(begin, text.find('\n', begin) - begin);
}

}  // namespace longshot::reward
