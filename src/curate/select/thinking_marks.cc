#include "curate/select/thinking_marks.h"

#include <string>

#include "base/text/text.h"

namespace longshot::curate {
namespace {

struct Phrase {
  ThinkingMark kind;
  std::string_view text;  // lower case
};

// clang-format off
constexpr Phrase kPhrases[] = {
    {ThinkingMark::planning, "let me start by"},
    {ThinkingMark::planning, "let's start by"},
    {ThinkingMark::planning, "let me begin by"},
    {ThinkingMark::planning, "let's begin by"},
    {ThinkingMark::planning, "i'll start by"},
    {ThinkingMark::planning, "i will start by"},
    {ThinkingMark::planning, "first, i need"},
    {ThinkingMark::planning, "first, i will"},
    {ThinkingMark::planning, "first, i'll"},
    {ThinkingMark::planning, "first, we need"},
    {ThinkingMark::planning, "first i need"},
    {ThinkingMark::planning, "first we need"},
    {ThinkingMark::planning, "my plan is"},
    {ThinkingMark::planning, "the plan is"},
    {ThinkingMark::planning, "plan:"},
    {ThinkingMark::planning, "here's the plan"},
    {ThinkingMark::planning, "here is the plan"},
    {ThinkingMark::planning, "let me plan"},
    {ThinkingMark::planning, "let's plan"},
    {ThinkingMark::planning, "let me break"},
    {ThinkingMark::planning, "let's break"},
    {ThinkingMark::planning, "break it down"},
    {ThinkingMark::planning, "break this down"},
    {ThinkingMark::planning, "break the problem"},
    {ThinkingMark::planning, "the strategy is"},
    {ThinkingMark::planning, "my strategy"},
    {ThinkingMark::planning, "the approach is"},
    {ThinkingMark::planning, "my approach"},
    {ThinkingMark::planning, "the idea is to"},
    {ThinkingMark::planning, "the goal is to"},
    {ThinkingMark::planning, "i need to find"},
    {ThinkingMark::planning, "we need to find"},
    {ThinkingMark::planning, "i'm going to"},
    {ThinkingMark::planning, "step by step"},
    {ThinkingMark::planning, "the next step is"},
    {ThinkingMark::planning, "then i will"},
    {ThinkingMark::planning, "then i'll"},
    {ThinkingMark::planning, "首先"},
    {ThinkingMark::planning, "我的计划"},
    {ThinkingMark::planning, "我的思路"},
    {ThinkingMark::planning, "思路是"},
    {ThinkingMark::planning, "第一步"},
    {ThinkingMark::planning, "分几步"},
    {ThinkingMark::planning, "接下来"},
    {ThinkingMark::planning, "我需要先"},
    {ThinkingMark::planning, "我们需要先"},
    {ThinkingMark::evaluation, "let me check"},
    {ThinkingMark::evaluation, "let's check"},
    {ThinkingMark::evaluation, "let me verify"},
    {ThinkingMark::evaluation, "let's verify"},
    {ThinkingMark::evaluation, "to verify"},
    {ThinkingMark::evaluation, "verify that"},
    {ThinkingMark::evaluation, "verifying"},
    {ThinkingMark::evaluation, "double-check"},
    {ThinkingMark::evaluation, "double check"},
    {ThinkingMark::evaluation, "double-checking"},
    {ThinkingMark::evaluation, "double checking"},
    {ThinkingMark::evaluation, "is that reasonable"},
    {ThinkingMark::evaluation, "is this reasonable"},
    {ThinkingMark::evaluation, "checking:"},
    {ThinkingMark::evaluation, "check:"},
    {ThinkingMark::evaluation, "as a check"},
    {ThinkingMark::evaluation, "sanity check"},
    {ThinkingMark::evaluation, "let me test"},
    {ThinkingMark::evaluation, "let's test"},
    {ThinkingMark::evaluation, "let me confirm"},
    {ThinkingMark::evaluation, "let's confirm"},
    {ThinkingMark::evaluation, "to confirm"},
    {ThinkingMark::evaluation, "plug it back"},
    {ThinkingMark::evaluation, "plugging back"},
    {ThinkingMark::evaluation, "plugging it back"},
    {ThinkingMark::evaluation, "substitute back"},
    {ThinkingMark::evaluation, "substituting back"},
    {ThinkingMark::evaluation, "does this make sense"},
    {ThinkingMark::evaluation, "does that make sense"},
    {ThinkingMark::evaluation, "that makes sense"},
    {ThinkingMark::evaluation, "this makes sense"},
    {ThinkingMark::evaluation, "is this correct"},
    {ThinkingMark::evaluation, "is that right"},
    {ThinkingMark::evaluation, "is this right"},
    {ThinkingMark::evaluation, "seems right"},
    {ThinkingMark::evaluation, "seems correct"},
    {ThinkingMark::evaluation, "looks right"},
    {ThinkingMark::evaluation, "which matches"},
    {ThinkingMark::evaluation, "this matches"},
    {ThinkingMark::evaluation, "is reasonable"},
    {ThinkingMark::evaluation, "验证"},
    {ThinkingMark::evaluation, "检查一下"},
    {ThinkingMark::evaluation, "检验"},
    {ThinkingMark::evaluation, "代入原"},
    {ThinkingMark::evaluation, "代回"},
    {ThinkingMark::evaluation, "对不对"},
    {ThinkingMark::evaluation, "是否合理"},
    {ThinkingMark::evaluation, "是否正确"},
    {ThinkingMark::evaluation, "核对"},
    {ThinkingMark::reflection, "wait"},
    {ThinkingMark::reflection, "hold on"},
    {ThinkingMark::reflection, "hmm"},
    {ThinkingMark::reflection, "on second thought"},
    {ThinkingMark::reflection, "let me reconsider"},
    {ThinkingMark::reflection, "let me rethink"},
    {ThinkingMark::reflection, "let me re-read"},
    {ThinkingMark::reflection, "let me reread"},
    {ThinkingMark::reflection, "let me think again"},
    {ThinkingMark::reflection, "i made a mistake"},
    {ThinkingMark::reflection, "i made an error"},
    {ThinkingMark::reflection, "my mistake"},
    {ThinkingMark::reflection, "that's wrong"},
    {ThinkingMark::reflection, "that is wrong"},
    {ThinkingMark::reflection, "that's not right"},
    {ThinkingMark::reflection, "that is not right"},
    {ThinkingMark::reflection, "this is wrong"},
    {ThinkingMark::reflection, "this can't be right"},
    {ThinkingMark::reflection, "that can't be right"},
    {ThinkingMark::reflection, "cannot be right"},
    {ThinkingMark::reflection, "something is off"},
    {ThinkingMark::reflection, "something went wrong"},
    {ThinkingMark::reflection, "i forgot"},
    {ThinkingMark::reflection, "i overlooked"},
    {ThinkingMark::reflection, "i missed"},
    {ThinkingMark::reflection, "i misread"},
    {ThinkingMark::reflection, "let me correct"},
    {ThinkingMark::reflection, "let me fix"},
    {ThinkingMark::reflection, "going back"},
    {ThinkingMark::reflection, "let me go back"},
    {ThinkingMark::reflection, "looking back"},
    {ThinkingMark::reflection, "actually, no"},
    {ThinkingMark::reflection, "no, that"},
    {ThinkingMark::reflection, "等等"},
    {ThinkingMark::reflection, "等一下"},
    {ThinkingMark::reflection, "不对"},
    {ThinkingMark::reflection, "我错了"},
    {ThinkingMark::reflection, "算错了"},
    {ThinkingMark::reflection, "弄错了"},
    {ThinkingMark::reflection, "重新考虑"},
    {ThinkingMark::reflection, "重新想"},
    {ThinkingMark::reflection, "回头看"},
    {ThinkingMark::reflection, "忽略了"},
    {ThinkingMark::reflection, "漏掉了"},
    {ThinkingMark::exploration, "alternatively"},
    {ThinkingMark::exploration, "another way"},
    {ThinkingMark::exploration, "another approach"},
    {ThinkingMark::exploration, "another method"},
    {ThinkingMark::exploration, "another idea"},
    {ThinkingMark::exploration, "another possibility"},
    {ThinkingMark::exploration, "a different approach"},
    {ThinkingMark::exploration, "a different way"},
    {ThinkingMark::exploration, "a different method"},
    {ThinkingMark::exploration, "other approach"},
    {ThinkingMark::exploration, "instead, let"},
    {ThinkingMark::exploration, "let me try"},
    {ThinkingMark::exploration, "let's try"},
    {ThinkingMark::exploration, "what if"},
    {ThinkingMark::exploration, "what about"},
    {ThinkingMark::exploration, "maybe i can"},
    {ThinkingMark::exploration, "maybe we can"},
    {ThinkingMark::exploration, "maybe i could"},
    {ThinkingMark::exploration, "maybe we could"},
    {ThinkingMark::exploration, "perhaps i can"},
    {ThinkingMark::exploration, "perhaps we can"},
    {ThinkingMark::exploration, "perhaps i should"},
    {ThinkingMark::exploration, "could also"},
    {ThinkingMark::exploration, "suppose instead"},
    {ThinkingMark::exploration, "consider the case"},
    {ThinkingMark::exploration, "let me consider"},
    {ThinkingMark::exploration, "let's consider"},
    {ThinkingMark::exploration, "let me explore"},
    {ThinkingMark::exploration, "let's explore"},
    {ThinkingMark::exploration, "try a different"},
    {ThinkingMark::exploration, "换一种"},
    {ThinkingMark::exploration, "换个"},
    {ThinkingMark::exploration, "另一种"},
    {ThinkingMark::exploration, "另外一种"},
    {ThinkingMark::exploration, "试试"},
    {ThinkingMark::exploration, "试一下"},
    {ThinkingMark::exploration, "如果改"},
    {ThinkingMark::exploration, "或者可以"},
    {ThinkingMark::exploration, "也可以用"},
    {ThinkingMark::exploration, "还可以"},
};
// clang-format on

bool is_word(char c) {
  return is_alpha(c) || is_digit(c) || c == '_';
}

// True if no word continues across either end of the match. Other scripts have no such borders.
bool has_borders(std::string_view text, size_t begin, size_t size) {
  const size_t end = begin + size;
  const bool before = begin > 0 && is_word(text[begin - 1]) && is_word(text[begin]);
  const bool after = end < text.size() && is_word(text[end]) && is_word(text[end - 1]);
  return !before && !after;
}

// The length of the longest phrase of the kind at this place; 0 if there is none.
size_t match(std::string_view text, size_t begin, ThinkingMark kind) {
  size_t longest = 0;
  for (const Phrase& phrase : kPhrases) {
    if (phrase.kind != kind || phrase.text.size() <= longest) continue;
    if (text.compare(begin, phrase.text.size(), phrase.text) != 0) continue;
    if (has_borders(text, begin, phrase.text.size())) longest = phrase.text.size();
  }
  return longest;
}

// The first bytes of all phrases.
std::array<bool, 256> first_bytes() {
  std::array<bool, 256> first{};
  for (const Phrase& phrase : kPhrases) first[static_cast<unsigned char>(phrase.text[0])] = true;
  return first;
}

}  // namespace

MarkCounts count_marks(std::string_view original) {
  static const std::array<bool, 256> first = first_bytes();
  std::string text = to_lower(original);
  replace_all(text, "\xe2\x80\x99", "'");  // the typographic apostrophe
  MarkCounts counts{};
  std::array<size_t, kThinkingMarks> free{};  // where the last phrase of each kind ended
  for (size_t i = 0; i < text.size(); ++i) {
    if (!first[static_cast<unsigned char>(text[i])]) continue;
    for (size_t kind = 0; kind < kThinkingMarks; ++kind) {
      if (i < free[kind]) continue;
      const size_t size = match(text, i, static_cast<ThinkingMark>(kind));
      if (size == 0) continue;
      ++counts[kind];
      free[kind] = i + size;
    }
  }
  return counts;
}

}  // namespace longshot::curate
