#pragma once
// The reward functions that need nothing outside the process. Each factory checks its options; its
// error names the option that is unknown or wrong. All are thread-safe and bounded in time and
// memory for any input.

#include <memory>

#include "reward/reward.h"

namespace longshot::reward {

// {"last_number": true}: the last formula or number is the answer if no box, phrase or #### marks
// one.
// {"digits": 6, "strict": true, "set_relation": false, "bare_percent": true, "ignore_units": false,
// "positive": false}: EqualOptions in math/compare/equal.h.
// {"symbolic_seconds": 1, "symbolic_megabytes": 1024}: limits of one symbolic question; judge()
// returns an error if it exceeds them.
Result<std::unique_ptr<Reward>> make_math(const Json& options);

// {"letters": "ABCDEFGHIJ"}. extra_info "choices" or "options" may hold the texts of the options (a
// list, an object by letter, or {"text": list}). An answer that repeats one of these texts is then
// read as its letter.
Result<std::unique_ptr<Reward>> make_choice(const Json& options);

// {"use_all": false}: whether every number must be used. The answer must be an expression of the
// given numbers, each used at most as often as it is given, with + - * / and parentheses, exactly
// equal to the target. Numbers and target come from a JSON ground truth {"numbers": [...],
// "target": N}, from extra_info, or from extra_info.metadata (reasoning-gym).
Result<std::unique_ptr<Reward>> make_countdown(const Json& options);

// {"take": "all"|"last_line"|"answer_tag", "ignore_case": false, "pattern": ""}. Compares the
// trimmed text with the ground truth, or with each of the accepted answers if the ground truth is a
// JSON list of strings. "pattern" is a PCRE2 expression that is searched in the text taken; the
// first group of its last match (or the match) is then compared.
Result<std::unique_ptr<Reward>> make_exact(const Json& options);

// {"pattern": required, "full": false}: 1 if the PCRE2 expression matches somewhere in the response
// ("full": if it matches the whole response).
Result<std::unique_ptr<Reward>> make_format(const Json& options);

// {"ngram": 8, "max_penalty": 1}: -max_penalty * (share of word n-grams that occurred before in the
// response).
Result<std::unique_ptr<Reward>> make_repetition(const Json& options);

// {}: for rows of tools/export_reasoning_gym.py. The answer is the answer tag, the last box, the
// text after "answer is", or the last line; it must equal the entry's answer as text or as a value.
// The package's own scorers are available through the python plug-in with
// tools/reasoning_gym_reward.py.
Result<std::unique_ptr<Reward>> make_reasoning_gym(const Json& options);

// {}: chooses a reward for each row:
//   "countdown" in data_source: countdown
//   "reasoning_gym/..." as data_source: reasoning_gym
//   a multiple-choice benchmark in data_source (mmlu, gpqa, arc, ceval, cmmlu, agieval, truthfulqa,
//     commonsense_qa, openbookqa, sciq, hellaswag, "choice"): choice
//   a ground truth of a single letter A-J together with "choices" or "options" in extra_info:
//     choice
//   anything else: math
Result<std::unique_ptr<Reward>> make_auto(const Json& options);

// Returns the elements of a ground truth that is a JSON list of strings and numbers: the values of
// strings, and numbers as they are written. Empty for anything else.
std::vector<std::string> accepted_answers(std::string_view ground_truth);

// Returns an error for the first member of `options` that is not in `known`.
Status check_options(const std::string& type, const Json& options,
                     const std::vector<std::string>& known);

}  // namespace longshot::reward
