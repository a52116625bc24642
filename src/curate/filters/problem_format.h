#pragma once
// Recognises problems whose answer says little about their solution: multiple-choice and true/false
// questions, which can be guessed, and proofs, which no rule can grade. Works on the wording, in
// English and Chinese.

#include <string>
#include <string_view>
#include <vector>

#include "base/spelling.h"
#include "base/status.h"
#include "reward/rules/regex.h"

namespace longshot::curate {

enum class ProblemFormat { open, multiple_choice, true_false, proof };

constexpr auto spellings(ProblemFormat) {
  using enum ProblemFormat;
  return std::to_array<Spelling<ProblemFormat>>({{open, "open"},
                                                 {multiple_choice, "multiple_choice"},
                                                 {true_false, "true_false"},
                                                 {proof, "proof"}});
}

struct FoundFormat {
  ProblemFormat format = ProblemFormat::open;
  std::string words;  // of the text or the answer, that told it
};

// Thread-safe.
class FormatFinder {
 public:
  FormatFinder();

  // `answer` may be empty. A problem that asks for a proof and also for a value is open, because
  // the value can be compared. Error: internal, if a text makes a pattern need too many steps.
  Result<FoundFormat> find(std::string_view problem, std::string_view answer) const;

 private:
  struct Rule {
    ProblemFormat format;
    reward::Regex pattern;
  };
  Result<FoundFormat> first_match(std::string_view text, ProblemFormat format) const;

  std::vector<Rule> rules_;
  reward::Regex asks_for_value_, truth_answer_, letter_answer_, small_options_;
};

// The options of a multiple-choice question: marks (A), A. A) A: or A、 in ascending order, at
// least A, B and C. Returns the text from the first mark to the third; empty if there are none.
std::string_view find_options(std::string_view problem);

}  // namespace longshot::curate
