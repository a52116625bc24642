#pragma once
// The makers behind the table in instructions.cc, by what an instruction is about.

#include "reward/rules/ifeval/arguments.h"
#include "reward/rules/ifeval/instructions.h"

namespace longshot::reward {

// Words and letters.
Result<FollowsInstruction> make_keywords(const Arguments& arguments);
Result<FollowsInstruction> make_keyword_frequency(const Arguments& arguments);
Result<FollowsInstruction> make_forbidden_words(const Arguments& arguments);
Result<FollowsInstruction> make_letter_frequency(const Arguments& arguments);
Result<FollowsInstruction> make_language(const Arguments& arguments);
Result<FollowsInstruction> make_capital_words(const Arguments& arguments);
Result<FollowsInstruction> make_all_capitals(const Arguments& arguments);
Result<FollowsInstruction> make_all_lowercase(const Arguments& arguments);
Result<FollowsInstruction> make_no_comma(const Arguments& arguments);
Result<FollowsInstruction> make_word_count(const Arguments& arguments);
Result<FollowsInstruction> make_sentence_count(const Arguments& arguments);

// Parts and their marks.
Result<FollowsInstruction> make_paragraph_count(const Arguments& arguments);
Result<FollowsInstruction> make_first_word(const Arguments& arguments);
Result<FollowsInstruction> make_placeholders(const Arguments& arguments);
Result<FollowsInstruction> make_postscript(const Arguments& arguments);
Result<FollowsInstruction> make_bullets(const Arguments& arguments);
Result<FollowsInstruction> make_options(const Arguments& arguments);
Result<FollowsInstruction> make_highlights(const Arguments& arguments);
Result<FollowsInstruction> make_sections(const Arguments& arguments);
Result<FollowsInstruction> make_json(const Arguments& arguments);
Result<FollowsInstruction> make_title(const Arguments& arguments);
Result<FollowsInstruction> make_two_responses(const Arguments& arguments);
Result<FollowsInstruction> make_repeated_prompt(const Arguments& arguments);
Result<FollowsInstruction> make_end(const Arguments& arguments);
Result<FollowsInstruction> make_quotation(const Arguments& arguments);

}  // namespace longshot::reward
