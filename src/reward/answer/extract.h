#pragma once
// Finds the final answer in a response.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace longshot::reward {

struct Extracted {
  std::string answer;
  // Marked by a box, a phrase, #### or an <answer> tag, and not only the last formula or number.
  bool marked = false;
};

// Contents of all \boxed{...} and \fbox{...} with balanced braces, outermost only, in order. Found
// in one pass.
struct Box {
  size_t begin = 0, end = 0;  // the whole command in the text
  std::string_view content;
};
struct Boxes {
  std::vector<Box> boxes;
  // start of the last box that does not end; npos if there is none
  size_t unclosed = std::string_view::npos;
};
Boxes find_boxes(std::string_view text);

// The part of a response that is searched for its answer: after its last thoughts, inside its last
// <answer> tag.
struct AnswerRegion {
  std::string_view text;
  bool tagged = false;  // inside a tag that is closed
};
AnswerRegion answer_region(std::string_view response);

// Returns the answer of a response. It is searched after the last thoughts and inside the last
// <answer>...</answer>, if those exist:
// 1. The last box. Boxes that follow one another with nothing but "or", "and" or punctuation
//    between them are one answer of several parts, so listing candidates does not help; the same
//    holds for a box followed by "or 8" or by another announced number. The same value given again,
//    in another form or unit or in words, is not a second answer (reward/answer/restated.h). If the
//    last box is empty, or does not end and no answer is announced on a later line, the answer is
//    "", which is never right.
// 2. The text after the last "answer is", "answer:", "final answer" or "####", to the end of its
//    sentence; "" if there is none.
// 3. Inside a closed tag, all of it.
// 4. The whole text if it is one expression, else its last formula or number, unless the words next
//    to it hedge ("7 or 8", "not 7").
std::optional<Extracted> extract_answer(std::string_view response);

// Returns the ground truth's value: its last box or boxes, else the text after "####" or "answer
// is", else the whole text.
std::string truth_value(std::string_view ground_truth);

}  // namespace longshot::reward
