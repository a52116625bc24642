#include "reward/answer/extract.h"

#include <algorithm>

#include "base/text/text.h"
#include "math/read/latex.h"
#include "math/read/unicode.h"
#include "math/read/units.h"
#include "reward/answer/phrases.h"
#include "reward/answer/restated.h"
#include "reward/answer/unmarked.h"

namespace longshot::reward {
namespace {

constexpr size_t kNone = std::string_view::npos;

// Returns the length of the \boxed or \fbox command at i, including spaces before its brace, or 0
// if there is none.
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

// True if the text between two boxes only joins them: a short text of one sentence that contains
// "and" or "or", or nothing but punctuation.
bool joins(std::string_view gap) {
  if (gap.size() > 40 || gap.find(". ") != kNone || gap.find("\n\n") != kNone) return false;
  bool joint = false, other = false;
  for (const std::string_view word : words_of(gap)) {
    const std::string lower = to_lower(word);
    joint |= lower == "or" || lower == "and";
    other |= lower.size() > 1 && lower != "text" && lower != "quad" && lower != "qquad" &&
             lower != "approx";
  }
  return joint || !other;
}

// The answer in a box; for a box with "the answer is \boxed{31}" or "Answer: 31", only the value.
std::string content_of(const Box& box) {
  const auto content = trim(box.content);
  const auto inner = find_boxes(content).boxes;
  if (inner.size() == 1) {
    const std::string around = math::plain_math(std::string(content.substr(0, inner[0].begin)) +
                                                " " + std::string(content.substr(inner[0].end)));
    const auto words = words_of(around);
    const bool only_words = std::none_of(around.begin(), around.end(), is_digit) &&
                            around.find_first_of("=<>+*/^|\\") == kNone &&
                            std::none_of(words.begin(), words.end(), [](std::string_view word) {
                              return math::changes_meaning(to_lower(word));
                            });
    if (only_words && words.size() > 1) return std::string(trim(inner[0].content));
  }
  if (find_last_ignoring_case(content, "answer") != kNone) {
    const std::string plain = math::plain_math(content);
    const size_t at = stated_announcement(plain);
    if (at != kNone && !trim(std::string_view(plain).substr(at)).empty())
      return phrase_answer(plain, at);
  }
  return std::string(content);
}

std::string joined_boxes(std::string_view text, const std::vector<Box>& boxes) {
  size_t first = boxes.size() - 1;
  while (first > 0 &&
         joins(text.substr(boxes[first - 1].end, boxes[first].begin - boxes[first - 1].end)))
    --first;
  std::vector<std::string> parts;
  for (size_t i = first; i < boxes.size() && parts.size() <= 100; ++i) {
    auto content = content_of(boxes[i]);
    const auto gap = i > first ? text.substr(boxes[i - 1].end, boxes[i].begin - boxes[i - 1].end)
                               : std::string_view();
    const bool rounded = gap.find("approx") != kNone || gap.find("\u2248") != kNone;
    // "3*8 or 25-1" are two answers even though their values are equal.
    const bool stated = rounded || gap.find('=') != kNone;
    const bool known = std::any_of(parts.begin(), parts.end(), [&](const std::string& part) {
      const bool computed =
          part.find_first_of("*+") != kNone || content.find_first_of("*+") != kNone;
      return part == content || ((stated || !computed) && restates(part, content, rounded));
    });
    if (!known) parts.push_back(std::move(content));
  }
  std::string out;
  for (const auto& part : parts) out.append(out.empty() ? "" : ", ").append(part);
  return out;
}

std::string boxed_answer(std::string_view text, const std::vector<Box>& boxes) {
  if (math::plain_math(boxes.back().content).empty()) return "";
  std::string answer = joined_boxes(text, boxes);
  const std::string second = second_answer(answer, text.substr(boxes.back().end));
  return second.empty() ? answer : answer + " or " + second;
}

}  // namespace

Boxes find_boxes(std::string_view text) {
  Boxes found;
  auto& boxes = found.boxes;
  std::vector<OpenBrace> open;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      const size_t command = box_command(text, i);
      if (command == 0) {
        if (box_command(text, i + 1) == 0)
          ++i;  // skips the escaped character, unless it begins a box escaped twice
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
  for (const auto& brace : open) {
    if (brace.command != kNone) found.unclosed = brace.command;
  }
  for (const std::string_view end : {"\\box", "\\boxe", "\\boxed", "\\fbox"}) {
    if (trim(text).ends_with(end)) found.unclosed = text.rfind(end);
  }
  return found;
}

AnswerRegion answer_region(std::string_view response) {
  const auto text = after_thinking(response);
  const size_t opened = text.rfind("<answer>"), closed = text.rfind("</answer>");
  // An unclosed last tag is accepted, because stop strings are not part of a response.
  if (opened != kNone && (closed == kNone || closed < opened))
    return {text.substr(opened + 8), false};
  const auto tag = last_tag(text, "answer");
  return {tag.value_or(text), tag.has_value()};
}

std::optional<Extracted> extract_answer(std::string_view raw) {
  const std::string response = math::half_width(raw);
  const auto [text, tagged] = answer_region(response);
  const auto found = find_boxes(text);
  const auto& boxes = found.boxes;
  size_t at = announced(text);
  if (found.unclosed != kNone && (boxes.empty() || boxes.back().begin < found.unclosed)) {
    // Only an answer announced on a later line can replace that of the cut box.
    const size_t line = text.find('\n', found.unclosed);
    if (at == kNone || line == kNone || at < line) return Extracted{"", true};
  } else if (!boxes.empty()) {
    return Extracted{boxed_answer(text, boxes), true};
  }
  if (at != kNone) {
    if (trim(text.substr(at)).empty()) return Extracted{"", true};
    return Extracted{phrase_answer(text, at), true};
  }
  if (tagged) return Extracted{std::string(text), true};
  auto unmarked = unmarked_answer(text);
  if (!unmarked) return std::nullopt;
  return Extracted{std::move(*unmarked), false};
}

std::string truth_value(std::string_view ground_truth) {
  const auto boxes = find_boxes(ground_truth).boxes;
  if (!boxes.empty()) return joined_boxes(ground_truth, boxes);
  const size_t hashes = ground_truth.rfind("####");
  if (hashes != kNone) return std::string(trim(ground_truth.substr(hashes + 4)));
  // A solution that only announces its answer.
  if (announced(ground_truth) != kNone) return phrase_answer(ground_truth, announced(ground_truth));
  return std::string(trim(ground_truth));
}

}  // namespace longshot::reward
