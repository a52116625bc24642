#pragma once
// Which samples may become training rows.

#include <cstdint>
#include <optional>
#include <string>

#include "base/spelling.h"
#include "curate/samples/judged_prompt.h"
#include "curate/select/thinking_marks.h"

namespace longshot::curate {

// Why a sample is not used. The filters come first, in the order in which they apply.
enum class DropReason {
  failed,      // it has no response or no verdict
  not_judged,  // it was sampled without a judgement
  beyond,      // its index is not below `first`
  cut,         // it ended at the token limit, or otherwise than by itself
  loop,        // it ended because it repeated itself
  repetitive,  // too much of its text occurs twice
  too_short,
  too_long,
  low_score,
  wrong,
  few_marks,  // too few marks of thinking
  duplicate,  // of a sample of the same prompt with a lower index
  over_cap,   // the prompt has enough rows
  not_best,   // another sample of the prompt is shorter or has a higher score
  unpaired,   // it is neither the chosen response nor one that may be rejected
};

constexpr auto spellings(DropReason) {
  using enum DropReason;
  return std::to_array<Spelling<DropReason>>({{failed, "failed"},
                                              {not_judged, "not_judged"},
                                              {beyond, "beyond"},
                                              {cut, "cut"},
                                              {loop, "loop"},
                                              {repetitive, "repetitive"},
                                              {too_short, "too_short"},
                                              {too_long, "too_long"},
                                              {low_score, "low_score"},
                                              {wrong, "wrong"},
                                              {few_marks, "few_marks"},
                                              {duplicate, "duplicate"},
                                              {over_cap, "over_cap"},
                                              {not_best, "not_best"},
                                              {unpaired, "unpaired"}});
}

struct ResponseFilter {
  int64_t first = 0;  // only samples with an index below it; 0 = all
  bool keep_cut = false;
  int64_t min_tokens = 0, max_tokens = 0;  // 0 = no limit; a sample of unknown length passes
  int64_t min_chars = 0, max_chars = 0;    // characters, not bytes; 0 = no limit
  double max_repetition = 0.5;             // see repetition(); 1 = off
  std::optional<double> min_score = {};
  MarkCounts min_marks = {};  // by kind
  int min_mark_kinds = 0;     // kinds of which the response has a mark
};

// The share of the text's word 8-grams that occurred before in it; 0 for fewer than 64 of them. A
// word is a run of ASCII letters and digits, or another character that is not ASCII.
double repetition(const std::string& text);

// Characters of a text in UTF-8.
int64_t characters(const std::string& text);

// The text with each run of white space as one space and none at the ends, for comparisons.
std::string without_spacing(const std::string& text);

// Why the sample cannot be used as a response to be imitated, correctness aside; empty if it can.
std::optional<DropReason> reason_to_drop(const JudgedSample& sample, const ResponseFilter& filter);

// The same for a rejected response of a pair: short ones, those without marks and those with a low
// score pass.
std::optional<DropReason> reason_not_to_reject(const JudgedSample& sample,
                                               const ResponseFilter& filter);

}  // namespace longshot::curate
