#pragma once
// Samples and their verdicts in the form that a reader of a run or of an evaluation sees.

#include <vector>

#include "base/run_log/run_log.h"
#include "data/types.h"
#include "tokenizer/tokenizer.h"

namespace longshot::eval {

// Returns the first `limit` samples (-1: all), group by group, as rows of samples/*.jsonl. A prompt
// is the text of its tokens, special tokens included: what the model saw. `tokenizer`: the model's.
std::vector<SampleRecord> sample_records(const std::vector<data::Group>& groups, int limit,
                                         const tokenizer::Tokenizer& tokenizer);

}  // namespace longshot::eval
