#pragma once
// Samples the prompts of a run and judges the samples, several prompts at a time.

#include <cstdint>
#include <functional>
#include <vector>

#include "base/status.h"
#include "curate/samples/sample_journal.h"
#include "curate/samples/sample_source.h"
#include "reward/reward.h"

namespace longshot::curate {

struct SampleRunOptions {
  int n = 1;  // samples of a prompt
  // A prompt ends early, after the sample with which it has this many correct ones; 0 = never.
  int until_correct = 0;
  // Prompts are begun until those before them have this many response tokens; 0 = no limit.
  int64_t token_budget = 0;
  int prompts_at_once = 1;
  // The run ends after this many failed samples in a row, of which a prompt counts for a quarter at
  // most; 0 = never.
  int max_errors = 100;
  bool token_ids = false;  // keep token ids and log-probabilities
};

// A part of a run, for the progress line.
struct SampleProgress {
  int64_t prompts = 0;  // finished, those of earlier runs included
  int64_t samples = 0, tokens = 0, judged = 0, correct = 0, errors = 0;  // of this run
};

// Returns those of `samples` that belong to the result, by ascending index: indices below n, up to
// the one with which there are `until_correct` correct ones. Failed samples are included.
std::vector<JudgedSample> samples_within(std::vector<JudgedSample> samples,
                                         const SampleRunOptions& options);

// The indices to ask for next, given the samples so far: all that are missing or, with
// until_correct, as many as must be correct for the prompt to end. Which samples a prompt ends with
// therefore does not depend on how they were asked for. Empty if the prompt is finished.
std::vector<uint32_t> next_indices(const std::vector<JudgedSample>& samples,
                                   const SampleRunOptions& options);

// The number of prompts at the beginning of `tokens` that a budget allows: prompt i belongs to them
// if the prompts before it have less than `budget` tokens. All for budget 0.
size_t prompts_within(const std::vector<int64_t>& tokens, int64_t budget);

// What a run has at its end.
struct SampleResult {
  size_t rows = 0;          // prompts of the result: all, or those within the budget
  size_t beyond = 0;        // finished prompts that the result does not have, due to the budget
  int64_t all_samples = 0;  // of the rows
  int64_t all_errors = 0;   // failed ones among them
};

// Samples the prompts that the journal does not have yet, asks again for failed samples, and writes
// samples.jsonl. `rewards` may be null: then nothing is judged. `on_prompt` is called after each
// finished prompt, one call at a time. `on_row` receives each row in the order of the input.
// Errors: cancelled after stop_requested(), with the finished prompts in the journal; those of the
// journal; invalid_argument and internal of the source; unavailable after max_errors failures.
Result<SampleResult> run_samples(const std::vector<Ask>& asks, const SampleRunOptions& options,
                                 SampleSource& source, reward::RewardStage* rewards,
                                 SampleJournal& journal,
                                 const std::function<void(const SampleProgress&)>& on_prompt,
                                 const std::function<void(const JudgedPrompt&)>& on_row);

}  // namespace longshot::curate
