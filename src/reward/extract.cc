#include "reward/extract.h"

#include <algorithm>

#include "reward/answer.h"
#include "reward/formula.h"
#include "reward/latex.h"
#include "reward/rational.h"
#include "reward/symbolic/evaluate.h"
#include "reward/text.h"
#include "reward/units.h"

namespace longshot::reward {
namespace {

constexpr size_t kNone = std::string_view::npos;

// Whether text[i...] starts \boxed or \fbox; returns the length of the command with spaces before
// its brace, else 0.
size_t box_command(std::string_view text, size_t i) {
  for (const std::string_view name : {"\\boxed", "\\fbox"}) {
    if (text.substr(i, name.size()) != name) continue;
    size_t end = i + name.size();
    while (end < text.size() && text[end] == ' ') ++end;
    return end - i;
  }
  return 0;
}

struct OpenBrace {
  size_t command = kNone;  // where its \boxed starts, if it has one
  size_t content = 0;
};

// \boxed 5: one word without braces.
Box braceless_box(std::string_view text, size_t begin, size_t content) {
  size_t end = content;
  while (end < text.size() && !is_space(text[end]) && text[end] != '$') ++end;
  return {begin, end, text.substr(content, end - content)};
}

void add_box(std::vector<Box>& boxes, const Box& box) {
  while (!boxes.empty() && boxes.back().begin > box.begin) boxes.pop_back();  // inside this one
  boxes.push_back(box);
}

// ---- several boxes ----

// Whether the text between two boxes only joins them.
bool joins(std::string_view gap) {
  if (gap.size() > 40) return false;
  for (const std::string_view word : words_of(gap)) {
    const std::string lower = to_lower(word);
    if (lower.size() > 1 && lower != "or" && lower != "and" && lower != "also" &&
        lower != "either" && lower != "maybe" && lower != "perhaps" && lower != "text" &&
        lower != "quad" && lower != "qquad" && lower != "possibly") {
      return false;
    }
  }
  return true;
}

std::string joined_boxes(std::string_view text, const std::vector<Box>& boxes) {
  size_t first = boxes.size() - 1;
  while (first > 0 &&
         joins(text.substr(boxes[first - 1].end, boxes[first].begin - boxes[first - 1].end)))
    --first;
  std::vector<std::string_view> parts;
  for (size_t i = first; i < boxes.size(); ++i) {
    const auto content = trim(boxes[i].content);
    if (std::find(parts.begin(), parts.end(), content) == parts.end()) parts.push_back(content);
    if (parts.size() > 100) break;
  }
  std::string out;
  for (const auto part : parts) out.append(out.empty() ? "" : ", ").append(part);
  return out;
}

// ---- phrases ----

size_t skip_any(std::string_view text, size_t i, std::string_view set) {
  while (i < text.size() && set.find(text[i]) != kNone) ++i;
  return i;
}

// After the word "answer" at `at`: the position behind "is", ":" or "=", kNone if neither follows
// in the sentence.
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

// The last position where an answer is announced.
size_t announced(std::string_view text) {
  const size_t hashes = text.rfind("####");
  const size_t after_hashes = hashes == kNone ? kNone : hashes + 4;
  std::string_view rest = text;
  for (int tries = 0; tries < 50; ++tries) {
    const size_t word = find_last_ignoring_case(rest, "answer");
    if (word == kNone) break;
    const size_t at = behind_verb(text, word + 6);
    if (at != kNone) return after_hashes == kNone ? at : std::max(at, after_hashes);
    rest = rest.substr(0, word);
  }
  return after_hashes;
}

bool sentence_ends(std::string_view text, size_t i) {
  const char c = text[i];
  if (c == '\n') return true;
  if (c != '.' && c != '!' && c != '?') return false;
  return i + 1 == text.size() || is_space(text[i + 1]) || text[i + 1] == '*' || text[i + 1] == '<';
}

// To the end of the sentence; a display formula $$...$$ or \[...\] counts as one.
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

// "the largest n is 34": what follows the last "is", in a sentence that does not hedge.
std::string_view behind_last_is(std::string_view sentence) {
  for (const auto word : words_of(sentence)) {
    if (changes_meaning(to_lower(word))) return {};
  }
  const size_t is = find_last_ignoring_case(sentence, " is ");
  return is == kNone ? std::string_view() : trim(sentence.substr(is + 4));
}

std::string phrase_answer(std::string_view text, size_t at) {
  const std::string_view sentence = without_reason(sentence_from(text, at));
  for (const auto value : {without_lead(sentence), behind_last_is(sentence)}) {
    if (parse_number(plain_math(value))) return std::string(value);
  }
  return std::string(sentence);
}

// ---- last number ----

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
  return !words_after.empty() && changes_meaning(to_lower(words_after.front())) &&
         trim(after).front() != '.' && after.find('\n') > after.find(words_after.front());
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
  if (hedged(text.substr(context, begin - context), text.substr(end, 30))) return std::nullopt;
  size_t sign = begin;
  if (sign > 0 && text[sign - 1] == '$') --sign;
  const bool minus = sign > 0 && text[sign - 1] == '-' &&
                     (sign == 1 || !(is_digit(text[sign - 2]) || is_alpha(text[sign - 2]) ||
                                     text[sign - 2] == ')'));
  const bool percent = end < text.size() && (text[end] == '%' || text.substr(end, 2) == "\\%");
  return (minus ? "-" : "") + std::string(text.substr(begin, end - begin)) + (percent ? "%" : "");
}

// The last formula, when the last number does not follow it and no words around it hedge.
std::optional<std::string> unmarked_answer(std::string_view text) {
  const auto formula = last_formula(text);
  const auto has_digit = [](std::string_view part) {
    return std::any_of(part.begin(), part.end(), is_digit);
  };
  if (!formula || has_digit(text.substr(formula->end)) ||
      (has_digit(text) && !has_digit(formula->content))) {
    return last_number(text);
  }
  const size_t context = formula->begin > 60 ? formula->begin - 60 : 0;
  if (hedged(text.substr(context, formula->begin - context), text.substr(formula->end, 30)))
    return std::nullopt;
  return std::string(trim(formula->content));
}

// A box of a number with a name, a list, or an expression: its text has the number in it, or its value is the number.
bool says_the_same(const std::string& number, std::string_view boxed) {
  const auto plain = plain_math(boxed);
  const auto answer = read_answer(plain, true), other = read_answer(plain_math(number), true);
  if (answer.kind == Answer::Kind::relation && !answer.parts.empty())
    return says_the_same(number, answer.parts.back().text);
  if (!answer.expression || !other.expression) return false;
  return *answer.expression == *other.expression || 
         !surely_different(*answer.expression, *other.expression, false);
}

// What a response adds behind its last box: "or 8", or another announced answer that differs. Empty for an ordinary
// ending. Taking the box alone would pay for hedging.
std::string second_answer(std::string_view boxed, std::string_view rest) {
  const size_t word = skip_any(rest, 0, " \t$\\)*}],.");
  if (starts_with_ignoring_case(rest.substr(word), "or ")) {
    const auto tail = sentence_from(rest, word + 3);
    if (std::any_of(tail.begin(), tail.end(), is_digit)) return std::string(tail);
  }
  const size_t at = announced(rest);
  if (at == kNone) return "";
  std::string answer = phrase_answer(rest, at);
  const auto second = parse_number(plain_math(answer)), first = parse_number(plain_math(boxed));
  const bool differs = second && !(first && numbers_agree(*first, *second));
  return differs && !says_the_same(answer, boxed) ? answer : "";
}

std::string boxed_answer(std::string_view text, const std::vector<Box>& boxes) {
  std::string answer = joined_boxes(text, boxes);
  const std::string second = second_answer(answer, text.substr(boxes.back().end));
  return second.empty() ? answer : answer + " or " + second;
}

}  // namespace

