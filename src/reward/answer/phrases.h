#pragma once
// Answers that are announced in words: "the answer is 42", "**Final answer:** 42", "#### 42".

#include <string>
#include <string_view>

namespace longshot::reward {

// The position after the last announcement that states an answer, else after the last one of any
// kind ("Step with the answer: 4"); npos if there is none.
size_t announced(std::string_view text);
// The position after the last announcement that states an answer; npos if there is none.
size_t stated_announcement(std::string_view text);

// The text from `at` to the end of the sentence. A display formula $$...$$ or \[...\] is one
// sentence.
std::string_view sentence_from(std::string_view text, size_t at);

// The answer in the sentence at `at`, without "therefore", "because ..." and the like. It is
// reduced to its number if it clearly has one.
std::string phrase_answer(std::string_view text, size_t at);

// The number in the sentence at `at` if the sentence says nothing else, apart from words such as
// "therefore". Otherwise empty.
std::string_view stated_number(std::string_view text, size_t at);

// The text after the last announcement to the end of its line; empty if there is none.
std::string_view announced_line(std::string_view text);

}  // namespace longshot::reward
