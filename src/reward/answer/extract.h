#pragma once
// Finds the final answer in a response.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace longshot::reward {

struct Extracted {
  std::string answer;
  bool marked = false;  // found by a box, a phrase or ####, not by being the last
};

// Contents of all \boxed{...} and \fbox{...} with balanced braces, outermost only, in order. One
// pass.
struct Box {
  size_t begin = 0, end = 0;  // of the whole command in the text
  std::string_view content;
};
struct Boxes {
  std::vector<Box> boxes;
  size_t unclosed = std::string_view::npos;  // where the last box that does not end begins
};
Boxes find_boxes(std::string_view text);

// Where a response is searched for its answer: after its last thoughts, inside its last <answer> tag.
struct AnswerRegion {
  std::string_view text;
  bool tagged = false;  // inside a tag that ends
};
AnswerRegion answer_region(std::string_view response);

// The answer of a response, looked for after the last thoughts and inside the last <answer>...</answer> if those exist:
//  1. the last box. Boxes that follow one another with nothing but "or", "and" or punctuation between are one answer
//     of several parts, so listing candidates does not help; so are a box and a following "or 8" or a different
//     announced number. The same value said again, in another form, unit or in words, is no second answer
//     (reward/answer/restated.h). A last box that is empty or does not end is the answer "", which is never right;
//  2. what follows the last "answer is", "answer:", "final answer" or "####", to the end of its sentence; "" when
//     nothing does;
//  3. all of it when it is one expression, else its last formula or number, unless the words next to it hedge ("7 or 8", "not 7").
std::optional<Extracted> extract_answer(std::string_view response);

// The ground truth's value: its last box or boxes, what follows "####" or "answer is", else the whole text.
std::string truth_value(std::string_view ground_truth);

}  // namespace longshot::reward
