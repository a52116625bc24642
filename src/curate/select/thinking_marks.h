#pragma once
// Marks of thinking in a chain of thought. The warm-up traces of Kimi k1.5 (arXiv 2501.12599, 2.2)
// are to show planning, evaluation, reflection and exploration. Each kind has a list of phrases, in
// English and Chinese, that people write when they do it. A phrase counts wherever it occurs; the
// lists are in thinking_marks.cc, and docs/select.md says how well they find labelled traces.

#include <array>
#include <cstddef>
#include <string_view>

#include "base/spelling.h"

namespace longshot::curate {

enum class ThinkingMark {
  planning,     // what will be done, before it is done
  evaluation,   // a step or result is checked
  reflection,   // an error is noticed, or a step is thought over again
  exploration,  // another way or another case is tried
};
constexpr size_t kThinkingMarks = 4;

constexpr auto spellings(ThinkingMark) {
  using enum ThinkingMark;
  return std::to_array<Spelling<ThinkingMark>>({{planning, "planning"},
                                                {evaluation, "evaluation"},
                                                {reflection, "reflection"},
                                                {exploration, "exploration"}});
}

// By ThinkingMark.
using MarkCounts = std::array<int, kThinkingMarks>;

// Counts the phrases of each kind. Case is ignored; English phrases count at borders of words only;
// overlapping phrases of a kind count once. Pure.
MarkCounts count_marks(std::string_view text);

}  // namespace longshot::curate