std::vector<Box> find_boxes(std::string_view text) {
  std::vector<Box> boxes;
  std::vector<OpenBrace> open;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      const size_t command = box_command(text, i);
      if (command == 0) {
        ++i;  // the escaped character
      } else if (i + command < text.size() && text[i + command] == '{') {
        open.push_back({i, i + command + 1});
        i += command;
      } else if (i + command < text.size() && text[i + command - 1] == ' ') {
        boxes.push_back(braceless_box(text, i, i + command));
        i += command - 1;
      }
    } else if (text[i] == '{') {
      open.push_back({kNone, i + 1});
    } else if (text[i] == '}' && !open.empty()) {
      const OpenBrace brace = open.back();
      open.pop_back();
      if (brace.command != kNone) {
        add_box(boxes, {brace.command, i + 1, text.substr(brace.content, i - brace.content)});
      }
    }
  }
  return boxes;
}

std::optional<Extracted> extract_answer(std::string_view response) {
  std::string_view text = after_thinking(response);
  const auto tag = last_tag(text, "answer");
  if (tag) text = *tag;
  const auto boxes = find_boxes(text);
  if (!boxes.empty()) return Extracted{boxed_answer(text, boxes), true};
  const size_t at = announced(text);
  if (at != kNone && !trim(text.substr(at)).empty())
    return Extracted{phrase_answer(text, at), true};
  if (tag) return Extracted{std::string(*tag), true};
  auto unmarked = unmarked_answer(text);
  if (!unmarked) return std::nullopt;
  return Extracted{std::move(*unmarked), false};
}

std::string_view announced_line(std::string_view text) {
  const size_t at = announced(text);
  if (at == kNone) return "";
  const size_t begin = skip_any(text, at, " \t\r\n*:");
  return text.substr(begin, text.find('\n', begin) - begin);
}

std::string truth_value(std::string_view ground_truth) {
  const auto boxes = find_boxes(ground_truth);
  if (!boxes.empty()) return joined_boxes(ground_truth, boxes);
  const size_t hashes = ground_truth.rfind("####");
  if (hashes != kNone) return std::string(trim(ground_truth.substr(hashes + 4)));
  return std::string(trim(ground_truth));
}

}  // namespace longshot::reward
