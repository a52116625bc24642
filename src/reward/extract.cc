#include "reward/extract.h"

#include <algorithm>

#include "reward/answer.h"
#include "reward/latex.h"
#include "reward/phrases.h"
#include "reward/rational.h"
#include "reward/symbolic/evaluate.h"
#include "reward/text.h"
#include "reward/unmarked.h"

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

// Whether the text between two boxes only joins them: punctuation, "and" or "or", and few other words of one sentence.
bool joins(std::string_view gap) {
  if (gap.size() > 40 || gap.find(". ") != kNone || gap.find("\n\n") != kNone) return false;
  bool joint = false, other = false;
  for (const std::string_view word : words_of(gap)) {
    const std::string lower = to_lower(word);
    joint |= lower == "or" || lower == "and";
    other |= lower.size() > 1 && lower != "text" && lower != "quad" && lower != "qquad";
  }
  return joint || !other;
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

// ---- answers behind the box ----

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
  const size_t word = std::min(rest.size(), rest.find_first_not_of(" \t$\\)*}],."));
  if (starts_with_ignoring_case(rest.substr(word), "or ")) {
    const auto tail = sentence_from(rest, word + 3);
    if (std::any_of(tail.begin(), tail.end(), is_digit)) return std::string(tail);
  }
  const size_t at = announced(rest);
  if (at == kNone) return "";
  std::string answer(stated_number(rest, at));
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
        if (box_command(text, i + 1) == 0)
          ++i;  // the escaped character, unless all are escaped twice
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

std::string truth_value(std::string_view ground_truth) {
  const auto boxes = find_boxes(ground_truth);
  if (!boxes.empty()) return joined_boxes(ground_truth, boxes);
  const size_t hashes = ground_truth.rfind("####");
  if (hashes != kNone) return std::string(trim(ground_truth.substr(hashes + 4)));
  // A solution that only announces its answer.
  if (announced(ground_truth) != kNone) return phrase_answer(ground_truth, announced(ground_truth));
  return std::string(trim(ground_truth));
}

}  // namespace longshot::reward
