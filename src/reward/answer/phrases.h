#pragma once
// Answers that are announced in words: "the answer is 42", "**Final answer:** 42", "#### 42".

#include <string>
#include <string_view>

namespace longshot::reward {

// The position behind the last announcement that states an answer, else behind the last one of any kind ("Step with
// the answer: 4"); npos when there is none.
size_t announced(std::string_view text);
// Only of the first kind.
size_t stated_announcement(std::string_view text);

// From a position to the end of the sentence; a display formula $$...$$ or \[...\] counts as one.
std::string_view sentence_from(std::string_view text, size_t at);

// The answer that the sentence at a position gives: without "therefore", "because ..." and the like, its number where
// it clearly has one.
std::string phrase_answer(std::string_view text, size_t at);

// The number that the sentence at a position consists of but for words such as "therefore"; empty when it says more.
std::string_view stated_number(std::string_view text, size_t at);

// What follows the last announcement to the end of its line; empty without one.
std::string_view announced_line(std::string_view text);

}  // namespace longshot::reward
