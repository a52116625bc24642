#pragma once
// The reward functions that need nothing outside the process. Each factory checks its options and
// names an unknown or wrong one. All are thread-safe and bounded in time and memory for any input.

#include <memory>

#include "reward/reward.h"

namespace longshot::reward {

// {"last_number": true}: whether the last formula or number counts when no box, phrase or #### marks the answer.
// {"digits": 6, "strict": true, "set_relation": false, "bare_percent": true, "ignore_units": false, "positive": false}:
// EqualOptions in math/compare/equal.h. {"symbolic_seconds": 1, "symbolic_megabytes": 1024}: limits of one symbolic question;
// over them judge() is an error.
Result<std::unique_ptr<Reward>> make_math(const Json& options);

// {"letters": "ABCDEFGHIJ"}. The texts of the options may stand in extra_info "choices" or
// "options" (a list, or an object by letter); then an answer that repeats one of them counts as its
// letter.
Result<std::unique_ptr<Reward>> make_choice(const Json& options);

// {"use_all": false}: whether every number must be used. An expression of the given numbers, each
// at most as often as it is given, with + - * / and parentheses, exactly equal to the target.
// Numbers and target come from a JSON ground truth {"numbers": [...], "target": N}, from
// extra_info, or from extra_info.metadata (reasoning-gym).
Result<std::unique_ptr<Reward>> make_countdown(const Json& options);

// {"take": "all"|"last_line"|"answer_tag", "ignore_case": false, "pattern": ""}. Compares trimmed
// text with the ground truth, or with each answer of a JSON list of accepted ones. "pattern" is a PCRE2 expression searched in what was taken; its last match's first group
// (or the match) is compared.
Result<std::unique_ptr<Reward>> make_exact(const Json& options);

// {"pattern": required, "full": false}: 1 when the PCRE2 expression matches somewhere ("full": the
// whole response).
Result<std::unique_ptr<Reward>> make_format(const Json& options);

// {"ngram": 8, "max_penalty": 1}: -max_penalty * (share of word n-grams that occurred before in the
// response).
Result<std::unique_ptr<Reward>> make_repetition(const Json& options);

// {}: for rows of tools/export_reasoning_gym.py: the answer tag, the last box, what follows "answer
// is", or the last line, equal to the entry's answer as text or as a value. The package's own
// scorers are reached through the python plug-in with tools/reasoning_gym_reward.py.
Result<std::unique_ptr<Reward>> make_reasoning_gym(const Json& options);

// {}: chooses by the row. data_source containing "countdown": countdown; one of the multiple-choice
// benchmarks (mmlu, gpqa, arc, ceval, cmmlu, agieval, truthfulqa, commonsense_qa, openbookqa, sciq,
// hellaswag, "choice"): choice; "reasoning_gym/...": reasoning_gym; everything else: math, except
// that a ground truth of a single letter A-J together with "choices" or "options" in extra_info is
// a choice.
Result<std::unique_ptr<Reward>> make_auto(const Json& options);

// The elements of a ground truth that is a JSON list of strings and numbers: strings as they are, numbers as they are
// written. Empty for anything else.
std::vector<std::string> accepted_answers(std::string_view ground_truth);

// An error for the first member of `options` that is not in `known`.
Status check_options(const std::string& type, const Json& options,
                     const std::vector<std::string>& known);

}  // namespace longshot::reward
