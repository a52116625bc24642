#include "reward/rules/ifeval/instructions.h"

#include "reward/rules/ifeval/instruction_kinds.h"

namespace longshot::reward {
namespace {

struct Kind {
  const char* id;
  Result<FollowsInstruction> (*make)(const Arguments& arguments);
};

constexpr Kind kKinds[] = {
    {"keywords:existence", make_keywords},
    {"keywords:frequency", make_keyword_frequency},
    {"keywords:forbidden_words", make_forbidden_words},
    {"keywords:letter_frequency", make_letter_frequency},
    {"language:response_language", make_language},
    {"length_constraints:number_sentences", make_sentence_count},
    {"length_constraints:number_paragraphs", make_paragraph_count},
    {"length_constraints:number_words", make_word_count},
    {"length_constraints:nth_paragraph_first_word", make_first_word},
    {"detectable_content:number_placeholders", make_placeholders},
    {"detectable_content:postscript", make_postscript},
    {"detectable_format:number_bullet_lists", make_bullets},
    {"detectable_format:constrained_response", make_options},
    {"detectable_format:number_highlighted_sections", make_highlights},
    {"detectable_format:multiple_sections", make_sections},
    {"detectable_format:json_format", make_json},
    {"detectable_format:title", make_title},
    {"combination:two_responses", make_two_responses},
    {"combination:repeat_prompt", make_repeated_prompt},
    {"startend:end_checker", make_end},
    {"startend:quotation", make_quotation},
    {"change_case:capital_word_frequency", make_capital_words},
    {"change_case:english_capital", make_all_capitals},
    {"change_case:english_lowercase", make_all_lowercase},
    {"punctuation:no_comma", make_no_comma},
};

}  // namespace

Result<FollowsInstruction> make_instruction(const std::string& id, const Json& arguments,
                                            const std::string& where) {
  for (const Kind& kind : kKinds) {
    if (id == kind.id) return kind.make(Arguments(arguments, where + ": " + id));
  }
  return invalid_argument(where + ": unknown instruction '" + id + "'");
}

std::vector<std::string> instruction_ids() {
  std::vector<std::string> ids;
  for (const Kind& kind : kKinds) ids.emplace_back(kind.id);
  return ids;
}

}  // namespace longshot::reward
